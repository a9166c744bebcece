use proptest::prelude::*;
use quick_xml::{Reader, events::Event};

use super::*;

pub(super) fn judged(parts: &[&[u8]]) -> Result<(), BodyFault> {
    let mut body = DocumentBody::default();
    for part in parts {
        body.read(part)?;
    }
    body.end()
}

fn whole(text: &str) -> Result<(), BodyFault> {
    judged(&[text.as_bytes()])
}

fn presentation(document: &str) -> String {
    format!("<modules><module name=\"presentation\">{document}</module></modules>")
}

/// Bodies that a genuine server accepted (BBB 2.5.14), and bodies that applications send.
#[test]
fn bodies_that_servers_accept_are_passed_on() {
    for body in [
        "",
        "<modules/>",
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><modules><module name=\"presentation\">\
         <document name=\"s1.txt\">SGFsbG8gV2VsdA==</document></module></modules>",
        "<?xml version='1.0' standalone='yes' ?>\r\n<!-- by hand -->\n<modules ></modules >\n<?done?>\n",
        "<modules><module name=\"clientSettingsOverride\"><![CDATA[{\"a\": \"<b>]]&\"}]]></module></modules>",
        "<m xmlns:x='urn:x' x:a='1' xml:lang='de'><x:y>&amp;&#228;&#xE4; ä ] ]]</x:y></m>",
        "<other>a root of another name is ignored</other>",
    ] {
        assert_eq!(whole(body), Ok(()), "{body}");
    }
    for document in [
        "<document url=\"https://a.test/x/welcome.pdf?a=1&amp;b=2\" filename=\"w.pdf\" />",
        "<document url=\"https://a.test/a%20b.pdf\"/>",
        "<document url=\"\" name=\"a.txt\">QQ==</document>",
    ] {
        assert_eq!(whole(&presentation(document)), Ok(()), "{document}");
    }
}

/// A genuine server answered the first two with HTTP 500 (BBB 2.5.14). For the others the same is
/// assumed, because its parser refuses them.
#[test]
fn bodies_that_no_server_accepts_are_refused() {
    for body in [
        "<modules><module",
        "<modules",
        "hello",
        "{}",
        "<modules></module>",
        "</modules>",
        "<a/><b/>",
        "<a/>b",
        "\u{feff}<a/>",
        " <?xml version=\"1.0\"?><a/>",
        "<?xml version=\"2.0\"?><a/>",
        "<?xml encoding=\"UTF-8\"?><a/>",
        "<!DOCTYPE a [<!ENTITY x \"y\">]><a>&x;</a>",
        "<!DOCTYPE a SYSTEM \"file:///etc/passwd\"><a/>",
        "<a>&nbsp;</a>",
        "<a>&#0;</a>",
        "<a>&amp</a>",
        "<a>]]></a>",
        "<a>\u{1}</a>",
        "<a>\u{ffff}</a>",
        "<a b='1' b='2'/>",
        "<a b=1/>",
        "<a b/>",
        "<a b='<'/>",
        "<a b='1'c='2'/>",
        "<a b='&x;'/>",
        "<a><!-- -- --></a>",
        "<![CDATA[a]]>",
        "<x:a/>",
        "<a x:b='1'/>",
        "<1/>",
        "<a><?xml version='1.0'?></a>",
        "< a/>",
        "<>",
    ] {
        assert_eq!(whole(body), Err(BodyFault::Malformed), "{body}");
    }
    for url in ["/", "///", "https://a.test/a%zz", "https://a.test/%4"] {
        let body = presentation(&format!("<document url=\"{url}\"/>"));
        assert_eq!(whole(&body), Err(BodyFault::NamelessDocument), "{url}");
    }
    assert_eq!(whole("<modules><module name='x'><document url='/'/></module></modules>"), Ok(()));
}

#[test]
fn the_memory_for_a_body_is_limited() {
    let nested = |depth: usize| ["<a>".repeat(depth), "</a>".repeat(depth)].concat();
    assert_eq!(whole(&nested(DEPTH)), Ok(()));
    assert_eq!(whole(&nested(DEPTH + 1)), Err(BodyFault::Excessive));
    assert_eq!(whole(&format!("<a b='{}'/>", "x".repeat(MARKUP))), Err(BodyFault::Excessive));
    let many: String = (0..100).map(|n| format!(" a{n}='1'")).collect();
    assert_eq!(whole(&format!("<a{many}/>")), Err(BodyFault::Excessive));
    let large = presentation(&format!("<document name='a'>{}</document>", "QUJD".repeat(1 << 18)));
    assert_eq!(whole(&large), Ok(()));
}

/// Returns whether the reader of a library reaches the end of the body.
fn is_read_by_a_library(body: &str) -> bool {
    let mut reader = Reader::from_str(body);
    loop {
        match reader.read_event() {
            Ok(Event::Start(tag) | Event::Empty(tag)) if tag.attributes().any(|one| one.is_err()) => {
                return false;
            }
            Ok(Event::Eof) => return true,
            Ok(_) => {}
            Err(_) => return false,
        }
    }
}

pub(super) fn element() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec!["modules", "module", "document", "a-b", "x1"]);
    let text =
        prop::sample::select(vec!["", "text", "&lt;", "<!-- c -->", "<![CDATA[<&]]>", " \n", "<?p i?>", "ä"]);
    let attribute =
        prop::sample::select(vec!["", " name='presentation'", " url=\"https://a.test/b\"", " n = 'a>b'"]);
    let leaf =
        (name.clone(), attribute.clone()).prop_map(|(name, attribute)| format!("<{name}{attribute}/>"));
    leaf.prop_recursive(4, 16, 4, move |inner| {
        (name.clone(), attribute.clone(), prop::collection::vec((text.clone(), inner), 0..4)).prop_map(
            |(name, attribute, children)| {
                let children: String =
                    children.into_iter().map(|(text, child)| text.to_owned() + &child).collect();
                format!("<{name}{attribute}>{children}</{name}>")
            },
        )
    })
}

proptest! {
    #[test]
    fn well_formed_bodies_are_taken_however_they_are_cut(body in element(), cuts in prop::collection::vec(0_usize..200, 0..6)) {
        prop_assert_eq!(whole(&body), Ok(()));
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(body.len())).collect();
        cuts.extend([0, body.len()]);
        cuts.sort_unstable();
        let parts: Vec<&[u8]> = cuts.windows(2).map(|pair| &body.as_bytes()[pair[0]..pair[1]]).collect();
        prop_assert_eq!(judged(&parts), Ok(()));
    }

    /// A library can read every accepted body, however a well-formed one was changed.
    #[test]
    fn no_body_is_accepted_that_a_library_cannot_read(body in element(), at in 0_usize..200, with in "[<>/&;'\"=!?a \\[\\]-]{0,3}", gone in 0_usize..3) {
        let chars: Vec<char> = body.chars().collect();
        let at = at.min(chars.len());
        let rest = chars.get(at + gone..).unwrap_or_default();
        let changed: String = chars[..at].iter().copied().chain(with.chars()).chain(rest.iter().copied()).collect();
        if whole(&changed).is_ok() && !changed.is_empty() {
            prop_assert!(is_read_by_a_library(&changed), "{changed}");
        }
    }

    /// Plain text is passed over in blocks, which changes no judgement.
    #[test]
    fn long_texts_are_judged_as_byte_by_byte(text in "([a-zA-Z0-9+/ \\n]{0,80}|&amp;|&|\\]|\\]\\]|>|<b>|</b>|ä|\u{1}|\u{ffff}){0,12}") {
        let body = format!("<a>{text}</a>");
        let one_by_one: Vec<&[u8]> = body.as_bytes().chunks(1).collect();
        prop_assert_eq!(whole(&body), judged(&one_by_one), "{}", body);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let one_by_one: Vec<&[u8]> = bytes.chunks(1).collect();
        prop_assert_eq!(judged(&[&bytes]), judged(&one_by_one));
    }
}
