//! Cores and processor time: a server and its load must not share a core, or each affects the
//! other.

use std::{fs, time::Duration};

use anyhow::{Context, Result, anyhow};
use nix::{
    sched::{CpuSet, sched_setaffinity},
    sys::resource::{Resource, getrlimit, setrlimit},
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

/// Runs `work` on a new thread that may use every core but one, with the threads and processes that
/// it starts; on a machine with one core it uses that core.
pub(crate) fn beside_core<T: Send>(core: usize, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    std::thread::scope(|scope| {
        let thread = scope.spawn(move || {
            let cores = std::thread::available_parallelism()?.get();
            if cores > 1 {
                let mut set = CpuSet::new();
                for other in (0..cores).filter(|other| *other != core) {
                    set.set(other).context("name a core")?;
                }
                sched_setaffinity(Pid::from_raw(0), &set).context("keep a thread off a core")?;
            }
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
    memory_of(process, "VmRSS:")
}

/// Returns the largest resident memory of a process since [`forget_peak`], in bytes.
pub(crate) fn peak(process: u32) -> Result<u64> {
    memory_of(process, "VmHWM:")
}

/// Begins the measurement of the largest resident memory of a process anew.
pub(crate) fn forget_peak(process: u32) -> Result<()> {
    // 5 resets the peak (proc(5), `clear_refs`).
    fs::write(format!("/proc/{process}/clear_refs"), "5").context("reset a process's peak memory")
}

fn memory_of(process: u32, field: &str) -> Result<u64> {
    let text = fs::read_to_string(format!("/proc/{process}/status")).context("read a process's memory")?;
    let line = text.lines().find_map(|line| line.strip_prefix(field)).context("a process has memory")?;
    let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kilobytes << 10)
}

/// Sets the soft limit of open descriptors of this process and of the programs that it starts from
/// now on; `None` means the most that the hard limit allows.
pub(crate) fn limit_descriptors(limit: Option<u64>) -> Result<()> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).context("read the limit of descriptors")?;
    let limit = limit.map_or(most, |limit| limit.min(most));
    setrlimit(Resource::RLIMIT_NOFILE, limit, most).context("set the limit of descriptors")
}

/// Raises the hard limit of open descriptors to `least`, where this user may, and the soft limit to the hard
/// one, for this process and the programs that it starts from now on.
pub(crate) fn want_descriptors(least: u64) -> Result<()> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).context("read the limit of descriptors")?;
    if most < least && setrlimit(Resource::RLIMIT_NOFILE, least, least).is_ok() {
        return Ok(());
    }
    limit_descriptors(None)
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
        let process = std::process::id();
        assert!(resident(process).unwrap() > 1 << 20);
        forget_peak(process).unwrap();
        assert!(peak(process).unwrap() > 1 << 20);
    }
}
