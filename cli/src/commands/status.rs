//! `usher status`: the fleet on one page, and why a server is not well.

use std::{io::IsTerminal, time::Duration};

use serde::Serialize;
use usher_proto::v1;

use super::servers::ServerRow;
use crate::{
    admin_client::AdminClient,
    args::GlobalOptions,
    exit::CommandFailure,
    printer::{OutputPrinter, ago, clean, table},
};

/// Callbacks that have waited for this long are not just passing through, seconds.
const PILED_UP_SECONDS: i64 = 10;

#[derive(Serialize)]
struct StatusReport {
    replica: String,
    leader: String,
    leading: bool,
    version: String,
    uptime_seconds: i64,
    epoch: u64,
    revision: u64,
    digest: String,
    meetings: u32,
    users: u32,
    zombies: u32,
    edges: u32,
    deliveries: u32,
    oldest_delivery_seconds: i64,
    hooks: u32,
    hook_events: u32,
    /// Null where the replica that answered does not know: the one that leads does.
    servers_without_hooks: Option<u32>,
    /// Null before the store was looked at.
    store_bytes: Option<u64>,
    store_in_use_bytes: Option<u64>,
    /// Null where it is not known.
    store_quota_bytes: Option<u64>,
    /// Null where the replica that answered did not have the store forget old history.
    store_compacted_seconds: Option<i64>,
    servers_online: u32,
    servers_unhealthy: u32,
    servers_offline: u32,
    servers_cordoned: u32,
    servers_disabled: u32,
    placement_imbalance: f64,
    alarms: Vec<AlarmReport>,
    servers: Vec<ServerRow>,
    #[serde(skip)]
    oldest_delivery: String,
    #[serde(skip)]
    uptime: String,
}

#[derive(Serialize)]
struct AlarmReport {
    name: String,
    detail: String,
}

impl StatusReport {
    fn new(status: v1::GetStatusResponse, servers: Vec<v1::Server>) -> Self {
        let revision = status.revision.unwrap_or_default();
        let alarms =
            status.alarms.into_iter().map(|alarm| AlarmReport { name: alarm.name, detail: alarm.detail });
        Self {
            uptime: ago(status.uptime.as_ref()),
            uptime_seconds: status.uptime.map_or(0, |time| time.seconds),
            epoch: revision.epoch,
            revision: revision.seq,
            // As hexadecimal text: programs that read JSON numbers as floats would lose digits.
            digest: format!("{:016x}", status.digest),
            alarms: alarms.collect(),
            servers: servers.into_iter().map(ServerRow::from).collect(),
            replica: status.replica,
            leader: status.leader,
            leading: status.leading,
            version: status.version,
            meetings: status.meetings,
            users: status.users,
            zombies: status.zombies,
            edges: status.edges,
            deliveries: status.deliveries,
            oldest_delivery_seconds: status.oldest_delivery.as_ref().map_or(0, |age| age.seconds),
            oldest_delivery: ago(status.oldest_delivery.as_ref()),
            hooks: status.hooks,
            hook_events: status.hook_events,
            servers_without_hooks: status.servers_without_hooks,
            store_bytes: status.store_bytes,
            store_in_use_bytes: status.store_in_use_bytes,
            store_quota_bytes: status.store_quota_bytes,
            store_compacted_seconds: status.store_compacted.as_ref().map(|age| age.seconds),
            servers_online: status.servers_online,
            servers_unhealthy: status.servers_unhealthy,
            servers_offline: status.servers_offline,
            servers_cordoned: status.servers_cordoned,
            servers_disabled: status.servers_disabled,
            placement_imbalance: status.placement_imbalance,
        }
    }

    fn text(&self) -> String {
        let leader = match self.leader.as_str() {
            _ if self.leading => "it leads".to_owned(),
            "" => "nobody leads".to_owned(),
            leader => format!("{} leads", clean(leader)),
        };
        let mut lines = vec![
            format!(
                "control plane  {}, {leader}, up {}, version {}",
                clean(&self.replica),
                self.uptime,
                self.version
            ),
            format!(
                "servers        {} online, {} unhealthy, {} offline, {} cordoned, {} disabled",
                self.servers_online,
                self.servers_unhealthy,
                self.servers_offline,
                self.servers_cordoned,
                self.servers_disabled
            ),
            format!("meetings       {} with {} users, {} zombies", self.meetings, self.users, self.zombies),
            format!("edges          {} connected to it, revision {}", self.edges, self.revision),
        ];
        lines.extend(self.store());
        // Every end of a meeting passes through: only what is left standing is worth a line.
        if self.oldest_delivery_seconds >= PILED_UP_SECONDS {
            lines.push(format!(
                "callbacks      {} wait, the oldest for {}: see usher deliveries list",
                self.deliveries, self.oldest_delivery
            ));
        }
        lines.extend(self.webhooks());
        lines.extend(
            self.alarms
                .iter()
                .map(|alarm| format!("ALARM          {}: {}", clean(&alarm.name), clean(&alarm.detail))),
        );
        if !self.servers.is_empty() {
            lines.extend([String::new(), table(&self.servers)]);
        }
        let unwell = self.servers.iter().filter(|server| !server.health_reason.is_empty());
        let mut reasons: Vec<String> =
            unwell.map(|server| format!("{}: {}", server.id, clean(&server.health_reason))).collect();
        let twice = self.servers.iter().filter(|server| !server.same_as.is_empty());
        reasons.extend(twice.map(|server| {
            let original = clean(&server.same_as);
            format!(
                "{}: the same server as {original}; it takes no meetings: remove one of the two",
                server.id
            )
        }));
        if !reasons.is_empty() {
            lines.push(String::new());
            lines.extend(reasons);
        }
        lines.join("\n")
    }

    /// Says what the store takes, where it takes anything.
    fn store(&self) -> Option<String> {
        let taken = self.store_bytes.filter(|bytes| *bytes > 0)?;
        let mut line = format!("store          {}", size(taken));
        if let Some(quota) = self.store_quota_bytes.filter(|quota| *quota > 0) {
            let percent = u128::from(taken) * 100 / u128::from(quota);
            line.push_str(&format!(" of {} ({percent} %)", size(quota)));
        }
        if let Some(in_use) = self.store_in_use_bytes.filter(|in_use| *in_use < taken) {
            line.push_str(&format!(", {} in use", size(in_use)));
        }
        if let Some(seconds) = self.store_compacted_seconds {
            line.push_str(&format!(", history compacted {seconds} s ago"));
        }
        Some(line)
    }

    /// Says how webhooks are, where anybody registered one.
    fn webhooks(&self) -> Option<String> {
        if self.hooks == 0 && self.hook_events == 0 {
            return None;
        }
        let servers = match self.servers_without_hooks {
            Some(0) => "no server lacks them".to_owned(),
            Some(1) => "1 server lacks them".to_owned(),
            Some(many) => format!("{many} servers lack them"),
            None if self.leading => "no server was looked at yet".to_owned(),
            None => "the replica that leads knows which servers lack them".to_owned(),
        };
        Some(format!("webhooks       {} registered, {servers}, {} events wait", self.hooks, self.hook_events))
    }
}

/// Writes a size for people.
fn size(bytes: u64) -> String {
    match bytes {
        0..1_048_576 => format!("{} KiB", bytes.div_ceil(1024)),
        _ => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}

/// Shows the fleet once, or again and again until a signal ends it: there is nothing to put in order.
pub(super) async fn run(
    global: &GlobalOptions,
    printer: &mut OutputPrinter,
    every: Option<Duration>,
) -> Result<(), CommandFailure> {
    let Some(every) = every else {
        let status = fetch(&AdminClient::connect(global).await?).await?;
        return printer.report(&status, || status.text());
    };
    let mut admin = None;
    loop {
        match look(global, &mut admin).await {
            Ok(status) => {
                // A terminal shows one page at a time; a file gets one after the other.
                let clear = if std::io::stdout().is_terminal() { "\x1b[2J\x1b[H" } else { "" };
                printer.report(&status, || format!("{clear}{}", status.text()))?;
            }
            // A control plane that is restarted comes back.
            Err(CommandFailure::Unavailable(why)) => {
                admin = None;
                printer.note(&why);
            }
            Err(failure) => return Err(failure),
        }
        tokio::time::sleep(every).await;
    }
}

async fn look(
    global: &GlobalOptions,
    admin: &mut Option<AdminClient>,
) -> Result<StatusReport, CommandFailure> {
    let connected = match admin.take() {
        Some(connected) => connected,
        None => AdminClient::connect(global).await?,
    };
    let status = fetch(&connected).await?;
    *admin = Some(connected);
    Ok(status)
}

async fn fetch(admin: &AdminClient) -> Result<StatusReport, CommandFailure> {
    let mut fleet = admin.fleet();
    let (status, servers) = tokio::join!(fleet.get_status(v1::GetStatusRequest {}), admin.all_servers());
    Ok(StatusReport::new(status?.into_inner(), servers?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f8_the_store_has_a_line_with_its_size_and_quota() {
        let line = |status| {
            let text = StatusReport::new(status, Vec::new()).text();
            text.lines().find_map(|line| line.strip_prefix("store          ").map(str::to_owned))
        };
        assert_eq!(line(v1::GetStatusResponse::default()), None);
        let on_disk =
            v1::GetStatusResponse { store_bytes: Some(1 << 20), ..v1::GetStatusResponse::default() };
        assert_eq!(line(on_disk.clone()).as_deref(), Some("1.0 MiB"));
        let etcd = v1::GetStatusResponse {
            store_in_use_bytes: Some(600 << 10),
            store_quota_bytes: Some(8 << 20),
            store_compacted: Some(prost_types::Duration { seconds: 90, nanos: 0 }),
            ..on_disk
        };
        let wanted = "1.0 MiB of 8.0 MiB (12 %), 600 KiB in use, history compacted 90 s ago";
        assert_eq!(line(etcd).as_deref(), Some(wanted));
    }

    #[test]
    fn registered_webhooks_have_a_line() {
        let line = |hooks, hook_events, servers_without_hooks| {
            let status = v1::GetStatusResponse {
                hooks,
                hook_events,
                servers_without_hooks,
                ..v1::GetStatusResponse::default()
            };
            let text = StatusReport::new(status, Vec::new()).text();
            text.lines().find_map(|line| line.strip_prefix("webhooks       ").map(str::to_owned))
        };
        assert_eq!(line(0, 0, Some(0)), None);
        assert_eq!(line(2, 0, Some(0)).as_deref(), Some("2 registered, no server lacks them, 0 events wait"));
        assert_eq!(line(2, 7, Some(1)).as_deref(), Some("2 registered, 1 server lacks them, 7 events wait"));
        assert_eq!(line(1, 0, Some(3)).as_deref(), Some("1 registered, 3 servers lack them, 0 events wait"));
        let elsewhere = "1 registered, the replica that leads knows which servers lack them, 0 events wait";
        assert_eq!(line(1, 0, None).as_deref(), Some(elsewhere));
        let leading = v1::GetStatusResponse { leading: true, hooks: 1, ..v1::GetStatusResponse::default() };
        let text = StatusReport::new(leading, Vec::new()).text();
        assert!(text.contains("1 registered, no server was looked at yet, 0 events wait"), "{text}");
        assert!(line(0, 4, Some(0)).is_some(), "what waits for hooks that are gone");
    }
}
