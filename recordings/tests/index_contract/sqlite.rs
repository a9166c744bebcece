//! The contract on SQLite, and what belongs to its file alone.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use sqlx::{Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};
use usher_recordings::{
    core::names::RecordId,
    index::SqliteIndex,
    ports::{IndexError, RecordingIndex as _, RecordingWrite, WriteOutcome},
};

use crate::{IndexSubject, lists, samples::*, writes};

/// Names the database for the child process of the test of a killed process.
const CHILD_DATABASE: &str = "USHER_INDEX_CHILD_DATABASE";

struct SqliteSubject(tempfile::TempDir);

impl SqliteSubject {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("index.db")
    }

    async fn connection(&self) -> SqliteConnection {
        let options = SqliteConnectOptions::new().filename(self.path()).foreign_keys(true);
        SqliteConnection::connect_with(&options).await.unwrap()
    }
}

impl IndexSubject for SqliteSubject {
    type Index = SqliteIndex;

    async fn open(&self) -> SqliteIndex {
        SqliteIndex::open(&self.path()).await.unwrap()
    }

    async fn purge(&self, id: &RecordId) {
        let purge = sqlx::query("delete from recordings where record_id = ?1").bind(id.as_str());
        purge.execute(&mut self.connection().await).await.unwrap();
    }

    async fn audit(&self) {
        let counted = "select tenant, state, recordings, bytes from usage where recordings > 0 or bytes > 0 \
             order by tenant, state";
        let summed = "select r.tenant, r.state, count(*), sum((select coalesce(sum(f.bytes), 0) from formats as f \
             where f.record_id = r.record_id)) from recordings as r group by r.tenant, r.state \
             order by r.tenant, r.state";
        let mut connection = self.connection().await;
        let counted: Vec<(String, String, i64, i64)> =
            sqlx::query_as(counted).fetch_all(&mut connection).await.unwrap();
        let summed: Vec<(String, String, i64, i64)> =
            sqlx::query_as(summed).fetch_all(&mut connection).await.unwrap();
        assert_eq!(counted, summed);
    }
}

macro_rules! contract {
    ($($module:ident::$name:ident),+ $(,)?) => {
        $(
            #[tokio::test]
            async fn $name() {
                $module::$name(&SqliteSubject::new()).await;
            }
        )+
    };
}

contract!(
    writes::a_stale_write_undoes_all_of_its_call,
    writes::r3_a_change_of_state_leaves_the_files,
    writes::r4_a_deleted_recording_stays_deleted,
    writes::a_restored_recording_loses_its_tombstone,
    writes::offers_are_kept_until_their_write,
    writes::of_two_writers_one_wins,
    lists::thousands_of_ids_are_one_question,
);

#[test]
fn lists_equal_the_model() {
    lists::lists_equal_the_model(SqliteSubject::new);
}

#[tokio::test]
async fn a_generation_out_of_play_is_marked_with_the_time() {
    let subject = SqliteSubject::new();
    let index = subject.open().await;
    let first = stored(1);
    let mut second = first.clone();
    second.formats.values_mut().for_each(|format| format.generation = generation(2));
    let retiring = |seen, recording, old| RecordingWrite {
        retired: Some((format_name("video"), generation(old))),
        ..write(seen, recording)
    };
    let mut connection = subject.connection().await;
    let mut marks = async || -> Vec<(String, Option<i64>)> {
        let query = sqlx::query_as("select generation, retired_ms from generations order by generation");
        query.fetch_all(&mut connection).await.unwrap()
    };
    let named = |number: usize| generation(number).to_string();
    index.write(&[write(0, &first)]).await.unwrap();
    index.write(&[retiring(1, &second, 1)]).await.unwrap();
    assert_eq!(marks().await, [(named(1), Some(7)), (named(2), None)]);
    index.write(&[retiring(2, &first, 2)]).await.unwrap();
    assert_eq!(marks().await, [(named(1), None), (named(2), Some(7))], "the first one is in play again");
    let journal: i64 = sqlx::query_scalar("select count(*) from journal")
        .fetch_one(&mut subject.connection().await)
        .await
        .unwrap();
    assert_eq!(journal, 3);
}

#[tokio::test]
async fn r10_a_list_with_an_unreadable_row_is_an_error() {
    let subject = SqliteSubject::new();
    let index = subject.open().await;
    index.write(&[write(0, &stored(1)), write(0, &stored(2))]).await.unwrap();
    let damage = sqlx::query("update formats set facts = '{}' where record_id = ?1");
    damage.bind(record_id(1).as_str()).execute(&mut subject.connection().await).await.unwrap();
    let error = index.page(&whole_list(0)).await.unwrap_err();
    assert!(matches!(&error, IndexError::Unreadable(id) if id == record_id(1).as_str()), "{error}");
    assert!(index.recording(&record_id(2)).await.unwrap().is_some());
}

#[tokio::test]
async fn r1_each_acknowledged_write_survives_a_killed_process() {
    let subject = SqliteSubject::new();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "sqlite::child_that_writes_until_it_is_killed", "--ignored", "--nocapture"])
        .env(CHILD_DATABASE, subject.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut acknowledged = Vec::new();
    for line in lines {
        let Some(number) = line.strip_prefix("acknowledged ") else { continue };
        acknowledged.push(number.parse::<usize>().unwrap());
        if acknowledged.len() == 100 {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    assert!(acknowledged.len() >= 100, "{}", acknowledged.len());
    let index = subject.open().await;
    let ids: Vec<_> = acknowledged.into_iter().map(record_id).collect();
    assert_eq!(index.known(&ids).await.unwrap(), ids);
    subject.audit().await;
}

#[tokio::test]
#[ignore = "the child process of the test of a killed process"]
async fn child_that_writes_until_it_is_killed() {
    let Ok(path) = std::env::var(CHILD_DATABASE) else { return };
    let index = SqliteIndex::open(Path::new(&path)).await.unwrap();
    println!();
    for number in 0..100_000 {
        assert_eq!(index.write(&[write(0, &stored(number))]).await.unwrap(), WriteOutcome::Done);
        let mut output = std::io::stdout();
        writeln!(output, "acknowledged {number}").unwrap();
        output.flush().unwrap();
    }
}
