//! A real etcd: one node or several, on free ports, with its data in a temporary directory.
//!
//! The binary is `USHER_ETCD`, the `etcd` on the PATH, or the one that `cargo xtask test`
//! downloaded.

mod changes;
mod faults;
mod member;
mod options;
mod versions;
mod write_filter;

use std::{
    env,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use etcd_client::{Certificate, Client, ConnectOptions, DeleteOptions, Identity, TlsOptions};
use tempfile::TempDir;

use self::member::EtcdNode;
pub use self::{
    changes::EtcdChange,
    faults::{StoreBackup, StoreDump},
    options::EtcdOptions,
    versions::EtcdVersion,
    write_filter::WriteFilter,
};
use crate::{
    certificates::{TlsFiles, generate},
    link::FaultyLink,
    wait,
};

/// A cluster of etcd nodes that runs until it is dropped.
#[derive(Debug)]
pub struct EtcdCluster {
    members: Vec<EtcdNode>,
    /// The links in front of the nodes' addresses for peers, if the options requested them.
    peers: Vec<FaultyLink>,
    tls: Option<TlsFiles>,
    // The last field: it is dropped after the nodes, which use the directory.
    _directory: TempDir,
}

impl EtcdCluster {
    /// Starts a cluster of this many nodes and waits until it accepts writes.
    ///
    /// # Errors
    /// There is no etcd binary, or the cluster does not become healthy in time.
    pub async fn start(members: usize) -> Result<Self> {
        Self::start_with(EtcdOptions { members, ..EtcdOptions::default() }).await
    }

    /// Starts a cluster with these options, like [`EtcdCluster::start`].
    ///
    /// # Errors
    /// There is no etcd binary, or the cluster does not become healthy in time.
    pub async fn start_with(options: EtcdOptions) -> Result<Self> {
        // etcd needs its ports as arguments, and another process may take one before etcd binds it.
        let mut failure = None;
        for _ in 0..3 {
            match Self::try_start(&options).await {
                Ok(cluster) => return Ok(cluster),
                Err(error) => failure = Some(error),
            }
        }
        Err(failure.context("never tried")?)
    }

    async fn try_start(options: &EtcdOptions) -> Result<Self> {
        let binary = binary()?;
        let directory = tempfile::tempdir()?;
        let tls = options.tls.then(|| generate(directory.path())).transpose()?;
        let (mut members, peers) = member::plan(options, directory.path(), tls.as_ref(), &binary)?;
        for member in &mut members {
            member.start()?;
        }
        let mut cluster = Self { members, peers, tls, _directory: directory };
        for index in 0..cluster.members.len() {
            cluster.healthy(index).await?;
        }
        Ok(cluster)
    }

    /// Returns the client address of every node.
    pub fn endpoints(&self) -> Vec<String> {
        self.members.iter().map(|member| member.client_url.clone()).collect()
    }

    /// Returns the process id of a node.
    ///
    /// # Errors
    /// The node had ended before.
    pub fn pid(&self, index: usize) -> Result<u32> {
        Ok(u32::try_from(self.members[index].pid()?.as_raw())?)
    }

    /// Returns the certificates that clients of an encrypted cluster need.
    pub fn tls(&self) -> Option<&TlsFiles> {
        self.tls.as_ref()
    }

    /// Connects to one node directly, without the program under test.
    ///
    /// # Errors
    /// The node cannot be reached.
    pub async fn client(&self, index: usize) -> Result<Client> {
        let options = ConnectOptions::new().with_timeout(Duration::from_secs(5));
        let options = match &self.tls {
            Some(files) => options.with_tls(
                TlsOptions::new()
                    .ca_certificate(Certificate::from_pem(std::fs::read(&files.ca)?))
                    .identity(Identity::from_pem(std::fs::read(&files.cert)?, std::fs::read(&files.key)?)),
            ),
            None => options,
        };
        Ok(Client::connect([&self.members[index].client_url], Some(options)).await?)
    }

    /// Returns the index of the node that leads.
    ///
    /// # Errors
    /// No node leads in time.
    pub async fn leader(&self) -> Result<usize> {
        wait::until("an etcd leader", || async {
            for index in 0..self.members.len() {
                if let Ok(mut client) = self.client(index).await
                    && let Ok(status) = client.status().await
                    && status.header().is_some_and(|header| header.member_id() == status.leader())
                {
                    return Ok(index);
                }
            }
            bail!("no node reports that it leads")
        })
        .await
    }

    /// Waits until a node other than `lost` leads, and returns the time that this took.
    ///
    /// # Errors
    /// No other node leads in time.
    pub async fn election_without(&self, lost: usize) -> Result<Duration> {
        let begun = Instant::now();
        wait::until("another etcd leader", || async {
            for index in (0..self.members.len()).filter(|index| *index != lost) {
                let status = self.client(index).await?.status().await?;
                if status.header().is_some_and(|header| header.member_id() == status.leader()) {
                    return Ok(());
                }
            }
            bail!("no other node reports that it leads")
        })
        .await?;
        Ok(begun.elapsed())
    }

    /// Makes a node the leader of the cluster.
    ///
    /// # Errors
    /// The node does not lead in time.
    pub async fn make_leader(&self, index: usize) -> Result<()> {
        wait::until("the node to lead", || async {
            let leader = self.leader().await?;
            if leader == index {
                return Ok(());
            }
            let status = self.client(index).await?.status().await?;
            let id = status.header().context("a header")?.member_id();
            self.client(leader).await?.maintenance_client().move_leader(id).await?;
            bail!("the leadership is under way to it")
        })
        .await
    }

    /// Compacts the history before the current revision, and returns that revision.
    ///
    /// # Errors
    /// etcd refuses the compaction.
    pub async fn compact(&self) -> Result<u64> {
        let mut client = self.client(0).await?;
        let revision = client.get("x", None).await?.header().context("a header")?.revision();
        client.compact(revision, None).await?;
        Ok(u64::try_from(revision)?)
    }

    /// Deletes every key below a prefix in one revision, as `etcdctl del --prefix` does.
    ///
    /// # Errors
    /// etcd refuses the deletion.
    pub async fn delete(&self, prefix: &str) -> Result<()> {
        let options = DeleteOptions::new().with_prefix();
        self.client(0).await?.delete(prefix, Some(options)).await?;
        Ok(())
    }

    /// Kills a node at once.
    ///
    /// # Errors
    /// The node had ended before.
    pub fn kill(&mut self, index: usize) -> Result<()> {
        self.members[index].kill()
    }

    /// Stops a node without ending it (SIGSTOP): it keeps its sockets and does not answer.
    ///
    /// # Errors
    /// The node had ended before.
    pub fn freeze(&self, index: usize) -> Result<()> {
        self.members[index].freeze()
    }

    /// Continues a node after [`EtcdCluster::freeze`].
    ///
    /// # Errors
    /// The node had ended before.
    pub fn thaw(&self, index: usize) -> Result<()> {
        self.members[index].thaw()
    }

    /// Starts a killed node again on its data, and waits until it is healthy.
    ///
    /// # Errors
    /// The node is not healthy in time.
    pub async fn restart(&mut self, index: usize) -> Result<()> {
        self.revive(index)?;
        self.healthy(index).await
    }

    /// Starts a killed node again on its data, without waiting for it.
    ///
    /// # Errors
    /// The node cannot be started.
    pub fn revive(&mut self, index: usize) -> Result<()> {
        self.members[index].start()
    }

    /// Returns the version that etcd reports.
    ///
    /// # Errors
    /// The node does not answer.
    pub async fn version(&self) -> Result<String> {
        Ok(self.client(0).await?.status().await?.version().to_owned())
    }

    async fn healthy(&mut self, index: usize) -> Result<()> {
        let ended = |member: &mut EtcdNode| -> Result<()> {
            match member.ended()? {
                Some(status) => bail!("etcd ended, {status}:\n{}", member.log()),
                None => Ok(()),
            }
        };
        for _ in 0..20 {
            ended(&mut self.members[index])?;
            let cluster = &*self;
            let healthy = wait::until_within(Duration::from_secs(3), "a healthy etcd", || async {
                cluster.client(index).await?.get("x", None).await?;
                Ok(())
            });
            if healthy.await.is_ok() {
                return Ok(());
            }
        }
        bail!("etcd is not healthy:\n{}", self.members[index].log())
    }
}

fn binary() -> Result<PathBuf> {
    if let Some(named) = env::var_os("USHER_ETCD") {
        return Ok(named.into());
    }
    // The binary that `cargo xtask` unpacked also serves a plain `cargo test`.
    let brought = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools/etcd/usr/bin");
    env::var_os("PATH")
        .iter()
        .flat_map(env::split_paths)
        .chain([brought])
        .map(|folder| folder.join("etcd"))
        .find(|file| file.is_file())
        .context("no etcd on the PATH; `cargo xtask test` brings one, or name it in USHER_ETCD")
}
