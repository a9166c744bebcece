//! Reads the Redis of a live Scalelite. The only commands are SMEMBERS, ZRANGE and HGETALL, so that a migration
//! cannot change Scalelite.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use futures::{StreamExt, TryStreamExt, stream};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ErrorKind, FromRedisValue, IntoConnectionInfo, RedisError,
    ServerErrorKind, aio::MultiplexedConnection,
};
use usher_bbb::secret::Secret;

use crate::{
    core::scalelite::{HashFields, RedisHash, ScaleliteKeys},
    exit::CommandFailure,
};

/// The number of commands that are in flight at the same time.
const AT_ONCE: usize = 64;
/// The longest time that a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The forms of a URL, for error texts.
const FORMS: &str = "write it as redis://[USER:PASSWORD@]HOST:PORT/DB, rediss://… for TLS, or \
                     unix:///PATH?db=DB&user=USER&pass=PASSWORD; a password's characters other than letters and \
                     digits as %XX";

/// A connection to the Redis of a Scalelite.
pub struct ScaleliteRedis {
    connection: MultiplexedConnection,
    /// The address without credentials, for error texts.
    address: String,
    /// The text before every key of Scalelite: empty, or the namespace with a colon.
    prefix: String,
}

impl ScaleliteRedis {
    /// Connects to the Redis at `url`, where Scalelite's keys are in `namespace`.
    ///
    /// # Errors
    /// The URL is malformed, Redis does not answer, or the user and password are not accepted. No error quotes the
    /// URL, because it may hold a password.
    pub async fn connect(url: &Secret, namespace: &str, timeout: Duration) -> Result<Self, CommandFailure> {
        let malformed = |error: RedisError| {
            let why = error.detail().map_or_else(|| error.category().to_owned(), str::to_owned);
            CommandFailure::Usage(format!("--redis: {why}; {FORMS}"))
        };
        let info = url.expose().trim().into_connection_info().map_err(malformed)?;
        let address = info.addr().to_string();
        // The client would name its library with a command that a restricted user may not run.
        let credentials = info.redis_settings().clone().set_skip_set_lib_name();
        let client = Client::open(info.set_redis_settings(credentials)).map_err(malformed)?;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT.min(timeout)))
            .set_response_timeout(Some(timeout));
        let connection = client.get_multiplexed_async_connection_with_config(&config).await;
        let connection = connection.map_err(|error| failure(&address, "", &error))?;
        let prefix = if namespace.is_empty() { String::new() } else { format!("{namespace}:") };
        Ok(Self { connection, address, prefix })
    }

    /// Reads all keys of Scalelite. The read is no snapshot: a key that appears or disappears meanwhile may be in the
    /// result or not.
    ///
    /// # Errors
    /// Redis does not answer, does not allow it, or holds no Scalelite.
    pub async fn read(&self) -> Result<ScaleliteKeys, CommandFailure> {
        let servers: BTreeSet<String> = self.set("servers").await?;
        if servers.is_empty() {
            return Err(CommandFailure::Refused(format!(
                "redis at {}: there is no `{}servers`, so this is no Scalelite with a server; the URL selects the database, \
                 --namespace (REDIS_NAMESPACE) the namespace",
                self.address, self.prefix
            )));
        }
        let tenants = self.set("tenants").await?;
        let tenants = self.entries("tenant:", tenants).await?;
        let names = tenants.values().filter_map(|entry| match entry {
            RedisHash::Fields(fields) => fields.get("name").cloned(),
            RedisHash::Missing | RedisHash::Unreadable => None,
        });
        let tenant_names = self.entries("tenant_name:", names.collect()).await?;
        let mut settings = BTreeMap::new();
        for id in tenants.keys() {
            let ids = self.set(&format!("tenant_settings:{id}")).await?;
            settings.insert(id.clone(), self.entries("tenant_setting:", ids).await?);
        }
        Ok(ScaleliteKeys {
            prefix: self.prefix.clone(),
            servers: self.entries("server:", servers).await?,
            enabled: self.set("server_enabled").await?,
            cordoned: self.sorted_set("cordoned_server_load").await?,
            tenants,
            tenant_names: tenant_names.into_iter().filter_map(index).collect(),
            settings,
            meetings: self.entries("meeting:", self.set("meetings").await?).await?,
        })
    }

    async fn set(&self, key: &str) -> Result<BTreeSet<String>, CommandFailure> {
        self.members(key, &redis::cmd("SMEMBERS").arg(self.name(key)).to_owned()).await
    }

    async fn sorted_set(&self, key: &str) -> Result<BTreeSet<String>, CommandFailure> {
        self.members(key, &redis::cmd("ZRANGE").arg(self.name(key)).arg(0).arg(-1).to_owned()).await
    }

    async fn members(&self, key: &str, command: &Cmd) -> Result<BTreeSet<String>, CommandFailure> {
        let members: Vec<Vec<u8>> =
            self.query(command).await.map_err(|error| failure(&self.address, &self.name(key), &error))?;
        let text = |bytes| {
            let problem = "has a member that is not UTF-8 text";
            String::from_utf8(bytes).map_err(|_| {
                CommandFailure::Refused(format!("redis at {}: `{}` {problem}", self.address, self.name(key)))
            })
        };
        members.into_iter().map(text).collect()
    }

    /// Reads the hash of each id; its key is `kind` and the id.
    async fn entries(
        &self,
        kind: &str,
        ids: BTreeSet<String>,
    ) -> Result<BTreeMap<String, RedisHash>, CommandFailure> {
        let entries = stream::iter(ids).map(|id| async move {
            let entry = self.entry(&format!("{kind}{id}")).await?;
            Ok::<_, CommandFailure>((id, entry))
        });
        entries.buffer_unordered(AT_ONCE).try_collect().await
    }

    async fn entry(&self, key: &str) -> Result<RedisHash, CommandFailure> {
        let command = redis::cmd("HGETALL").arg(self.name(key)).to_owned();
        let fields: HashMap<Vec<u8>, Vec<u8>> = match self.query(&command).await {
            Ok(fields) => fields,
            Err(error) if is_of_another_type(&error) => return Ok(RedisHash::Unreadable),
            Err(error) => return Err(failure(&self.address, &self.name(key), &error)),
        };
        if fields.is_empty() {
            return Ok(RedisHash::Missing);
        }
        let text = |(name, value)| Some((String::from_utf8(name).ok()?, String::from_utf8(value).ok()?));
        let fields: Option<HashFields> = fields.into_iter().map(text).collect();
        Ok(fields.map_or(RedisHash::Unreadable, RedisHash::Fields))
    }

    async fn query<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, RedisError> {
        command.query_async(&mut self.connection.clone()).await
    }

    fn name(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }
}

/// Returns a name and the `id` of its hash `tenant_name:NAME`.
fn index((name, entry): (String, RedisHash)) -> Option<(String, String)> {
    match entry {
        RedisHash::Fields(mut fields) => Some((name, fields.remove("id")?)),
        RedisHash::Missing | RedisHash::Unreadable => None,
    }
}

fn is_of_another_type(error: &RedisError) -> bool {
    error.code() == Some("WRONGTYPE")
}

/// Returns the failure for an error of Redis, with the key. The text of Redis about a wrong password is not
/// quoted, because it may contain the user.
fn failure(address: &str, key: &str, error: &RedisError) -> CommandFailure {
    let at =
        if key.is_empty() { format!("redis at {address}") } else { format!("redis at {address}: `{key}`") };
    match (error.kind(), error.code()) {
        (ErrorKind::AuthenticationFailed, _) | (_, Some("WRONGPASS" | "NOAUTH")) => {
            CommandFailure::Denied(format!(
                "{at}: user and password are missing or not accepted; give them in the URL (--redis or REDIS_URL)"
            ))
        }
        (ErrorKind::Server(ServerErrorKind::NoPerm), _) | (_, Some("NOPERM")) => {
            CommandFailure::Denied(format!(
                "{at}: the user may not read it; it needs `+smembers +zrange +hgetall` on Scalelite's keys (and +select where \
             the database is not 0)"
            ))
        }
        (_, Some("WRONGTYPE")) => CommandFailure::Refused(format!(
            "{at} is of another type than Scalelite's; the URL selects the database, --namespace (REDIS_NAMESPACE) the \
             namespace"
        )),
        (ErrorKind::Io, _) if error.is_timeout() => {
            CommandFailure::Unavailable(format!("{at}: no answer in time (--timeout)"))
        }
        (ErrorKind::Io, _) => CommandFailure::Unavailable(format!("{at}: {error}")),
        _ => CommandFailure::Refused(format!("{at}: {}", error.category())),
    }
}
