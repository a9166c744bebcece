//! A real Redis on a socket file or a free port, without persistence.
//!
//! The binary is `TEST_REDIS`, the `redis-server` on the PATH, or the one that `cargo xtask test`
//! downloaded.

use std::{
    env,
    fs::{self, File},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::{certificates::generate, wait};

/// A Redis server that runs until it is dropped.
#[derive(Debug)]
pub struct RedisServer {
    url: String,
    child: Child,
    log: PathBuf,
    // The last field: it is dropped after the process, which uses the directory.
    _directory: TempDir,
}

impl RedisServer {
    /// Starts a server on a socket file only, without a password.
    ///
    /// # Errors
    /// There is no Redis binary, or it does not answer in time.
    pub async fn start() -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let socket = directory.path().join("redis.sock");
        let arguments = ["--port".into(), "0".into(), "--unixsocket".into(), socket.display().to_string()];
        Self::run(directory, &arguments, format!("unix://{}", socket.display())).await
    }

    /// Starts a server on a free port of this machine that requires this password.
    ///
    /// # Errors
    /// There is no Redis binary, or it does not answer in time.
    pub async fn start_on_port(password: &str) -> Result<Self> {
        // Redis needs its port as an argument, and another process may take it before Redis binds
        // it.
        let mut failure = None;
        for _ in 0..3 {
            let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
            let arguments = ["--port", &port.to_string(), "--bind", "127.0.0.1", "--requirepass", password];
            let url = format!("redis://:{password}@127.0.0.1:{port}");
            match Self::run(tempfile::tempdir()?, &arguments.map(str::to_owned), url).await {
                Ok(redis) => return Ok(redis),
                Err(error) => failure = Some(error),
            }
        }
        Err(failure.context("never tried")?)
    }

    /// Starts a server with TLS on a free port; returns its address and the CA to trust.
    ///
    /// # Errors
    /// There is no Redis binary, or it does not answer in time.
    pub async fn start_encrypted() -> Result<(Self, String, PathBuf)> {
        let mut failure = None;
        for _ in 0..3 {
            let directory = tempfile::tempdir()?;
            let files = generate(directory.path())?;
            let socket = directory.path().join("redis.sock");
            let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
            let paths = [&socket, &files.server_cert, &files.server_key, &files.ca];
            let [socket, cert, key, ca] = paths.map(|path| path.display().to_string());
            let port = port.to_string();
            let arguments = [
                ["--port", "0"],
                ["--unixsocket", &socket],
                ["--tls-port", &port],
                ["--tls-cert-file", &cert],
                ["--tls-key-file", &key],
                ["--tls-ca-cert-file", &ca],
                ["--tls-auth-clients", "no"],
            ];
            let arguments = arguments.concat().into_iter().map(str::to_owned).collect::<Vec<_>>();
            match Self::run(directory, &arguments, format!("unix://{socket}")).await {
                Ok(redis) => return Ok((redis, format!("rediss://127.0.0.1:{port}"), files.ca)),
                Err(error) => failure = Some(error),
            }
        }
        Err(failure.context("never tried")?)
    }

    async fn run(directory: TempDir, arguments: &[String], url: String) -> Result<Self> {
        let log = directory.path().join("redis.log");
        let child = Command::new(binary()?)
            .args(["--save", "", "--appendonly", "no", "--dir"])
            .arg(directory.path())
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(File::create(&log)?)
            .stderr(Stdio::null())
            .spawn()
            .context("start redis-server")?;
        let mut redis = Self { url, child, log, _directory: directory };
        for _ in 0..20 {
            if let Some(status) = redis.child.try_wait()? {
                bail!("redis-server ended, {status}:\n{}", redis.log());
            }
            let answers =
                wait::until_within(std::time::Duration::from_secs(3), "an answer of Redis", || async {
                    redis.command(&["PING"]).await
                });
            if answers.await.is_ok() {
                return Ok(redis);
            }
        }
        bail!("redis-server does not answer:\n{}", redis.log())
    }

    /// Returns its URL, with the credentials of a user without restrictions.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Runs a command on a new connection.
    ///
    /// # Errors
    /// Redis refuses the command.
    pub async fn command(&self, words: &[&str]) -> Result<redis::Value> {
        let (name, arguments) = words.split_first().context("a command has a name")?;
        let mut connection =
            redis::Client::open(self.url.as_str())?.get_multiplexed_async_connection().await?;
        let answer = redis::cmd(name).arg(arguments).query_async(&mut connection).await;
        answer.with_context(|| format!("run {}", words.join(" ")))
    }

    /// Resets the counters of commands.
    ///
    /// # Errors
    /// Redis refuses the command.
    pub async fn forget_commands(&self) -> Result<()> {
        self.command(&["CONFIG", "RESETSTAT"]).await.map(drop)
    }

    /// Returns the commands since [`RedisServer::forget_commands`] in lower case, without the harness's
    /// own.
    ///
    /// # Errors
    /// Redis refuses the command.
    pub async fn commands(&self) -> Result<Vec<String>> {
        let redis::Value::BulkString(stats) = self.command(&["INFO", "commandstats"]).await? else {
            bail!("INFO did not answer a text")
        };
        let stats = String::from_utf8(stats)?;
        let names = stats.lines().filter_map(|line| line.strip_prefix("cmdstat_")?.split(':').next());
        // The commands of this harness's own connections.
        let own = ["config|resetstat", "info", "client|setinfo"];
        Ok(names.filter(|name| !own.contains(name)).map(str::to_owned).collect())
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        // Both calls fail only if the process has ended, which is the goal.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn binary() -> Result<PathBuf> {
    if let Some(named) = env::var_os("TEST_REDIS") {
        return Ok(named.into());
    }
    // The binary that `cargo xtask` unpacked also serves a plain `cargo test`.
    let brought = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools/redis");
    env::var_os("PATH")
        .iter()
        .flat_map(env::split_paths)
        .chain([brought])
        .map(|folder| folder.join("redis-server"))
        .find(|file| file.is_file())
        .context("no redis-server on the PATH; `cargo xtask test` brings one, or name it in TEST_REDIS")
}
