//! Broken configuration: all faults are reported at once by name, no program starts, and no secret
//! is printed.

use std::{
    path::Path,
    process::{Command, Output},
};

use anyhow::Result;
use usher_harness::programs::ProgramKind;

fn run(program: ProgramKind, arguments: &[&str], settings: &[(&str, &str)]) -> Result<Output> {
    let mut command = Command::new(program.path()?);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("USHER_") {
            command.env_remove(name);
        }
    }
    Ok(command.args(arguments).envs(settings.iter().copied()).output()?)
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A file and an environment variable have several faults → every program reports all of them by
/// name, suggests the nearest setting, hides secrets, and exits with 2.
#[test]
fn every_fault_is_reported_at_once_by_every_program() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("usher.toml");
    std::fs::write(
        &file,
        "listen = \"nowhere\"\nsecrets = [\"hunter2\"]\n[health]\nintervall = \"10s\"\nhealthy_threshold = 0\n",
    )?;
    let file = file.display().to_string();
    for (program, first) in [
        (ProgramKind::Usher, vec!["standalone"]),
        (ProgramKind::ControlPlane, vec![]),
        (ProgramKind::EdgeProxy, vec![]),
    ] {
        let arguments = [first, vec!["--config", &file]].concat();
        let output = run(program, &arguments, &[("USHER_STORE__TIMEOUT", "soon")])?;
        let said = said(&output);
        assert_eq!(output.status.code(), Some(2), "{}: {said}", program.name());
        for name in ["listen", "intervall", "healthy_threshold", "TIMEOUT"] {
            assert!(said.contains(name), "{}: `{name}` is not named in: {said}", program.name());
        }
        assert!(said.contains("health.interval"), "the nearest known name is suggested: {said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
    Ok(())
}

/// `--print-config` of every program → secrets are masked, the output can be loaded, and a program
/// does not start with the mask as a secret.
#[test]
fn settings_printed_by_any_program_mask_secrets_and_load_back() -> Result<()> {
    let secrets = [("USHER_SECRETS", "hunter2"), ("USHER_ADMIN__TOKEN", "hunter3")];
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("printed.toml");
    for (program, first) in [
        (ProgramKind::Usher, Some("standalone")),
        (ProgramKind::ControlPlane, None),
        (ProgramKind::EdgeProxy, None),
    ] {
        let arguments: Vec<&str> = first.into_iter().chain(["--print-config"]).collect();
        let output = run(program, &arguments, &secrets)?;
        let printed = said(&output);
        assert!(output.status.success(), "{}: {printed}", program.name());
        assert!(printed.contains("interval = \"10s\"") && printed.contains("***"), "{printed}");
        assert!(!printed.contains("hunter"), "{printed}");

        std::fs::write(&file, &output.stdout)?;
        let file = file.display().to_string();
        let again = run(program, &[&arguments[..], &["--config", &file]].concat(), &[])?;
        assert!(again.status.success(), "{}: {}", program.name(), said(&again));
        assert_eq!(again.stdout, output.stdout, "{}", program.name());
        // A start with the mask as a secret would admit every reader of the output.
        let arguments: Vec<&str> = first.into_iter().chain(["--config", &file]).collect();
        let started = run(program, &arguments, &[])?;
        assert_eq!(started.status.code(), Some(2), "{}: {}", program.name(), said(&started));
    }
    Ok(())
}

/// The examples in `deploy/` → every program accepts its own.
#[test]
fn the_examples_in_deploy_are_valid() -> Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/etc");
    let examples = [
        (ProgramKind::Usher, Some("standalone"), "standalone.toml"),
        (ProgramKind::ControlPlane, None, "control-plane.toml"),
        (ProgramKind::EdgeProxy, None, "edge-proxy.toml"),
    ];
    for (program, first, name) in examples {
        let file = folder.join(name).display().to_string();
        let arguments: Vec<&str> = first.into_iter().chain(["--config", &file, "--print-config"]).collect();
        let settings = [("USHER_SECRETS", "an application's"), ("USHER_ADMIN__TOKEN", "an administrator's")];
        let output = run(program, &arguments, &settings)?;
        assert!(output.status.success(), "{name}: {}", said(&output));
    }
    Ok(())
}

/// The configuration file does not exist → the program names it and exits with 2.
#[test]
fn a_file_that_is_not_there_is_named() -> Result<()> {
    let output = run(ProgramKind::EdgeProxy, &["--config", "no-such-file.toml"], &[])?;
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("no-such-file.toml"), "{}", said(&output));
    Ok(())
}
