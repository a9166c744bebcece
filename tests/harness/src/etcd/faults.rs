//! Faults of a store: a full disk, a slow disk, a restored backup.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use etcd_client::{AlarmAction, AlarmOptions, AlarmType, Client, GetOptions, KeyValue};
use tempfile::TempDir;

use super::{EtcdCluster, member::EtcdNode};
use crate::{link::LinkCondition, wait};

/// The prefix of keys that only take up space.
const FILLER: &str = "filler/";

/// A copy of the data directory of a single node.
#[derive(Debug)]
pub struct StoreBackup(TempDir);

/// Keys and their values, in the order of the keys.
#[derive(Debug, Clone)]
pub struct StoreDump(Vec<(String, Vec<u8>)>);

impl StoreDump {
    /// Cuts the dump in two before the first key that begins with `prefix`.
    #[must_use]
    pub fn cut_before(mut self, prefix: &str) -> (Self, Self) {
        let at = self.0.iter().position(|(key, _)| key.starts_with(prefix)).unwrap_or(self.0.len());
        let rest = self.0.split_off(at);
        (self, Self(rest))
    }
}

impl EtcdCluster {
    /// Takes a backup of a single node: the node is stopped, its data copied, and the node started
    /// again.
    ///
    /// # Errors
    /// There is more than one node, or the data cannot be copied.
    pub async fn back_up(&mut self) -> Result<StoreBackup> {
        let member = self.single()?;
        member.kill()?;
        let backup = tempfile::tempdir()?;
        copy(&member.data, backup.path())?;
        self.restart(0).await?;
        Ok(StoreBackup(backup))
    }

    /// Replaces the data of a single node by a backup, and starts the node: the cluster keeps its
    /// id, and its revisions continue from that of the backup.
    ///
    /// # Errors
    /// There is more than one node, or the node does not start on that data.
    pub async fn set_back(&mut self, to: &StoreBackup) -> Result<()> {
        let member = self.single()?;
        member.kill()?;
        fs::remove_dir_all(&member.data)?;
        copy(to.0.path(), &member.data)?;
        self.restart(0).await
    }

    /// Reads the keys below `prefix`, except those with a lease.
    ///
    /// # Errors
    /// etcd does not answer.
    pub async fn dump(&self, prefix: &str) -> Result<StoreDump> {
        let found = self.client(0).await?.get(prefix, Some(GetOptions::new().with_prefix())).await?;
        let lasting = found.kvs().iter().filter(|pair| pair.lease() == 0);
        let pair = |pair: &KeyValue| Ok((pair.key_str()?.to_owned(), pair.value().to_vec()));
        lasting.map(pair).collect::<Result<_>>().map(StoreDump)
    }

    /// Replaces a single node by a new cluster without keys.
    ///
    /// # Errors
    /// There is more than one node, or the node does not start.
    pub async fn make_anew(&mut self) -> Result<()> {
        let member = self.single()?;
        member.kill()?;
        fs::remove_dir_all(&member.data)?;
        member.add_argument("--initial-cluster-token=made-anew".into());
        self.restart(0).await
    }

    /// Writes a dump back, key by key.
    ///
    /// # Errors
    /// etcd refuses a key.
    pub async fn put_back(&self, dump: &StoreDump) -> Result<()> {
        let mut client = self.client(0).await?;
        for (key, value) in &dump.0 {
            client.put(key.as_str(), value.as_slice(), None).await?;
        }
        Ok(())
    }

    /// Writes until the quota is used up: then etcd refuses every put.
    ///
    /// # Errors
    /// The quota is not used up after many writes.
    pub async fn fill(&self) -> Result<()> {
        let mut client = self.client(0).await?;
        for size in [100_000, 1_000] {
            let mut full = false;
            for number in 0..2_000 {
                if client.put(format!("{FILLER}{size}-{number}"), vec![0; size], None).await.is_err() {
                    full = true;
                    break;
                }
            }
            ensure!(full, "there is always room");
        }
        Ok(())
    }

    /// Frees the space as an operator does: delete, compact, defragment, clear the alarm.
    ///
    /// # Errors
    /// etcd refuses one of the steps.
    pub async fn make_room(&self) -> Result<()> {
        self.delete(FILLER).await?;
        self.compact().await?;
        let mut client = self.client(0).await?;
        client.defragment().await?;
        self.disarm().await
    }

    /// Clears every alarm of every node, as `etcdctl alarm disarm` does.
    ///
    /// # Errors
    /// etcd refuses it.
    pub async fn disarm(&self) -> Result<()> {
        disarm(&mut self.client(0).await?).await
    }

    /// Makes every node answer only at the end of each `period`, like a node on a slow disk, until
    /// the future is dropped.
    ///
    /// # Errors
    /// A node had ended.
    pub async fn stutter(&self, period: Duration) -> Result<()> {
        loop {
            (0..self.members.len()).try_for_each(|index| self.freeze(index))?;
            tokio::time::sleep(period).await;
            (0..self.members.len()).try_for_each(|index| self.thaw(index))?;
            // On a busy machine the nodes may need longer to answer at all.
            let _answered = tokio::time::timeout(period, self.revision()).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Sets the condition of all connections between a node and its peers, in both directions.
    ///
    /// # Errors
    /// The node had ended, or the options of the cluster requested no links.
    pub fn set_peers_of(&self, index: usize, condition: LinkCondition) -> Result<()> {
        ensure!(!self.peers.is_empty(), "no links between the nodes");
        let process = u32::try_from(self.members[index].pid()?.as_raw())?;
        for (number, link) in self.peers.iter().enumerate() {
            if number == index {
                link.set(condition);
            } else {
                link.set_for(process, condition);
            }
        }
        Ok(())
    }

    /// Replaces a node, as an operator does whose machine is lost: the node is killed and removed
    /// from the cluster, and an empty one is added and started at its addresses.
    ///
    /// # Errors
    /// The cluster does not take the change in time.
    pub async fn replace(&mut self, index: usize) -> Result<()> {
        let status = self.client(index).await?.status().await?;
        let id = status.header().context("a header")?.member_id();
        let mut others = self.client((index + 1) % self.members.len()).await?;
        let node = &mut self.members[index];
        node.kill()?;
        fs::remove_dir_all(&node.data)?;
        node.add_argument("--initial-cluster-state=existing".into());
        let url = node.peer_url.clone();
        others.member_remove(id).await?;
        // etcd refuses the change until the connections of the others are some seconds old.
        wait::until("the cluster to take a new member", || async {
            others.clone().member_add([url.as_str()], None).await.map(drop).map_err(Into::into)
        })
        .await?;
        self.restart(index).await
    }

    pub(super) fn single(&mut self) -> Result<&mut EtcdNode> {
        match self.members.as_mut_slice() {
            [one] => Ok(one),
            many => bail!("{} nodes, and a backup is of one", many.len()),
        }
    }
}

async fn disarm(client: &mut Client) -> Result<()> {
    let alarms = client.alarm(AlarmAction::Get, AlarmType::None, None).await?;
    for alarm in alarms.alarms() {
        let mut member = AlarmOptions::new();
        member.with_member(alarm.member_id());
        client.alarm(AlarmAction::Deactivate, AlarmType::Nospace, Some(member)).await?;
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("read {}", from.display()))? {
        let entry = entry?;
        let into: PathBuf = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &into)?;
        } else {
            fs::copy(entry.path(), into)?;
        }
    }
    Ok(())
}
