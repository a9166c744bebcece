//! The tenants whose deliveries found no space lately, for an alarm.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use usher_model::id::TenantId;

/// Time after the last loss in which the alarm stays raised.
const LATELY: Duration = Duration::from_mins(10);
/// Largest number of tenants that are remembered by name.
const NAMED: usize = 8;

/// The losses of the last ten minutes.
#[derive(Debug, Default)]
pub struct DeliveryScarcity {
    of: BTreeMap<TenantId, (Instant, u64)>,
}

impl DeliveryScarcity {
    /// Notes that `lost` deliveries of a tenant expired early or were not accepted. Of many tenants
    /// the ones that lost first are remembered.
    pub fn note(&mut self, tenant: &TenantId, lost: u64, now: Instant) {
        self.forget(now);
        if let Some((at, sum)) = self.of.get_mut(tenant) {
            (*at, *sum) = (now, sum.saturating_add(lost));
        } else if self.of.len() < NAMED {
            self.of.insert(tenant.clone(), (now, lost));
        }
    }

    /// Returns the text of the alarm; `None` if no delivery was lost lately.
    pub fn alarm(&mut self, now: Instant) -> Option<String> {
        self.forget(now);
        let losses: Vec<String> =
            self.of.iter().map(|(tenant, (_, lost))| format!("{lost} of `{tenant}`")).collect();
        (!losses.is_empty()).then(|| {
            format!(
                "deliveries were lost for lack of space: {}. An application of each tenant does not accept them: \
                 `usher deliveries list` shows its address and the last error",
                losses.join(", ")
            )
        })
    }

    fn forget(&mut self, now: Instant) {
        self.of.retain(|_, (at, _)| now.saturating_duration_since(*at) < LATELY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alarm_names_a_bounded_number_of_tenants_and_ends() {
        let (mut scarcity, start) = (DeliveryScarcity::default(), Instant::now());
        assert_eq!(scarcity.alarm(start), None);
        let tenant = |number: usize| TenantId::parse(&format!("t{number}")).expect("is an id");
        for number in 0..1_000 {
            scarcity.note(&tenant(number), 1, start);
        }
        scarcity.note(&tenant(3), 41, start);
        let text = scarcity.alarm(start).expect("is raised");
        assert!(text.contains("42 of `t3`") && !text.contains("`t8`"), "{text}");
        assert_eq!(scarcity.alarm(start + LATELY), None);
    }
}
