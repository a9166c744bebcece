//! The real edge program under load, on the server's core.

use std::net::SocketAddr;

use anyhow::Result;
use tokio::runtime::Builder;
use usher_harness::{
    process::{ProgramEnvironment, RunningProgram},
    programs::ProgramKind,
};

use crate::machine;

/// Starts the program on the server's core, with some settings; with one core it has one worker thread.
pub(crate) fn start(control_plane: SocketAddr, settings: &[(&str, &str)]) -> Result<RunningProgram> {
    let control_plane = format!("http://{control_plane}");
    let fixed = [
        ("USHER_LISTEN", "127.0.0.1:0"),
        ("USHER_OPS", "127.0.0.1:0"),
        ("USHER_EDGE__ID", "bench"),
        ("USHER_EDGE__CONTROL_PLANE", control_plane.as_str()),
    ];
    let settings: ProgramEnvironment =
        fixed.iter().chain(settings).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    machine::on_core(machine::SERVER_CORE, || {
        let start = RunningProgram::start("edge", ProgramKind::EdgeProxy, &[], &settings);
        Builder::new_current_thread()
            .enable_all()
            .build()?
            .block_on(start)
            .map(RunningProgram::without_output)
    })
}
