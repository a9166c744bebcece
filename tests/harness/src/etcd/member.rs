//! One etcd node: its process, its addresses, its log.

use std::{
    fs::{self, File},
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
};

use anyhow::{Context, Result};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::options::EtcdOptions;
use crate::{certificates::TlsFiles, freeze::freeze, link::FaultyLink};

/// One node; dropping it kills its process.
#[derive(Debug)]
pub(super) struct EtcdNode {
    pub(super) client_url: String,
    /// The address of the node for its peers.
    pub(super) peer_url: String,
    /// The data directory of the node.
    pub(super) data: PathBuf,
    binary: PathBuf,
    arguments: Vec<String>,
    log: PathBuf,
    /// The seconds by which its wall clock differs, for a program that was built for it.
    clock_offset: Option<i64>,
    child: Option<Child>,
}

/// Returns the nodes of a cluster, with the arguments of each.
pub(super) fn plan(
    options: &EtcdOptions,
    directory: &Path,
    tls: Option<&TlsFiles>,
    binary: &Path,
) -> Result<(Vec<EtcdNode>, Vec<FaultyLink>)> {
    let ports = free_ports(2 * options.members)?;
    let linked = if options.peer_links { &ports[..options.members] } else { &[] };
    let links: Vec<FaultyLink> = linked
        .iter()
        .map(|port| FaultyLink::start(SocketAddr::from(([127, 0, 0, 1], *port))))
        .collect::<Result<_>>()?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    let listens: Vec<String> =
        ports[..options.members].iter().map(|port| format!("http://127.0.0.1:{port}")).collect();
    let peers: Vec<String> = if links.is_empty() {
        listens.clone()
    } else {
        links.iter().map(|link| format!("http://{}", link.address())).collect()
    };
    let all: Vec<String> = peers.iter().enumerate().map(|(index, url)| format!("m{index}={url}")).collect();
    let member = |index: usize| {
        let client_url = format!("{scheme}://127.0.0.1:{}", ports[options.members + index]);
        let data = directory.join(format!("m{index}"));
        let mut arguments = vec![
            format!("--name=m{index}"),
            format!("--data-dir={}", data.display()),
            format!("--listen-client-urls={client_url}"),
            format!("--advertise-client-urls={client_url}"),
            format!("--listen-peer-urls={}", listens[index]),
            format!("--initial-advertise-peer-urls={}", peers[index]),
            format!("--initial-cluster={}", all.join(",")),
            "--initial-cluster-state=new".into(),
            "--logger=zap".into(),
            "--log-outputs=stderr".into(),
        ];
        if let Some(files) = tls {
            arguments.push(format!("--cert-file={}", files.server_cert.display()));
            arguments.push(format!("--key-file={}", files.server_key.display()));
            arguments.push(format!("--trusted-ca-file={}", files.ca.display()));
            arguments.push("--client-cert-auth".into());
        }
        arguments.extend(options.flags.iter().cloned());
        EtcdNode {
            client_url,
            peer_url: peers[index].clone(),
            data,
            binary: binary.to_owned(),
            arguments,
            log: directory.join(format!("m{index}.log")),
            clock_offset: None,
            child: None,
        }
    };
    let nodes = (0..options.members).map(member).collect();
    Ok((nodes, links))
}

/// Returns ports that were free a moment ago. All are held until all are known, so that they
/// differ.
fn free_ports(count: usize) -> Result<Vec<u16>> {
    let held: Vec<TcpListener> =
        (0..count).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<_, _>>()?;
    held.iter().map(|listener| Ok(listener.local_addr()?.port())).collect()
}

impl EtcdNode {
    pub(super) fn start(&mut self) -> Result<()> {
        let log = File::options().create(true).append(true).open(&self.log)?;
        let mut command = Command::new(&self.binary);
        // The environment of the machine could contain settings that change the test.
        for (key, _) in std::env::vars_os() {
            if key.to_string_lossy().starts_with("ETCD_") {
                command.env_remove(key);
            }
        }
        if let Some(seconds) = self.clock_offset {
            command.env("TEST_CLOCK_OFFSET", seconds.to_string());
        }
        let child = command
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("start {}", self.binary.display()))?;
        self.child = Some(child);
        Ok(())
    }

    /// Adds an argument for the next start.
    pub(super) fn add_argument(&mut self, argument: String) {
        self.arguments.push(argument);
    }

    pub(super) fn kill(&mut self) -> Result<()> {
        let mut child = self.child.take().context("the node does not run")?;
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// Ends the node as an init system does (SIGTERM), and waits for its end.
    pub(super) fn terminate(&mut self) -> Result<()> {
        self.signal(Signal::SIGTERM)?;
        self.child.take().context("the node does not run")?.wait()?;
        Ok(())
    }

    /// Sets the program for the next start.
    pub(super) fn set_binary(&mut self, binary: &Path) {
        binary.clone_into(&mut self.binary);
    }

    /// Sets the difference of the wall clock from that of the machine, in seconds, for the next start.
    pub(super) fn set_clock_offset(&mut self, seconds: i64) {
        self.clock_offset = Some(seconds);
    }

    /// Returns the name of the node in its cluster.
    pub(super) fn name(&self) -> Result<&str> {
        let file = self.data.file_name().context("a folder of the node")?;
        file.to_str().context("a name in ASCII")
    }

    pub(super) fn freeze(&self) -> Result<()> {
        freeze(self.pid()?)
    }

    pub(super) fn thaw(&self) -> Result<()> {
        self.signal(Signal::SIGCONT)
    }

    pub(super) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.as_mut().context("the node does not run")?.try_wait()?)
    }

    /// Returns the end of the node's output.
    pub(super) fn log(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        kill(self.pid()?, signal)?;
        Ok(())
    }

    pub(super) fn pid(&self) -> Result<Pid> {
        let child = self.child.as_ref().context("the node does not run")?;
        Ok(Pid::from_raw(i32::try_from(child.id())?))
    }
}

impl Drop for EtcdNode {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Both calls fail only if the process has ended, which is the goal.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
