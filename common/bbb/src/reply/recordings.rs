//! The answers about recordings and text tracks.

use super::{refusal::Refusal, success::success, xml::XmlDocument};

/// The part of all recordings that an answer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordingPage {
    /// Number of recordings before the page.
    pub offset: usize,
    /// Largest number of recordings of a page, 1 to 100.
    pub limit: usize,
    /// Number of recordings of all pages.
    pub total: usize,
}

/// Returns the answer of `getRecordings`; each of `recordings` is a complete `<recording>` element. A page
/// is described in both forms that servers use, so that clients of either form can read it.
pub fn recordings<'r>(recordings: impl IntoIterator<Item = &'r str>, page: Option<RecordingPage>) -> String {
    let mut recordings = recordings.into_iter().peekable();
    success(|xml| {
        let empty = recordings.peek().is_none();
        if empty {
            xml.raw("<recordings></recordings>")
                .leaf("messageKey", "noRecordings")
                .leaf("message", "There are no recordings for the meeting(s).");
        } else {
            xml.element("recordings", |xml| {
                for recording in recordings {
                    xml.raw(recording);
                }
            });
        }
        if let Some(page) = page {
            write_page(xml, page, empty);
        }
    })
}

fn write_page(xml: &mut XmlDocument, page: RecordingPage, empty: bool) {
    let total = page.total.to_string();
    xml.element("pagination", |xml| {
        xml.element("pageable", |xml| {
            xml.leaf("offset", page.offset.to_string())
                .leaf("limit", page.limit.to_string())
                .leaf("paged", "true")
                .leaf("unpaged", "false");
        });
        xml.leaf("totalElements", &total).leaf("empty", if empty { "true" } else { "false" });
    });
    xml.leaf("totalElements", &total);
}

/// Returns the answer of a change of recordings: `action` is `published`, `deleted` or `updated`, `value` its requested
/// value.
pub fn changed(action: &str, value: &str) -> String {
    success(|xml| {
        xml.leaf(action, value);
    })
}

impl Refusal {
    /// Returns the refusal of text tracks of an unknown recording.
    pub fn no_recording(record_id: &str) -> Self {
        Self::new("noRecordings", format!("No recording found for {record_id}"))
    }

    /// Returns the refusal of an upload for an unknown recording.
    pub fn no_recording_to_caption(record_id: &str) -> Self {
        Self::new("noRecordings", format!("No recording was found for {record_id}"))
    }

    /// Returns the refusal of an upload that lacks a parameter.
    pub fn missing_param(name: &str) -> Self {
        Self::new("paramError", format!("Missing param {name}."))
    }

    /// Returns the refusal of an upload of an unknown kind.
    pub fn invalid_kind(kind: &str) -> Self {
        let message = format!("Invalid kind parameter, expected='subtitles|captions' actual={kind}");
        Self::new("invalidKind", message)
    }
}
