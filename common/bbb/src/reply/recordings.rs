//! Answers about recordings.

use super::{Refusal, success, xml::XmlDocument};

/// Which part of all recordings an answer holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordingPage {
    /// Recordings before the first of the page.
    pub offset: usize,
    /// Most recordings of a page, 1 to 100.
    pub limit: usize,
    /// Recordings of all pages.
    pub total: usize,
}

/// Returns the answer of `getRecordings`; each of `recordings` is a complete `<recording>` element. A page
/// is told in both shapes that servers use, so that clients of either find theirs.
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

/// Returns the answer of a change that was made: `what` is `published`, `deleted` or `updated`, `said` what
/// the caller said of it.
pub fn changed(what: &str, said: &str) -> String {
    success(|xml| {
        xml.leaf(what, said);
    })
}

impl Refusal {
    /// Refuses text tracks of a recording that nobody has.
    pub fn no_recording(record_id: &str) -> Self {
        Self::new("noRecordings", format!("No recording found for {record_id}"))
    }

    /// Refuses an upload for a recording that nobody has.
    pub fn no_recording_to_caption(record_id: &str) -> Self {
        Self::new("noRecordings", format!("No recording was found for {record_id}"))
    }

    /// Refuses an upload that lacks a parameter.
    pub fn missing_param(name: &str) -> Self {
        Self::new("paramError", format!("Missing param {name}."))
    }

    /// Refuses an upload of a kind that there is not.
    pub fn invalid_kind(kind: &str) -> Self {
        let message = format!("Invalid kind parameter, expected='subtitles|captions' actual={kind}");
        Self::new("invalidKind", message)
    }
}
