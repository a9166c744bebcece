//! The life of a server program: read the settings, start, print the ready line, wait for a signal or the end of a
//! part, stop in order before a deadline (style P14, P16). A program supplies its own part as a [`ProgramService`].

use std::{future::Future, path::PathBuf, process::ExitCode, time::Duration};

use anyhow::Context as _;

use super::{
    config::{self, CommandLineFlag, SettingSource},
    descriptors,
    ops::{OpsHandle, OpsServer},
    signals::StopSignals,
    tasks::TaskGroup,
    telemetry,
};
use usher_model::settings::Settings;

/// The longest time that the remaining tasks may take to end after the service.
const LAST_TASKS: Duration = Duration::from_secs(10);

/// The arguments of a program.
#[derive(Debug)]
pub struct ProgramLaunch {
    /// Name of the program, such as `usher-edge-proxy`.
    pub name: &'static str,
    /// Defaults of the program.
    pub base: Settings,
    /// Path of the configuration file.
    pub config: Option<PathBuf>,
    /// Settings on the command line.
    pub flags: Vec<CommandLineFlag>,
    /// Whether the program prints the effective settings and exits.
    pub print_config: bool,
}

/// The running service of a program.
pub trait ProgramService {
    /// Returns the addresses for the ready line, such as `listen=127.0.0.1:8080`.
    fn addresses(&self) -> String;

    /// Waits until the service can serve requests.
    fn until_ready(&self) -> impl Future<Output = ()>;

    /// Stops listeners and streams. The caller stops the remaining tasks afterwards.
    fn stop(&self) -> impl Future<Output = ()>;
}

/// Runs a program to its end: the service that `start` returns serves until a signal arrives or one of its tasks
/// ends. The exit code is 2 for a failure that a restart cannot repair, such as wrong settings.
pub fn run<S: ProgramService>(
    launch: ProgramLaunch,
    start: impl AsyncFnOnce(&Settings, &OpsHandle, &TaskGroup) -> anyhow::Result<S>,
) -> ExitCode {
    let name = launch.name;
    match try_run(launch, start) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{name}: {error:#}");
            if error.is::<config::ConfigFaults>() { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}

fn try_run<S: ProgramService>(
    launch: ProgramLaunch,
    start: impl AsyncFnOnce(&Settings, &OpsHandle, &TaskGroup) -> anyhow::Result<S>,
) -> anyhow::Result<()> {
    let ProgramLaunch { name, base, config, flags, print_config } = launch;
    let mut source = SettingSource::read(base, config.as_deref(), flags)?;
    source.masked = print_config;
    let (settings, warnings) = config::load(&source)?;
    if print_config {
        print!("{}", config::print(&settings));
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let telemetry = telemetry::init(&settings.telemetry, name);
        for warning in warnings {
            tracing::warn!("{warning}");
        }
        descriptors::raise_limit();
        let served = serve(&settings, start).await;
        telemetry.shutdown().await;
        served
    })
}

async fn serve<S: ProgramService>(
    settings: &Settings,
    start: impl AsyncFnOnce(&Settings, &OpsHandle, &TaskGroup) -> anyhow::Result<S>,
) -> anyhow::Result<()> {
    let (tasks, ops) = (TaskGroup::new(), OpsHandle::new());
    let service = start(settings, &ops, &tasks).await?;
    let ops_server = OpsServer::start(&ops, settings.addresses.ops, &tasks).await.context("bind ops")?;
    let ready = async {
        service.until_ready().await;
        println!("ready {} ops={}", service.addresses(), ops_server.addr());
        std::future::pending::<()>().await;
    };
    let mut signals = StopSignals::listen()?;
    let stopping = tasks.stopping();
    tokio::select! {
        () = signals.next() => {}
        () = ready => {}
        () = stopping.cancelled() => {
            tasks.shutdown().await;
            anyhow::bail!("a part of the program has ended; see the log");
        }
    }
    tracing::info!("stopping; a second signal stops at once");
    let stopped = async {
        ops.begin_shutdown();
        service.stop().await;
        tokio::time::timeout(LAST_TASKS, tasks.shutdown()).await.is_ok()
    };
    anyhow::ensure!(signals.or(stopped).await?, "some tasks did not end in time");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Idle;

    impl ProgramService for Idle {
        fn addresses(&self) -> String {
            "nowhere".into()
        }

        async fn until_ready(&self) {
            std::future::pending::<()>().await;
        }

        async fn stop(&self) {}
    }

    fn settings() -> Settings {
        let mut settings = Settings::default();
        settings.addresses.ops.set_port(0);
        settings
    }

    #[tokio::test]
    async fn a_part_that_ends_by_itself_ends_the_program() {
        let ended = serve(&settings(), async |_, _, tasks| {
            tasks.spawn("a part", async |_| Ok(()));
            Ok(Idle)
        })
        .await;
        assert!(ended.expect_err("is an end").to_string().contains("a part of the program has ended"));
    }

    #[tokio::test]
    async fn a_failed_start_ends_the_program_with_its_reason() {
        let ended = serve(&settings(), async |_, _, _| Err::<Idle, _>(anyhow::anyhow!("no room"))).await;
        assert_eq!(ended.expect_err("is an end").to_string(), "no room");
    }
}
