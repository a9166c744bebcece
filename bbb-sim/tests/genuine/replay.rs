//! Requests to a genuine server with its answers, and the comparison of other answers with them.
//!
//! Values that belong to that run (times, tokens, ids made of times, passwords and voice bridges that
//! the server drew) are not compared by text: a value of the run stands for one value here, the same
//! in all answers, and has the same shape. Later requests that repeat such a value are sent with the
//! value that stands for it, and signed anew.

use std::collections::BTreeMap;

use quick_xml::{Reader, events::Event};
use serde_json::Value;
use usher_bbb::{
    checksum::{ChecksumAlgorithm, sign},
    query::RawQuery,
    secret::Secret,
};

/// The requests, in the order in which they were sent.
#[derive(Debug)]
pub(crate) struct GenuineRun {
    pub(crate) secret: String,
    pub(crate) requests: Vec<GenuineRequest>,
}

/// One request and its genuine answer.
#[derive(Debug, Clone)]
pub(crate) struct GenuineRequest {
    pub(crate) name: String,
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
    pub(crate) status: u16,
    pub(crate) answer_headers: Vec<(String, String)>,
    pub(crate) answer: String,
}

/// An answer that is compared with the genuine one.
#[derive(Debug)]
pub(crate) struct ComparedAnswer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

/// A difference that is accepted, with its reason.
#[derive(Debug)]
pub(crate) struct AcceptedDifference {
    /// The beginnings of the names of the requests.
    pub(crate) requests: &'static [&'static str],
    /// The beginning of the difference as [`ComparisonState::differences`] prints it.
    pub(crate) difference: &'static str,
    pub(crate) reason: &'static str,
}

/// Removes the accepted differences and returns the rest. Notes in `used` which of `accepted` were
/// met.
pub(crate) fn unaccepted(
    request: &GenuineRequest,
    mut found: Vec<String>,
    accepted: &[AcceptedDifference],
    used: &mut [bool],
) -> Vec<String> {
    found.retain(|difference| {
        let fits = |one: &AcceptedDifference| {
            one.requests.iter().any(|name| request.name.starts_with(name))
                && difference.starts_with(one.difference)
        };
        let at = accepted.iter().position(fits);
        if let Some(at) = at {
            used[at] = true;
        }
        at.is_none()
    });
    found
}

/// Reads the run.
pub(crate) fn genuine_run() -> GenuineRun {
    let run: Value = serde_json::from_str(include_str!("answers-2.5.14.json")).expect("the file is JSON");
    let requests = run["requests"].as_array().expect("a list").iter().map(|request| GenuineRequest {
        name: text(&request["name"]),
        method: text(&request["method"]),
        target: text(&request["target"]),
        headers: pairs(&request["headers"]),
        body: text(&request["body"]),
        status: request["status"].as_u64().and_then(|status| status.try_into().ok()).expect("a status"),
        answer_headers: pairs(&request["answer_headers"]),
        answer: text(&request["answer"]),
    });
    GenuineRun { secret: text(&run["secret"]), requests: requests.collect() }
}

/// Returns a text, empty if it is absent.
fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Returns names and values of headers; there are none if the list is absent.
fn pairs(value: &Value) -> Vec<(String, String)> {
    let pairs = value.as_array().into_iter().flatten();
    pairs.map(|pair| (text(&pair[0]), text(&pair[1]))).collect()
}

/// The address of the genuine server in its answers.
const GENUINE_BASE: &str = "http://127.0.0.1:27128";
/// The headers that are compared.
const HEADERS: [&str; 5] = ["content-type", "cache-control", "content-language", "set-cookie", "location"];
/// The elements whose values belong to the run, and are different for different subjects.
const OF_THE_RUN: [&str; 9] = [
    "internalMeetingID",
    "meeting_id",
    "createTime",
    "voiceBridge",
    "attendeePW",
    "moderatorPW",
    "user_id",
    "auth_token",
    "session_token",
];
/// The elements whose values are times, which may be equal by chance.
const TIMES: [&str; 3] = ["createDate", "startTime", "timestamp"];

/// The values that stand for those of the run.
#[derive(Debug, Default)]
pub(crate) struct ComparisonState {
    /// By the value of the run.
    stands_for: BTreeMap<String, String>,
    /// The address of the server here.
    base: String,
}

impl ComparisonState {
    /// Returns a comparison with a server at `base`, as in `http://host:port`.
    pub(crate) fn new(base: &str) -> Self {
        Self { stands_for: BTreeMap::new(), base: base.to_owned() }
    }

    /// Returns the target of a request with the values of this run, signed with `secret` if it was
    /// signed rightly in the genuine run.
    pub(crate) fn target(&self, request: &GenuineRequest, genuine: &str, secret: &str) -> String {
        let Some((path, query)) = request.target.split_once('?') else { return request.target.clone() };
        let call = path.trim_start_matches("/bigbluebutton/api").trim_matches('/');
        let given = RawQuery::new(query).first("checksum").unwrap_or_default().into_owned();
        let without = |text: &str| {
            text.split('&').filter(|pair| !pair.starts_with("checksum=")).collect::<Vec<_>>().join("&")
        };
        let algorithm = ChecksumAlgorithm::from_hex_len(given.len());
        let is_right = |algorithm| {
            sign(algorithm, call, &without(query), &Secret::new(genuine)).eq_ignore_ascii_case(&given)
        };
        let here: Vec<String> = query
            .split('&')
            .map(|pair| match pair.split_once('=') {
                Some((name, value)) => match self.stands_for.get(value) {
                    Some(here) if name != "checksum" => format!("{name}={here}"),
                    _ => pair.to_owned(),
                },
                None => pair.to_owned(),
            })
            .collect();
        let here = here.join("&");
        let Some(algorithm) = algorithm.filter(|algorithm| is_right(*algorithm)) else {
            return format!("{path}?{here}");
        };
        let mut checksum = sign(algorithm, call, &without(&here), &Secret::new(secret));
        if given.bytes().any(|byte| byte.is_ascii_uppercase()) {
            checksum = checksum.to_ascii_uppercase();
        }
        format!("{path}?{}", here.replace(&given, &checksum))
    }

    /// Returns the body of a request, signed with `secret` if it is a form with a checksum.
    pub(crate) fn body(request: &GenuineRequest, genuine: &str, secret: &str) -> String {
        let Some((form, checksum)) = request.body.split_once("&checksum=") else {
            return request.body.clone();
        };
        let call = request.target.trim_start_matches("/bigbluebutton/api/");
        let signed = [form, ""]
            .into_iter()
            .find(|signed| sign(ChecksumAlgorithm::Sha256, call, signed, &Secret::new(genuine)) == checksum);
        let signed = signed.expect("a form of the run is signed over its text, or over an empty query");
        let checksum = sign(ChecksumAlgorithm::Sha256, call, signed, &Secret::new(secret));
        format!("{form}&checksum={checksum}")
    }

    /// Returns the differences between the genuine answer and another one.
    pub(crate) fn differences(&mut self, genuine: &GenuineRequest, here: &ComparedAnswer) -> Vec<String> {
        let mut found = Vec::new();
        if here.status != genuine.status {
            found.push(format!("status {}, not {}: {}", here.status, genuine.status, here.body));
            return found;
        }
        for name in HEADERS {
            let theirs = header(&genuine.answer_headers, name);
            let ours = header(&here.headers, name);
            if !self.is_same(name, theirs, ours) {
                found.push(format!("header {name}: `{ours}`, not `{theirs}`"));
            }
        }
        match (parsed(&genuine.answer), parsed(&here.body)) {
            (Some(theirs), Some(ours)) => self.compare("", &theirs, &ours, &mut found),
            (None, None) if genuine.answer.trim() == here.body.trim() => {}
            _ => found.push(format!("body `{}`, not `{}`", here.body, genuine.answer)),
        }
        found
    }

    fn compare(&mut self, path: &str, theirs: &AnswerNode, ours: &AnswerNode, found: &mut Vec<String>) {
        let path = format!("{path}/{}", theirs.name);
        if theirs.name != ours.name {
            found.push(format!("{path}: the element is `{}`", ours.name));
            return;
        }
        if !self.is_same(&theirs.name, &theirs.text, &ours.text) {
            found.push(format!("{path}: `{}`, not `{}`", ours.text, theirs.text));
        }
        let names =
            |node: &AnswerNode| node.children.iter().map(|child| child.name.clone()).collect::<Vec<_>>();
        if theirs.name == "meetings" {
            // The order of a list is that of hashes of the ids, which contain times.
            let ids =
                |node: &AnswerNode| node.children.iter().map(AnswerNode::meeting_id).collect::<Vec<_>>();
            let (mut theirs_ids, mut ours_ids) = (ids(theirs), ids(ours));
            theirs_ids.sort();
            ours_ids.sort();
            if theirs_ids != ours_ids {
                found.push(format!("{path}: the meetings are {ours_ids:?}, not {theirs_ids:?}"));
            }
            for child in &theirs.children {
                let same = ours.children.iter().find(|other| other.meeting_id() == child.meeting_id());
                if let Some(same) = same {
                    self.compare(&path, child, same, found);
                }
            }
        } else if names(theirs) == names(ours) {
            for (theirs, ours) in theirs.children.iter().zip(&ours.children) {
                self.compare(&path, theirs, ours, found);
            }
        } else {
            found.push(format!("{path}: the elements are {:?}, not {:?}", names(ours), names(theirs)));
        }
    }

    /// Returns whether two values of an element or a header are the same, or one stands for the
    /// other.
    fn is_same(&mut self, name: &str, theirs: &str, ours: &str) -> bool {
        let theirs = theirs.replace(GENUINE_BASE, &self.base);
        if theirs == ours || self.stands_for.get(&theirs).is_some_and(|here| here == ours) {
            return true;
        }
        if name == "set-cookie" {
            return !theirs.is_empty() && shape(&theirs) == shape(ours);
        }
        if let (Some((page, theirs)), Some((other, ours))) =
            (theirs.split_once("sessionToken="), ours.split_once("sessionToken="))
        {
            return page == other && self.stands(theirs, ours);
        }
        if TIMES.contains(&name) {
            // A time that is not set yet is `0`, and no other time is as short.
            return theirs.len() == ours.len();
        }
        OF_THE_RUN.contains(&name) && self.stands(&theirs, ours)
    }

    /// Returns whether `ours` may stand for `theirs`, and remembers it.
    fn stands(&mut self, theirs: &str, ours: &str) -> bool {
        if theirs.len() != ours.len() {
            return false;
        }
        self.stands_for.entry(theirs.to_owned()).or_insert_with(|| ours.to_owned()) == ours
    }
}

/// Returns a text with each hexadecimal digit replaced, so that ids of one kind are equal.
fn shape(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_hexdigit() { '0' } else { c }).collect()
}

fn header<'h>(headers: &'h [(String, String)], name: &str) -> &'h str {
    headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value)
}

/// An element of XML, or a value of JSON under its name.
#[derive(Debug, Default, Clone)]
struct AnswerNode {
    name: String,
    text: String,
    children: Vec<AnswerNode>,
}

impl AnswerNode {
    fn meeting_id(&self) -> String {
        let id = self.children.iter().find(|child| child.name == "meetingID");
        id.map(|id| id.text.clone()).unwrap_or_default()
    }
}

fn parsed(text: &str) -> Option<AnswerNode> {
    if let Ok(value) = serde_json::from_str(text) {
        return Some(of_json("json", &value));
    }
    text.starts_with('<').then(|| of_xml(text)).flatten()
}

fn of_json(name: &str, value: &Value) -> AnswerNode {
    let mut node = AnswerNode { name: name.to_owned(), ..AnswerNode::default() };
    match value {
        Value::Object(fields) => {
            node.children = fields.iter().map(|(name, value)| of_json(name, value)).collect();
        }
        Value::String(text) => node.text.clone_from(text),
        other => node.text = other.to_string(),
    }
    node
}

fn of_xml(text: &str) -> Option<AnswerNode> {
    let mut reader = Reader::from_str(text);
    let mut open = vec![AnswerNode::default()];
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) => {
                let name = start.name().as_ref().to_owned();
                open.push(AnswerNode { name, ..AnswerNode::default() });
            }
            Event::Empty(start) => {
                let name = start.name().as_ref().to_owned();
                open.last_mut()?.children.push(AnswerNode { name, ..AnswerNode::default() });
            }
            Event::Text(text) => open.last_mut()?.text.push_str(text.as_ref()),
            Event::GeneralRef(name) => {
                let entity = format!("&{};", name.as_ref());
                let text = quick_xml::escape::unescape(&entity).ok()?.into_owned();
                open.last_mut()?.text.push_str(&text);
            }
            Event::End(_) => {
                let mut node = open.pop()?;
                if !node.children.is_empty() || node.text.trim().is_empty() {
                    node.text.clear();
                }
                open.last_mut()?.children.push(node);
            }
            Event::Eof => return open.pop()?.children.pop(),
            _ => {}
        }
    }
}
