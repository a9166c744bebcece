//! The metrics and the resource use of a running program.

use std::{fs, path::Path};

use anyhow::{Context, Result};

use crate::{client::BbbTestClient, process::RunningProgram};

/// Reads one metric of a program, summed over its labels. `name` may continue into the labels, as
/// in `usher_alarm{name="suspect_self"`. A metric that is absent is 0.
///
/// # Errors
/// The program does not answer.
pub async fn metric(of: &RunningProgram, name: &str) -> Result<f64> {
    let address = of.address("ops");
    let answer = BbbTestClient::new(address, "").fetch(&format!("http://{address}/metrics")).await?;
    let lines = answer.body.lines().filter(|line| line.starts_with(name));
    Ok(lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum())
}

/// The resources that a process holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessHoldings {
    /// Resident memory, in KiB.
    pub resident_kib: u64,
    /// The number of open files, sockets included.
    pub files: usize,
    /// The number of threads.
    pub threads: u64,
}

/// Returns whether this system reports the resources of a process.
pub fn is_supported() -> bool {
    Path::new("/proc/self/status").is_file()
}

/// Reads the resources that a program holds now.
///
/// # Errors
/// The program has ended, or the system does not report them.
pub fn holdings(of: &RunningProgram) -> Result<ProcessHoldings> {
    let pid = of.pid();
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse().ok()
    };
    Ok(ProcessHoldings {
        resident_kib: field("VmRSS:").context("VmRSS")?,
        threads: field("Threads:").context("Threads")?,
        files: fs::read_dir(format!("/proc/{pid}/fd"))?.count(),
    })
}
