use proptest::prelude::*;

use super::{
    super::tests::{element, judged},
    *,
};

const OURS: &str = "<module name=\"presentation\"><document url=\"https://t.test/w.pdf\"/></module>";
const SETTINGS: &str =
    "<module name=\"clientSettingsOverride\"><![CDATA[\n {\"public\": \"</module><a & b>\"} ]]></module>";
const NOTES: &str = "<module name='sharedNotesInitialContentJson' >[{\"id\":\"ä\"}]&#10;<!-- c --></module>";
const SLIDES: &str = "<module name=\"presentation\">\n<document name=\"a.pdf\">QUJD</document>\
                      <document url=\"https://a.test/b.pdf\"/><!-- <b> --><![CDATA[<c>]]>&amp;</module>";

fn passed(mode: PresentationMode, parts: &[&[u8]]) -> Result<String, BodyFault> {
    let (mut edit, mut out) = (PresentationEdit::new(mode, OURS.into()), Vec::new());
    for part in parts {
        edit.pass(part, &mut out)?;
    }
    edit.end()?;
    Ok(String::from_utf8_lossy(&out).into_owned())
}

fn edited(mode: PresentationMode, body: &str) -> String {
    passed(mode, &[body.as_bytes()]).unwrap_or_else(|fault| panic!("{fault}: {body}"))
}

#[test]
fn a_forced_presentation_replaces_the_presentation_modules_and_no_other() {
    let forced = |body: &str| edited(PresentationMode::Forced, body);
    for (given, expected) in [
        (format!("<modules>{SLIDES}</modules>"), format!("<modules>{OURS}</modules>")),
        (
            format!("<?xml version='1.0'?>\r\n<modules x='1'>\n{SETTINGS}{SLIDES}\n{NOTES}</modules >\n"),
            format!("<?xml version='1.0'?>\r\n<modules x='1'>\n{SETTINGS}\n{NOTES}{OURS}</modules >\n"),
        ),
        (format!("<m>{SLIDES}{SETTINGS}{SLIDES}</m>"), format!("<m>{SETTINGS}{OURS}</m>")),
        (format!("<m>{SETTINGS}</m>"), format!("<m>{SETTINGS}{OURS}</m>")),
        ("<modules/>".into(), format!("<modules>{OURS}</modules>")),
        ("<x:m xmlns:x='u' /><?p?>".into(), format!("<x:m xmlns:x='u' >{OURS}</x:m><?p?>")),
        ("<modules></modules>".into(), format!("<modules>{OURS}</modules>")),
        ("<m><module name=\"presentation\"/><a/></m>".into(), format!("<m><a/>{OURS}</m>")),
        ("<m><a name='&#112;resentation'><b/></a></m>".into(), format!("<m>{OURS}</m>")),
        // The parser of BBB reads an attribute of any prefix as `name`.
        ("<m xmlns:x='u'><a x:name='presentation'/></m>".into(), format!("<m xmlns:x='u'>{OURS}</m>")),
        (
            "<m><a name='x'><b name='presentation'/></a></m>".into(),
            format!("<m><a name='x'><b name='presentation'/></a>{OURS}</m>"),
        ),
        ("<m><module name='presentation'><m><module/></m></module>a</m>".into(), format!("<m>a{OURS}</m>")),
    ] {
        assert_eq!(forced(&given), expected, "{given}");
    }
}

#[test]
fn a_default_presentation_is_added_if_the_body_has_none() {
    let added = |body: &str| edited(PresentationMode::Default, body);
    for same in [
        format!("<modules>{SLIDES}</modules>"),
        format!("<m>{SETTINGS}{SLIDES}{NOTES}</m>"),
        // BBB adds no presentation of its own beside an empty module either.
        "<m><module name=\"presentation\"/></m>".to_owned(),
    ] {
        assert_eq!(added(&same), same);
    }
    for (given, expected) in [
        (format!("<m>{SETTINGS}{NOTES}</m>"), format!("<m>{SETTINGS}{NOTES}{OURS}</m>")),
        ("<modules/>".into(), format!("<modules>{OURS}</modules>")),
        ("<presentation name='presentation'/>".into(), {
            format!("<presentation name='presentation'>{OURS}</presentation>")
        }),
    ] {
        assert_eq!(added(&given), expected, "{given}");
    }
}

#[test]
fn a_body_that_no_server_accepts_is_not_completed() {
    for body in ["<m><a></m>", "<m", "<m>", "x", "<m/><m/>", "<!DOCTYPE m><m/>", ""] {
        let passed = passed(PresentationMode::Forced, &[body.as_bytes()]);
        assert_eq!(passed.is_ok(), body.is_empty(), "{body}");
    }
}

/// The held bytes stay below the limit of a tag, however long the texts are.
#[test]
fn the_memory_of_an_edit_is_limited() {
    let mut out = Vec::new();
    let begin = "<m><module name='presentation'><document name='a'>";
    for part in ["QUJD", "]]", "<!--", "<![CDATA["] {
        let mut edit = PresentationEdit::new(PresentationMode::Forced, OURS.into());
        edit.pass(begin.as_bytes(), &mut out).expect("is well-formed");
        edit.pass(part.as_bytes(), &mut out).expect("is well-formed");
        for _ in 0..1000 {
            edit.pass(&[b'x'; 1000], &mut out).expect("is well-formed");
            assert!(edit.held.len() <= 16 && edit.held.capacity() < 1 << 17, "{part}");
        }
    }
    assert!(out.len() < 1 << 10, "the module is left out");
}

proptest! {
    /// The result is well-formed, is the same however the body is cut, and a second edit changes
    /// nothing more.
    #[test]
    fn edits_do_not_depend_on_the_cuts(
        body in element(), forced in any::<bool>(), cuts in prop::collection::vec(0_usize..200, 0..6),
    ) {
        let mode = if forced { PresentationMode::Forced } else { PresentationMode::Default };
        let whole = edited(mode, &body);
        prop_assert_eq!(judged(&[whole.as_bytes()]), Ok(()));
        prop_assert_eq!(&edited(mode, &whole), &whole);
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(body.len())).collect();
        cuts.extend([0, body.len()]);
        cuts.sort_unstable();
        let parts: Vec<&[u8]> = cuts.windows(2).map(|pair| &body.as_bytes()[pair[0]..pair[1]]).collect();
        prop_assert_eq!(passed(mode, &parts), Ok(whole));
    }

    /// Modules around the presentation keep their bytes and their order.
    #[test]
    fn other_modules_keep_their_bytes(
        modules in prop::collection::vec(prop::sample::select(vec![
            SETTINGS, NOTES, SLIDES, "<module name=\"x\"/>", " \n", "text", "<?p i?>", "<!-- <a> -->",
        ]), 0..8),
    ) {
        let kept: String = modules.iter().filter(|module| **module != SLIDES).copied().collect();
        let given = format!("<modules>{}</modules>", modules.concat());
        prop_assert_eq!(edited(PresentationMode::Forced, &given), format!("<modules>{kept}{OURS}</modules>"));
        let ours = if modules.contains(&SLIDES) { "" } else { OURS };
        let expected = format!("<modules>{}{ours}</modules>", modules.concat());
        prop_assert_eq!(edited(PresentationMode::Default, &given), expected);
    }

    #[test]
    fn no_bytes_make_an_edit_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let one_by_one: Vec<&[u8]> = bytes.chunks(1).collect();
        let edited = passed(PresentationMode::Forced, &one_by_one);
        prop_assert_eq!(edited.is_ok(), judged(&[&bytes]).is_ok());
    }
}
