//! Bodies of requests.

use quick_xml::{Reader, XmlVersion, events::Event};
use usher_bbb::{
    call::ApiCall,
    checksum::{ChecksumAlgorithm, sign},
    query::{RawQuery, decode},
    secret::Secret,
};
use usher_edge_proxy::{
    core::{
        authenticate::authenticate,
        document_body::{DocumentBody, PresentationEdit, PresentationMode},
        limits::{self, PARAMETERS_MAX},
        validate,
    },
    server::fuzz_entries,
};

/// The module of a tenant.
const MODULE: &str = "<module name=\"presentation\"><document url=\"https://a.test/usher\"/></module>";

/// Checks the body of a create: the verdict does not depend on the division of the body into parts.
pub(super) fn document_body(input: &[u8]) {
    let verdict = |parts: Vec<&[u8]>| {
        let mut body = DocumentBody::default();
        parts.into_iter().try_for_each(|part| body.read(part)).and_then(|()| body.end())
    };
    let whole = verdict(vec![input]);
    for length in [1, 2, 7] {
        assert_eq!(verdict(input.chunks(length).collect()), whole, "in parts of {length}");
    }
    if whole.is_ok() && !input.is_empty() {
        let read = modules(&String::from_utf8_lossy(input));
        assert!(read.is_some(), "an XML parser refuses an accepted body");
    }
}

/// Puts a tenant's presentation into a body: servers read it, and every other module keeps its bytes.
pub(super) fn presentation_edit(input: &[u8]) {
    let edited = |mode, parts: Vec<&[u8]>| {
        let (mut edit, mut out) = (PresentationEdit::new(mode, MODULE.to_owned()), Vec::new());
        let passed =
            parts.into_iter().try_for_each(|part| edit.pass(part, &mut out)).and_then(|()| edit.end());
        passed.map(|()| out)
    };
    let mut body = DocumentBody::default();
    let accepted = body.read(input).and_then(|()| body.end());
    for mode in [PresentationMode::Forced, PresentationMode::Default] {
        let whole = edited(mode, vec![input]);
        for length in [1, 5] {
            assert_eq!(edited(mode, input.chunks(length).collect()), whole, "in parts of {length}");
        }
        assert_eq!(whole.is_ok(), accepted.is_ok());
        let Ok(whole) = whole else { continue };
        assert!(whole.len() <= 2 * input.len() + MODULE.len() + 8, "{} bytes", whole.len());
        let (before, after) = (String::from_utf8_lossy(input), String::from_utf8_lossy(&whole));
        let Some(before) = modules(&before).filter(|_| !input.is_empty()) else { continue };
        let after = modules(&after).unwrap_or_else(|| panic!("servers refuse it: {after}"));
        let others = |modules: &[BodyModule]| -> Vec<String> {
            modules.iter().filter(|module| !module.presents).map(|module| module.raw.clone()).collect()
        };
        assert_eq!(others(&after), others(&before));
        let presented = before.iter().filter(|module| module.presents).count();
        let expected = if mode == PresentationMode::Forced { 1 } else { presented.max(1) };
        assert_eq!(after.iter().filter(|module| module.presents).count(), expected, "{mode:?}");
    }
}

/// A child of the root, as an XML parser reads it.
struct BodyModule {
    presents: bool,
    raw: String,
}

/// Returns the children of the root; `None` if a parser refuses the text.
fn modules(xml: &str) -> Option<Vec<BodyModule>> {
    let mut reader = Reader::from_str(xml);
    let (mut found, mut depth, mut begun) = (Vec::new(), 0_u32, 0);
    loop {
        let from = reader.buffer_position();
        let event = reader.read_event().ok()?;
        let (is_start, element) = match &event {
            Event::Eof => return (depth == 0).then_some(found),
            Event::Start(element) => (true, Some(element)),
            Event::Empty(element) => (false, Some(element)),
            Event::End(_) => {
                depth = depth.checked_sub(1)?;
                (false, None)
            }
            _ => continue,
        };
        if let Some(element) = element.filter(|_| depth == 1) {
            let name = element.try_get_attribute("name").ok()?;
            let name = name.map(|name| name.normalized_value(XmlVersion::Implicit1_0)).transpose().ok()?;
            begun = from;
            found.push(BodyModule { presents: name.as_deref() == Some("presentation"), raw: String::new() });
        }
        // The end of a module: of its end tag, or of a tag that is both.
        if depth == 1
            && !is_start
            && let Some(module) = found.last_mut().filter(|module| module.raw.is_empty())
        {
            let to = reader.buffer_position();
            xml.get(usize::try_from(begun).ok()?..usize::try_from(to).ok()?)?.clone_into(&mut module.raw);
        }
        depth += u32::from(is_start);
    }
}

/// Reads a multipart body: its first line is the content type. The form has the text of the parts and
/// nothing else, and is not much longer than the body.
pub(super) fn multipart_body(input: &[u8]) {
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(0);
    let (kind, body) = input.split_at(end);
    let body = body.get(1..).unwrap_or_default();
    let Ok(kind) = std::str::from_utf8(kind) else { return };
    let Some(form) = fuzz_entries::multipart_form(kind, body) else { return };
    assert!(form.len() <= 3 * body.len() + 2, "{} bytes of {}", form.len(), body.len());
    assert!(form.is_ascii(), "{form}");
    let text = String::from_utf8_lossy(body);
    let pairs: Vec<_> = RawQuery::new(&form).pairs().collect();
    assert!(pairs.len() <= PARAMETERS_MAX);
    for pair in pairs {
        assert!(text.contains(&*decode(pair.value)), "{} is not in the body", pair.value);
    }
}

/// Reads a form: its parameters count only with the checksum of a secret of the tenant, and then they
/// are those of the form without its checksum. The checks of every call accept or refuse them.
pub(super) fn form_body(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let (secret, other) = (Secret::new("secret"), Secret::new("other"));
    let is_unsigned = RawQuery::new(&text).count("checksum") == 0;
    for call in ApiCall::all() {
        let query = format!("checksum={}", sign(ChecksumAlgorithm::Sha256, call.name(), "", &secret));
        let read = |secret: &Secret| {
            let form = limits::parsed(text.as_ref());
            let secrets = std::slice::from_ref(secret);
            authenticate(call, limits::parsed(query.as_str()), Some(form), secrets)
                .map(|given| given.into_parameters())
                .map_err(|unsigned| unsigned.problem)
        };
        assert!(read(&other).is_err(), "signed by nobody");
        let Ok(given) = read(&secret) else {
            assert!(!is_unsigned, "the checksum of the query is valid");
            continue;
        };
        let Ok(parameters) = given else { continue };
        assert!(parameters.len() <= PARAMETERS_MAX);
        assert!(!is_unsigned || parameters.text() == text);
        if let Ok(Some(id)) = validate::check(call, &parameters) {
            assert!(!id.trim().is_empty() && id.encode_utf16().count() <= text.len());
        }
    }
}
