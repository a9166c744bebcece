//! Tenants: several applications behind one Usher.

use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Result, ensure};
use usher_harness::{admin::TestAdmin, client::BbbTestClient, standalone::RunningStandalone, wait};
use usher_proto::v1;

/// Waits until a call is answered with this key: edges get a change of a tenant a moment later.
async fn until_key(client: &BbbTestClient, call: &str, query: &str, key: &str) -> Result<()> {
    wait::until(&format!("{call} to be answered with `{key}`"), || async {
        let answer = client.get(call, query).await?;
        ensure!(answer.key() == key, "{}", answer.body);
        Ok(())
    })
    .await
}

/// A tenant is selected by path or by host, else it is `default` → each accepts only its own
/// secret, and an unknown tenant gets `unsupportedRequest`.
#[tokio::test]
async fn a_tenant_is_selected_by_path_or_host_and_else_is_default() -> Result<()> {
    let usher = RunningStandalone::start(1, &[]).await?;
    let admin = usher.admin();
    admin.add_tenant("school", "school-secret", &["bbb.school.test"]).await?;
    let by_path = usher.client().for_tenant("school", "school-secret");
    let by_host = usher.client().with_host("BBB.school.test:8443").with_secret("school-secret");
    until_key(&by_path, "getMeetings", "", "noMeetings").await?;
    until_key(&by_host, "getMeetings", "", "noMeetings").await?;
    let elsewhere = usher.client().with_host("bbb.other.test");
    assert_eq!(elsewhere.get("getMeetings", "").await?.key(), "noMeetings", "any other host is `default`");

    for foreign in [
        usher.client().with_secret("school-secret"),
        usher.client().for_tenant("default", "school-secret"),
        by_path.clone().with_secret(usher_harness::cluster::SECRET),
        by_host.clone().with_secret(usher_harness::cluster::SECRET),
    ] {
        for call in ["getMeetings", "create", "join", "end"] {
            assert_eq!(foreign.get(call, "meetingID=room&name=Room").await?.key(), "checksumError");
        }
    }
    let nobody = usher.client().for_tenant("nobody", "school-secret");
    assert_eq!(nobody.get("getMeetings", "").await?.key(), "unsupportedRequest");
    Ok(())
}

/// S12: a secret is added and another revoked, then the tenant is disabled, while Usher runs → each
/// change takes effect soon, without a restart.
#[tokio::test]
async fn s12_secrets_are_added_and_revoked_and_tenants_disabled_while_running() -> Result<()> {
    let usher = RunningStandalone::start(1, &[]).await?;
    let (admin, name) = (usher.admin(), "tenants/school".to_owned());
    admin.add_tenant("school", "old", &[]).await?;
    let (old, new) = (usher.client().for_tenant("school", "old"), usher.client().for_tenant("school", "new"));
    until_key(&old, "getMeetings", "", "noMeetings").await?;
    assert_eq!(new.get("getMeetings", "").await?.key(), "checksumError");
    let mut tenants = admin.tenants_client();
    let added =
        v1::AddTenantSecretRequest { name: name.clone(), secret: "new".to_owned(), ..Default::default() };
    tenants.add_tenant_secret(added).await?;
    until_key(&new, "getMeetings", "", "noMeetings").await?;
    assert_eq!(old.get("getMeetings", "").await?.key(), "noMeetings", "both are good");
    let revoked = v1::RemoveTenantSecretRequest { name: name.clone(), secret: "old".to_owned() };
    tenants.remove_tenant_secret(revoked).await?;
    until_key(&old, "getMeetings", "", "checksumError").await?;
    assert_eq!(new.get("getMeetings", "").await?.key(), "noMeetings");

    let off = v1::Tenant { name: name.clone(), enabled: Some(false), ..Default::default() };
    tenants.update_tenant(v1::UpdateTenantRequest { tenant: Some(off), ..Default::default() }).await?;
    until_key(&new, "getMeetings", "", "apiNotEnabled").await?;
    assert_eq!(old.get("getMeetings", "").await?.key(), "checksumError", "the answer reveals no data");
    tenants.delete_tenant(v1::DeleteTenantRequest { name, ..Default::default() }).await?;
    until_key(&new, "getMeetings", "", "unsupportedRequest").await
}

/// Three tenants use the same `meetingID` on one server → polls match each record, lists show each
/// tenant its own meeting, and an end affects only one.
#[tokio::test]
async fn two_tenants_use_one_id_at_once_and_polls_keep_them_apart() -> Result<()> {
    let usher = RunningStandalone::start(1, &[("meetings.adopt", "tagged")]).await?;
    let admin = usher.admin();
    for tenant in ["school", "college"] {
        admin.add_tenant(tenant, tenant, &[]).await?;
    }
    let clients = [
        ("default", usher.client()),
        ("school", usher.client().for_tenant("school", "school")),
        ("college", usher.client().for_tenant("college", "college")),
    ];
    let mut instances = Vec::new();
    for (tenant, client) in &clients {
        until_key(client, "getMeetings", "", "noMeetings").await?;
        let created = client.created("room").await?;
        assert_eq!(created.text("meetingID"), Some("room"), "{tenant}");
        instances.push(created.text("internalMeetingID").unwrap_or_default().to_owned());
        client.joined("room").await?;
    }
    // The server lists three ids; polls must match each with its record, and adopt none.
    for _ in 0..3 {
        admin.poll("-").await?;
    }
    let meetings = admin.meetings().await?;
    let mut known: Vec<_> =
        meetings.iter().map(|m| (m.tenant.clone(), m.meeting_id.as_str(), m.internal_id.as_str())).collect();
    known.sort_unstable();
    let mut expected: Vec<_> = clients
        .iter()
        .zip(&instances)
        .map(|((tenant, _), instance)| (format!("tenants/{tenant}"), "room", &**instance))
        .collect();
    expected.sort_unstable();
    assert_eq!(known, expected);
    for ((tenant, client), instance) in clients.iter().zip(&instances) {
        let listed = client.get("getMeetings", "").await?;
        assert_eq!(listed.texts("meetingID"), ["room"], "{tenant}: {}", listed.body);
        assert_eq!(listed.text("internalMeetingID"), Some(instance.as_str()), "{tenant}");
        assert!(!listed.body.contains("usher") && !listed.body.contains('~'), "{}", listed.body);
    }
    let ended = clients[1].1.get("end", "meetingID=room&password=mp").await?;
    assert!(ended.is_success(), "{}", ended.body);
    for (index, (tenant, client)) in clients.iter().enumerate() {
        let running = client.get("isMeetingRunning", "meetingID=room").await?;
        let info = client.get("getMeetingInfo", "meetingID=room").await?;
        assert_eq!(info.is_success(), index != 1, "{tenant}: {} {}", running.body, info.body);
    }
    Ok(())
}

/// Adds the tenant `school` with this policy.
async fn add_school(admin: &TestAdmin, policy: v1::TenantPolicy) -> Result<()> {
    let tenant =
        v1::Tenant { secrets: vec!["school".to_owned()], policy: Some(policy), ..Default::default() };
    admin.create_tenant("school", tenant).await?;
    Ok(())
}

/// A tenant has limits of meetings and users → creates and joins beyond them are refused, other
/// tenants are not affected, and a freed place can be used.
#[tokio::test]
async fn a_tenant_has_no_more_meetings_and_users_than_it_may() -> Result<()> {
    let usher = RunningStandalone::start(2, &[]).await?;
    let policy = v1::TenantPolicy { max_meetings: 2, max_users: 3, ..Default::default() };
    add_school(&usher.admin(), policy).await?;
    let (school, default) = (usher.client().for_tenant("school", "school"), usher.client());
    until_key(&school, "getMeetings", "", "noMeetings").await?;
    for id in ["one", "two"] {
        school.created(id).await?;
    }
    let third = school.create("three").await?;
    assert_eq!(third.key(), "maxConcurrent", "{}", third.body);
    assert_eq!(school.create("one").await?.key(), "duplicateWarning", "a running meeting is no new one");
    for id in ["one", "two", "three"] {
        default.created(id).await?;
    }
    assert!(school.get("end", "meetingID=two&password=mp").await?.is_success());
    school.created("three").await?;

    let busy = usher.sims.iter().find(|sim| sim.set_crowd("school~one", 3));
    assert!(busy.is_some(), "a server runs it");
    // Each try is another person: one who was sent to the meeting keeps the place.
    let people = AtomicU32::new(0);
    wait::until("the tenant to be full", || async {
        usher.admin().poll("-").await?;
        let person = people.fetch_add(1, Ordering::Relaxed);
        let join = format!("fullName=Person+{person}&meetingID=three&password=mp");
        let answer = school.get("join", &join).await?;
        ensure!(answer.key() == "maxParticipantsReached", "{answer:?}");
        Ok(())
    })
    .await?;
    default.joined("three").await?;
    for sim in &usher.sims {
        sim.set_crowd("school~one", 0);
    }
    wait::until("the tenant to have room again", || async {
        usher.admin().poll("-").await?;
        school.joined("three").await
    })
    .await?;
    Ok(())
}

/// The policy of a tenant requires a server tag → its creates are refused until a server has the
/// tag, and a tag in the request does not override the policy.
#[tokio::test]
async fn a_tenant_that_must_have_a_tag_gets_no_other_server() -> Result<()> {
    let usher = RunningStandalone::start(1, &[]).await?;
    add_school(&usher.admin(), v1::TenantPolicy { server_tag: "gpu!".to_owned(), ..Default::default() })
        .await?;
    let school = usher.client().for_tenant("school", "school");
    until_key(&school, "getMeetings", "", "noMeetings").await?;
    assert_eq!(school.create("room").await?.key(), "serverTagUnavailable");
    let own_wish = school.get("create", "name=Room&meetingID=room&meta_server-tag=none!").await?;
    assert_eq!(own_wish.key(), "serverTagUnavailable", "{}", own_wish.body);
    usher.client().created("room").await?;
    let change = v1::Server { name: "servers/bbb-0".into(), tags: vec!["gpu".into()], ..Default::default() };
    let request = v1::UpdateServerRequest { server: Some(change), ..Default::default() };
    usher.admin().servers_client().update_server(request).await?;
    school.created("room").await?;
    Ok(())
}

/// F7: a server runs meetings with the tenant's mark and without records → the one whose id has the
/// tenant's scope is adopted, the others are not.
#[tokio::test]
async fn f7_a_tenants_meeting_without_a_record_is_adopted_under_its_own_id() -> Result<()> {
    let usher = RunningStandalone::start(1, &[]).await?;
    usher.admin().add_tenant("school", "school", &[]).await?;
    let school = usher.client().for_tenant("school", "school");
    until_key(&school, "getMeetings", "", "noMeetings").await?;
    // The state after the loss of every record: the server runs the meeting with Usher's mark.
    for (id, tenant) in [("school~room", "school"), ("room", "school"), ("college~room", "school")] {
        let query = format!("name=Room&meetingID={id}&moderatorPW=mp&meta_usher-tenant={tenant}");
        let created = school.fetch(&usher.sims[0].signed_url("create", &query)).await?;
        ensure!(created.is_success(), "{created:?}");
    }
    wait::until("the meeting to be adopted", || async {
        usher.admin().poll("-").await?;
        school.joined("room").await
    })
    .await?;
    let meetings = usher.admin().meetings().await?;
    let known: Vec<_> = meetings.iter().map(|m| (m.tenant.as_str(), m.meeting_id.as_str())).collect();
    assert_eq!(known, [("tenants/school", "room")], "an id without its tenant's scope has no owner");
    // A list may be as old as `meetings.share_lists_for` allows.
    wait::until("the meeting to be listed", || async {
        let listed = school.get("getMeetings", "").await?;
        ensure!(listed.texts("meetingID") == ["room"], "{}", listed.body);
        Ok(())
    })
    .await?;
    assert_eq!(usher.client().get("getMeetings", "").await?.key(), "noMeetings");
    Ok(())
}
