//! The XML body of `create` and `insertDocument`: modules, and the documents of one of them.

use quick_xml::{Reader, events::Event};

use crate::memory::MeetingDocument;

/// The body is not XML, or has a document without a name. A real server answers 500 to both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ModulesError;

/// Returns the documents of the module `presentation`.
pub(super) fn documents(xml: &str) -> Result<Vec<MeetingDocument>, ModulesError> {
    let mut reader = Reader::from_str(xml);
    let (mut documents, mut depth, mut seen) = (Vec::new(), 0usize, false);
    loop {
        match reader.read_event().map_err(|_| ModulesError)? {
            // BBB's parser accepts no document type, and exactly one root, with white space around
            // it.
            Event::DocType(_) => return Err(ModulesError),
            Event::Start(_) | Event::Empty(_) if depth == 0 && seen => return Err(ModulesError),
            Event::Text(text) if depth == 0 && !text.as_ref().trim().is_empty() => return Err(ModulesError),
            Event::CData(_) | Event::GeneralRef(_) if depth == 0 => return Err(ModulesError),
            Event::Start(start) => {
                depth += 1;
                seen = true;
                if start.name().as_ref() == "document" {
                    documents.push(document(&start)?);
                }
            }
            Event::Empty(start) => {
                seen = true;
                if start.name().as_ref() == "document" {
                    documents.push(document(&start)?);
                }
            }
            Event::End(_) => depth = depth.checked_sub(1).ok_or(ModulesError)?,
            Event::Eof if depth == 0 && seen => return Ok(documents),
            Event::Eof => return Err(ModulesError),
            _ => {}
        }
    }
}

fn document(element: &quick_xml::events::BytesStart<'_>) -> Result<MeetingDocument, ModulesError> {
    let mut document = MeetingDocument { name: "default.pdf".to_owned(), url: None };
    for attribute in element.attributes() {
        let attribute = attribute.map_err(|_| ModulesError)?;
        let value = quick_xml::escape::unescape(&attribute.value).map_err(|_| ModulesError)?.into_owned();
        match attribute.key.as_ref() {
            "name" | "filename" => document.name = value,
            // BBB stores the document under the last part of its address.
            "url" if !value.is_empty() && value.split('/').all(str::is_empty) => return Err(ModulesError),
            "url" => document.url = Some(value),
            _ => {}
        }
    }
    Ok(document)
}

#[cfg(test)]
mod tests {
    use super::{ModulesError, documents};

    #[test]
    fn documents_by_address_and_by_content_are_found() {
        let xml = "<?xml version=\"1.0\"?><modules><module name=\"presentation\">\
                   <document url=\"https://a.example/x.pdf?a=1&amp;b=2\" filename=\"x.pdf\"/>\
                   <document name=\"y.txt\">aGVsbG8=</document></module></modules>";
        let documents = documents(xml).unwrap();
        assert_eq!(documents[0].url.as_deref(), Some("https://a.example/x.pdf?a=1&b=2"));
        assert_eq!((documents[0].name.as_str(), documents[1].name.as_str()), ("x.pdf", "y.txt"));
    }

    #[test]
    fn incomplete_bodies_are_refused() {
        for xml in [
            "",
            "hello",
            "<modules>",
            "<modules></module>",
            "</modules>",
            "<modules/>more",
            "<modules/><modules/>",
            "<!DOCTYPE modules><modules/>",
            "<modules><document url=\"/\"/></modules>",
        ] {
            assert_eq!(documents(xml), Err(ModulesError), "{xml}");
        }
    }
}
