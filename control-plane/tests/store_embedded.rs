//! The file of the embedded store: acknowledged writes survive every end of the process.

use std::{
    env,
    io::{BufRead, BufReader, Write as _},
    path::Path,
    process::{Command, Stdio},
};

use tempfile::tempdir;
use usher_control_plane::{
    ports::{Store, StoreError, StoreTxn, TxnGuard, TxnVerdict, TxnWrite},
    store::embedded::{EmbeddedOpenError, EmbeddedStore},
};

/// Environment variable that names the directory to the killed process.
const DIRECTORY: &str = "USHER_TEST_STORE_DIRECTORY";

/// Number of keys that each writer of the killed process writes.
const KEYS: u64 = 7;

fn put(key: &str, value: &str) -> StoreTxn {
    StoreTxn { guards: vec![], writes: vec![TxnWrite::Put(key.into(), value.to_owned().into())] }
}

fn open(directory: &Path) -> EmbeddedStore {
    EmbeddedStore::open(Some(directory)).expect("opens")
}

/// Returns a command that runs one test of this program as a process of its own, on a directory.
fn this_test(shell_setup: &str, name: &str, directory: &Path) -> Command {
    let mut command = Command::new("sh");
    command
        .arg("-c")
        .arg(format!("{shell_setup} exec \"$0\" --exact {name} --nocapture --test-threads=1"))
        .arg(env::current_exe().expect("this test"))
        .env(DIRECTORY, directory)
        .stderr(Stdio::null())
        .stdout(Stdio::piped());
    command
}

/// Not a test of its own: the process that the next test kills. It prints a line for each commit
/// after its acknowledgement.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writer_to_be_killed() {
    let Some(directory) = env::var_os(DIRECTORY) else { return };
    let store = open(Path::new(&directory));
    let writers = (0..4).map(|writer| {
        let store = store.clone();
        async move {
            for round in 0_u64.. {
                let key = format!("k/{writer}/{}", round % KEYS);
                let verdicts = store.commit(vec![put(&key, &round.to_string())]).await.expect("is decided");
                let TxnVerdict::Committed(revision) = verdicts[0] else { panic!("{verdicts:?}") };
                let mut out = std::io::stdout().lock();
                // The line goes to the parent and not to the test's capture; writing fails once the
                // parent has ended.
                if writeln!(out, "acknowledged {revision} {key} {round}").is_err() {
                    return;
                }
            }
        }
    });
    futures::future::join_all(writers).await;
}

/// One acknowledged commit: revision, key, value.
type Acknowledged = (u64, String, u64);

fn acknowledged(line: &str) -> Option<Acknowledged> {
    let mut words = line.strip_prefix("acknowledged ")?.split(' ');
    Some((words.next()?.parse().ok()?, words.next()?.to_owned(), words.next()?.parse().ok()?))
}

/// Lets a process write, kills it, and returns the writes that it reported.
fn write_and_kill(directory: &Path, after: usize) -> Vec<Acknowledged> {
    let mut writer = this_test("", "writer_to_be_killed", directory).spawn().expect("starts");
    let output = BufReader::new(writer.stdout.take().expect("is piped"));
    let mut seen = Vec::new();
    for line in output.lines().map_while(Result::ok) {
        seen.extend(acknowledged(&line));
        if seen.len() == after {
            writer.kill().expect("runs until it is killed");
        }
    }
    writer.wait().expect("has ended");
    assert!(seen.len() >= after, "the writer ended by itself after {} commits", seen.len());
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_acknowledged_write_is_lost_by_kill_9() {
    let directory = tempdir().expect("a directory");
    let mut last_revision = 0;
    for round in 1..=8 {
        let seen = write_and_kill(directory.path(), 60 * round);
        let store = open(directory.path());
        let listing = store.read_prefix("k/").await.expect("is read");
        for (revision, key, value) in &seen {
            assert!(*revision > last_revision, "revisions go on where they were");
            assert!(*revision <= listing.revision, "{revision} is not lost");
            let entry = listing.entries.iter().find(|entry| entry.key == *key).expect("is not lost");
            let stored: u64 = String::from_utf8_lossy(&entry.value).parse().expect("a number");
            assert!(stored >= *value, "{key} went back from {value} to {stored}");
            assert!(entry.mod_revision >= *revision);
        }
        last_revision = listing.revision;
    }
}

/// Not a test of its own: the process that the next test runs without disk space.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writer_without_room() {
    let Some(directory) = env::var_os(DIRECTORY) else { return };
    let store = open(Path::new(&directory));
    let mut refusals = 0;
    for number in 0..2000 {
        let before = store.revision().await.expect("is read");
        match store.commit(vec![put(&format!("k/{number:04}"), &"v".repeat(20_000))]).await {
            Ok(verdicts) => assert!(matches!(verdicts[..], [TxnVerdict::Committed(_)])),
            Err(StoreError::Rejected(why)) => {
                assert!(!why.is_empty());
                assert_eq!(store.revision().await.expect("is read"), before, "nothing happened");
                refusals += 1;
            }
            Err(other) => panic!("{other}"),
        }
        if refusals == 5 {
            let kept = store.read_prefix("k/").await.expect("reads go on").entries;
            println!("kept {}", kept.len());
            return;
        }
    }
    panic!("there was room for everything");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f8_without_space_writes_are_rejected_and_acknowledged_ones_remain() {
    let directory = tempdir().expect("a directory");
    // Beyond this size every write of the file fails, as on a full disk.
    let no_room = "trap '' XFSZ; ulimit -f 16384;";
    let output = this_test(no_room, "writer_without_room", directory.path()).output().expect("runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    let kept: usize = text
        .lines()
        .find_map(|line| line.split_once("kept ")?.1.trim().parse().ok())
        .unwrap_or_else(|| panic!("{text}"));
    assert!(kept > 10, "{kept}");
    let store = open(directory.path());
    assert_eq!(store.read_prefix("k/").await.expect("is read").entries.len(), kept);
    store.commit(vec![put("after", "v")]).await.expect("goes on with room");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_opened_again_is_the_same_and_has_no_leader() {
    let directory = tempdir().expect("a directory");
    let store = open(directory.path());
    let id = store.cluster_id().await.expect("is read");
    store.commit(vec![put("k", "1")]).await.expect("is decided");
    let lease = store.campaign("before", std::time::Duration::from_mins(1)).await.expect("leads");
    let token = lease.token();
    let listing = store.read_prefix("k").await.expect("is read");
    drop((store, lease));

    let store = open(directory.path());
    assert_eq!(store.cluster_id().await.expect("is read"), id);
    assert_eq!(store.read_prefix("k").await.expect("is read").entries, listing.entries);
    assert_eq!(store.leader().await.expect("is read"), None);
    assert!(store.revision().await.expect("is read") > listing.revision, "that it has none is a change");
    let fenced = StoreTxn { guards: vec![TxnGuard::Fence(token)], ..put("k", "2") };
    assert!(matches!(store.commit(vec![fenced]).await.expect("is decided")[..], [TxnVerdict::Refused(_)]));
    let later = store.campaign("after", std::time::Duration::from_mins(1)).await.expect("leads at once");
    later.resign().await.expect("resigns");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_in_use_is_told_and_free_as_soon_as_its_store_is_gone() {
    let directory = tempdir().expect("a directory");
    let store = open(directory.path());
    let error = EmbeddedStore::open(Some(directory.path())).map(drop).expect_err("is in use");
    assert!(matches!(error, EmbeddedOpenError::InUse(_)), "{error}");
    drop(store);
    open(directory.path());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_written_twice_is_rejected_as_a_whole() {
    let store = EmbeddedStore::open(None).expect("opens");
    let result = store.commit(vec![put("a", "1"), put("a", "2")]).await;
    assert!(matches!(result, Err(StoreError::Rejected(_))), "{result:?}");
    assert!(store.read_prefix("").await.expect("is read").entries.is_empty());
}

/// A value of the size of a sample is written repeatedly, with the syncs of real work: the file
/// reuses its pages.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f8_a_file_that_is_written_for_long_does_not_grow() {
    let directory = tempdir().expect("a directory");
    let store = open(directory.path());
    let mut sizes = Vec::new();
    for round in 0..900 {
        let value = format!("{round:06}").repeat(1_000);
        store.commit(vec![put(&format!("load/{}", round % 3), &value)]).await.expect("is decided");
        if round % 300 == 299 {
            sizes.push(store.space().await.expect("is told").taken);
        }
    }
    let (first, last) = (sizes[0], sizes[2]);
    assert!(first > 0 && last <= first, "900 writes of 6 KB: {sizes:?}");
    let in_memory = EmbeddedStore::open(None).expect("opens");
    assert_eq!(in_memory.space().await.expect("is told").taken, 0);
}
