//! The addresses of callbacks: a create replaces those that the application gave by addresses of the
//! edges, with the state sealed in them, and answers get the application's own ones back (ADR 10).

use std::time::Duration;

use http::HeaderMap;
use tracing::warn;
use usher_bbb::query::EditedParameters;
use usher_model::{
    callback::{CallbackKey, HookState, MARK_HEADER},
    id::{ServerId, TenantId},
    meeting::MeetingKey,
    settings::CallbackSettings,
};
use usher_runtime::{clock::WallClock, repeated_warnings::RequestWarnings};

use crate::{
    control::{callbacks::CallbackClient, table::LiveTable},
    core::callbacks::{AddressBinding, CallbackAddresses},
};

/// The longest wait for the first key, right after the start.
const FIRST_KEY: Duration = Duration::from_secs(5);

/// The reason why an address of a callback was not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::server) enum UnopenedAddress {
    /// No key of this edge opens it: it is forged, or its key is lost.
    Foreign,
    /// This edge has no key yet.
    NoKey,
}

/// Seals and opens the addresses of callbacks.
#[derive(Debug)]
pub(crate) struct CallbackSealer {
    addresses: CallbackAddresses,
    planes: CallbackClient,
    wall: WallClock,
    address_ttl: Duration,
    warnings: RequestWarnings,
}

impl CallbackSealer {
    /// Returns addresses below `public_url`, which servers must be able to reach, sealed with the key
    /// that `planes` know.
    pub(crate) fn new(
        public_url: &str,
        settings: &CallbackSettings,
        planes: CallbackClient,
        warnings: RequestWarnings,
    ) -> Self {
        Self {
            addresses: CallbackAddresses::new(public_url),
            planes,
            wall: WallClock::system(),
            address_ttl: settings.address_ttl,
            warnings,
        }
    }

    /// Replaces the addresses among the parameters of a create of `meeting`, as `server` gets them.
    pub(in crate::server) async fn replace(
        &self,
        parameters: &mut EditedParameters<'_>,
        table: &LiveTable,
        meeting: &MeetingKey,
        server: &ServerId,
    ) {
        let Some(key) = self.planes.key().await else {
            // Without a control plane only a create of a meeting that runs comes this far, and its server
            // keeps the addresses of the first create.
            if let Some(held_back) = self.warnings.admit("no key", "") {
                warn!(
                    held_back,
                    "a create is sent without addresses of the edges: no control plane tells their key"
                );
            }
            return;
        };
        let ttl = i64::try_from(self.address_ttl.as_millis()).unwrap_or(i64::MAX);
        let expires_ms = self.wall.now_ms().saturating_add(ttl);
        let given = AddressBinding { meeting, server, expires_ms };
        let is_tenants = |host: &str| table.tenants().by_host(host).is_some();
        let dropped = self.addresses.rewrite(&key, parameters, given, is_tenants, rand::random);
        if dropped > 0
            && let Some(held_back) = self.warnings.admit("own address", &meeting.tenant)
        {
            warn!(%meeting, dropped, held_back, "a create names Usher's own address for callbacks: they are dropped");
        }
    }

    /// Returns an answer to a tenant with its application's own addresses, and with none that this edge cannot
    /// open.
    fn restored(&self, tenant: &TenantId, xml: &str) -> String {
        let open = |sealed: &str| self.planes.by_any_key(|key| key.open(sealed).ok());
        self.addresses.restore(tenant, open, xml).into_owned()
    }

    /// Returns whether a request is a delivery of this fleet itself.
    pub(in crate::server) fn is_own_delivery(&self, headers: &HeaderMap) -> bool {
        let mut marks = headers.get_all(MARK_HEADER).into_iter().filter_map(|mark| mark.to_str().ok());
        marks.any(|mark| self.planes.by_any_key(|key| (key.mark() == mark).then_some(())).is_some())
    }

    /// Returns whether this edge knows a key of the cell.
    pub(in crate::server) fn has_key(&self) -> bool {
        self.planes.known_key().is_some()
    }

    /// Waits until this edge knows a key of the cell, for a moment after the start.
    pub(in crate::server) async fn first_key(&self) {
        self.planes.await_key(FIRST_KEY).await;
    }

    /// Returns whether a key of the cell opens the sealed state of an address.
    pub(in crate::server) fn opens(&self, sealed: &str) -> bool {
        let is_hook = HookState::is_named(sealed);
        let opened = self.planes.by_any_key(|key| {
            let opens =
                if is_hook { HookState::open(key, sealed).is_some() } else { key.open(sealed).is_ok() };
            opens.then_some(())
        });
        opened.is_some()
    }

    /// Returns the state that `open` finds in an address, by any key that this edge knows. The
    /// address is judged by these keys alone, without a call to a control plane: anybody can invent
    /// addresses.
    ///
    /// # Errors
    /// The address is not one of this fleet, or this edge has just started and knows no key yet.
    pub(in crate::server) async fn opened<T>(
        &self,
        open: impl Fn(&CallbackKey) -> Option<T>,
    ) -> Result<T, UnopenedAddress> {
        if !self.planes.await_key(FIRST_KEY).await {
            return Err(UnopenedAddress::NoKey);
        }
        self.planes.by_any_key(open).ok_or(UnopenedAddress::Foreign)
    }

    /// Returns the wall clock time by which addresses expire, in milliseconds since 1970.
    pub(in crate::server) fn now_ms(&self) -> i64 {
        self.wall.now_ms()
    }
}

/// Returns an answer to a tenant with its application's own addresses. Without `addresses` servers have
/// got them unchanged.
pub(in crate::server) fn with_own_addresses(
    addresses: Option<&CallbackSealer>,
    tenant: &TenantId,
    xml: String,
) -> String {
    match addresses {
        Some(addresses) => addresses.restored(tenant, &xml),
        None => xml,
    }
}
