mod text_model;

use proptest::prelude::*;
use usher_bbb::query::decode;
use usher_model::{id::TenantId, tenant::ParameterRule};

use super::*;

fn list(parameters: &str) -> ParameterList<'_> {
    ParameterList::parse(parameters, 20).unwrap()
}

/// Returns a create of `id` by `tenant`, as the server gets it.
fn sent(rules: &DeploymentRules, given: &str, tenant: &str, id: &str) -> String {
    let tenant = TenantId::parse(tenant).unwrap();
    let scope = TenantScope::of(&tenant);
    ruled(
        rules,
        given,
        &TenantPolicy::default(),
        &MeetingKey::new(tenant, MeetingId::parse(id).unwrap()),
        &scope,
    )
}

fn ruled(
    rules: &DeploymentRules,
    given: &str,
    policy: &TenantPolicy,
    key: &MeetingKey,
    scope: &TenantScope,
) -> String {
    let list = list(given);
    let mut sent = rules.ruled(&list, policy);
    rules.create(&mut sent, key, scope, policy);
    sent.to_text()
}

fn rules(max_minutes: u64, create: &[&str], join: &[&str]) -> DeploymentRules {
    let own = |names: &[&str]| names.iter().map(ToString::to_string).collect();
    DeploymentRules::new(&MeetingSettings {
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
        ("duration=x&logo=http%3A%2F%2Fl&meetingID=a", "duration=120&meetingID=a&meta_usher-tenant=default"),
    ] {
        assert_eq!(super::tests::sent(&capped, given, "default", "a"), sent);
    }
    let uncapped = sent(&rules(0, &[], &[]), "duration=999", "default", "a");
    assert_eq!(uncapped, "duration=999&meta_usher-tenant=default");
    let (join, policy) = (list("avatarURL=x&fullName=A"), TenantPolicy::default());
    let rules = rules(0, &[], &["avatarURL"]);
    assert_eq!(rules.join(&join, &policy, None).to_text(), "fullName=A");
}

#[test]
fn no_tenant_can_claim_anothers_mark() {
    let none = DeploymentRules::default();
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
    let none = DeploymentRules::default();
    let given = "name=x&meetingID=a+b&record=true";
    let expected = "name=x&meetingID=school~a%20b&record=true&meta_usher-tenant=school";
    assert_eq!(sent(&none, given, "school", "a b"), expected);
    let unusual = "meetingID=default~school~a&meta_usher-tenant=default";
    assert_eq!(sent(&none, "meeting%49D=school~a", "default", "school~a"), unusual);
}

#[test]
fn s13_the_shorter_of_two_durations_holds_against_a_tenants_rules() {
    let tenant = TenantId::default_tenant();
    let (scope, key) = (TenantScope::of(&tenant), MeetingKey::new(tenant, MeetingId::parse("a").unwrap()));
    let policy = |minutes, rule: &str| TenantPolicy {
        create_rules: vec![rule.parse().unwrap()],
        max_duration: Duration::from_mins(minutes),
        ..TenantPolicy::default()
    };
    for (all, tenants, rule, expected) in [
        (120, 0, "default:logo=x", "logo=x&duration=120"),
        (120, 60, "default:logo=x", "logo=x&duration=60"),
        (0, 60, "override:duration=90", "duration=60"),
        (120, 0, "override:duration=90", "duration=90"),
        (0, 0, "override:duration=90", "duration=90"),
    ] {
        let sent = ruled(&rules(all, &["logo"], &[]), "logo=mine", &policy(tenants, rule), &key, &scope);
        assert_eq!(sent, format!("{expected}&meta_usher-tenant=default"), "{rule}");
    }
}

#[test]
fn no_meeting_gets_the_voice_bridge_for_tests() {
    for (given, expected) in [("voiceBridge=99999&a=1", "a=1"), ("voiceBridge=71234", "voiceBridge=71234")] {
        let sent = sent(&DeploymentRules::default(), given, "default", "a");
        assert_eq!(sent, format!("{expected}&meta_usher-tenant=default"));
    }
}

#[test]
fn a_forced_presentation_leaves_no_other() {
    let shown =
        usher_model::tenant::PresentationDocument { url: "u".into(), name: String::new(), forced: true };
    let policy = TenantPolicy { presentation: Some(shown), ..TenantPolicy::default() };
    let given = list("a=1&preUploadedPresentation=x&preUploadedPresentationName=y");
    assert_eq!(DeploymentRules::default().ruled(&given, &policy).to_text(), "a=1");
}

#[test]
fn placement_learns_the_wishes_of_the_create() {
    let query = "maxParticipants=30&meta_usher-size=40&meta_server-tag=%21gpu&meta_usher-supersede=true";
    let expected = PlacementWishes {
        max_users: 30,
        size_hint: 40,
        server_tag: "!gpu".into(),
        supersede: true,
        ..PlacementWishes::default()
    };
    let wishes = |query| wishes(&list(query).edited());
    assert_eq!(wishes(query), expected);
    assert_eq!(wishes("maxParticipants=many"), PlacementWishes::default());
}

/// Creates and joins with names in every spelling, repeated and empty ones, and values that are no text of UTF-8.
fn hostile_parameters() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        "(duration|dur%61tion|logo|record|welcome|disabledFeatures|voiceBridge|dialNumber)",
        "(meetingID|meeting%49D|MEETINGID|preUploadedPresentation|preUploadedPresentationName)",
        "(meta|META|m%65ta)(_|%5f|%5F|-)(usher-tenant|Usher-Tenant|usher%2dx|USHER-size|usher-supersede|class|Class)",
        "[a-d%+é]{0,3}",
    ];
    let value = prop_oneof!["(60|90|0|x|99999|\\+60|%36%30)", "[a-c,%+é&=]{0,5}", "%(ff|zz|4)"];
    let pair = (name, value).prop_map(|(name, value)| format!("{name}={value}"));
    prop::collection::vec(prop_oneof![8 => pair, 1 => Just(String::new()), 1 => "[a-d]"], 0..120)
        .prop_map(|pairs| pairs.join("&"))
}

fn policies() -> impl Strategy<Value = TenantPolicy> {
    let rule = prop::sample::select(vec![
        "default:record=true",
        "override:record=false",
        "remove:welcome",
        "cap:duration=45",
        "override:duration=90",
        "remove:duration",
        "merge:disabledFeatures=chat,polls",
        "override:meta_Class=7b",
        "default:logo=x",
        "override:voiceBridge=99999",
        "remove:dialNumber",
    ]);
    (prop::collection::vec(rule, 0..5), 0_u64..3, any::<[bool; 2]>()).prop_map(
        |(rules, limit, [dials, forced])| {
            let rules: Vec<ParameterRule> = rules.into_iter().map(|rule| rule.parse().unwrap()).collect();
            let shown =
                usher_model::tenant::PresentationDocument { url: "u".into(), name: String::new(), forced };
            TenantPolicy {
                create_rules: rules.clone(),
                join_rules: rules,
                max_duration: Duration::from_mins(30 * limit),
                dial_number: if dials { "+49 1".into() } else { String::new() },
                presentation: Some(shown),
                ..TenantPolicy::default()
            }
        },
    )
}

proptest! {
    /// The changes of one list have the effect of changes that are written one after the other, as they were before.
    #[test]
    fn a_list_is_ruled_as_its_text_is(
        given in hostile_parameters(), policy in policies(), minutes in 0_u64..2, is_scoped in any::<bool>(),
    ) {
        let rules = rules(60 * minutes, &["logo", "userdata-x"], &["logo", "c"]);
        let tenant = TenantId::parse(if is_scoped { "school" } else { "default" }).unwrap();
        let scope = TenantScope::of(&tenant);
        let key = MeetingKey::new(tenant, MeetingId::parse("a b").unwrap());
        let list = ParameterList::parse(&*given, 200).unwrap();
        let mut sent = rules.ruled(&list, &policy);
        let ruled = text_model::ruled(&rules, &given, &policy);
        prop_assert_eq!(sent.to_text(), ruled.as_str());
        prop_assert_eq!(wishes(&sent), wishes(&ParameterList::parse(&*ruled, 300).unwrap().edited()));
        rules.create(&mut sent, &key, &scope, &policy);
        let text = text_model::create(&rules, &ruled, &key, &scope, &policy);
        // A text that lost all its parameters in the first step has no empty one in the second.
        let written = sent.to_text();
        prop_assert_eq!(written.trim_start_matches('&'), text.trim_start_matches('&'));
        let id = Some(QueryEdit::Set("meetingID", "school~a"));
        prop_assert_eq!(rules.join(&list, &policy, id).to_text(), text_model::join(&rules, &given, &policy, id));
    }
}
