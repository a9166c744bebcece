//! The frame of a successful answer.

use super::xml::XmlDocument;

/// Returns a successful answer; `body` writes the elements after the return code.
pub fn success(body: impl FnOnce(&mut XmlDocument)) -> String {
    let mut xml = XmlDocument::new();
    xml.element("response", |xml| {
        xml.leaf("returncode", "SUCCESS");
        body(xml);
    });
    xml.finish()
}
