//! The presentation that a tenant's meetings begin with, as servers receive it (wire-contract 4.9).

use usher_bbb::reply::xml::push_escaped;
use usher_model::tenant::PresentationDocument;

/// Returns the body of a create that brings one document.
pub fn modules(shown: &PresentationDocument) -> String {
    format!("<modules>{}</modules>", module(shown))
}

/// Returns the module of one document, to be added to a body.
pub fn module(shown: &PresentationDocument) -> String {
    let mut xml = String::from("<module name=\"presentation\"><document url=\"");
    push_escaped(&mut xml, &shown.url);
    xml.push_str("\" filename=\"");
    push_escaped(&mut xml, shown.file_name());
    xml.push_str("\"/></module>");
    xml
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_named_by_its_address_unless_it_has_a_name() {
        let shown = |url: &str, name: &str| {
            modules(&PresentationDocument { url: url.into(), name: name.into(), forced: false })
        };
        assert_eq!(
            shown("https://a.test/x/welcome.pdf?a=1&b=\"2\"#p", ""),
            "<modules><module name=\"presentation\"><document url=\"https://a.test/x/welcome.pdf?a=1&amp;b=\
             &quot;2&quot;#p\" filename=\"welcome.pdf\"/></module></modules>"
        );
        assert!(shown("https://a.test/download", "week.pptx").contains("filename=\"week.pptx\""));
        assert!(shown("https://a.test/", "").contains("filename=\"presentation.pdf\""));
    }
}
