//! What the documents promise, the code has.

use std::collections::BTreeSet;

use usher_rules::{files, has_extension, read, sources};

const PRODUCT: &[&str] = &["cli/src", "common", "control-plane/src", "edge-proxy/src"];

/// Returns the lines of code blocks in every document that are commands, without comment.
fn commands() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for path in files(&["."]).into_iter().filter(|path| has_extension(path, "md")) {
        for block in read(&path).split("```").skip(1).step_by(2) {
            let Some(lines) = block.strip_prefix("sh\n") else { continue };
            let lines = lines.lines().map(|line| line.split(" #").next().unwrap_or_default().trim());
            found.extend(lines.filter(|line| !line.is_empty()).map(|line| (path.clone(), line.to_owned())));
        }
    }
    found
}

#[test]
fn xtask_commands_in_documents_exist() {
    let usage = read("xtask/src/main.rs");
    let mut seen = 0;
    for (path, line) in commands() {
        let Some(rest) = line.strip_prefix("cargo xtask ") else { continue };
        let command = rest.split(' ').next().unwrap_or_default();
        assert!(usage.contains(&format!("\"{command}\" =>")), "{path}: `{line}`");
        seen += 1;
    }
    assert!(seen >= 2, "the README has two commands");
}

/// `ListFoo` to `list-foo`, as clap names a variant.
fn kebab(variant: &str) -> String {
    variant.chars().enumerate().fold(String::new(), |mut name, (at, letter)| {
        if letter.is_uppercase() && at > 0 {
            name.push('-');
        }
        name.extend(letter.to_lowercase());
        name
    })
}

/// Returns what can stand after `usher` and after a noun: the variants of clap's enums.
fn known_words() -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    for source in sources(&["cli/src"]).iter().filter(|source| source.path.contains("/args")) {
        for line in source.text().lines() {
            let variant: String = line.trim().chars().take_while(char::is_ascii_alphanumeric).collect();
            if variant.starts_with(|letter: char| letter.is_ascii_uppercase()) {
                words.insert(kebab(&variant));
            }
        }
    }
    words
}

#[test]
fn usher_commands_in_documents_exist() {
    let known = known_words();
    let nouns = ["servers", "meetings", "zombies", "edges", "tenants", "deliveries", "migrate", "hooks"];
    let mut seen = 0;
    for (path, line) in commands() {
        let words: Vec<&str> = line.split(' ').collect();
        let Some(at) = words.iter().position(|word| *word == "usher" || word.ends_with("/usher")) else {
            continue;
        };
        let Some(command) = words.get(at + 1).filter(|word| !word.starts_with('-')) else { continue };
        assert!(known.contains(*command), "{path}: `{line}`");
        if nouns.contains(command) {
            let verb = words.get(at + 2).copied().unwrap_or_default();
            assert!(known.contains(verb), "{path}: `{line}`");
        }
        seen += 1;
    }
    assert!(seen >= 3, "the documents show how usher is used");
}

/// Returns the names registered with the metrics registry.
fn registered() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for source in sources(PRODUCT) {
        for (_, line) in source.product_lines() {
            let quoted = line.split('"').skip(1).step_by(2);
            let metric = |text: &&str| {
                text.starts_with("usher_")
                    && text.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_')
            };
            let crates = ["usher_edge_proxy", "usher_control_plane", "usher_runtime", "usher_model"];
            names.extend(quoted.filter(metric).filter(|name| !crates.contains(name)).map(str::to_owned));
        }
    }
    names
}

#[test]
fn every_metric_is_documented_and_every_documented_metric_exists() {
    let document = read("docs/operate/metrics.md");
    let registered = registered();
    assert!(registered.len() > 10, "{registered:?}");
    let rows = document.lines().filter_map(|line| line.strip_prefix("| `")?.split(['`', '{']).next());
    // Counters are registered without the suffix that the text format gives them.
    let documented: BTreeSet<String> = rows.map(str::to_owned).collect();
    let is_documented =
        |name: &String| documented.contains(name) || documented.contains(&format!("{name}_total"));
    let missing: Vec<_> = registered.iter().filter(|name| !is_documented(name)).collect();
    assert!(missing.is_empty(), "not in docs/operate/metrics.md: {missing:?}");
    let exists =
        |name: &String| registered.contains(name) || registered.contains(name.trim_end_matches("_total"));
    let invented: Vec<_> = documented.iter().filter(|name| !exists(name)).collect();
    assert!(invented.is_empty(), "only in docs/operate/metrics.md: {invented:?}");
}

/// The table of requirements names tests; each of them has to be there.
#[test]
fn every_test_in_the_table_of_requirements_exists() {
    let table = read("docs/requirements.md");
    let code: Vec<String> = sources(&["."]).iter().map(|source| source.text().to_owned()).collect();
    let mut seen = 0;
    for row in table.lines().filter(|line| line.starts_with("| ")) {
        let tests = row.rsplit('|').nth(1).unwrap_or_default();
        for name in tests.split('`').skip(1).step_by(2) {
            let declared = format!("fn {name}(");
            assert!(code.iter().any(|text| text.contains(&declared)), "no test is called `{name}`");
            seen += 1;
        }
    }
    assert!(seen > 20, "{seen} tests named");
}
