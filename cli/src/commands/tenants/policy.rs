//! Turns the arguments about the policy of a tenant into the request to the control plane.

use std::time::Duration;

use usher_proto::{time, v1};

use crate::args::TenantPolicyArgs;

/// Returns the policy of the arguments, and the names of its fields that were given.
pub(super) fn typed(args: TenantPolicyArgs) -> (v1::TenantPolicy, Vec<String>) {
    let given = [
        ("create_rules", args.no_create_rules || !args.create_rules.is_empty()),
        ("join_rules", args.no_join_rules || !args.join_rules.is_empty()),
        ("max_duration", args.max_duration.is_some()),
        ("max_meetings", args.max_meetings.is_some()),
        ("max_users", args.max_users.is_some()),
        ("max_cost", args.max_cost.is_some()),
        ("server_tag", args.server_tag.is_some()),
        ("voice_bridges", args.no_voice_bridges || args.voice_bridges.is_some()),
        ("dial_number", args.dial_number.is_some()),
        ("partial_recordings", args.partial_recordings || args.no_partial_recordings),
        ("presentation", args.no_presentation || args.presentation.is_some()),
    ];
    let fields = given.into_iter().filter(|(_, given)| *given).map(|(name, _)| format!("policy.{name}"));
    let policy = v1::TenantPolicy {
        create_rules: args.create_rules.iter().map(Into::into).collect(),
        join_rules: args.join_rules.iter().map(Into::into).collect(),
        max_duration: args.max_duration.map(seconds),
        max_meetings: args.max_meetings.unwrap_or_default(),
        max_users: args.max_users.unwrap_or_default(),
        max_cost: args.max_cost.unwrap_or_default(),
        server_tag: args.server_tag.unwrap_or_default(),
        presentation: args.presentation.map(|url| v1::Presentation {
            url,
            file_name: args.presentation_name.unwrap_or_default(),
            forced: args.force_presentation,
        }),
        voice_bridges: args
            .voice_bridges
            .map(|range| v1::VoiceRange { first: range.first(), last: range.last() }),
        dial_number: args.dial_number.unwrap_or_default(),
        partial_recordings: args.partial_recordings,
    };
    (policy, fields.collect())
}

fn seconds(duration: Duration) -> prost_types::Duration {
    let more = u64::from(duration.subsec_nanos() > 0);
    time::duration(Duration::from_secs(duration.as_secs().saturating_add(more)))
}
