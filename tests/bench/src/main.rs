//! `cargo xtask bench`: joins and creates per second, each beside what the machine can do at most,
//! measured in the same run. Only the ratios mean something on another machine.

mod bare;
mod creates;
mod joins;
mod load;
mod pin;
mod raw_etcd;
mod report;

use anyhow::Result;
use tokio::runtime::Builder;

fn main() -> Result<()> {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let mut report = report::Report::default();
    runtime.block_on(joins::measure(&mut report))?;
    runtime.block_on(creates::measure(&mut report))?;
    println!("{report}");
    Ok(())
}
