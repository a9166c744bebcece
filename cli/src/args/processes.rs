//! Arguments of the commands that run programs in this process: `standalone`, `demo`, `bbb-sim`.

use std::{net::SocketAddr, path::PathBuf};

use clap::Args;
use usher_bbb::secret::Secret;
use usher_bbb_sim::BbbVersion;
use usher_runtime::config::CommandLineFlag;

use super::values::{bbb_version, secret};

/// The arguments of `usher standalone`. A setting without a flag comes from the environment, the file or
/// the defaults (style P13).
#[derive(Debug, Clone, Args)]
pub struct StandaloneArgs {
    /// Address of the BBB API [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<String>,
    /// Address of the control port [default: 127.0.0.1:9090]
    #[arg(long, value_name = "ADDR")]
    pub control: Option<String>,
    /// Address of /live, /ready and /metrics [default: 127.0.0.1:9091]
    #[arg(long, value_name = "ADDR")]
    pub ops: Option<String>,
    /// Directory of the store; without it the store is in memory and ends with the process
    #[arg(long, value_name = "DIR")]
    pub data: Option<String>,
    /// Secret with which applications sign their calls; may be repeated
    #[arg(long = "secret", value_name = "SECRET", value_parser = secret)]
    pub secrets: Vec<Secret>,
    /// List of servers to add at the start (Scalelite's YAML); - is standard input
    #[arg(long, value_name = "FILE")]
    pub servers: Option<PathBuf>,
    /// Path of the configuration file
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Write the effective configuration to standard output and exit
    #[arg(long)]
    pub print_config: bool,
}

impl StandaloneArgs {
    /// Returns the flags that were given, each with the setting that it overrides.
    pub fn flags(&self) -> Vec<CommandLineFlag> {
        let single = [
            ("--listen", "listen", &self.listen),
            ("--control", "control", &self.control),
            ("--ops", "ops", &self.ops),
            ("--data", "data", &self.data),
        ];
        let given = |(name, key, value): (_, _, &Option<String>)| {
            value.as_ref().map(|value| CommandLineFlag { name, key, values: vec![value.clone()] })
        };
        let mut flags: Vec<CommandLineFlag> = single.into_iter().filter_map(given).collect();
        if !self.secrets.is_empty() {
            let values = self.secrets.iter().map(|secret| secret.expose().to_owned()).collect();
            flags.push(CommandLineFlag { name: "--secret", key: "secrets", values });
        }
        flags
    }
}

/// The arguments of `usher demo`.
#[derive(Debug, Clone, Args)]
pub struct DemoArgs {
    /// Number of simulated BigBlueButton servers
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=20))]
    pub servers: u8,
}

/// The arguments of `usher bbb-sim`.
#[derive(Debug, Clone, Args)]
pub struct BbbSimArgs {
    /// Address to listen on; port 0 takes any free port
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8090")]
    pub listen: SocketAddr,
    /// Shared secret of the simulated server
    #[arg(long, value_parser = secret)]
    pub secret: Secret,
    /// Name that the page of a joined session shows
    #[arg(long)]
    pub name: Option<String>,
    /// Version of BigBlueButton that it imitates: 2.4, 2.5, 2.6, 2.7 or 3.0
    #[arg(long, value_name = "VERSION", default_value = "3.0", value_parser = bbb_version)]
    pub bbb_version: BbbVersion,
    /// Users are present as soon as they have joined, and not once their client has connected
    #[arg(long)]
    pub clients_connect_at_once: bool,
    /// Fault of the simulated server from its start; may be repeated: refuse, hang-on-accept, hang, slow, lost-answer, 500, html,
    /// cut-xml, empty-body, checksum-error, frozen-list, empty-list, trickle, no-hooks
    #[arg(long = "fault", value_name = "KIND[,call=NAME][,count=N][,for=5s][,delay=2s]")]
    pub faults: Vec<String>,
}
