//! Tests of `usher status --watch` and of watches as processes: into a pipe, over a restart of the control plane, until a signal.

use std::{
    io::{BufRead, BufReader, Read},
    os::unix::process::ExitStatusExt as _,
    process::ChildStdout,
    sync::mpsc::{Receiver, sync_channel},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::process::{OwnedProcess, address, standalone, terminate, usher};

/// The longest wait for an output of the command.
const PATIENCE: Duration = Duration::from_secs(30);

/// Reads lines in a thread, so that a wait for a line can have a deadline.
fn lines(from: impl Read + Send + 'static) -> Receiver<String> {
    let (seen, lines) = sync_channel(1024);
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            if seen.send(line).is_err() {
                break;
            }
        }
    });
    lines
}

/// Takes lines until `times` of them begin with `begins`.
fn until(lines: &Receiver<String>, begins: &str, times: usize) {
    let deadline = Instant::now() + PATIENCE;
    let (mut seen, mut count) = (Vec::new(), 0);
    while count < times {
        let line = lines.recv_timeout(deadline.saturating_duration_since(Instant::now()));
        let line = line.unwrap_or_else(|why| panic!("{why}: {count} of {times} `{begins}` in {seen:#?}"));
        count += usize::from(line.starts_with(begins));
        seen.push(line);
    }
}

fn plane(control: &str) -> (OwnedProcess, BufReader<ChildStdout>, String) {
    let (child, out, ready) = standalone(&mut usher(&["standalone", "--secret", "s", "--control", control]));
    (OwnedProcess::new(child), out, ready)
}

#[test]
fn status_watch_runs_until_a_signal_and_outlives_an_unreachable_control_plane() {
    let (first, _out, ready) = plane("127.0.0.1:0");
    let control = address(&ready, "control");
    let mut command = usher(&["--endpoint", &control, "status", "--watch", "--every", "50ms"]);
    let mut owned = OwnedProcess::new(command.spawn().expect("starts"));
    let watch = owned.child();
    let (out, notes) =
        (lines(watch.stdout.take().expect("is piped")), lines(watch.stderr.take().expect("is piped")));
    until(&out, "control plane  ", 3);
    terminate(first.release());
    until(&notes, "cannot reach the control plane", 2);
    let (second, _out, _) = plane(&control);
    // Lines from before the restart may still be in the pipe, so only later lines count.
    let earlier = out.try_iter().count();
    until(&out, "control plane  ", 3);
    let pid = Pid::from_raw(i32::try_from(watch.id()).expect("is a pid"));
    // SIGINT may be ignored, because the process that started the tests may ignore it.
    kill(pid, Signal::SIGTERM).expect("is sent");
    // The signal ends the process at any moment, also while its output is not read.
    let status = watch.wait().expect("ends");
    assert_eq!(status.signal(), Some(Signal::SIGTERM as i32), "after {earlier} earlier lines");
    assert!(out.iter().all(|line| !line.contains('\x1b')), "a pipe is no screen");
    terminate(second.release());
}

#[test]
fn a_watch_writes_changes_as_lines_and_goes_on_after_a_restart_of_the_control_plane() {
    let (first, _out, ready) = plane("127.0.0.1:0");
    let control = address(&ready, "control");
    let mut owned = {
        let mut command = usher(&["--endpoint", &control, "servers", "watch", "-o", "json"]);
        OwnedProcess::new(command.spawn().expect("starts"))
    };
    let watch = owned.child();
    let (out, notes) =
        (lines(watch.stdout.take().expect("is piped")), lines(watch.stderr.take().expect("is piped")));
    let add = |id: &str| {
        let url = format!("http://{id}.test/");
        let args = ["--endpoint", &control, "servers", "add", &url, "--secret", "s", "--id", id];
        let added = usher(&args).output().expect("runs");
        assert!(added.status.success(), "{added:?}");
    };
    add("one");
    until(&out, r#"{"change":"server","entry":{"id":"one","#, 1);
    let removed =
        usher(&["--endpoint", &control, "servers", "remove", "one", "--yes"]).output().expect("runs");
    assert!(removed.status.success(), "{removed:?}");
    until(&out, r#"{"change":"removed","entry":{"name":"servers/one"}}"#, 1);
    terminate(first.release());
    until(&notes, "watch broken", 1);
    // The store of the new one is empty, so that the watch begins anew.
    let (second, _out, _) = plane(&control);
    add("two");
    until(&out, r#"{"change":"server","entry":{"id":"two","#, 1);
    drop(owned);
    terminate(second.release());
}
