//! Reads and writes the list of servers that operators keep: Scalelite's `servers:sync` YAML.
//!
//! ```yaml
//! servers:
//!   bbb1.example.org:            # the id; also the host, unless `url` has another one
//!     secret: …
//!     url: https://bbb1.example.org/bigbluebutton/api
//!     enabled: true
//!     load_multiplier: 1.0       # 2 takes half the load of 1: the weight is its inverse
//!     tag: fast                  # several: comma-separated
//! ```

use std::{collections::BTreeMap, fmt};

use serde::Deserialize;
use usher_bbb::secret::Secret;
use usher_model::{id::ServerId, server::base_url};

/// The largest size of a list, bytes.
const SIZE_MAX: usize = 4 << 20;
/// The settings of a server that Usher uses.
const KEYS: [&str; 5] = ["secret", "url", "enabled", "load_multiplier", "tag"];
/// The settings that Scalelite writes and ignores when it reads.
const IGNORED: [&str; 4] = ["load", "state", "online", "bbb_version"];
/// The bounds of `load_multiplier`: those of a weight, inverted.
const MULTIPLIER: std::ops::RangeInclusive<f64> = 0.001..=1_000_000.0;
/// The largest number of tags of one server, and the largest length of a tag, bytes.
const TAGS: (usize, usize) = (32, 64);

/// The state of a server that a list asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerSpec {
    /// Id of the server.
    pub id: ServerId,
    /// Base URL of its API, ending in `/`.
    pub url: String,
    /// Shared secret of the server.
    pub secret: Secret,
    /// Whether the server takes new meetings.
    pub enabled: bool,
    /// Share of meetings relative to other servers, above 0.
    pub weight: f64,
    /// Tags of the server, sorted.
    pub tags: Vec<String>,
}

/// One fault of a list. It never quotes a value, because the value may be a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListFault {
    /// Id of the server with the fault; empty for a fault of the whole file.
    pub server: String,
    /// The fault and its remedy.
    pub problem: String,
}

/// All faults of a list, reported at once (style P13).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ListFaults(pub Vec<ListFault>);

impl fmt::Display for ListFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the list of servers cannot be used:")?;
        self.0.iter().try_for_each(|ListFault { server, problem }| match server.as_str() {
            "" => write!(f, "\n  {problem}"),
            server => write!(f, "\n  server `{server}`: {problem}"),
        })
    }
}

#[derive(Deserialize)]
struct Document {
    servers: BTreeMap<String, Option<BTreeMap<String, Option<String>>>>,
}

/// Reads a list. Size, depth and aliases are limited, because a list may come from an untrusted generator.
///
/// # Errors
/// All faults of the list at once.
pub fn parse(text: &str) -> Result<Vec<ServerSpec>, ListFaults> {
    let whole = |problem: String| ListFaults(vec![ListFault { server: String::new(), problem }]);
    if text.len() > SIZE_MAX {
        return Err(whole("it is larger than 4 MiB".into()));
    }
    let options = serde_saphyr::options! {
        with_snippet: false,
        budget: serde_saphyr::budget! { max_depth: 16, max_documents: 1, max_aliases: 10_000 },
    };
    let document: Document = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        // The text of the error is left out, because it may quote a value.
        let place = error
            .location()
            .map_or_else(String::new, |at| format!("line {}, column {}: ", at.line(), at.column()));
        whole(format!(
            "{place}it is not YAML of the form `servers: {{ID: {{secret: …, url: …}}, …}}`, each key once"
        ))
    })?;
    let mut faults = Vec::new();
    let mut specs = Vec::new();
    for (id, settings) in &document.servers {
        let mut entry = ListEntry { id, settings: settings.as_ref(), faults: &mut faults };
        specs.extend(entry.read());
    }
    if faults.is_empty() { Ok(specs) } else { Err(ListFaults(faults)) }
}

struct ListEntry<'a> {
    id: &'a str,
    settings: Option<&'a BTreeMap<String, Option<String>>>,
    faults: &'a mut Vec<ListFault>,
}

impl ListEntry<'_> {
    fn fault(&mut self, problem: impl Into<String>) {
        self.faults.push(ListFault { server: self.id.chars().take(80).collect(), problem: problem.into() });
    }

    fn get(&self, key: &str) -> Option<&str> {
        self.settings?.get(key)?.as_deref().map(str::trim).filter(|text| !text.is_empty())
    }

    /// Returns the server, or records its faults and returns `None`.
    fn read(&mut self) -> Option<ServerSpec> {
        let id = ServerId::parse(self.id).map_err(|error| self.fault(error.to_string())).ok();
        let unknown = self.settings.into_iter().flat_map(BTreeMap::keys);
        let unknown: Vec<String> = unknown
            .filter(|key| !KEYS.contains(&key.as_str()) && !IGNORED.contains(&key.as_str()))
            .cloned()
            .collect();
        for key in unknown {
            let key: String = key.chars().take(40).collect();
            self.fault(format!("`{key}` is not one of {}", KEYS.join(", ")));
        }
        let secret = self.get("secret").map(Secret::new);
        if secret.is_none() {
            self.fault("`secret` is missing; `bbb-conf --secret` on the server prints it");
        }
        let url =
            self.get("url").map_or_else(|| format!("https://{}/bigbluebutton/api/", self.id), str::to_owned);
        let url = base_url(&url).map_err(|error| self.fault(format!("`url` {error}"))).ok();
        let enabled = self.enabled();
        let weight = self.weight();
        let tags = self.tags();
        Some(ServerSpec {
            id: id?,
            url: url?,
            secret: secret?,
            enabled: enabled?,
            weight: weight?,
            tags: tags?,
        })
    }

    fn enabled(&mut self) -> Option<bool> {
        match self.get("enabled").map(str::to_ascii_lowercase).as_deref() {
            None | Some("true" | "yes" | "on" | "1") => Some(true),
            Some("false" | "no" | "off" | "0") => Some(false),
            Some(_) => {
                self.fault("`enabled` must be true or false");
                None
            }
        }
    }

    fn weight(&mut self) -> Option<f64> {
        let weight = self.get("load_multiplier").map_or(Ok(1.0), weight);
        weight.map_err(|problem| self.fault(problem)).ok()
    }

    fn tags(&mut self) -> Option<Vec<String>> {
        let tags = tags(self.get("tag").unwrap_or_default());
        tags.map_err(|problem| self.fault(problem)).ok()
    }
}

/// Returns the weight of a `load_multiplier`: its inverse.
///
/// # Errors
/// The text that states the valid range.
pub fn weight(load_multiplier: &str) -> Result<f64, &'static str> {
    let multiplier = load_multiplier.parse::<f64>().ok().filter(|multiplier| MULTIPLIER.contains(multiplier));
    let must = "`load_multiplier` must be a number above 0 (0.001 to 1000000); the default is 1, 2 takes half the load";
    multiplier.map(|multiplier| 1.0 / multiplier).ok_or(must)
}

/// Returns the tags of a comma-separated `tag`, sorted and without duplicates.
///
/// # Errors
/// The text that states the valid form.
pub fn tags(tag: &str) -> Result<Vec<String>, &'static str> {
    let mut tags: Vec<String> = tag.split(',').map(|tag| tag.trim().to_owned()).collect();
    tags.retain(|tag| !tag.is_empty());
    tags.sort();
    tags.dedup();
    let unfit = |tag: &String| tag.len() > TAGS.1 || tag.contains(|c: char| c == '!' || c.is_whitespace());
    if tags.len() > TAGS.0 || tags.iter().any(unfit) {
        return Err(
            "`tag` must be at most 32 tags, comma-separated, each 1 to 64 characters without spaces and `!`",
        );
    }
    Ok(tags)
}

/// Returns the text of a list that [`parse`] and Scalelite read back.
pub fn write(specs: &[ServerSpec]) -> String {
    if specs.is_empty() {
        return "servers: {}\n".into();
    }
    let mut lines = vec!["servers:".to_owned()];
    for spec in specs {
        lines.push(format!("  {}:", quoted(spec.id.as_str())));
        lines.push(format!("    url: {}", quoted(spec.url.trim_end_matches('/'))));
        lines.push(format!("    secret: {}", quoted(spec.secret.expose())));
        lines.push(format!("    enabled: {}", spec.enabled));
        lines.push(format!("    load_multiplier: {:?}", multiplier(spec.weight)));
        if !spec.tags.is_empty() {
            lines.push(format!("    tag: {}", quoted(&spec.tags.join(","))));
        }
    }
    lines.push(String::new());
    lines.join("\n")
}

/// Tells whether two weights are equal up to rounding. A file holds the inverse of a weight, so a weight that was
/// written and read back may differ in its last digits.
pub fn same_weight(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * a.abs().max(b.abs())
}

/// Returns `1/weight`, rounded to six decimals if that gives the same weight: 1.5 rather than
/// 1.5000000000000002.
fn multiplier(weight: f64) -> f64 {
    let exact = 1.0 / weight;
    let short = (exact * 1e6).round() / 1e6;
    if same_weight(1.0 / short, weight) { short } else { exact }
}

/// Returns text as a JSON string, which YAML reads back as the same text for every content.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests;
