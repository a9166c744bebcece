//! Intake of the events that servers send: the owner of each, its wording, and its hooks.

use std::time::Duration;

use tracing::{debug, warn};
use usher_model::{
    callback::{CallbackKey, CallbackKind, OwnAddress, ShownAddress, webhook::WebhookPost},
    id::ServerId,
    revision::Revision,
};

use super::{WebhookError, WebhookRegistry};
use crate::notifications::{
    metrics::hooks::EventFate,
    rules::{
        delivery::{Delivery, DeliveryForm},
        hooks::{
            EventOwner, EventWording, RegisteredHook, delivery_of,
            event::{self, EventFacts, split},
            in_own_words, may_settle, owner_of,
        },
        ids::{DeliveryId, HookId},
    },
};

/// Longest time that an event waits for the record that names its owner.
const SETTLE_WITHIN: Duration = Duration::from_secs(1);

/// The owner of an event, and the first host of the owner's tenant.
type KnownOwner = (EventOwner, Option<String>);

/// The events that a server sent in one request.
#[derive(Debug, Clone, Copy)]
pub struct ServerEvents<'a> {
    /// The server that signed the request.
    pub server: &'a ServerId,
    /// Whether the events have the form of the server's bus.
    pub raw: bool,
    /// The events, a JSON array.
    pub events: &'a str,
    /// Time at which the server first sent the events.
    pub timestamp: &'a str,
    /// The name by which the server calls itself.
    pub domain: &'a str,
}

impl WebhookRegistry {
    /// Writes the deliveries of a server's events. Once this returns, each event with an owner will be
    /// delivered, and an event without one is dropped. The same events sent again become the same
    /// deliveries.
    ///
    /// # Errors
    /// Some events may not have been written: the server can send them again.
    pub async fn accept(&self, arrival: ServerEvents<'_>) -> Result<(), WebhookError> {
        if !self.book.is_read() || !self.fleet.complete() {
            return Err(WebhookError::NotReady);
        }
        let Ok(events) = split(arrival.events) else {
            warn!(server = %arrival.server, "server sent unreadable events");
            self.metrics.event(EventFate::Malformed);
            return Ok(());
        };
        let events: Vec<_> = events.into_iter().map(|event| (event, event::facts(event))).collect();
        let (found, unknown): (Vec<_>, Vec<_>) = events
            .into_iter()
            .map(|(event, facts)| (self.look(arrival.server, &facts).ok(), event, facts))
            .partition(|(owner, ..)| owner.is_some());
        self.write(&arrival, found).await?;
        if unknown.is_empty() {
            return Ok(());
        }
        let facts = unknown.iter().map(|(_, _, facts)| facts);
        let owners = self.await_owners(arrival.server, facts.collect()).await?;
        let rest = owners.into_iter().zip(unknown).map(|(owner, (_, event, facts))| (owner, event, facts));
        self.write(&arrival, rest.collect()).await
    }

    /// Writes the deliveries of events whose owners are known, and counts the others.
    async fn write(
        &self,
        arrival: &ServerEvents<'_>,
        events: Vec<(Option<KnownOwner>, &str, EventFacts)>,
    ) -> Result<(), WebhookError> {
        let key = self.keys.now().and_then(|key| CallbackKey::parse(&key).ok());
        let edges = self.public_url.as_deref().and_then(OwnAddress::parse);
        let mut all = Vec::new();
        for (found, event, facts) in events {
            let Some((owner, host)) = found else {
                debug!(server = %arrival.server, event = facts.name, "event without an owner dropped");
                self.metrics.event(EventFate::Foreign);
                continue;
            };
            let hooks = self.book.wanting(&owner.meeting, &facts.name, arrival.raw);
            if hooks.is_empty() {
                self.metrics.event(EventFate::Unwanted);
                continue;
            }
            let host = host.or_else(|| self.public_host()).unwrap_or_else(|| arrival.domain.to_owned());
            let body = body((key.as_ref(), edges.as_ref()), event, &owner, host, arrival.timestamp);
            let deliveries =
                hooks.into_iter().map(|hook| self.delivery(arrival, event, &facts, &owner, hook, &body));
            all.extend(deliveries);
        }
        let (accepted, turned_away) = self.deliveries.accept_events(all).await?;
        (0..accepted).for_each(|_| self.metrics.event(EventFate::Accepted));
        (0..turned_away).for_each(|_| self.metrics.event(EventFate::TurnedAway));
        Ok(())
    }

    /// Returns the owner of an event and the host of its tenant.
    ///
    /// # Errors
    /// No owner is known. The error says whether the create of the event's meeting is under way, so
    /// that its confirmation may name the owner.
    fn look(&self, server: &ServerId, facts: &EventFacts) -> Result<KnownOwner, bool> {
        self.fleet.read(|fleet| {
            let owner = owner_of(fleet, server, facts).ok_or_else(|| may_settle(fleet, server, facts))?;
            let host = fleet.tenant(&owner.meeting.tenant).and_then(|stored| stored.value.hosts.first());
            Ok((owner, host.cloned()))
        })
    }

    /// Waits for the owners of events that have none yet: their meetings may be new to this replica,
    /// or unconfirmed. The events of one request share one wait, and an event waits only while the
    /// create of its own meeting is under way.
    async fn await_owners(
        &self,
        server: &ServerId,
        facts: Vec<&EventFacts>,
    ) -> Result<Vec<Option<KnownOwner>>, WebhookError> {
        let revision = Revision::new(self.fleet.revision().epoch, self.store.revision().await?);
        let mut revisions = self.fleet.revisions();
        let mut owners: Vec<Option<KnownOwner>> = facts.iter().map(|_| None).collect();
        let settled = async {
            if self.fleet.reach(revision, SETTLE_WITHIN).await.is_err() {
                return;
            }
            loop {
                revisions.mark_unchanged();
                let mut settling = false;
                for (owner, facts) in owners.iter_mut().zip(&facts).filter(|(owner, _)| owner.is_none()) {
                    match self.look(server, facts) {
                        Ok(found) => *owner = Some(found),
                        Err(may_settle) => settling |= may_settle,
                    }
                }
                if !settling || revisions.changed().await.is_err() {
                    return;
                }
            }
        };
        let _ = tokio::time::timeout(SETTLE_WITHIN, settled).await; // late is "unknown" as well
        Ok(owners)
    }

    fn delivery(
        &self,
        arrival: &ServerEvents<'_>,
        event: &str,
        facts: &EventFacts,
        owner: &EventOwner,
        hook: (HookId, RegisteredHook),
        body: &str,
    ) -> (DeliveryId, Delivery) {
        let (id, registration) = hook;
        let now_ms = self.wall.now_ms();
        let delivery = Delivery {
            meeting: owner.meeting.clone(),
            server: arrival.server.clone(),
            kind: CallbackKind::Webhook,
            form: DeliveryForm::Webhook,
            url: registration.url,
            body: body.to_owned().into(),
            accepted_at_ms: now_ms,
            attempts: 0,
            waited: Duration::ZERO,
            last_error: String::new(),
            retries_asked: 0,
            hook: Some(id.clone()),
            said_again: 0,
            order_ms: if facts.at_ms > 0 { facts.at_ms } else { now_ms.max(1) },
        };
        (delivery_of(&id, arrival.server.as_str(), event), delivery)
    }

    fn public_host(&self) -> Option<String> {
        let url = url::Url::parse(self.public_url.as_deref()?).ok()?;
        url.host_str().map(str::to_owned)
    }
}

/// Returns the body of an event for an application.
fn body(
    (key, edges): (Option<&CallbackKey>, Option<&OwnAddress>),
    event: &str,
    owner: &EventOwner,
    domain: String,
    timestamp: &str,
) -> String {
    let address = |name: &str, value: &str| {
        let open = |sealed: &str| key?.open(sealed).ok();
        ShownAddress::read(&owner.meeting.tenant, edges, open, name, value)
    };
    let own = owner.meeting.meeting.as_str();
    let event = in_own_words(event, &EventWording { on_server: &owner.on_server, own, address: &address });
    WebhookPost { domain, events: format!("[{event}]"), timestamp: timestamp.to_owned() }.form()
}
