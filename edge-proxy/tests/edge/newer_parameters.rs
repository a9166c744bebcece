//! The parameters of BBB 3.0 and 4.0: they reach the server byte for byte, tenants may have rules for
//! them, and the refusals of servers about them reach the application.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use usher_bbb::reply::Refusal;
use usher_model::{
    id::TenantId,
    routing::TenantRoute,
    tenant::{ParameterRule, TenantPolicy},
};

use crate::support::{Cluster, SECRET, key, tenant};

/// Parameters of `create`, each as an application may write it.
const CREATE: &[&str] = &[
    "sharedNotesEditor=blockNote",
    "sharedNotesEditor=etherpad",
    "sharedNotesInitialContentJsonUrl=https%3A%2F%2Fapp.test%2Fnotes.json%3Fa%3d1",
    "sharedNotesInitialContentMarkdown=%23%20Agenda%0a%0a*%20one+two%20%e2%9c%93",
    "sharedNotesInitialContentMarkdownUrl=https://app.test/notes.md",
    "clientSettingsOverrideJsonUrl=https%3A%2F%2Fapp.test%2Fsettings.json",
    "multiUserWhiteboardEnabled=true",
    "plugin_sample-url=https%3a%2F%2Fapp.test%2Fx",
    "plugin_typed%5Fcaptions=%7B%22a%22:%5b1%5D%7d",
    "pluginManifests=%5B%7B%22url%22%3A%22https%3A%2F%2Fapp.test%2Fm.json%22%7D%5D",
    "pluginManifestsFetchUrl=https%3A%2F%2Fapp.test%2Fall.json",
    "lockSettingsPresenterPolicy=requireApproval",
    "requireUserConsentBeforeUnmuting=TRUE",
    "notifyRecordingAppend=false",
    "lockSettingsLockedLayout=true",
    "meetingLayout=CAMERAS_ONLY",
    "meetingLayout=PARTICIPANTS_AND_CHAT_ONLY",
    "meetingLayout=PRESENTATION_ONLY",
    "meetingLayout=MEDIA_ONLY",
    "disabledFeatures=quizzes,deleteChatMessage%2CinfiniteWhiteboard,,userReactions",
    "disabledFeaturesExclude=quizzes",
    "allowOverrideClientSettingsOnCreateCall=true",
    "presentationConversionCacheEnabled=true",
];

/// Parameters of `join`.
const JOIN: &[&str] = &[
    "enforceLayout=MEDIA_ONLY",
    "userdata-bbb_default_layout=PRESENTATION_ONLY",
    "plugin_sample-url=https%3a%2F%2Fapp.test%2Fx",
    "bot=true",
    "webcamBackgroundURL=https%3A%2F%2Fapp.test%2Fb.png",
];

fn created(cluster: &Cluster) -> String {
    cluster.sims[0].calls().into_iter().rev().find(|call| call.name == "create").expect("was called").query
}

#[tokio::test]
async fn parameters_of_newer_releases_pass_byte_for_byte() {
    let cluster = Cluster::start(1).await;
    for (number, parameter) in CREATE.iter().enumerate() {
        let query = format!("name=Room&{parameter}&meetingID=room-{number}");
        let answer = cluster.client.call("create", &query).await;
        assert!(answer.is_success(), "{parameter}: {answer:?}");
        assert_eq!(created(&cluster), format!("{query}&meta_usher-tenant=default"));
    }
    let all = format!("name=Room&{}&meetingID=all", CREATE.join("&"));
    assert!(cluster.client.call("create", &all).await.is_success());
    assert_eq!(created(&cluster), format!("{all}&meta_usher-tenant=default"), "repeated ones too");
    cluster.settled().await;
    let join = format!("fullName=Ada&{}&meetingID=all&role=VIEWER", JOIN.join("&"));
    assert_eq!(cluster.client.call("join", &join).await.redirected_query(), join);
}

/// A tenant that may not change the settings of clients has neither the address of settings nor the
/// switch of the module.
#[tokio::test]
async fn tenants_may_have_rules_for_parameters_of_newer_releases() {
    let cluster = Cluster::start(1).await;
    let rules = [
        "remove:clientSettingsOverrideJsonUrl",
        "override:allowOverrideClientSettingsOnCreateCall=false",
        "remove:plugin_sample-url",
        "default:sharedNotesEditor=etherpad",
        "override:lockSettingsLockedLayout=true",
        "merge:disabledFeatures=quizzes",
    ];
    let create_rules: Vec<ParameterRule> =
        rules.iter().map(|rule| rule.parse().expect("is a rule")).collect();
    let policy = TenantPolicy { create_rules, ..TenantPolicy::default() };
    cluster.plane.set_tenant(TenantRoute { policy, ..tenant(TenantId::DEFAULT, &[SECRET], &[]) });
    cluster.settled().await;
    let query = "name=Room&clientSettings%4fverrideJsonUrl=https%3A%2F%2Fevil.test&meetingID=room\
                 &allowOverrideClientSettingsOnCreateCall=true&plugin_sample-url=x&clientSettingsOverrideJsonUrl=y\
                 &disabledFeatures=polls&plugin_other=1";
    assert!(cluster.client.call("create", query).await.is_success());
    assert_eq!(
        created(&cluster),
        "name=Room&meetingID=room&allowOverrideClientSettingsOnCreateCall=false&disabledFeatures=polls%2Cquizzes\
         &plugin_other=1&sharedNotesEditor=etherpad&lockSettingsLockedLayout=true&meta_usher-tenant=default"
    );
}

/// Serves one answer to every request.
async fn answering(cluster: &Cluster, answer: String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/bigbluebutton/api/", listener.local_addr().expect("is bound"));
    cluster.tasks.spawn("refusing-server", async move |stop| {
        loop {
            let mut stream = tokio::select! {
                accepted = listener.accept() => accepted?.0,
                () = stop.cancelled() => return Ok(()),
            };
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await?);
            }
            let length = answer.len();
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
            stream.write_all([head.as_bytes(), answer.as_bytes()].concat().as_slice()).await?;
        }
    });
    cluster.plane.alter_server("s0", |server| server.url = url);
    cluster.settled().await;
}

/// Only a server knows which editors it has.
#[tokio::test]
async fn a_servers_refusal_of_an_editor_reaches_the_application() {
    let refusal = Refusal::INVALID_SHARED_NOTES_EDITOR;
    assert!(refusal.key == "invalidSharedNotesEditor" && Refusal::CATALOGUE.contains(&refusal));
    let cluster = Cluster::start(1).await;
    answering(&cluster, refusal.to_xml()).await;
    let answer = cluster.client.call("create", "meetingID=room&name=Room&sharedNotesEditor=word").await;
    assert_eq!((answer.key().as_str(), answer.text("message")), (refusal.key, &*refusal.message));
    assert!(!answer.headers.contains_key("retry-after"));
    assert!(cluster.plane.meeting(&key("room")).is_none(), "its record is gone");
}
