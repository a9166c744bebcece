//! What tenants may do, as it is typed.

use std::time::Duration;

use clap::Args;
use usher_model::{tenant::ParameterRule, voice::VoiceRange};

use super::duration;

/// Arguments of `tenants add` and `tenants update` about the tenant's policy.
#[derive(Debug, Args)]
pub struct TenantPolicyArgs {
    /// A rule for creates, in place of all there are; may be repeated: `default:record=true`, `override:NAME=VALUE`,
    /// `merge:disabledFeatures=chat,polls`, `cap:maxParticipants=100`, `remove:logo`
    #[arg(long = "create-rule", value_name = "RULE", group = "change")]
    pub create_rules: Vec<ParameterRule>,
    /// Take all rules for creates away
    #[arg(long, conflicts_with = "create_rules", group = "change")]
    pub no_create_rules: bool,
    /// A rule for joins, in place of all there are; may be repeated
    #[arg(long = "join-rule", value_name = "RULE", group = "change")]
    pub join_rules: Vec<ParameterRule>,
    /// Take all rules for joins away
    #[arg(long, conflicts_with = "join_rules", group = "change")]
    pub no_join_rules: bool,
    /// Longest duration of a meeting; 0 means no limit
    #[arg(long, value_name = "TIME", value_parser = duration, group = "change")]
    pub max_duration: Option<Duration>,
    /// Most meetings at a time; 0 means no limit
    #[arg(long, value_name = "NUMBER", group = "change")]
    pub max_meetings: Option<u32>,
    /// Most users at a time, in all its meetings together; 0 means no limit
    #[arg(long, value_name = "NUMBER", group = "change")]
    pub max_users: Option<u32>,
    /// Servers its meetings go to, by tag; `TAG!` for no others, an empty one for any
    #[arg(long, value_name = "TAG", group = "change")]
    pub server_tag: Option<String>,
    /// Address of a document that meetings begin with where the application brings none
    #[arg(long, value_name = "URL", group = "change")]
    pub presentation: Option<String>,
    /// Name of the document, with its extension
    #[arg(long, value_name = "NAME", requires = "presentation")]
    pub presentation_name: Option<String>,
    /// Let meetings begin with the document even where the application brings others
    #[arg(long, requires = "presentation")]
    pub force_presentation: bool,
    /// Let meetings begin with no document of ours
    #[arg(long, conflicts_with = "presentation", group = "change")]
    pub no_presentation: bool,
    /// Numbers for its rooms, by which callers reach them: FIRST-LAST, five to nine digits each
    #[arg(long, value_name = "RANGE", group = "change")]
    pub voice_bridges: Option<VoiceRange>,
    /// Give its rooms numbers as the control planes are configured
    #[arg(long, conflicts_with = "voice_bridges", group = "change")]
    pub no_voice_bridges: bool,
    /// Telephone number told to users in place of what the application sends; an empty one for that
    #[arg(long, value_name = "NUMBER", group = "change")]
    pub dial_number: Option<String>,
}
