//! The documents of servers that upload recordings: metadata.xml, and the announcement of an upload.

use usher_recordings::{
    core::{
        import::{ArrivingFormat, ImportDecision, ImportDefaults, ImportPublication, decide},
        manifest::FormatManifest,
        metadata_document::{read, render},
    },
    uploads::OfferDocument,
};

const DEFAULTS: ImportDefaults = ImportDefaults { published: ImportPublication::AsServer, protected: false };

/// A document that was read is written for players so that it reads as the same facts, and none of Usher's marks and
/// of the applications' addresses is in it.
pub(super) fn recording_metadata(input: &[u8]) {
    let Ok(document) = read(input) else { return };
    let format = document.facts.playback.format.clone();
    let manifest = serde_json::from_str::<FormatManifest>(
        r#"[{"path":"a","size":1,"sha256":"0000000000000000000000000000000000000000000000000000000000000000"}]"#,
    );
    let manifest = manifest.expect("is a manifest");
    let arriving = ArrivingFormat {
        facts: document.facts,
        generation: manifest.generation(),
        files: 1,
        bytes: 1,
        tenant: document.tenant,
        server: None,
    };
    let ImportDecision::Commit { recording, .. } = decide(None, false, &arriving, DEFAULTS) else {
        panic!("a new recording is taken");
    };
    let text = render(&recording.shown(), &format);
    let again = read(text.as_bytes()).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert_eq!(again.facts.record_id, arriving.facts.record_id);
    assert_eq!(again.facts.playback.format, format);
    let keys = again.facts.meta.keys().map(|key| key.to_ascii_lowercase());
    assert!(keys.clone().all(|key| !key.starts_with("usher-") && !key.ends_with("-ready-url")), "{text}");
}

/// The paths of an accepted announcement lead into the folder of the recording, each to its own file.
pub(super) fn recording_offer(input: &[u8]) {
    let Ok(document) = serde_json::from_slice::<OfferDocument>(input) else { return };
    let Ok(manifest) = FormatManifest::new(document.files) else { return };
    let mut folders = std::collections::HashSet::new();
    for file in manifest.files() {
        let names: Vec<&str> = file.path.split('/').collect();
        assert!(names.iter().all(|name| !name.is_empty() && *name != "." && *name != ".."), "{}", file.path);
        for length in 1..names.len() {
            folders.insert(names[..length].join("/"));
        }
    }
    let mut seen = std::collections::HashSet::new();
    for file in manifest.files() {
        assert!(seen.insert(file.path.as_str()) && !folders.contains(&file.path), "{}", file.path);
    }
    let text = serde_json::to_string(&manifest).expect("is written");
    let again: FormatManifest = serde_json::from_str(&text).expect("is read");
    assert_eq!(again.generation(), manifest.generation());
}
