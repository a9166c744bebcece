//! Tests of `usher` as a process: its ready line, its signals and its exit codes.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, Command, Output, Stdio},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// Returns the command `usher` without the `USHER_` variables of the test environment.
pub(crate) fn usher(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_usher"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("USHER_")) {
        command.env_remove(name);
    }
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A process that is killed when this value is dropped, also when the test fails.
pub(crate) struct OwnedProcess(Option<Child>);

impl OwnedProcess {
    pub(crate) fn new(child: Child) -> Self {
        Self(Some(child))
    }

    pub(crate) fn child(&mut self) -> &mut Child {
        self.0.as_mut().expect("was not released")
    }

    /// Returns the process. The caller has to end it.
    pub(crate) fn release(mut self) -> Child {
        self.0.take().expect("was not released")
    }
}

impl Drop for OwnedProcess {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            let _ = child.kill(); // it may have ended
            let _ = child.wait();
        }
    }
}

/// Starts `usher standalone` on free ports and returns it with its first line.
pub(crate) fn standalone(command: &mut Command) -> (Child, BufReader<std::process::ChildStdout>, String) {
    for name in ["USHER_LISTEN", "USHER_CONTROL", "USHER_OPS"] {
        command.env(name, "127.0.0.1:0");
    }
    let mut child = command.spawn().expect("starts");
    let mut out = BufReader::new(child.stdout.take().expect("is piped"));
    let mut line = String::new();
    out.read_line(&mut line).expect("is read");
    (child, out, line)
}

/// Sends SIGTERM as a service manager does, and returns the output of the process.
pub(crate) fn terminate(child: Child) -> Output {
    let pid = Pid::from_raw(i32::try_from(child.id()).expect("is a pid"));
    kill(pid, Signal::SIGTERM).expect("is sent");
    child.wait_with_output().expect("ends")
}

/// Returns the address with a name in the ready line.
pub(crate) fn address(ready: &str, name: &str) -> String {
    let found = ready.split_whitespace().find_map(|word| word.strip_prefix(&format!("{name}=")));
    found.unwrap_or_else(|| panic!("no {name} in {ready}")).to_owned()
}

#[test]
fn standalone_prints_one_ready_line_and_stops_cleanly_on_sigterm() {
    let list = tempfile::NamedTempFile::new().expect("is made");
    std::fs::write(list.path(), "servers: {one: {url: 'http://127.0.0.1:1', secret: s}}")
        .expect("is written");
    let mut command = usher(&["standalone", "--secret", "s", "--servers", "-"]);
    command.stdin(std::fs::File::open(list.path()).expect("opens"));
    let (child, mut out, ready) = standalone(&mut command);
    assert!(
        ready.starts_with("ready api=http://127.0.0.1:") && ready.contains("/bigbluebutton/api/ "),
        "{ready}"
    );
    let listed =
        usher(&["--endpoint", &address(&ready, "control"), "servers", "list"]).output().expect("runs");
    assert!(String::from_utf8_lossy(&listed.stdout).contains("one"), "{listed:?}");
    let ended = terminate(child);
    let mut rest = String::new();
    out.read_to_string(&mut rest).expect("is read");
    assert_eq!(
        (ended.status.code(), rest.as_str()),
        (Some(0), ""),
        "{}",
        String::from_utf8_lossy(&ended.stderr)
    );
}

#[test]
fn an_unusable_list_prevents_the_start() {
    let mut command = usher(&["standalone", "--secret", "s", "--servers", "-"]);
    let (child, _, ready) = standalone(&mut command);
    assert_eq!(ready, "");
    let refused = child.wait_with_output().expect("ends");
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("not YAML of the form"));
}

#[test]
fn a_broken_configuration_ends_with_2_and_every_fault() {
    let file = tempfile::NamedTempFile::new().expect("is made");
    std::fs::write(file.path(), "lisen = 1\n[health]\ninterval = 5\n").expect("is written");
    let output = usher(&["standalone", "--config", &file.path().display().to_string()])
        .env("USHER_LEADER__TTL", "1s")
        .output()
        .expect("runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    for part in [
        "has 3 faults",
        "did you mean `listen`",
        "health.interval has no unit",
        "leader.ttl must be whole seconds",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn the_effective_configuration_is_printed_masked_and_reads_back() {
    let print = |config: &[&str]| {
        let args = [&["standalone", "--print-config"], config].concat();
        let output = usher(&args).output().expect("runs");
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        String::from_utf8(output.stdout).expect("is text")
    };
    let printed = print(&["--secret", "hunter2", "--data", "d"]);
    assert!(printed.contains("secrets = [\"***\"]") && printed.contains("kind = \"embedded\""), "{printed}");
    let file = tempfile::NamedTempFile::new().expect("is made");
    std::fs::write(file.path(), &printed).expect("is written");
    let path = file.path().display().to_string();
    assert_eq!(print(&["--config", &path]), printed);
    // The mask is public: with it as the secret, any caller could sign.
    let started = usher(&["standalone", "--config", &path]).output().expect("runs");
    assert_eq!(started.status.code(), Some(2), "{started:?}");
}
