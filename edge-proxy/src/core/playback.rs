//! The addresses at which recordings play, and the ranges of their files.

mod byte_range;
mod file_type;
mod recent_answers;

pub use byte_range::{RangeAnswer, requested_range};
pub use file_type::content_type;
pub use recent_answers::{RecentAnswer, RecentAnswers};

use std::{borrow::Cow, path::PathBuf, sync::Arc};

use percent_encoding::percent_decode_str;
use usher_model::{id::TenantId, recording::is_record_id};

/// The longest path of a file below its recording, bytes.
const PATH_MAX: usize = 512;

/// A file that a browser asks for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PlaybackFile {
    /// The format of the recording.
    pub format: String,
    /// The id of the recording.
    pub record_id: String,
    /// The path of the file below the folder of the recording.
    pub path: String,
    /// Whether the browser is to save the file rather than show it.
    pub is_download: bool,
}

/// A file that can be played.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocatedFile {
    /// The owner of the recording.
    pub tenant: TenantId,
    /// Whether only passes play the recording.
    pub is_protected: bool,
    /// The size, bytes.
    pub size: u64,
    /// The SHA-256 of the content, which is the entity tag; empty if the library makes the content anew each time.
    pub sha256: String,
    /// The place of the bytes.
    pub place: FilePlace,
}

/// The place of the bytes of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FilePlace {
    /// A file in a directory that edge and library share.
    Path(PathBuf),
    /// The content itself.
    Content(Arc<[u8]>),
}

/// The reason why a file does not play.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileRefusal {
    /// There is no such file.
    Unknown,
    /// The recording is not published.
    Unpublished,
}

/// The target of an address below the paths of playback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlaybackTarget {
    /// A file of a recording.
    File(PlaybackFile),
    /// The player of presentations.
    Player,
    /// An address without its final slash, which relative addresses need.
    Folder,
}

/// Reads an address. Returns `None` if it is none of playback, so that no name of a tenant is taken for a format: the
/// part after the format has the form of a `recordID`.
pub fn target(path: &str) -> Option<PlaybackTarget> {
    let segments: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
    let (parts, is_download) = match segments.as_slice() {
        ["playback", "presentation", version, ..] if version.starts_with(|c: char| c.is_ascii_digit()) => {
            return Some(PlaybackTarget::Player);
        }
        ["download", rest @ ..] => (rest, true),
        ["playback" | "recording", rest @ ..] => (rest, false),
        rest => (rest, false),
    };
    let [format, record_id, file @ ..] = parts else { return None };
    if !is_record_id(record_id) || format.is_empty() || format.len() > 32 {
        return None;
    }
    if file.is_empty() {
        return Some(PlaybackTarget::Folder);
    }
    let path = decoded(&file.join("/"))?;
    let path = if path.is_empty() { "index.html".to_owned() } else { path };
    let (format, record_id) = ((*format).to_owned(), (*record_id).to_owned());
    Some(PlaybackTarget::File(PlaybackFile { format, record_id, path, is_download }))
}

/// Returns the decoded path of a file; `None` if it leads out of the folder.
fn decoded(path: &str) -> Option<String> {
    let path: Cow<'_, str> = percent_decode_str(path).decode_utf8().ok()?;
    let leads_out = path.split('/').any(|name| name == ".." || name == ".");
    let is_plain =
        !leads_out && path.len() <= PATH_MAX && !path.contains(|c: char| c.is_control() || c == '\\');
    is_plain.then(|| path.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "6fea8cf5c91f71a844862ead37a54d70198c664e-1700000000000";

    fn file(path: &str) -> Option<(String, String, bool)> {
        match target(path)? {
            PlaybackTarget::File(file) if file.record_id == ID => {
                Some((file.format, file.path, file.is_download))
            }
            _ => None,
        }
    }

    #[test]
    fn the_addresses_of_every_format_are_read() {
        let found = |format: &str, path: &str| Some((format.to_owned(), path.to_owned(), false));
        assert_eq!(file(&format!("/presentation/{ID}/metadata.xml")), found("presentation", "metadata.xml"));
        assert_eq!(file(&format!("/playback/video/{ID}/")), found("video", "index.html"));
        assert_eq!(
            file(&format!("/recording/screenshare/{ID}/a/b%20c.webm")),
            found("screenshare", "a/b c.webm")
        );
        assert_eq!(
            file(&format!("/download/notes/{ID}/notes.pdf")),
            Some(("notes".into(), "notes.pdf".into(), true))
        );
        assert_eq!(target(&format!("/podcast/{ID}")), Some(PlaybackTarget::Folder));
        assert_eq!(target(&format!("/playback/presentation/2.3/{ID}")), Some(PlaybackTarget::Player));
    }

    #[test]
    fn other_addresses_and_ways_out_of_the_folder_are_none() {
        for path in [
            "/",
            "/bigbluebutton/api/join",
            "/tenant/bigbluebutton/api/join",
            "/presentation/x/metadata.xml",
            &format!("/presentation/{ID}/../x"),
            &format!("/presentation/{ID}/%2e%2e/x"),
            &format!("/presentation/{ID}/a%00b"),
            &format!("/presentation/{ID}/a%5cb"),
            &format!("/presentation/{ID}/%ff"),
            &format!("/{}/{ID}/x", "f".repeat(33)),
            &format!("//{ID}/x"),
        ] {
            assert_eq!(target(path), None, "{path}");
        }
    }
}
