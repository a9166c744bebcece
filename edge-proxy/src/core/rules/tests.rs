use usher_model::id::TenantId;

use usher_bbb::query::decode;

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
