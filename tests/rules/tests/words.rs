//! Words that the code may not contain, each with the reason.

use usher_rules::{SourceFile, files, read, sources};

const PRODUCT: &[&str] = &["cli/src", "common", "control-plane/src", "edge-proxy/src", "recordings/src"];
const ALL_CODE: &[&str] = &["."];

fn lines_with(
    sources: &[SourceFile],
    lines: impl Fn(&SourceFile) -> Vec<(usize, &str)>,
    is_bad: impl Fn(&str) -> bool,
) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources {
        let bad = lines(source).into_iter().filter(|(_, line)| is_bad(line));
        found.extend(bad.map(|(number, line)| format!("{}:{number}: {}", source.path, line.trim())));
    }
    found
}

fn all_lines(source: &SourceFile) -> Vec<(usize, &str)> {
    source.text().lines().enumerate().map(|(at, line)| (at + 1, line)).collect()
}

/// clippy.toml lists the methods that product code must not call (tasks without an owner, unbounded
/// channels, clocks that a simulation cannot set), each with its reason.
#[test]
fn product_crates_deny_the_disallowed_methods() {
    let roots = files(&["cli", "common", "control-plane", "edge-proxy", "proto", "recordings"]);
    let roots: Vec<_> = roots.iter().filter(|path| path.ends_with("src/lib.rs")).collect();
    assert_eq!(roots.len(), 8, "{roots:?}");
    for root in roots {
        let lint = "#![cfg_attr(not(test), deny(clippy::disallowed_methods))]";
        assert!(read(root).contains(lint), "{root} lacks `{lint}`");
    }
}

/// A test that sleeps is slow on a fast machine and fails on a slow one. Tests wait for a condition
/// with a deadline, or run in paused time. The functions that wait are in `support`, and may pause
/// between two checks.
#[test]
fn tests_do_not_sleep() {
    let mut all = sources(ALL_CODE);
    all.retain(|source| {
        let paused = ["start_paused", "time::pause"].iter().any(|word| source.text().contains(word));
        // All time of the simulation is paused, by its own runtime.
        let simulated = source.path.starts_with("tests/simulation/");
        !paused && !simulated && !source.path.contains("/support")
    });
    let found = lines_with(
        &all,
        |source| source.test_lines().collect(),
        |line| line.contains("sleep(") && !line.contains("fn "),
    );
    assert!(found.is_empty(), "wait for a condition instead:\n{}", found.join("\n"));
}

/// An issue or an ADR says which part is left out and why; a marker in the code is never read.
#[test]
fn nothing_is_left_to_do_in_comments() {
    let markers = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X:")];
    let found =
        lines_with(&sources(ALL_CODE), all_lines, |line| markers.iter().any(|marker| line.contains(marker)));
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// A lint or a test that is switched off says why.
#[test]
fn exceptions_have_reasons() {
    let found = lines_with(&sources(ALL_CODE), all_lines, |line| {
        let line = line.trim();
        let is_exception =
            ["#[allow(", "#![allow(", "#[expect(", "#[ignore"].iter().any(|word| line.starts_with(word));
        is_exception && line.ends_with(']') && !line.contains("reason =") && !line.contains("#[ignore =")
    });
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// Secrets are revealed to sign and to store, never in a message (I14).
#[test]
fn i14_no_message_reveals_a_secret() {
    let spoken = [
        "info!",
        "warn!",
        "error!",
        "debug!",
        "trace!",
        "println!",
        "eprintln!",
        "panic!",
        "bail!",
        "anyhow!",
    ];
    let found = lines_with(
        &sources(PRODUCT),
        |source| source.product_lines().collect(),
        |line| line.contains(".expose()") && spoken.iter().any(|word| line.contains(word)),
    );
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// `Secret` prints as `***`: a derived `Debug` would print it, and a `Serialize` would write it
/// into the next value that contains it.
#[test]
fn i14_the_secret_type_cannot_be_printed_by_accident() {
    let text = read("common/bbb/src/secret.rs");
    let declared = text.find("pub struct Secret").expect("Secret is declared in secret.rs");
    let attributes = text[..declared].rsplit("\n\n").next().unwrap_or_default();
    assert!(!attributes.contains("Debug") && !attributes.contains("Serialize"), "{attributes}");
    let printed = text.matches("fn fmt(").count();
    assert_eq!(text.matches("f.write_str(\"***\")").count(), printed, "every fmt prints stars");
}

/// A path of one machine does not exist on another machine.
#[test]
fn no_file_names_a_path_of_one_machine() {
    let mut found = Vec::new();
    let places = [concat!("/ro", "ot/"), concat!("/wo", "rk/"), concat!("/ho", "me/")];
    for path in files(&["."]) {
        if let Ok(text) = std::fs::read_to_string(usher_rules::root().join(&path)) {
            let lines = text.lines().enumerate();
            let bad = lines.filter(|(_, line)| places.iter().any(|place| line.contains(place)));
            found.extend(bad.map(|(at, line)| format!("{path}:{}: {}", at + 1, line.trim())));
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}
