//! The effects of a tenant's policy on its creates and joins.

use std::time::Duration;

use usher_bbb::query::RawQuery;
use usher_model::{
    routing::TenantRoute,
    tenant::{ParameterRule, PresentationDocument, TenantPolicy},
};

use crate::{
    support::{Cluster, SECRET, tenant},
    tenants::Tenant,
};

fn rules(texts: &[&str]) -> Vec<ParameterRule> {
    texts.iter().map(|text| text.parse().expect("is a rule")).collect()
}

/// Sets the policy of a tenant.
async fn set(cluster: &Cluster, id: &str, policy: TenantPolicy) {
    let secret = if id == "default" { SECRET.to_owned() } else { Tenant::secret(id) };
    cluster.plane.set_tenant(TenantRoute { policy, ..tenant(id, &[&secret], &[]) });
    cluster.settled().await;
}

/// Returns the parameters that the server received with the last call of this name.
fn got(cluster: &Cluster, name: &str) -> String {
    cluster.sims[0].calls().into_iter().rev().find(|call| call.name == name).expect("was called").query
}

#[tokio::test]
async fn each_tenant_has_its_own_rules_for_creates_and_joins() {
    let cluster = Cluster::start_with(1, |settings| {
        settings.meetings.max_duration = Duration::from_hours(4);
        settings.meetings.create_exclude = vec!["logo".into()];
    })
    .await;
    let school = Tenant::join_cluster(&cluster, "school").await;
    let policy = TenantPolicy {
        create_rules: rules(&[
            "default:record=true",
            "override:welcome=Hello",
            "merge:disabledFeatures=polls",
            "remove:copyright",
            "cap:maxParticipants=30",
        ]),
        join_rules: rules(&["override:guest=true", "remove:avatarURL", "default:userdata-x=1"]),
        max_duration: Duration::from_mins(90),
        ..TenantPolicy::default()
    };
    set(&cluster, "school", policy).await;
    let given = "name=Room&meetingID=room&welcome=x&logo=y&copyright=z&disabledFeatures=chat&custom=%20a";
    assert!(school.call("create", given).await.is_success());
    assert_eq!(
        got(&cluster, "create"),
        "name=Room&meetingID=school~room&welcome=Hello&disabledFeatures=chat%2Cpolls&custom=%20a&record=true\
         &maxParticipants=30&duration=90&meta_usher-tenant=school"
    );
    cluster.settled().await;
    let join = school.call("join", "fullName=Ada&meetingID=room&role=VIEWER&avatarURL=z&guest=false").await;
    let sent = "fullName=Ada&meetingID=school~room&role=VIEWER&guest=true&userdata-x=1";
    assert_eq!(join.redirected_query(), sent);

    let default = Tenant::join_cluster(&cluster, "default").await;
    assert!(default.call("create", "name=Room&meetingID=room&welcome=x&logo=y").await.is_success());
    assert_eq!(
        got(&cluster, "create"),
        "name=Room&meetingID=room&welcome=x&duration=240&meta_usher-tenant=default"
    );
}

#[tokio::test]
async fn a_tenants_meetings_begin_with_its_presentation() {
    let cluster = Cluster::start(1).await;
    let school = Tenant::join_cluster(&cluster, "school").await;
    let shown = |forced| TenantPolicy {
        presentation: Some(PresentationDocument {
            url: "https://school.test/a%20b/welcome.pdf?x=1&y=2".into(),
            name: String::new(),
            forced,
        }),
        ..TenantPolicy::default()
    };
    let xml = [("content-type", "application/xml")];
    let own = "<modules><module name=\"presentation\"><document url=\"https://a.test/own.pdf\" \
               filename=\"own.pdf\"/></module></modules>";
    let documents = |id: &str| {
        let meetings = cluster.sims[0].meetings();
        let found = meetings.into_iter().find(|meeting| meeting.meeting_id == format!("school~{id}"));
        found.expect("was created").documents
    };
    for (forced, with_none, with_own) in
        [(false, "welcome.pdf", "own.pdf"), (true, "welcome.pdf", "welcome.pdf")]
    {
        set(&cluster, "school", shown(forced)).await;
        let (bare, body, named) = (format!("a{forced}"), format!("b{forced}"), format!("c{forced}"));
        assert!(school.call("create", &format!("meetingID={bare}&name=Room")).await.is_success());
        let path = school.path("create", &format!("meetingID={body}&name=Room"));
        assert!(cluster.client.send("POST", &path, &xml, own).await.is_success());
        let parameter =
            "preUploadedPresentation=https%3A%2F%2Fa.test%2Fx&preUploadedPresentationName=own.pdf";
        let answer = school.call("create", &format!("meetingID={named}&name=Room&{parameter}")).await;
        assert!(answer.is_success(), "{answer:?}");
        for (id, expected) in [(&bare, with_none), (&body, with_own), (&named, with_own)] {
            assert_eq!(documents(id), [expected], "{id}");
        }
    }
}

#[tokio::test]
async fn no_more_users_are_sent_on_than_a_tenant_may_have() {
    let cluster = Cluster::start(1).await;
    let school = Tenant::join_cluster(&cluster, "school").await;
    let default = Tenant::join_cluster(&cluster, "default").await;
    let policy = TenantPolicy { max_users: 10, ..TenantPolicy::default() };
    let counted = |users| TenantRoute {
        policy: policy.clone(),
        users,
        ..tenant("school", &[&Tenant::secret("school")], &[])
    };
    cluster.plane.set_tenant(counted(8));
    for tenant in [&school, &default] {
        assert!(tenant.call("create", "meetingID=room&name=Room").await.is_success());
    }
    cluster.settled().await;
    let join = "meetingID=room&fullName=Ada&role=VIEWER";
    for person in ["Eve", "Bob"] {
        school.call("join", &format!("meetingID=room&fullName={person}&role=VIEWER")).await.location();
        school.call("join", "meetingID=nowhere&fullName=Ada&role=VIEWER").await;
    }
    assert_eq!(school.call("join", join).await.key(), "maxParticipantsReached");
    let back = school.call("join", &format!("{join}&logoutURL=https%3A%2F%2Fapp.test%2F")).await;
    let (address, query) = back.location();
    assert_eq!(address, "https://app.test/");
    assert!(RawQuery::new(&query).first("errors").is_some_and(|e| e.contains("maxParticipantsReached")));
    assert!(school.call("getMeetingInfo", "meetingID=room").await.is_success(), "all else goes on");
    for _ in 0..20 {
        default.call("join", join).await.location();
    }
    cluster.plane.set_tenant(counted(9));
    cluster.settled().await;
    school.call("join", join).await.location();
    let other = join.replace("Ada", "Ann");
    assert_eq!(school.call("join", &other).await.key(), "maxParticipantsReached");
}

#[tokio::test]
async fn one_person_takes_one_place_of_a_tenant_however_often_the_link_is_clicked() {
    let cluster = Cluster::start(1).await;
    let school = Tenant::join_cluster(&cluster, "school").await;
    let counted = |users| TenantRoute {
        policy: TenantPolicy { max_users: 2, ..TenantPolicy::default() },
        users,
        ..tenant("school", &[&Tenant::secret("school")], &[])
    };
    cluster.plane.set_tenant(counted(0));
    let created = school.call("create", "meetingID=room&name=Room").await;
    cluster.settled().await;
    let join = |person: &str| format!("meetingID=room&role=VIEWER&{person}");
    for person in ["userID=1&fullName=Ada", "fullName=Eve&userID="] {
        for _ in 0..3 {
            school.call("join", &join(person)).await.location();
        }
    }
    let third = join("fullName=Ada&userID=3");
    assert_eq!(school.call("join", &third).await.key(), "maxParticipantsReached");
    // Polls list both, and the whole table is sent again.
    cluster.plane.set_tenant(counted(2));
    cluster.plane.send_snapshot(&cluster.plane.table(), false);
    cluster.settled().await;
    let internal = created.text("internalMeetingID");
    school.call("join", &join("userID=1&fullName=Ada%20L")).await.location();
    school.call("join", &format!("meetingID={internal}&fullName=Eve&role=VIEWER")).await.location();
    assert_eq!(school.call("join", &third).await.key(), "maxParticipantsReached");
}
