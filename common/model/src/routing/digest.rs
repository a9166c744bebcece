//! The order-independent digest of a routing table: the wrapping sum of the hashes of its entries. The cost
//! of a change of one entry does not depend on the size of the table.
//!
//! It detects lost and doubled deltas. It is no defence against an adversary, who would have to control the
//! stream.

use sha2::{Digest as _, Sha256};

use super::entry::{MeetingRoute, RouteState, ServerRoute, TenantRoute};
use crate::tenant::{ParameterRule, TenantPolicy};

/// The sum of the hashes of all entries of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TableDigest(pub u64);

impl TableDigest {
    /// Adds an entry to the digest.
    pub fn add(&mut self, entry: &impl DigestInput) {
        self.add_hash(entry.entry_hash());
    }

    /// Removes an entry from the digest.
    pub fn remove(&mut self, entry: &impl DigestInput) {
        self.remove_hash(entry.entry_hash());
    }

    /// Adds an entry by its hash.
    pub fn add_hash(&mut self, hash: u64) {
        self.0 = self.0.wrapping_add(hash);
    }

    /// Removes an entry by its hash.
    pub fn remove_hash(&mut self, hash: u64) {
        self.0 = self.0.wrapping_sub(hash);
    }
}

/// An entry of a table that has a part in its [`TableDigest`].
pub trait DigestInput {
    /// Returns the hash over every field that edges use: the first eight bytes of a SHA-256.
    fn entry_hash(&self) -> u64;
}

struct Fields(Sha256);

impl Fields {
    fn of(kind: u8) -> Self {
        Self(Sha256::new_with_prefix([kind]))
    }

    /// Adds a field with its length, so that two different lists of fields never have the same bytes.
    fn text(mut self, value: &str) -> Self {
        self.0.update((value.len() as u64).to_le_bytes());
        self.0.update(value);
        self
    }

    fn number(mut self, value: u8) -> Self {
        self.0.update([value]);
        self
    }

    fn finish(self) -> u64 {
        let hash = self.0.finalize();
        hash.iter().take(8).fold(0, |sum, byte| (sum << 8) | u64::from(*byte))
    }
}

impl DigestInput for ServerRoute {
    fn entry_hash(&self) -> u64 {
        Fields::of(b's')
            .text(self.id.as_str())
            .text(&self.url)
            .text(self.secret.expose())
            .number(self.admin as u8)
            .number(self.health as u8)
            .number(self.algorithm as u8)
            .finish()
    }
}

impl DigestInput for TenantRoute {
    fn entry_hash(&self) -> u64 {
        let fields = Fields::of(b't').text(self.id.as_str()).number(u8::from(self.enabled));
        let fields = self.secrets.iter().fold(fields, |f, secret| f.text(secret.expose()));
        let fields = self.hosts.iter().fold(fields.text("hosts"), |f, host| f.text(host));
        let fields =
            if self.users == 0 { fields } else { fields.text("users").text(&self.users.to_string()) };
        // A tenant without a policy keeps the digest of versions before policies existed, so that edges of such a
        // version agree.
        if self.policy == TenantPolicy::default() { fields } else { policy(fields, &self.policy) }.finish()
    }
}

fn policy(fields: Fields, policy: &TenantPolicy) -> Fields {
    let rules = |name, fields: Fields, rules: &[ParameterRule]| {
        rules.iter().fold(fields.text(name), |f, rule| f.text(&rule.to_string()))
    };
    let fields = rules("create", fields, &policy.create_rules);
    let fields = rules("join", fields, &policy.join_rules)
        .text("limits")
        .text(&policy.max_duration.as_secs().to_string())
        .text(&policy.max_meetings.to_string())
        .text(&policy.max_users.to_string())
        .text(&policy.server_tag);
    let fields = match &policy.presentation {
        Some(shown) => fields.text(&shown.url).text(&shown.name).number(u8::from(shown.forced)),
        None => fields,
    };
    let fields = match &policy.voice_bridges {
        Some(range) => fields.text("voice").text(&range.to_string()),
        None => fields,
    };
    let fields =
        if policy.max_cost == 0 { fields } else { fields.text("cost").text(&policy.max_cost.to_string()) };
    let fields =
        if policy.dial_number.is_empty() { fields } else { fields.text("dial").text(&policy.dial_number) };
    if policy.partial_recordings { fields.text("partial recordings") } else { fields }
}

impl DigestInput for MeetingRoute {
    fn entry_hash(&self) -> u64 {
        let fields = Fields::of(b'm')
            .text(self.key.tenant.as_str())
            .text(self.key.meeting.as_str())
            .text(self.server.as_str());
        // A meeting without a voice bridge keeps the digest of versions before bridges existed, so that edges of
        // such a version agree.
        let fields = match self.voice_bridge {
            Some(bridge) => fields.text("voice").text(&bridge.to_string()),
            None => fields,
        };
        match &self.state {
            RouteState::Pending => fields.number(0).finish(),
            RouteState::Active(internal_id) => fields.number(1).text(internal_id.as_str()).finish(),
        }
    }
}
