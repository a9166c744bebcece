//! The maximum that the file of the embedded store commits: puts, grouped as its writer groups
//! them.

use std::time::{Duration, Instant};

use anyhow::Result;
use hdrhistogram::Histogram;
use redb::{Database, TableDefinition};

use super::etcd::VALUE;
use crate::measurement::LoadSlice;

const TABLE: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("raw");

/// The number of puts in one durable commit.
const GATHERED: usize = 64;

/// Writes puts for `time` into a new file.
pub(crate) fn puts(time: Duration) -> Result<LoadSlice> {
    let directory = tempfile::tempdir()?;
    let database = Database::create(directory.path().join("raw.redb"))?;
    let (mut micros, begin) = (Histogram::new(3)?, Instant::now());
    for round in 0.. {
        let sent = Instant::now();
        if sent >= begin + time {
            break;
        }
        let txn = database.begin_write()?;
        {
            let mut table = txn.open_table(TABLE)?;
            for number in 0..GATHERED {
                table.insert(format!("meetings/default/{round}-{number}").as_str(), &[b'v'; VALUE][..])?;
            }
        }
        txn.commit()?;
        micros.record_n(u64::try_from(sent.elapsed().as_micros())?.max(1), GATHERED as u64)?;
    }
    Ok(LoadSlice::new(micros, begin.elapsed(), None))
}
