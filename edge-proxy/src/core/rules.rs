//! Parameter rules: what is added to, taken out of and capped in creates and joins (S13).

use std::{borrow::Cow, time::Duration};

use usher_common::{
    bbb::query::{Edit, RawQuery, decode},
    meeting::MeetingKey,
    scope::Scope,
    settings::MeetingSettings,
};

/// Names the tenant in a meeting's metadata, so that polls can rebuild records.
const TENANT_MARK: &str = "meta_usher-tenant";
/// Expected number of users, as callers may give it; polls read it.
const SIZE_HINT: &str = "meta_usher-size";
/// Asks to give the id to another server; for Usher alone.
const SUPERSEDE: &str = "meta_usher-supersede";
/// Prefix of metadata that only Usher may set.
const OURS: &str = "meta_usher-";
const SERVER_TAG: &str = "meta_server-tag";

/// The rules in force.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    create_exclude: Vec<String>,
    join_exclude: Vec<String>,
    /// Longest duration in minutes; 0 means no limit.
    max_minutes: u64,
}

/// What a create asks of placement.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wishes {
    /// `maxParticipants`; 0 means no limit.
    pub max_users: u32,
    /// Expected users; 0 means unknown.
    pub size_hint: u32,
    /// Required (`!tag`) or preferred server tag; empty means none.
    pub server_tag: String,
    /// Give the id to another server although its own is only unhealthy.
    pub supersede: bool,
}

impl Rules {
    /// Takes the rules from the settings.
    pub fn new(settings: &MeetingSettings) -> Self {
        // A duration is whole minutes; a limit below one is one.
        let minutes = settings.max_duration.as_secs().div_ceil(60);
        Self {
            create_exclude: keep_essential(&settings.create_exclude),
            join_exclude: keep_essential(&settings.join_exclude),
            max_minutes: if settings.max_duration == Duration::ZERO { 0 } else { minutes },
        }
    }

    /// Returns the parameters of a create as the server gets them.
    pub fn create(&self, parameters: &str, key: &MeetingKey, scope: &Scope) -> String {
        let query = RawQuery::new(parameters);
        // Decoded and in any case: the server would take `META%5fUsher-x` for no metadata at all.
        let foreign: Vec<Cow<'_, str>> = query
            .pairs()
            .map(|pair| decode(pair.name))
            .filter(|name| {
                let name = name.to_ascii_lowercase();
                name.starts_with(OURS) && name != SIZE_HINT
            })
            .collect();
        let limit = self.max_minutes.to_string();
        let mut edits: Vec<Edit<'_>> = foreign.iter().map(|name| Edit::Remove(name)).collect();
        edits.extend(self.create_exclude.iter().map(|name| Edit::Remove(name)));
        if self.max_minutes > 0 && !within(query, self.max_minutes) {
            edits.push(Edit::Set("duration", &limit));
        }
        edits.push(Edit::Set(TENANT_MARK, key.tenant.as_str()));
        let on_server = scope.scoped(key.meeting.as_str());
        let on_server = (!on_server.prefix.is_empty()).then(|| on_server.to_string());
        edits.extend(on_server.as_deref().map(|id| Edit::Set("meetingID", id)));
        usher_common::bbb::query::rewrite(parameters, &edits)
    }

    /// Returns the changes to a join.
    pub fn join(&self) -> Vec<Edit<'_>> {
        self.join_exclude.iter().map(|name| Edit::Remove(name)).collect()
    }
}

/// Reads what a create asks of placement.
pub fn wishes(parameters: &str) -> Wishes {
    let query = RawQuery::new(parameters);
    let number = |name| query.first(name).and_then(|value| value.trim().parse().ok()).unwrap_or(0);
    Wishes {
        max_users: number("maxParticipants"),
        size_hint: number(SIZE_HINT),
        server_tag: query.first(SERVER_TAG).unwrap_or_default().into_owned(),
        supersede: query.first(SUPERSEDE).is_some_and(|value| value.trim() == "true"),
    }
}

/// Without these there is no call left.
fn keep_essential(names: &[String]) -> Vec<String> {
    names.iter().filter(|name| *name != "meetingID").cloned().collect()
}

/// Tells whether the one duration given is a limit below `max` minutes.
fn within(query: RawQuery<'_>, max: u64) -> bool {
    let given = query.first("duration").and_then(|value| value.trim().parse::<u64>().ok());
    query.count("duration") == 1 && given.is_some_and(|minutes| (1..=max).contains(&minutes))
}

#[cfg(test)]
mod tests {
    use usher_common::id::{MeetingId, TenantId};

    use super::*;

    /// A create of `id` by `tenant`, as the server gets it.
    fn sent(rules: &Rules, given: &str, tenant: &str, id: &str) -> String {
        let tenant = TenantId::parse(tenant).unwrap();
        let scope = Scope::of(&tenant);
        rules.create(given, &MeetingKey::new(tenant, MeetingId::parse(id).unwrap()), &scope)
    }

    fn rules(max_minutes: u64, create: &[&str], join: &[&str]) -> Rules {
        let own = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        Rules::new(&MeetingSettings {
            max_duration: Duration::from_mins(max_minutes),
            create_exclude: own(create),
            join_exclude: own(join),
            ..MeetingSettings::default()
        })
    }

    #[test]
    fn s13_durations_are_capped_and_parameters_excluded() {
        let capped = rules(120, &["logo", "meetingID"], &[]);
        for (given, sent) in [
            ("meetingID=a&name=b", "meetingID=a&name=b&duration=120&meta_usher-tenant=default"),
            ("meetingID=a&duration=0&name=b", "meetingID=a&duration=120&name=b&meta_usher-tenant=default"),
            ("duration=60&meetingID=a", "duration=60&meetingID=a&meta_usher-tenant=default"),
            ("duration=60&meetingID=a&duration=999", "duration=120&meetingID=a&meta_usher-tenant=default"),
            (
                "duration=x&logo=http%3A%2F%2Fl&meetingID=a",
                "duration=120&meetingID=a&meta_usher-tenant=default",
            ),
        ] {
            assert_eq!(super::tests::sent(&capped, given, "default", "a"), sent);
        }
        let uncapped = sent(&rules(0, &[], &[]), "duration=999", "default", "a");
        assert_eq!(uncapped, "duration=999&meta_usher-tenant=default");
        assert_eq!(rules(0, &[], &["avatarURL"]).join(), [Edit::Remove("avatarURL")]);
    }

    #[test]
    fn nobody_can_claim_another_tenants_mark() {
        let none = Rules::default();
        for smuggled in [
            "meta_usher-tenant=other",
            "meta_Usher-Tenant=other",
            "meta%5Fusher-tenant=other",
            "meta_usher-tenant=a&meta_USHER-tenant=b",
            "meta_usher-supersede=true",
            "meta_usher-anything=1",
        ] {
            let sent = sent(&none, &format!("meetingID=a&{smuggled}&x=1"), "default", "a");
            let kept = sent.replace("meta_usher-tenant=default", "");
            assert!(sent.contains("meta_usher-tenant=default"), "{sent}");
            assert!(!decode(&kept).to_ascii_lowercase().contains("usher"), "{sent}");
            assert!(sent.starts_with("meetingID=a&") && sent.contains("x=1"), "{sent}");
        }
        let sized = sent(&none, "meta_usher-size=40", "default", "a");
        assert_eq!(sized, "meta_usher-size=40&meta_usher-tenant=default");
    }

    #[test]
    fn a_tenants_id_gets_its_scope_where_it_stands() {
        let none = Rules::default();
        let given = "name=x&meetingID=a+b&record=true";
        let expected = "name=x&meetingID=school~a%20b&record=true&meta_usher-tenant=school";
        assert_eq!(sent(&none, given, "school", "a b"), expected);
        let unusual = "meetingID=default~school~a&meta_usher-tenant=default";
        assert_eq!(sent(&none, "meeting%49D=school~a", "default", "school~a"), unusual);
    }

    #[test]
    fn placement_learns_what_the_create_says() {
        let query = "maxParticipants=30&meta_usher-size=40&meta_server-tag=%21gpu&meta_usher-supersede=true";
        let expected = Wishes { max_users: 30, size_hint: 40, server_tag: "!gpu".into(), supersede: true };
        assert_eq!(wishes(query), expected);
        assert_eq!(wishes("maxParticipants=many"), Wishes::default());
    }
}
