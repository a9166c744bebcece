//! Runs `usher status`: the fleet on one page, with the reason of each server that is not online.

use std::{collections::BTreeMap, io::IsTerminal, time::Duration};

use serde::Serialize;
use usher_proto::v1;

use super::servers::ServerRow;
use crate::{
    admin_client::AdminClient,
    args::GlobalOptions,
    exit::CommandFailure,
    printer::{OutputPrinter, ago, clean, table},
};

/// The age from which the oldest waiting callback is reported, seconds. Younger ones are being delivered.
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
    /// Refusals of these edges because of a limit, by limit.
    shed: BTreeMap<String, u64>,
    deliveries: u32,
    oldest_delivery_seconds: i64,
    hooks: u32,
    hook_events: u32,
    /// Null if the replica that answers is not the leader, because only the leader knows the number.
    servers_without_hooks: Option<u32>,
    /// Null before the size of the store was read.
    store_bytes: Option<u64>,
    store_in_use_bytes: Option<u64>,
    /// Null if the store reports no quota.
    store_quota_bytes: Option<u64>,
    /// Null if the replica that answers has not compacted the store.
    store_compacted_seconds: Option<i64>,
    servers_online: u32,
    servers_unhealthy: u32,
    servers_offline: u32,
    servers_cordoned: u32,
    servers_disabled: u32,
    placement_imbalance: f64,
    /// True if the replica that answers has not read the store yet: the numbers above are not known.
    unread: bool,
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
    /// The control planes that raise it.
    replicas: Vec<String>,
}

impl StatusReport {
    fn new(status: v1::GetStatusResponse, servers: Vec<v1::Server>) -> Self {
        let revision = status.revision.unwrap_or_default();
        let alarms = status.alarms.into_iter().map(|alarm| AlarmReport {
            replicas: alarm
                .replicas
                .iter()
                .map(|replica| replica.trim_start_matches("replicas/").to_owned())
                .collect(),
            name: alarm.kind,
            detail: alarm.detail,
        });
        Self {
            uptime: ago(status.uptime_duration.as_ref()),
            uptime_seconds: status.uptime_duration.map_or(0, |time| time.seconds),
            epoch: revision.epoch,
            revision: revision.seq,
            // Hexadecimal text, because programs that read JSON numbers as floats would lose digits.
            digest: format!("{:016x}", status.digest),
            alarms: alarms.collect(),
            servers: servers.into_iter().map(ServerRow::from).collect(),
            unread: status.unread,
            replica: status.replica.trim_start_matches("replicas/").to_owned(),
            leader: status.leader.trim_start_matches("replicas/").to_owned(),
            leading: status.leading,
            version: status.version,
            meetings: status.meetings,
            users: status.users,
            zombies: status.zombies,
            edges: status.edges,
            shed: status.shed.into_iter().map(|shed| (shed.reason, shed.count)).collect(),
            deliveries: status.deliveries,
            oldest_delivery_seconds: status.oldest_delivery_age.as_ref().map_or(0, |age| age.seconds),
            oldest_delivery: ago(status.oldest_delivery_age.as_ref()),
            hooks: status.hooks,
            hook_events: status.hook_events,
            servers_without_hooks: status.servers_without_hooks,
            store_bytes: status.store_bytes,
            store_in_use_bytes: status.store_in_use_bytes,
            store_quota_bytes: status.store_quota_bytes,
            store_compacted_seconds: status.store_compaction_age.as_ref().map(|age| age.seconds),
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
            _ if self.leading => "leader".to_owned(),
            "" => "no leader".to_owned(),
            leader => format!("leader is {}", clean(leader)),
        };
        let mut lines = vec![format!(
            "control plane  {}, {leader}, up {}, version {}",
            clean(&self.replica),
            self.uptime,
            self.version
        )];
        if self.unread {
            lines.push(
                "not ready      this control plane has not read the store yet: it knows no numbers".into(),
            );
            lines.extend(self.alarm_lines());
            return lines.join("\n");
        }
        lines.extend([
            format!(
                "servers        {} online, {} unhealthy, {} offline, {} cordoned, {} disabled",
                self.servers_online,
                self.servers_unhealthy,
                self.servers_offline,
                self.servers_cordoned,
                self.servers_disabled
            ),
            format!("meetings       {} with {} users, {} zombies", self.meetings, self.users, self.zombies),
            format!("edges          {} connected to this replica, revision {}", self.edges, self.revision),
        ]);
        lines.extend(self.refusals());
        lines.extend(self.store());
        // Each meeting that ends causes a callback, so only callbacks that are not delivered are worth a line.
        if self.oldest_delivery_seconds >= PILED_UP_SECONDS {
            lines.push(format!(
                "callbacks      {} wait, the oldest for {}: see usher deliveries list",
                self.deliveries, self.oldest_delivery
            ));
        }
        lines.extend(self.webhooks());
        lines.extend(self.alarm_lines());
        if !self.servers.is_empty() {
            lines.extend([String::new(), table(&self.servers)]);
        }
        let with_reason = self.servers.iter().filter(|server| !server.health_reason.is_empty());
        let mut reasons: Vec<String> =
            with_reason.map(|server| format!("{}: {}", server.id, clean(&server.health_reason))).collect();
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

    fn alarm_lines(&self) -> impl Iterator<Item = String> {
        let line =
            |alarm: &AlarmReport| format!("ALARM          {}: {}", clean(&alarm.name), clean(&alarm.detail));
        self.alarms.iter().map(line)
    }

    /// Returns the line about requests that edges refused because of a limit, the most frequent limit first.
    fn refusals(&self) -> Option<String> {
        let mut shed: Vec<(&String, &u64)> = self.shed.iter().collect();
        shed.sort_by(|a, b| b.1.cmp(a.1));
        let shed: Vec<String> =
            shed.iter().map(|(limit, count)| format!("{} {count}", clean(limit))).collect();
        (!shed.is_empty()).then(|| format!("refused        {}, since the edges started", shed.join(", ")))
    }

    /// Returns the line about the size of the store, if the store has a size.
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

    /// Returns the line about webhooks, if one is registered or events wait.
    fn webhooks(&self) -> Option<String> {
        if self.hooks == 0 && self.hook_events == 0 {
            return None;
        }
        let servers = match self.servers_without_hooks {
            Some(0) => "present on all servers".to_owned(),
            Some(1) => "missing on 1 server".to_owned(),
            Some(many) => format!("missing on {many} servers"),
            None if self.leading => "no server is checked yet".to_owned(),
            None => "only the leader knows the servers without them".to_owned(),
        };
        Some(format!("webhooks       {} registered, {servers}, {} events wait", self.hooks, self.hook_events))
    }
}

/// Returns a size in KiB or MiB.
fn size(bytes: u64) -> String {
    match bytes {
        0..1_048_576 => format!("{} KiB", bytes.div_ceil(1024)),
        _ => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}

/// Shows the fleet once, or every `every` until a signal ends the process. The signal needs no handler, because the
/// command has no state to clean up.
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
        match fetch_again(global, &mut admin).await {
            Ok(status) => {
                // A terminal shows one page at a time; a file receives the pages one after the other.
                let clear = if std::io::stdout().is_terminal() { "\x1b[2J\x1b[H" } else { "" };
                printer.report(&status, || format!("{clear}{}", status.text()))?;
            }
            // The loop continues, because a control plane that restarts becomes reachable again.
            Err(CommandFailure::Unavailable(why)) => {
                admin = None;
                printer.note(&why);
            }
            Err(failure) => return Err(failure),
        }
        tokio::time::sleep(every).await;
    }
}

async fn fetch_again(
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
    let status = admin.fleet().get_status(v1::GetStatusRequest {}).await?.into_inner();
    // Before it has read the store, a control plane answers the status alone.
    let servers = if status.unread { Vec::new() } else { admin.all_servers().await? };
    Ok(StatusReport::new(status, servers))
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
            store_compaction_age: Some(prost_types::Duration { seconds: 90, nanos: 0 }),
            ..on_disk
        };
        let wanted = "1.0 MiB of 8.0 MiB (12 %), 600 KiB in use, history compacted 90 s ago";
        assert_eq!(line(etcd).as_deref(), Some(wanted));
    }

    #[test]
    fn refusals_of_the_edges_have_a_line_with_the_most_frequent_first() {
        let line = |shed: &[(&str, u64)]| {
            let count =
                |(reason, count): &(&str, u64)| v1::ShedCount { reason: (*reason).to_owned(), count: *count };
            let shed = shed.iter().map(count).collect();
            let status = v1::GetStatusResponse { shed, ..v1::GetStatusResponse::default() };
            let text = StatusReport::new(status, Vec::new()).text();
            text.lines().find_map(|line| line.strip_prefix("refused        ").map(str::to_owned))
        };
        assert_eq!(line(&[]), None);
        let shown = line(&[("byte_budget", 3), ("tenant_concurrency", 44)]);
        assert_eq!(shown.as_deref(), Some("tenant_concurrency 44, byte_budget 3, since the edges started"));
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
        assert_eq!(
            line(2, 0, Some(0)).as_deref(),
            Some("2 registered, present on all servers, 0 events wait")
        );
        assert_eq!(line(2, 7, Some(1)).as_deref(), Some("2 registered, missing on 1 server, 7 events wait"));
        assert_eq!(line(1, 0, Some(3)).as_deref(), Some("1 registered, missing on 3 servers, 0 events wait"));
        let elsewhere = "1 registered, only the leader knows the servers without them, 0 events wait";
        assert_eq!(line(1, 0, None).as_deref(), Some(elsewhere));
        let leading = v1::GetStatusResponse { leading: true, hooks: 1, ..v1::GetStatusResponse::default() };
        let text = StatusReport::new(leading, Vec::new()).text();
        assert!(text.contains("1 registered, no server is checked yet, 0 events wait"), "{text}");
        assert!(line(0, 4, Some(0)).is_some(), "events wait for hooks that were removed");
    }
}
