//! The processor time and the memory of the programs over some time.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::cluster::SizeCluster;
use crate::machine::{self, CpuWorker};

/// The parts whose use is measured.
#[derive(Debug, Clone, Copy)]
pub(super) struct ProgramUsage {
    /// The processors that the program used on average.
    pub(super) cores: f64,
    /// The resident memory at the end, bytes.
    pub(super) resident: u64,
}

/// The use of the leader, of a follower and of etcd.
#[derive(Debug, Clone, Copy)]
pub(super) struct ClusterUsage {
    pub(super) leader: ProgramUsage,
    pub(super) follower: ProgramUsage,
    pub(super) etcd: ProgramUsage,
}

/// A measurement under way.
pub(super) struct UsageMeter {
    begun: Instant,
    pids: [u32; 3],
    before: [Duration; 3],
}

impl UsageMeter {
    pub(super) fn start(cluster: &SizeCluster) -> Result<Self> {
        let pids = [cluster.pid(0), cluster.pid(1), cluster.etcd_pid()?];
        let mut before = [Duration::ZERO; 3];
        for (before, pid) in before.iter_mut().zip(pids) {
            *before = CpuWorker::Process(pid).cpu()?;
        }
        Ok(Self { begun: Instant::now(), pids, before })
    }

    pub(super) fn end(&self) -> Result<ClusterUsage> {
        let passed = self.begun.elapsed().as_secs_f64();
        let usage = |index: usize| -> Result<ProgramUsage> {
            let used = CpuWorker::Process(self.pids[index]).cpu()?.saturating_sub(self.before[index]);
            let resident = machine::resident(self.pids[index])?;
            Ok(ProgramUsage { cores: used.as_secs_f64() / passed, resident })
        };
        Ok(ClusterUsage { leader: usage(0)?, follower: usage(1)?, etcd: usage(2)? })
    }
}
