//! Arguments of the policy of a tenant: parameter rules, limits, server tag, presentation, voice bridges.

use std::time::Duration;

use clap::Args;
use usher_model::{tenant::ParameterRule, voice::VoiceRange};

use super::values::duration;

/// The arguments of `usher tenants add` and `usher tenants update` about the policy of the tenant.
#[derive(Debug, Args)]
pub struct TenantPolicyArgs {
    /// Rule for creates, in place of all present rules; may be repeated: `default:record=true`, `override:NAME=VALUE`,
    /// `merge:disabledFeatures=chat,polls`, `cap:maxParticipants=100`, `remove:logo`
    #[arg(long = "create-rule", value_name = "RULE", group = "change")]
    pub create_rules: Vec<ParameterRule>,
    /// Remove all rules for creates
    #[arg(long, conflicts_with = "create_rules", group = "change")]
    pub no_create_rules: bool,
    /// Rule for joins, in place of all present rules; may be repeated
    #[arg(long = "join-rule", value_name = "RULE", group = "change")]
    pub join_rules: Vec<ParameterRule>,
    /// Remove all rules for joins
    #[arg(long, conflicts_with = "join_rules", group = "change")]
    pub no_join_rules: bool,
    /// Longest duration of a meeting; 0 means no limit
    #[arg(long, value_name = "TIME", value_parser = duration, group = "change")]
    pub max_duration: Option<Duration>,
    /// Largest number of concurrent meetings; 0 means no limit
    #[arg(long, value_name = "NUMBER", group = "change")]
    pub max_meetings: Option<u32>,
    /// Largest number of concurrent users in all meetings of the tenant together; 0 means no limit
    #[arg(long, value_name = "NUMBER", group = "change")]
    pub max_users: Option<u32>,
    /// Largest cost of calls under way at one edge, within the fair share; 0 means the share alone
    #[arg(long, value_name = "COST", group = "change")]
    pub max_cost: Option<u32>,
    /// Tag of the servers for its meetings; with `TAG!` no other server is used; an empty tag allows any server
    #[arg(long, value_name = "TAG", group = "change")]
    pub server_tag: Option<String>,
    /// Address of a document for meetings that the application creates without a document
    #[arg(long, value_name = "URL", group = "change")]
    pub presentation: Option<String>,
    /// File name of the document, with its extension
    #[arg(long, value_name = "NAME", requires = "presentation")]
    pub presentation_name: Option<String>,
    /// Use the document in place of documents that the application sends
    #[arg(long, requires = "presentation")]
    pub force_presentation: bool,
    /// Remove the document of the tenant
    #[arg(long, conflicts_with = "presentation", group = "change")]
    pub no_presentation: bool,
    /// Range of voice bridges for its meetings: FIRST-LAST, five to nine digits each
    #[arg(long, value_name = "RANGE", group = "change")]
    pub voice_bridges: Option<VoiceRange>,
    /// Take voice bridges from the range that the control planes are configured with
    #[arg(long, conflicts_with = "voice_bridges", group = "change")]
    pub no_voice_bridges: bool,
    /// Telephone number that users see; an empty one keeps the number that the application sends
    #[arg(long, value_name = "NUMBER", group = "change")]
    pub dial_number: Option<String>,
    /// Let lists of recordings lack the parts of servers that do not answer, marked by a header
    #[arg(long, group = "change")]
    pub partial_recordings: bool,
    /// Refuse lists of recordings as retryable while a server does not answer
    #[arg(long, conflicts_with = "partial_recordings", group = "change")]
    pub no_partial_recordings: bool,
}
