//! The traces of a live Scalelite: keys in its Redis, and meetings on servers.

use anyhow::{Context, Result, ensure};
use usher_bbb_sim::BbbSim;

use crate::{client::BbbTestClient, redis::RedisServer, servers::SERVER_SECRET};

/// A Scalelite as other programs see it. Ids of servers are hosts, as with `SERVER_ID_IS_HOSTNAME`,
/// or any text that a test selects.
#[derive(Debug)]
pub struct FakeScalelite {
    /// The Redis that holds its keys.
    pub redis: RedisServer,
    prefix: String,
}

/// A tenant of Scalelite.
#[derive(Debug, Clone, Copy)]
pub struct ScaleliteTenant<'a> {
    /// The id that Scalelite gave the tenant.
    pub id: &'a str,
    /// The name of the tenant, the first label of its host.
    pub name: &'a str,
    /// The secrets of the tenant, separated by `:`.
    pub secrets: &'a str,
}

impl FakeScalelite {
    /// Starts an empty Scalelite on a new Redis.
    ///
    /// # Errors
    /// When its Redis does not start.
    pub async fn start() -> Result<Self> {
        Ok(Self { redis: RedisServer::start().await?, prefix: "scalelite:".to_owned() })
    }

    /// Returns an empty Scalelite on this Redis.
    pub fn on(redis: RedisServer) -> Self {
        Self { redis, prefix: "scalelite:".to_owned() }
    }

    /// Runs a command on a key.
    ///
    /// # Errors
    /// When Redis refuses the command.
    pub async fn write(&self, command: &str, key: &str, words: &[&str]) -> Result<()> {
        let key = format!("{}{key}", self.prefix);
        let words: Vec<&str> = [command, &key].into_iter().chain(words.iter().copied()).collect();
        self.redis.command(&words).await.map(drop)
    }

    /// Adds a server with the keys that `rake servers:add`, `servers:enable` (cordon, disable) and
    /// a poll write.
    ///
    /// # Errors
    /// When Redis refuses a command.
    pub async fn add_server(&self, id: &str, sim: &BbbSim, state: &str, multiplier: &str) -> Result<()> {
        let key = format!("server:{id}");
        let url = sim.url();
        let fields =
            ["url", url.trim_end_matches('/'), "secret", SERVER_SECRET, "load_multiplier", multiplier];
        self.write("HSET", &key, &fields).await?;
        self.write("HSET", &key, &["state", state, "online", "true", "meetings", "1", "users", "2"]).await?;
        self.write("SADD", "servers", &[id]).await?;
        self.write("HSET", id, &["healthy_counter", "1"]).await?;
        match state {
            "enabled" => {
                self.write("SADD", "server_enabled", &[id]).await?;
                self.write("ZADD", "server_load", &["1.0", id]).await
            }
            "cordoned" => self.write("ZADD", "cordoned_server_load", &["1.0", id]).await,
            _ => Ok(()),
        }
    }

    /// Adds a tenant with the keys that `rake tenants:add` writes.
    ///
    /// # Errors
    /// When Redis refuses a command.
    pub async fn add_tenant(&self, tenant: ScaleliteTenant<'_>) -> Result<()> {
        let ScaleliteTenant { id, name, secrets } = tenant;
        self.write("HSET", &format!("tenant:{id}"), &["name", name, "secrets", secrets]).await?;
        self.write("HSET", &format!("tenant_name:{name}"), &["id", id]).await?;
        self.write("SADD", "tenants", &[id]).await
    }

    /// Adds a setting with the keys that `rake tenantSettings:add` writes.
    ///
    /// # Errors
    /// When Redis refuses a command.
    pub async fn add_setting(
        &self,
        tenant: &str,
        id: &str,
        param: &str,
        value: &str,
        overrides: bool,
    ) -> Result<()> {
        let overrides = if overrides { "true" } else { "false" };
        let fields = ["param", param, "value", value, "override", overrides, "tenant_id", tenant];
        self.write("HSET", &format!("tenant_setting:{id}"), &fields).await?;
        self.write("SADD", &format!("tenant_settings:{tenant}"), &[id]).await
    }

    /// Writes the record that a meeting is on a server, without creating the meeting.
    ///
    /// # Errors
    /// When Redis refuses a command.
    pub async fn map(&self, id: &str, server: &str, tenant: Option<&ScaleliteTenant<'_>>) -> Result<()> {
        let key = format!("meeting:{id}");
        let tenant = tenant.map_or("", |tenant| tenant.id);
        let fields =
            ["server_id", server, "moderator_pw", "mp", "voice_bridge", "123456789", "tenant_id", tenant];
        self.write("HSET", &key, &fields).await?;
        self.write("EXPIRE", &key, &["86400"]).await?;
        self.write("SADD", "meetings", &[id]).await
    }

    /// Creates a meeting on a server and writes its record; returns the internal id.
    ///
    /// # Errors
    /// When the server or Redis refuses.
    pub async fn create(
        &self,
        id: &str,
        (server, sim): (&str, &BbbSim),
        tenant: Option<&ScaleliteTenant<'_>>,
    ) -> Result<String> {
        self.map(id, server, tenant).await?;
        created_on(sim, id, tenant).await
    }
}

/// Creates a meeting on a server, as another balancer does; returns the internal id.
///
/// # Errors
/// When the server refuses the create.
pub async fn created_on(sim: &BbbSim, id: &str, tenant: Option<&ScaleliteTenant<'_>>) -> Result<String> {
    let meta = tenant.map_or_else(String::new, |tenant| {
        format!("&meta_tenant-id={}&meta_tenant-name={}", tenant.id, tenant.name)
    });
    let query = format!("name=Room&meetingID={id}&attendeePW=ap&moderatorPW=mp{meta}");
    let answer = BbbTestClient::new(sim.address(), SERVER_SECRET).get("create", &query).await?;
    ensure!(answer.is_success(), "create {id}: {} {}", answer.status, answer.body);
    Ok(answer.text("internalMeetingID").context("a create is answered with the internal id")?.to_owned())
}
