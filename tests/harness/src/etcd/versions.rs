//! Other versions of etcd: rolling upgrades, and snapshots that the tools of etcd restore.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, ensure};

use super::EtcdCluster;
use crate::wait;

/// The programs of one version of etcd.
#[derive(Debug, Clone)]
pub struct EtcdVersion {
    /// The version without its patch number, such as `3.5`.
    pub number: String,
    folder: PathBuf,
}

impl EtcdVersion {
    /// Returns the versions after the usual one, oldest first, that `cargo xtask test-etcd-versions` has
    /// built into the folders of `TEST_ETCD_VERSIONS`.
    ///
    /// # Errors
    /// The variable is not set.
    pub fn later() -> Result<Vec<Self>> {
        let folders = env::var_os("TEST_ETCD_VERSIONS").context("run `cargo xtask test-etcd-versions`")?;
        env::split_paths(&folders)
            .map(|folder| {
                let number = folder.file_name().and_then(|name| name.to_str()).context("a version")?;
                Ok(Self { number: number.to_owned(), folder: folder.clone() })
            })
            .collect()
    }

    fn program(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

impl EtcdCluster {
    /// Upgrades one node as operators do: its leadership is moved to another node, it is ended with SIGTERM,
    /// and started with the new program on its data.
    ///
    /// # Errors
    /// The node is not healthy in time.
    pub async fn upgrade(&mut self, index: usize, to: &EtcdVersion) -> Result<()> {
        if self.members.len() > 1 && self.leader().await? == index {
            self.make_leader((index + 1) % self.members.len()).await?;
        }
        let node = &mut self.members[index];
        node.terminate()?;
        node.set_binary(&to.program("server"));
        self.restart(index).await
    }

    /// Restarts one node with a wall clock that differs from that of the machine by `seconds`.
    ///
    /// # Errors
    /// The node is not healthy in time.
    pub async fn set_clock(&mut self, index: usize, version: &EtcdVersion, seconds: i64) -> Result<()> {
        let node = &mut self.members[index];
        node.terminate()?;
        node.set_binary(&version.program("server-other-clock"));
        node.set_clock_offset(seconds);
        self.restart(index).await
    }

    /// Returns the difference of a node's wall clock from that of the machine, as the `Date` of its
    /// answers shows it, in seconds.
    ///
    /// # Errors
    /// The node does not answer.
    pub async fn clock_difference(&self, index: usize) -> Result<i64> {
        let answer = reqwest::get(format!("{}/version", self.members[index].client_url)).await?;
        let date = answer.headers().get(reqwest::header::DATE).context("a date")?.to_str()?;
        let seconds =
            |time: SystemTime| time.duration_since(UNIX_EPOCH).map(|time| time.as_secs().cast_signed());
        Ok(seconds(httpdate::parse_http_date(date)?)? - seconds(SystemTime::now())?)
    }

    /// Waits until all nodes have agreed on this version, which they do some seconds after the last
    /// upgrade. A node of the version after it does not start earlier.
    ///
    /// # Errors
    /// The cluster does not agree in time.
    pub async fn has_version(&self, version: &EtcdVersion) -> Result<()> {
        let url = format!("{}/version", self.members[0].client_url);
        wait::until("the cluster to agree on its version", || async {
            let text = reqwest::get(&url).await?.text().await?;
            let versions: serde_json::Value = serde_json::from_str(&text)?;
            let agreed = versions["etcdcluster"].as_str().unwrap_or_default();
            ensure!(agreed.starts_with(&version.number), "{text}");
            Ok(())
        })
        .await
    }

    /// Saves a snapshot of a node through etcd's API, as `etcdctl snapshot save` does.
    ///
    /// # Errors
    /// The node sends no snapshot.
    pub async fn save_snapshot(&self, to: &Path) -> Result<()> {
        let mut stream = self.client(0).await?.snapshot().await?;
        let mut bytes = Vec::new();
        while let Some(part) = stream.message().await? {
            bytes.extend_from_slice(part.blob());
        }
        Ok(fs::write(to, bytes)?)
    }

    /// Replaces the data of a single node by a snapshot, with the restore command of this version: the node
    /// forms another cluster, whose revisions continue from that of the snapshot.
    ///
    /// # Errors
    /// There is more than one node, the command fails, or the node does not start.
    pub async fn restore_snapshot(&mut self, from: &Path, with: &EtcdVersion) -> Result<()> {
        let node = self.single()?;
        node.terminate()?;
        fs::remove_dir_all(&node.data)?;
        let (name, url) = (node.name()?, &node.peer_url);
        let restored = Command::new(with.program("etcdutl"))
            .args(["snapshot", "restore"])
            .arg(from)
            .arg("--data-dir")
            .arg(&node.data)
            .args(["--name", name, "--initial-advertise-peer-urls", url])
            .args(["--initial-cluster", &format!("{name}={url}")])
            .output()
            .context("run etcdutl")?;
        ensure!(restored.status.success(), "{}", String::from_utf8_lossy(&restored.stderr));
        self.restart(0).await
    }
}
