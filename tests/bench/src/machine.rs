//! Cores and processor time: a server and its load must not share a core, or each affects the
//! other.

use std::{fs, time::Duration};

use anyhow::{Context, Result, anyhow};
use nix::{
    sched::{CpuSet, sched_setaffinity},
    unistd::{Pid, gettid},
};

/// The core of the server under load.
pub(crate) const SERVER_CORE: usize = 0;

/// The core of the load generator.
pub(crate) const LOAD_CORE: usize = 1;

/// Runs `work` on a new thread that is bound to one core, with the threads and processes that it
/// starts; on a machine without that core it runs on any.
pub(crate) fn on_core<T: Send>(core: usize, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    std::thread::scope(|scope| {
        let thread = scope.spawn(move || {
            stay_on(core)?;
            work()
        });
        thread.join().map_err(|_| anyhow!("a thread of the bench panicked"))?
    })
}

/// Binds the calling thread to one core, if the machine has it.
pub(crate) fn stay_on(core: usize) -> Result<()> {
    if std::thread::available_parallelism()?.get() <= core {
        return Ok(());
    }
    let mut set = CpuSet::new();
    set.set(core).context("name a core")?;
    sched_setaffinity(Pid::from_raw(0), &set).context("keep a thread on a core")
}

/// A process or thread whose processor time can be read.
#[derive(Debug, Clone, Copy)]
pub(crate) enum CpuWorker {
    /// A process with all its threads.
    Process(u32),
    /// A thread of this process.
    Thread(Pid),
}

impl CpuWorker {
    /// Returns the calling thread.
    pub(crate) fn this_thread() -> Self {
        Self::Thread(gettid())
    }

    /// Returns the processor time of the threads that still run.
    pub(crate) fn cpu(self) -> Result<Duration> {
        match self {
            Self::Thread(id) => cpu_of(&format!("/proc/self/task/{id}")),
            Self::Process(id) => {
                let threads =
                    fs::read_dir(format!("/proc/{id}/task")).context("list the server's threads")?;
                // A thread that ended meanwhile has no file any more, and used little time.
                Ok(threads.flatten().filter_map(|thread| cpu_of(&thread.path().to_string_lossy()).ok()).sum())
            }
        }
    }
}

fn cpu_of(task: &str) -> Result<Duration> {
    let text = fs::read_to_string(format!("{task}/schedstat")).context("read a thread's processor time")?;
    let nanos = text.split_whitespace().next().context("a thread has a processor time")?;
    Ok(Duration::from_nanos(nanos.parse()?))
}

/// Returns the resident memory of a process, in bytes.
pub(crate) fn resident(process: u32) -> Result<u64> {
    let text = fs::read_to_string(format!("/proc/{process}/status")).context("read a process's memory")?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("a process has memory")?;
    let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kilobytes << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_that_spins_is_seen_in_its_processor_time() {
        let used = on_core(SERVER_CORE, || {
            let (worker, mut sum) = (CpuWorker::this_thread(), 0_u64);
            let enough = worker.cpu()? + Duration::from_millis(2);
            while worker.cpu()? < enough {
                sum = std::hint::black_box(sum + 1);
            }
            CpuWorker::Process(std::process::id()).cpu()
        });
        assert!(used.unwrap() >= Duration::from_millis(2));
    }

    #[test]
    fn a_process_has_resident_memory() {
        assert!(resident(std::process::id()).unwrap() > 1 << 20);
    }
}
