//! One running program: started on free ports, with its output read, and ended with its owner.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{freeze::freeze, programs::ProgramKind, wait};

/// The number of output lines that a failure shows.
const SHOWN: usize = 20;

/// Environment variables of a program, by name.
pub type ProgramEnvironment = BTreeMap<String, String>;

/// A program that runs until it is dropped.
#[derive(Debug)]
pub struct RunningProgram {
    name: String,
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    addresses: BTreeMap<String, SocketAddr>,
    errors_expected: bool,
    without_output: bool,
}

impl RunningProgram {
    /// Starts a program and waits until it reports that it is ready.
    ///
    /// # Errors
    /// When it cannot be started, ends, or is not ready in time; the error has its output.
    pub async fn start(
        name: &str,
        program: ProgramKind,
        arguments: &[&str],
        settings: &ProgramEnvironment,
    ) -> Result<Self> {
        let mut process = Self::spawn(name, program, arguments, settings)?;
        process.become_ready().await?;
        Ok(process)
    }

    /// Waits until a program that was only spawned reports that it is ready.
    ///
    /// # Errors
    /// When it ends, or is not ready in time; the error has its output.
    pub async fn become_ready(&mut self) -> Result<()> {
        self.addresses = self.ready().await?;
        Ok(())
    }

    /// Starts a program without waiting until it is ready.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn(
        name: &str,
        program: ProgramKind,
        arguments: &[&str],
        settings: &ProgramEnvironment,
    ) -> Result<Self> {
        let path = program.path()?;
        let mut command = Command::new(&path);
        // The environment of the machine could contain settings that change the test.
        for (key, _) in std::env::vars_os() {
            if key.to_string_lossy().starts_with("USHER_") {
                command.env_remove(key);
            }
        }
        let mut child = command
            .args(arguments)
            .envs(settings)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("start {}", path.display()))?;
        let lines = Arc::new(Mutex::new(Vec::new()));
        if let Some(output) = child.stdout.take() {
            read_lines(output, Arc::clone(&lines));
        }
        if let Some(output) = child.stderr.take() {
            read_lines(output, Arc::clone(&lines));
        }
        let (name, addresses) = (name.to_owned(), BTreeMap::new());
        Ok(Self { name, child, lines, addresses, errors_expected: false, without_output: false })
    }

    /// Allows the program to write ERROR lines; without this, such a line fails the test.
    #[must_use]
    pub fn expecting_errors(mut self) -> Self {
        self.errors_expected = true;
        self
    }

    /// Does not print the output of the program: for an owner that is not a test and whose own
    /// output is read.
    #[must_use]
    pub fn without_output(mut self) -> Self {
        self.without_output = true;
        self
    }

    /// Returns an address from the ready line: `listen`, `control` or `ops`.
    ///
    /// # Panics
    /// When the program has no address with this name.
    pub fn address(&self, name: &str) -> SocketAddr {
        let known = &self.addresses;
        *known.get(name).unwrap_or_else(|| panic!("{} has no address `{name}`: {known:?}", self.name))
    }

    /// Returns the process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns all lines that it has printed.
    pub fn output(&self) -> Vec<String> {
        self.lines().clone()
    }

    /// Kills it at once (SIGKILL), as a power failure does.
    ///
    /// # Errors
    /// When it had ended before.
    pub fn kill(&mut self) -> Result<()> {
        self.signal(Signal::SIGKILL)?;
        self.child.wait().context("wait for a killed process")?;
        Ok(())
    }

    /// Stops it without ending it (SIGSTOP): it keeps its sockets and does not answer.
    ///
    /// # Errors
    /// When it had ended before.
    pub fn freeze(&self) -> Result<()> {
        freeze(self.child_pid()?)
    }

    /// Continues it after [`RunningProgram::freeze`].
    ///
    /// # Errors
    /// When it had ended before.
    pub fn thaw(&self) -> Result<()> {
        self.signal(Signal::SIGCONT)
    }

    /// Requests its end as an init system does (SIGTERM), and waits for it.
    ///
    /// # Errors
    /// When it had ended before, or does not end in time.
    pub async fn terminate(&mut self) -> Result<ExitStatus> {
        self.signal(Signal::SIGTERM)?;
        self.ended().await
    }

    /// Waits until it has ended without a signal.
    ///
    /// # Errors
    /// When it does not end in time.
    pub async fn ended(&mut self) -> Result<ExitStatus> {
        let (name, child) = (&self.name, Mutex::new(&mut self.child));
        wait::until(&format!("the end of {name}"), || {
            let status = child.lock().unwrap_or_else(PoisonError::into_inner).try_wait();
            async move { status?.context("the program still runs") }
        })
        .await
    }

    async fn ready(&mut self) -> Result<BTreeMap<String, SocketAddr>> {
        let (name, lines, child) = (&self.name, &self.lines, Mutex::new(&mut self.child));
        wait::until_within(Duration::from_mins(1), &format!("{name} to be ready"), || {
            let printed = lines.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let ended = child.lock().unwrap_or_else(PoisonError::into_inner).try_wait();
            async move {
                if let Some(line) = printed.iter().find(|line| line.starts_with("ready")) {
                    return Ok(Ok(addresses(line)));
                }
                if let Some(status) = ended? {
                    return Ok(Err(anyhow::anyhow!("{name} ended, {status}:\n{}", printed.join("\n"))));
                }
                bail!("it printed no `ready` line, but:\n{}", printed.join("\n"))
            }
        })
        .await?
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        kill(self.child_pid()?, signal).with_context(|| format!("send {signal} to {}", self.name))
    }

    fn child_pid(&self) -> Result<Pid> {
        Ok(Pid::from_raw(i32::try_from(self.child.id())?))
    }

    fn lines(&self) -> MutexGuard<'_, Vec<String>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for RunningProgram {
    fn drop(&mut self) {
        // Both calls fail only if the process has ended, which is the goal.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let lines = self.lines().clone();
        // A test that returns an error cannot be recognized here; the runner hides the output of a
        // test that passes.
        if !self.without_output {
            let last = lines.len().saturating_sub(SHOWN);
            println!("--- {} printed, at the end:\n{}", self.name, lines[last..].join("\n"));
        }
        if !std::thread::panicking() && !self.errors_expected {
            let errors: Vec<_> = lines.iter().filter(|line| is_error(line)).collect();
            assert!(errors.is_empty(), "{} wrote unexpected errors: {errors:#?}", self.name);
        }
    }
}

fn is_error(line: &str) -> bool {
    line.contains(" ERROR ") || line.contains("panicked at")
}

/// Parses `ready listen=127.0.0.1:8080 control=…`.
fn addresses(line: &str) -> BTreeMap<String, SocketAddr> {
    let pairs = line.split_whitespace().filter_map(|word| word.split_once('='));
    pairs.filter_map(|(name, address)| Some((name.to_owned(), address.parse().ok()?))).collect()
}

fn read_lines(output: impl Read + Send + 'static, into: Arc<Mutex<Vec<String>>>) {
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            into.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        }
    });
}
