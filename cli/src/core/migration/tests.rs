use usher_model::{id::MeetingId, tenant::ParameterRule};

use super::*;
use crate::core::{scalelite::FoundMeeting, server_list::ServerSpec};

fn sid(id: &str) -> ServerId {
    ServerId::parse(id).unwrap()
}

fn key(tenant: &str, id: &str) -> MeetingKey {
    MeetingKey::new(TenantId::parse(tenant).unwrap(), MeetingId::parse(id).unwrap())
}

fn server(id: &str, host: &str) -> FoundServer {
    let url = format!("https://{host}/bigbluebutton/api/");
    let secret = Secret::new("hunter2");
    let spec = ServerSpec { id: sid(id), url, secret, enabled: true, weight: 1.0, tags: Vec::new() };
    FoundServer { spec, admin: AdminState::Enabled }
}

fn tenant(name: &str) -> FoundTenant {
    let rules = vec!["default:record=true".parse::<ParameterRule>().unwrap()];
    FoundTenant { id: TenantId::parse(name).unwrap(), secrets: vec![Secret::new("hunter2")], rules }
}

fn meeting(tenant: &str, id: &str, server: &str) -> FoundMeeting {
    FoundMeeting { key: key(tenant, id), server: sid(server) }
}

fn scalelite() -> ScaleliteInventory {
    ScaleliteInventory {
        servers: vec![server("a", "a.test"), server("b", "b.test")],
        tenants: vec![tenant("School")],
        meetings: vec![meeting("default", "m", "a"), meeting("School", "n", "b")],
        ..ScaleliteInventory::default()
    }
}

/// Returns a fleet that has only the tenant `default`.
fn fresh() -> UsherInventory {
    let default = CurrentTenant { id: TenantId::default_tenant(), secrets: Vec::new(), hosts: Vec::new() };
    UsherInventory { tenants: vec![default], ..UsherInventory::default() }
}

/// Returns the entries that Usher has after a plan was carried out.
fn carried_out(usher: &UsherInventory, plan: &MigrationPlan) -> UsherInventory {
    let mut after = usher.clone();
    after.servers.extend(plan.servers.iter().map(|server| CurrentServer {
        id: server.spec.id.clone(),
        url: server.spec.url.clone(),
        secret: server.spec.secret.clone(),
        weight: server.spec.weight,
        tags: server.spec.tags.clone(),
        admin: server.admin,
        meetings: 0,
        users: 0,
    }));
    after.tenants.extend(plan.tenants.iter().map(|tenant| CurrentTenant {
        id: tenant.found.id.clone(),
        secrets: tenant.found.secrets.clone(),
        hosts: tenant.host.iter().cloned().collect(),
    }));
    for (server, keys) in &plan.meetings {
        after.meetings.extend(keys.iter().map(|key| (key.clone(), server.clone())));
    }
    after
}

fn remarks(plan: &MigrationPlan) -> Vec<(&str, &str, bool)> {
    plan.remarks.iter().map(|remark| (remark.kind, remark.name.as_str(), remark.is_conflict)).collect()
}

#[test]
fn s10_a_migration_that_was_carried_out_is_empty_the_second_time() {
    let empty = fresh();
    let first = plan(&empty, &scalelite(), Some("bbb.test"));
    assert_eq!((first.tenants.len(), first.servers.len(), first.meetings.len()), (1, 2, 2));
    assert_eq!(first.tenants[0].host.as_deref(), Some("school.bbb.test"));
    let second = plan(&carried_out(&empty, &first), &scalelite(), Some("bbb.test"));
    assert!(second.is_empty() && second.remarks.is_empty(), "{second:?}");
    assert_eq!(second.already_here, [1, 2, 2]);
}

#[test]
fn differing_entries_are_reported_and_not_written() {
    let all = carried_out(&fresh(), &plan(&fresh(), &scalelite(), None));
    let mut usher = all.clone();
    usher.servers[0].url = "https://elsewhere.test/bigbluebutton/api/".into();
    usher.servers[1].secret = Secret::new("other");
    usher.servers[1].weight = 2.0;
    usher.tenants[1].secrets = vec![Secret::new("other")];
    usher.meetings.insert(key("School", "n"), sid("c"));
    let plan = plan(&usher, &scalelite(), None);
    assert!(plan.is_empty(), "{plan:?}");
    assert_eq!(
        remarks(&plan),
        [
            ("tenant", "School", true),
            ("server", "a", true),
            ("server", "b", true),
            ("server", "b", false),
            ("meeting", "School/n", true)
        ]
    );
    assert!(
        plan.remarks.iter().all(|remark| !remark.text.contains("hunter2") && !remark.text.contains("other;"))
    );
}

#[test]
fn a_server_is_known_by_its_address_too() {
    let mut usher = carried_out(&fresh(), &plan(&fresh(), &scalelite(), None));
    usher.servers[0].id = sid("bbb-1");
    usher.meetings.clear();
    let plan = plan(&usher, &scalelite(), None);
    assert!(plan.servers.is_empty() && plan.remarks.is_empty(), "{plan:?}");
    assert_eq!(plan.meetings[&sid("bbb-1")], [key("default", "m")]);
}

#[test]
fn of_two_servers_at_one_address_the_first_is_taken_over_with_the_meetings_of_both() {
    let mut found = scalelite();
    found.servers.push(server("c", "a.test"));
    found.meetings.push(meeting("default", "o", "c"));
    let plan = plan(&fresh(), &found, None);
    assert_eq!(plan.servers.len(), 2);
    assert_eq!(plan.meetings[&sid("a")], [key("default", "m"), key("default", "o")]);
    assert_eq!(remarks(&plan), [("server", "c", true)]);
}

#[test]
fn meetings_of_disabled_servers_are_not_taken_over() {
    let mut found = scalelite();
    found.servers[0].admin = AdminState::Disabled;
    let plan = plan(&fresh(), &found, None);
    assert!(!plan.meetings.contains_key(&sid("a")));
    assert_eq!(remarks(&plan), [("meeting", "default/m", false)]);
}

#[test]
fn a_host_of_another_tenant_stays_with_that_tenant() {
    let owner = CurrentTenant {
        id: TenantId::parse("owner").unwrap(),
        secrets: Vec::new(),
        hosts: vec!["school.bbb.test".into()],
    };
    let mut usher = fresh();
    usher.tenants.push(owner);
    let plan = plan(&usher, &scalelite(), Some("BBB.test"));
    assert_eq!((plan.tenants.len(), plan.tenants[0].host.as_deref()), (1, None));
    assert_eq!(remarks(&plan), [("tenant", "School", true)]);
}

#[test]
fn without_a_tenant_default_a_conflict_names_the_meetings_of_no_tenant() {
    let without_default = plan(&UsherInventory::default(), &scalelite(), None);
    assert_eq!(remarks(&without_default), [("tenant", "default", true)]);
    assert_eq!(without_default.meetings.len(), 2, "its meetings are taken over nevertheless");
    let mut tenants_only = scalelite();
    tenants_only.meetings.remove(0);
    assert!(plan(&UsherInventory::default(), &tenants_only, None).remarks.is_empty());
}
