//! Dependencies point one way: `common/bbb` ← `common/model` ← `common/runtime`, `proto` ← `control-plane`, `edge-proxy` ← `cli`; inside a crate,
//! `core` ← `ports` ← adapters and tasks ← `app`. `notifications` repeats these layers inside itself; of
//! the rest of the control plane only `grpc/server`, the two services that show its figures, and `app` know it.

use usher_rules::{SourceFile, read, sources};

/// Returns the workspace crates that a crate's product code depends on.
fn dependencies(of: &str) -> Vec<String> {
    let manifest = read(&format!("{of}/Cargo.toml"));
    let section = manifest.split("[dependencies]").nth(1).unwrap_or_default();
    let section = section.split("\n[").next().unwrap_or_default();
    let mut found: Vec<String> = section
        .lines()
        .filter_map(|line| line.split(['.', ' ', '=']).next())
        .filter(|name| name.starts_with("usher-"))
        .map(str::to_owned)
        .collect();
    found.sort();
    found
}

#[test]
fn crates_depend_one_way() {
    let shared = ["usher-bbb", "usher-model", "usher-proto", "usher-runtime"];
    assert_eq!(dependencies("common/bbb"), [""; 0]);
    assert_eq!(dependencies("common/model"), ["usher-bbb"]);
    assert_eq!(dependencies("common/runtime"), ["usher-bbb", "usher-model"]);
    assert_eq!(dependencies("proto"), ["usher-bbb", "usher-model"]);
    assert_eq!(dependencies("control-plane"), shared);
    assert_eq!(dependencies("edge-proxy"), shared);
    assert_eq!(dependencies("recordings"), shared);
    assert_eq!(dependencies("bbb-sim"), ["usher-bbb", "usher-model", "usher-runtime"]);
    let cli = [
        "usher-bbb",
        "usher-bbb-sim",
        "usher-control-plane",
        "usher-edge-proxy",
        "usher-model",
        "usher-proto",
        "usher-recordings",
        "usher-runtime",
    ];
    assert_eq!(dependencies("cli"), cli);
}

/// The modules that the inner layers may not name: (files, modules of their own crate).
const INWARDS: &[(&str, &[&str])] = &[
    (
        "/src/core",
        &["ports::Store", "store", "tasks", "grpc", "engine", "app", "ops", "bbb_client", "notifications"],
    ),
    ("/src/ports", &["store", "tasks", "grpc", "engine", "app", "ops", "bbb_client", "notifications"]),
    ("control-plane/src/store", &["tasks", "grpc", "engine", "app", "ops", "bbb_client", "notifications"]),
    ("control-plane/src/tasks", &["grpc", "engine", "app", "notifications"]),
    ("control-plane/src/ops", &["grpc", "engine", "app", "notifications"]),
    ("control-plane/src/engine", &["grpc", "app", "bbb_client", "notifications"]),
    (
        "control-plane/src/notifications/rules",
        &[
            "ports",
            "store",
            "tasks",
            "grpc",
            "engine",
            "app",
            "ops",
            "bbb_client",
            "notifications::application_client",
            "notifications::grpc",
            "notifications::metrics",
            "notifications::ports",
            "notifications::running",
            "notifications::store",
            "notifications::tasks",
        ],
    ),
    (
        "control-plane/src/notifications/ports",
        &[
            "store",
            "tasks",
            "grpc",
            "engine",
            "app",
            "ops",
            "bbb_client",
            "notifications::application_client",
            "notifications::grpc",
            "notifications::metrics",
            "notifications::running",
            "notifications::store",
            "notifications::tasks",
        ],
    ),
    (
        "control-plane/src/notifications/store",
        &[
            "tasks",
            "grpc",
            "engine",
            "app",
            "ops",
            "bbb_client",
            "notifications::application_client",
            "notifications::grpc",
            "notifications::metrics",
            "notifications::running",
            "notifications::tasks",
        ],
    ),
    (
        "control-plane/src/notifications/tasks",
        &[
            "grpc",
            "engine",
            "app",
            "bbb_client",
            "notifications::application_client",
            "notifications::grpc",
            "notifications::running",
        ],
    ),
    (
        "control-plane/src/notifications/grpc",
        &["engine", "app", "notifications::application_client", "notifications::running"],
    ),
    ("/src/core", &["control", "upstream", "server"]),
    ("edge-proxy/src/upstream", &["server", "app"]),
];

/// Returns the paths from `crate` that one `use` of a source file imports, each written out.
fn imported(tree: &str) -> Vec<String> {
    let tree = tree.trim();
    let Some((prefix, rest)) = tree.split_once('{') else { return vec![tree.to_owned()] };
    let inner = rest.rsplit_once('}').map_or(rest, |(inner, _)| inner);
    let (mut parts, mut depth) = (vec![String::new()], 0);
    for character in inner.chars() {
        match character {
            ',' if depth == 0 => parts.push(String::new()),
            _ => {
                depth += i32::from(character == '{') - i32::from(character == '}');
                parts.last_mut().expect("is never empty").push(character);
            }
        }
    }
    let parts = parts.iter().filter(|part| !part.trim().is_empty());
    parts.flat_map(|part| imported(part)).map(|path| format!("{prefix}{path}")).collect()
}

/// Returns the lines of a source file outside tests, with each `use crate::{…}` written out at the line
/// where it begins, so that a nested import names a module like any other path.
fn lines_with_imports(source: &SourceFile) -> Vec<(usize, String)> {
    let mut lines = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (number, line) in source.product_lines() {
        let begins = line.trim_start().starts_with("use crate::{");
        let (at, text) = match open.take() {
            Some((at, text)) => (at, text + line),
            None if begins => (number, line.to_owned()),
            None => {
                lines.push((number, line.to_owned()));
                continue;
            }
        };
        if text.contains(';') {
            let tree = text.trim().trim_start_matches("use ").trim_end_matches(';');
            lines.extend(imported(tree).into_iter().map(|path| (at, path)));
        } else {
            open = Some((at, text));
        }
    }
    lines
}

#[test]
fn nested_imports_are_written_out() {
    let paths = imported("crate::{core::{fleet::Fleet, plan}, ports}");
    assert_eq!(paths, ["crate::core::fleet::Fleet", "crate::core::plan", "crate::ports"]);
}

#[test]
fn inner_layers_do_not_name_outer_ones() {
    let mut broken = Vec::new();
    for source in sources(&["control-plane/src", "edge-proxy/src"]) {
        let names =
            INWARDS.iter().filter(|(part, _)| source.path.contains(part)).flat_map(|(_, names)| *names);
        let lines = lines_with_imports(&source);
        for name in names {
            let path = format!("crate::{name}");
            let bad = lines.iter().filter(|(_, line)| {
                line.match_indices(&path).any(|(at, _)| {
                    let after = line[at + path.len()..].chars().next();
                    !after.is_some_and(|next| next.is_alphanumeric() || next == '_')
                })
            });
            broken.extend(bad.map(|(number, _)| format!("{}:{number}: `{path}`", source.path)));
        }
    }
    assert!(broken.is_empty(), "inner layers that name outer ones:\n{}", broken.join("\n"));
}

/// The files of the control plane that commit to the store: the two writers, the keeper of the epoch, and the
/// store that only counts (ADR 41).
const COMMITTING: &[&str] = &[
    "control-plane/src/store/committer.rs",
    "control-plane/src/tasks/epoch_writer.rs",
    "control-plane/src/tasks/follower/epoch.rs",
    "control-plane/src/tasks/follower/witnesses.rs",
    "control-plane/src/tasks/watched_store.rs",
];

#[test]
fn the_store_is_written_by_its_two_writers() {
    let mut committing = Vec::new();
    for source in sources(&["control-plane/src"]) {
        let code: String = source.product_lines().flat_map(|(_, line)| line.split_whitespace()).collect();
        if code.contains("store.commit(") {
            committing.push(source.path);
        }
    }
    committing.sort();
    assert_eq!(committing, COMMITTING);
}

/// Generated protobuf types stop where requests to the control plane are made: everything behind
/// that uses domain types, so that a change of the wire contract changes one folder.
#[test]
fn generated_types_stay_in_the_adapters_of_the_edge() {
    let mut broken = Vec::new();
    for source in sources(&["edge-proxy/src"]) {
        if source.path.contains("edge-proxy/src/control/") {
            continue;
        }
        let named = source.product_lines().filter(|(_, line)| line.contains("usher_proto"));
        broken.extend(named.map(|(number, _)| format!("{}:{number}", source.path)));
    }
    assert!(broken.is_empty(), "`usher_proto` outside `control/`:\n{}", broken.join("\n"));
}

/// The layers of the edge's server: (folder or file, words that none of its lines may contain).
const EDGE_SERVER_LAYERS: &[(&str, &[&str])] = &[
    // The transport could serve any HTTP application.
    ("transport", &["crate::", "usher_bbb"]),
    ("admission", &["router::", "calls::", "inbound::", "fleet::", "request::"]),
    ("reply", &["router::", "calls::", "inbound::", "fleet::", "request::"]),
    // A request is verified by the routing table alone.
    (
        "request",
        &["router::", "calls::", "inbound::", "fleet::", "upstream::", "placement::", "planes::", "hooks::"],
    ),
    ("fleet", &["router::", "calls::", "inbound::"]),
    // Handlers know their ports, and neither the router nor another kind of handler.
    ("calls", &["router::", "inbound::", "RequestRouter", "EdgePorts"]),
    ("inbound", &["router::", "server::calls", "VerifiedRequest", "RequestRouter", "EdgePorts"]),
];

#[test]
fn the_layers_of_the_edge_server_depend_one_way() {
    let mut broken = Vec::new();
    let mut checked = 0;
    for source in sources(&["edge-proxy/src/server"]) {
        for (layer, words) in EDGE_SERVER_LAYERS {
            let (folder, file) = (format!("server/{layer}/"), format!("server/{layer}.rs"));
            if !source.path.contains(&folder) && !source.path.ends_with(&file) {
                continue;
            }
            checked += 1;
            for word in *words {
                let bad = source.product_lines().filter(|(_, line)| {
                    line.match_indices(word).any(|(at, _)| {
                        let before = line[..at].chars().next_back();
                        !before.is_some_and(|last| last.is_alphanumeric() || last == '_')
                    })
                });
                broken.extend(bad.map(|(number, _)| format!("{}:{number}: `{word}`", source.path)));
            }
        }
    }
    assert!(checked > 30, "only {checked} files: has the server's layout changed?");
    assert!(broken.is_empty(), "layers of the edge's server that name outer ones:\n{}", broken.join("\n"));
}
