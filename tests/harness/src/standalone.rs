//! The program `usher standalone`: one process with the embedded store.

use std::path::Path;

use anyhow::Result;
use usher_bbb_sim::BbbSim;

use crate::{
    admin::TestAdmin,
    client::BbbTestClient,
    cluster::{SECRET, environment_name, quick_settings},
    process::{ProgramEnvironment, RunningProgram},
    programs::ProgramKind,
    servers,
};

/// A running `usher standalone` with its simulated servers.
#[derive(Debug)]
pub struct RunningStandalone {
    /// The process of the program.
    pub process: RunningProgram,
    /// The simulated servers; the one at index `n` has the id `bbb-n`.
    pub sims: Vec<BbbSim>,
    settings: ProgramEnvironment,
}

impl RunningStandalone {
    /// Starts a program with a store in memory, this number of servers, and these settings beside
    /// the quick ones.
    ///
    /// # Errors
    /// When it does not become ready.
    pub async fn start(servers: usize, settings: &[(&str, &str)]) -> Result<Self> {
        Self::start_on(None, servers, settings).await
    }

    /// Starts a program with a store in memory that trusts only this CA (PEM).
    ///
    /// # Errors
    /// When it does not become ready.
    pub async fn start_trusting(ca: &Path, servers: usize, settings: &[(&str, &str)]) -> Result<Self> {
        let mut environment = quick_settings();
        environment.insert("SSL_CERT_FILE".into(), ca.display().to_string());
        environment.insert("SSL_CERT_DIR".into(), String::new());
        Self::start_in(environment, None, servers, settings).await
    }

    /// Starts a program that keeps its data in this folder.
    ///
    /// # Errors
    /// When it does not become ready.
    pub async fn start_on(data: Option<&Path>, servers: usize, settings: &[(&str, &str)]) -> Result<Self> {
        Self::start_in(quick_settings(), data, servers, settings).await
    }

    async fn start_in(
        mut environment: ProgramEnvironment,
        data: Option<&Path>,
        servers: usize,
        settings: &[(&str, &str)],
    ) -> Result<Self> {
        let mut set = |key: &str, value: &str| environment.insert(environment_name(key), value.to_owned());
        set("secrets", SECRET);
        for address in ["listen", "control", "ops"] {
            set(address, "127.0.0.1:0");
        }
        if let Some(folder) = data {
            set("data", &folder.display().to_string());
        }
        for (key, value) in settings {
            set(key, value);
        }
        let process =
            RunningProgram::start("standalone", ProgramKind::Usher, &["standalone"], &environment).await?;
        let mut standalone = Self { process, sims: Vec::new(), settings: environment };
        for _ in 0..servers {
            standalone.sims.push(servers::start().await?);
        }
        servers::enable(&[standalone.admin()], &standalone.sims).await?;
        Ok(standalone)
    }

    /// Starts the program again after its end, with the same settings and data.
    ///
    /// # Errors
    /// When it does not become ready.
    pub async fn restart(&mut self) -> Result<()> {
        self.process =
            RunningProgram::start("standalone", ProgramKind::Usher, &["standalone"], &self.settings).await?;
        Ok(())
    }

    /// Sets an environment variable for the next start.
    pub fn set_environment(&mut self, name: &str, value: &str) {
        self.settings.insert(name.to_owned(), value.to_owned());
    }

    /// Returns a client of its BBB API.
    pub fn client(&self) -> BbbTestClient {
        BbbTestClient::new(self.process.address("listen"), SECRET)
    }

    /// Returns a client of its gRPC services.
    pub fn admin(&self) -> TestAdmin {
        TestAdmin::new(self.process.address("control"))
    }
}
