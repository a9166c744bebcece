//! Tests of `usher` on a terminal: confirmation and pages of status.

use std::{
    fs::File,
    io::{Read, Write},
    process::Stdio,
    sync::mpsc::{Receiver, RecvTimeoutError, sync_channel},
    time::{Duration, Instant},
};

use nix::{
    pty::openpty,
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{
    fleet::{TestFleet, settings},
    process::{OwnedProcess, usher},
};

/// The longest wait for an output of the command, or for its end.
const PATIENCE: Duration = Duration::from_secs(30);

/// A command that runs on its own terminal.
struct Terminal {
    child: OwnedProcess,
    keyboard: File,
    screen: Receiver<Vec<u8>>,
    said: String,
}

impl Terminal {
    fn run(args: &[&str]) -> Self {
        let pair = openpty(None, None).expect("is opened");
        let side = || Stdio::from(pair.slave.try_clone().expect("is cloned"));
        let child = usher(args).stdin(side()).stdout(side()).stderr(side()).spawn().expect("starts");
        let child = OwnedProcess::new(child);
        let keyboard = File::from(pair.master);
        let mut output = keyboard.try_clone().expect("is cloned");
        let (seen, screen) = sync_channel(64);
        // The read returns an error when the last writer has closed the other side.
        std::thread::spawn(move || {
            let mut part = [0; 1024];
            while let Ok(length @ 1..) = output.read(&mut part)
                && seen.send(part[..length].to_vec()).is_ok()
            {}
        });
        Self { child, keyboard, screen, said: String::new() }
    }

    /// Waits until the output has `text` `times` times.
    fn until(&mut self, text: &str, times: usize) {
        let deadline = Instant::now() + PATIENCE;
        while self.said.matches(text).count() < times {
            let part = self.screen.recv_timeout(deadline.saturating_duration_since(Instant::now()));
            let part = part.unwrap_or_else(|why| {
                let last: Vec<&str> = self.said.lines().rev().take(20).collect();
                panic!("{why}, and no {text:?}; last lines first: {last:#?}");
            });
            self.said.push_str(&String::from_utf8_lossy(&part));
        }
    }

    fn enter(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).expect("is typed");
    }

    /// Sends SIGTERM. SIGINT may be ignored, because the process that started the tests may ignore it.
    fn terminate(&mut self) {
        let pid = Pid::from_raw(i32::try_from(self.child.child().id()).expect("is a pid"));
        kill(pid, Signal::SIGTERM).expect("is sent");
    }

    /// Waits for the end of the command and returns its exit code and all its output.
    fn end(mut self) -> (Option<i32>, String) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.screen.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(part) => self.said.push_str(&String::from_utf8_lossy(&part)),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("it does not end: {:?}", self.said),
            }
        }
        (self.child.child().wait().expect("has ended").code(), self.said)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn harm_is_done_only_after_an_operator_confirms() {
    let fleet = TestFleet::start(1, &settings()).await;
    fleet.add(0).await;
    let control = fleet.standalone.addresses().control.to_string();
    let asked = || {
        let mut terminal = Terminal::run(&["--endpoint", &control, "servers", "remove", "bbb-0"]);
        terminal.until("About to remove server bbb-0. Continue? [y/N] ", 1);
        terminal
    };
    let end_of_input = "\x04";
    for answer in ["n\n", "\n", "yess\n", end_of_input] {
        let mut terminal = asked();
        terminal.enter(answer);
        let (code, said) = terminal.end();
        assert!(code == Some(1) && said.contains("no change was made"), "{answer:?}: {code:?}, {said:?}");
    }
    let mut terminal = asked();
    assert!(fleet.usher("servers list").await.out.contains("bbb-0"), "it was removed before the answer");
    terminal.enter("Yes\n");
    let (code, said) = terminal.end();
    assert_eq!(code, Some(0), "{said:?}");
    assert!(!fleet.usher("servers list").await.out.contains("bbb-0"));
    fleet.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_shows_one_page_of_status_at_a_time() {
    let fleet = TestFleet::start(0, &settings()).await;
    let control = fleet.standalone.addresses().control.to_string();
    let mut terminal = Terminal::run(&["--endpoint", &control, "status", "--watch", "--every", "50ms"]);
    terminal.until("\x1b[2J\x1b[Hcontrol plane", 3);
    terminal.terminate();
    let (code, said) = terminal.end();
    assert_eq!(code, None, "the signal ends it: {said:?}");
    fleet.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s10_an_operator_types_how_many_servers_go_out_of_use() {
    let fleet = TestFleet::start(2, &settings()).await;
    for number in 0..2 {
        fleet.add(number).await;
    }
    let control = fleet.standalone.addresses().control.to_string();
    let folder = tempfile::tempdir().expect("is made");
    let list = folder.path().join("servers.yml");
    std::fs::write(&list, "servers:\n").expect("is written");
    let list = list.display().to_string();
    let asked = || {
        let mut terminal = Terminal::run(&["--endpoint", &control, "servers", "sync", &list]);
        terminal.until("type the number of servers that go out of use: ", 1);
        assert!(terminal.said.contains("2 of 2 servers"), "{:?}", terminal.said);
        terminal
    };
    for answer in ["y\n", "yes\n", "1\n", "\n", "\x04"] {
        let mut terminal = asked();
        terminal.enter(answer);
        let (code, said) = terminal.end();
        assert!(code == Some(1) && said.contains("no change was made"), "{answer:?}: {code:?}, {said:?}");
    }
    // The plan is no longer the confirmed one.
    let mut terminal = asked();
    assert_eq!(fleet.usher("servers remove bbb-0 --yes").await.code, 0);
    terminal.enter("2\n");
    let (code, said) = terminal.end();
    assert!(code == Some(1) && said.contains("the fleet changed meanwhile"), "{code:?}, {said:?}");
    fleet.add(0).await;
    let mut terminal = asked();
    terminal.enter("2\n");
    let (code, said) = terminal.end();
    assert_eq!(code, Some(0), "{said:?}");
    assert_eq!(fleet.usher("servers list -o json").await.json(), serde_json::json!([]), "they were empty");
    fleet.stop().await;
}
