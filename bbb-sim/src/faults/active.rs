//! The faults that are set, and their effect on the next connection or call. The caller passes the
//! time.

use std::time::Instant;

use usher_bbb::call::ApiCall;

use super::{FaultKind, SimFault};

/// The treatment of new connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum ConnectionGate {
    /// The server accepts and serves connections.
    #[default]
    Open,
    /// The listener is closed.
    Refusing,
    /// The server accepts connections and does not read from them.
    Holding,
}

/// The effect of the faults on one call.
#[derive(Debug, Default)]
pub(crate) struct CallEffect {
    pub(crate) delay: Option<std::time::Duration>,
    pub(crate) kind: Option<FaultKind>,
    /// For a frozen list: the list as it was when the fault was set.
    pub(crate) frozen: Option<String>,
}

#[derive(Debug)]
struct ActiveFault {
    fault: SimFault,
    left: Option<u32>,
    until: Option<Instant>,
    frozen: Option<String>,
}

impl ActiveFault {
    fn is_active(&self, now: Instant) -> bool {
        self.left != Some(0) && self.until.is_none_or(|until| now < until)
    }

    fn applies_to(&self, call: Option<ApiCall>) -> bool {
        let list = matches!(self.fault.kind, FaultKind::FrozenList | FaultKind::EmptyList);
        let hooks = self.fault.kind == FaultKind::NoHooks;
        let of_hooks = call.is_some_and(ApiCall::is_of_webhooks);
        !self.fault.kind.is_of_connections()
            && (self.fault.call.is_none() || self.fault.call == call)
            && (!list || call == Some(ApiCall::GetMeetings))
            && (!hooks || of_hooks)
    }

    fn count_down(&mut self) {
        self.left = self.left.map(|left| left.saturating_sub(1));
    }
}

/// Every fault that was set and not cleared, in the order of setting.
#[derive(Debug, Default)]
pub(crate) struct ActiveFaults(Vec<ActiveFault>);

impl ActiveFaults {
    /// Adds a fault, in place of one of the same kind for the same call.
    pub(crate) fn set(&mut self, fault: SimFault, frozen: Option<String>, now: Instant) {
        self.0.retain(|active| {
            active.fault.kind.name() != fault.kind.name() || active.fault.call != fault.call
        });
        let until = fault.lasts.and_then(|lasts| now.checked_add(lasts));
        self.0.push(ActiveFault { fault, left: fault.count, until, frozen });
    }

    /// Removes the faults of one kind, or all.
    pub(crate) fn clear(&mut self, kind: Option<&str>) {
        self.0.retain(|active| kind.is_some_and(|kind| kind != active.fault.kind.name()));
    }

    /// Returns the faults that are active, with their remaining counts.
    pub(crate) fn list(&self, now: Instant) -> Vec<SimFault> {
        let in_force = self.0.iter().filter(|active| active.is_active(now));
        in_force.map(|active| SimFault { count: active.left, ..active.fault }).collect()
    }

    /// Returns the treatment of connections, and when it may change without a new fault.
    pub(crate) fn gate(&self, now: Instant) -> (ConnectionGate, Option<Instant>) {
        let in_force = || self.0.iter().filter(|active| active.is_active(now));
        let has = |kind| in_force().any(|active| active.fault.kind == kind);
        let gate = match () {
            () if has(FaultKind::Refuse) => ConnectionGate::Refusing,
            () if has(FaultKind::HangOnAccept) => ConnectionGate::Holding,
            () => ConnectionGate::Open,
        };
        let of_connections = in_force().filter(|active| active.fault.kind.is_of_connections());
        (gate, of_connections.filter_map(|active| active.until).min())
    }

    /// Counts one connection that was accepted and left unread.
    pub(crate) fn count_held(&mut self, now: Instant) {
        let holding =
            |active: &&mut ActiveFault| active.fault.kind == FaultKind::HangOnAccept && active.is_active(now);
        if let Some(active) = self.0.iter_mut().find(holding) {
            active.count_down();
        }
    }

    /// Returns the effect on a call: the delay of the first slow fault and the first fault of
    /// another kind.
    pub(crate) fn effect(&mut self, call: Option<ApiCall>, now: Instant) -> CallEffect {
        let mut effect = CallEffect::default();
        for active in self.0.iter_mut().filter(|active| active.is_active(now) && active.applies_to(call)) {
            match active.fault.kind {
                FaultKind::Slow(delay) if effect.delay.is_none() => effect.delay = Some(delay),
                FaultKind::Slow(_) => continue,
                _ if effect.kind.is_some() => continue,
                kind => {
                    effect.kind = Some(kind);
                    effect.frozen.clone_from(&active.frozen);
                }
            }
            active.count_down();
        }
        self.0.retain(|active| active.is_active(now));
        effect
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn faults_end_by_count_by_time_and_by_clearing() {
        let (mut faults, start) = (ActiveFaults::default(), Instant::now());
        faults.set(SimFault::new(FaultKind::Hang).on(ApiCall::Create).times(2), None, start);
        faults.set(SimFault::new(FaultKind::Html).lasting(Duration::from_secs(1)), None, start);
        let kind = |faults: &mut ActiveFaults, call, now| faults.effect(Some(call), now).kind;
        assert_eq!(kind(&mut faults, ApiCall::End, start), Some(FaultKind::Html));
        assert_eq!(kind(&mut faults, ApiCall::Create, start), Some(FaultKind::Hang));
        assert_eq!(faults.list(start)[0].count, Some(1));
        assert_eq!(kind(&mut faults, ApiCall::Create, start), Some(FaultKind::Hang));
        assert_eq!(kind(&mut faults, ApiCall::Create, start), Some(FaultKind::Html));
        assert_eq!(kind(&mut faults, ApiCall::Create, start + Duration::from_secs(1)), None);
        faults.set(FaultKind::Html.into(), None, start);
        faults.clear(Some("hang"));
        assert_eq!(faults.list(start).len(), 1);
        faults.clear(None);
        assert_eq!(faults.list(start), []);
    }

    #[test]
    fn slowness_goes_with_another_fault() {
        let (mut faults, now) = (ActiveFaults::default(), Instant::now());
        faults.set(FaultKind::Slow(Duration::from_secs(1)).into(), None, now);
        faults.set(FaultKind::LostAnswer.into(), None, now);
        let effect = faults.effect(Some(ApiCall::Create), now);
        assert_eq!((effect.delay, effect.kind), (Some(Duration::from_secs(1)), Some(FaultKind::LostAnswer)));
    }

    #[test]
    fn list_faults_concern_lists_alone_and_gates_no_calls() {
        let (mut faults, now) = (ActiveFaults::default(), Instant::now());
        faults.set(SimFault::new(FaultKind::FrozenList).times(1), Some("then".into()), now);
        faults.set(SimFault::new(FaultKind::Refuse).lasting(Duration::from_secs(5)), None, now);
        assert_eq!(faults.effect(Some(ApiCall::Create), now).kind, None);
        assert_eq!(faults.effect(Some(ApiCall::GetMeetings), now).frozen.as_deref(), Some("then"));
        assert_eq!(faults.effect(Some(ApiCall::GetMeetings), now).kind, None);
        assert_eq!(faults.gate(now), (ConnectionGate::Refusing, Some(now + Duration::from_secs(5))));
        assert_eq!(faults.gate(now + Duration::from_secs(5)).0, ConnectionGate::Open);
    }
}
