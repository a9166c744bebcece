//! What a running program costs and what it says of itself.

use std::{fs, path::Path};

use anyhow::{Context, Result};

use crate::{client::BbbClient, process::Process};

/// Reads one figure of a program's metrics, summed over its labels. `name` may go on into the labels,
/// as in `usher_alarm{name="suspect_self"`; a figure that is not there is 0.
///
/// # Errors
/// The program does not answer.
pub async fn metric(of: &Process, name: &str) -> Result<f64> {
    let address = of.address("ops");
    let answer = BbbClient::new(address, "").fetch(&format!("http://{address}/metrics")).await?;
    let lines = answer.body.lines().filter(|line| line.starts_with(name));
    Ok(lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum())
}

/// What a process holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holdings {
    /// Resident memory, KiB.
    pub resident_kib: u64,
    /// Open files, sockets among them.
    pub files: usize,
    /// Threads.
    pub threads: u64,
}

/// Tells whether this system says what a process holds.
pub fn can_be_told() -> bool {
    Path::new("/proc/self/status").is_file()
}

/// Looks at what a program holds now.
///
/// # Errors
/// It does not run, or the system does not say.
pub fn holdings(of: &Process) -> Result<Holdings> {
    let pid = of.pid();
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse().ok()
    };
    Ok(Holdings {
        resident_kib: field("VmRSS:").context("VmRSS")?,
        threads: field("Threads:").context("Threads")?,
        files: fs::read_dir(format!("/proc/{pid}/fd"))?.count(),
    })
}
