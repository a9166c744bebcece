//! Lookups by the configuration of this machine: `/etc/hosts`, then DNS by `/etc/resolv.conf` with
//! its search domains, then the system's own functions, which know further sources.

use std::{
    net::{IpAddr, ToSocketAddrs},
    path::Path,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use async_trait::async_trait;
use hickory_resolver::{
    Hosts, TokioResolver,
    config::{LookupIpStrategy, ResolveHosts},
    net::NetError,
    proto::{
        op::Query,
        rr::{Name, RecordType},
    },
};
use tokio::sync::{Mutex, Semaphore};
use tracing::warn;

use super::{
    lookup::{FoundAddresses, NameError, NameLookup},
    routable::routable_first,
};
use crate::clock;

/// The files that configure the lookups. They are read again when they change.
const FILES: [&str; 2] = ["/etc/hosts", "/etc/resolv.conf"];
/// The interval at which the files are looked at.
const LOOK_AT_FILES: Duration = Duration::from_secs(5);
/// The longest wait for one name server, so that another one is asked before the lookup's deadline.
const SERVER_TIMEOUT: Duration = Duration::from_secs(2);
/// The TTL of answers that have none: of `/etc/hosts` and of the system's functions.
const PLAIN_TTL: Duration = Duration::from_secs(10);
/// The largest number of threads in the system's functions, which cannot be interrupted.
const THREADS: usize = 8;

/// The names that this machine knows.
pub struct SystemNames {
    loaded: Mutex<Option<LoadedFiles>>,
    threads: Arc<Semaphore>,
}

struct LoadedFiles {
    hosts: Arc<Hosts>,
    /// `None` if `/etc/resolv.conf` cannot be used.
    dns: Option<TokioResolver>,
    changed: [Option<SystemTime>; 2],
    looked_at: Instant,
}

impl Default for SystemNames {
    fn default() -> Self {
        Self { loaded: Mutex::new(None), threads: Arc::new(Semaphore::new(THREADS)) }
    }
}

impl std::fmt::Debug for SystemNames {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SystemNames")
    }
}

#[async_trait]
impl NameLookup for SystemNames {
    async fn lookup(&self, name: &str) -> Result<FoundAddresses, NameError> {
        let (hosts, dns) = self.sources().await;
        if let Some(addresses) = by_hosts(&hosts, name) {
            return Ok(FoundAddresses { addresses, ttl: PLAIN_TTL });
        }
        match dns {
            Some(dns) => match by_dns(&dns, name).await {
                Err(NameError::NotFound) => self.by_system(name).await,
                answered => answered,
            },
            None => self.by_system(name).await,
        }
    }
}

impl SystemNames {
    async fn sources(&self) -> (Arc<Hosts>, Option<TokioResolver>) {
        let mut loaded = self.loaded.lock().await;
        let now = clock::now();
        let known = loaded.take();
        let current = match known {
            Some(known) if now.saturating_duration_since(known.looked_at) < LOOK_AT_FILES => known,
            known => read_again(known, now).await,
        };
        let sources = (Arc::clone(&current.hosts), current.dns.clone());
        *loaded = Some(current);
        sources
    }

    /// Asks the system's own functions, for names that neither file nor DNS knows: those of
    /// containers, of this machine, and of the local network, as `/etc/nsswitch.conf` lists them.
    async fn by_system(&self, name: &str) -> Result<FoundAddresses, NameError> {
        let Ok(thread) = Arc::clone(&self.threads).try_acquire_owned() else {
            return Err(NameError::NotFound);
        };
        let name = name.to_owned();
        let asked = tokio::task::spawn_blocking(move || {
            let _thread = thread; // given back when the function returns, however long that takes
            (name.as_str(), 0).to_socket_addrs().map(|found| found.map(|at| at.ip()).collect::<Vec<_>>())
        });
        match asked.await {
            Ok(Ok(addresses)) => Ok(FoundAddresses { addresses, ttl: PLAIN_TTL }),
            Ok(Err(_)) | Err(_) => Err(NameError::NotFound),
        }
    }
}

/// Reads the files, unless they are as they were. They are small, but may be on a slow disk.
async fn read_again(known: Option<LoadedFiles>, now: Instant) -> LoadedFiles {
    let before = known.as_ref().map(|known| known.changed);
    let read = tokio::task::spawn_blocking(move || {
        let changed = FILES.map(changed_at);
        let news = (before != Some(changed)).then(|| (Hosts::from_system().unwrap_or_default(), dns()));
        (changed, news)
    });
    let (changed, news) = read.await.unwrap_or((before.unwrap_or_default(), None));
    match (news, known) {
        (None, Some(known)) => LoadedFiles { looked_at: now, ..known },
        (news, _) => {
            let (hosts, dns) = news.unwrap_or_default();
            LoadedFiles { hosts: Arc::new(hosts), dns, changed, looked_at: now }
        }
    }
}

fn changed_at(path: &str) -> Option<SystemTime> {
    Path::new(path).metadata().and_then(|file| file.modified()).ok()
}

/// Returns a resolver by `/etc/resolv.conf`; `None` if the file cannot be used.
fn dns() -> Option<TokioResolver> {
    let resolver = TokioResolver::builder_tokio().and_then(|mut builder| {
        let options = builder.options_mut();
        options.timeout = options.timeout.min(SERVER_TIMEOUT);
        options.ip_strategy = LookupIpStrategy::Ipv6AndIpv4;
        options.use_hosts_file = ResolveHosts::Never; // read here, and again when it changes
        options.cache_size = 0; // `NameCache` keeps the answers
        builder.build()
    });
    resolver
        .inspect_err(
            |error| warn!(%error, "names are resolved by the system only: /etc/resolv.conf is unusable"),
        )
        .ok()
}

fn by_hosts(hosts: &Hosts, name: &str) -> Option<Vec<IpAddr>> {
    let name = Name::from_utf8(name).ok()?;
    let found = [RecordType::AAAA, RecordType::A].into_iter().filter_map(|kind| {
        let found = hosts.lookup_static_host(&Query::query(name.clone(), kind))?;
        Some(found.answers().iter().filter_map(|record| record.data.ip_addr()).collect::<Vec<_>>())
    });
    let addresses = routable_first(found.flatten());
    (!addresses.is_empty()).then_some(addresses)
}

async fn by_dns(dns: &TokioResolver, name: &str) -> Result<FoundAddresses, NameError> {
    match dns.lookup_ip(name).await {
        Ok(found) => {
            let ttl = found.valid_until().saturating_duration_since(clock::now());
            Ok(FoundAddresses { addresses: routable_first(found.iter()), ttl })
        }
        Err(NetError::Timeout) => Err(NameError::Timeout),
        Err(error) if error.is_no_records_found() => Err(NameError::NotFound),
        Err(error) => Err(NameError::Failed(error.to_string())),
    }
}

#[cfg(test)]
mod tests;
