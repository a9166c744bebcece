//! The XML modules of a create: those of the application stay as they are beside any presentation
//! of its tenant, and they count at any method.

use bytes::Bytes;
use usher_model::{
    id::TenantId,
    routing::TenantRoute,
    tenant::{PresentationDocument, TenantPolicy},
};

use crate::support::{Cluster, SECRET, signed, tenant, with_time_for_documents};

const XML: [(&str, &str); 1] = [("content-type", "application/xml")];
const SETTINGS: &str =
    "<module name=\"clientSettingsOverride\">\n<![CDATA[{\"public\": {\"app\": \"a<b> & ]\"}}]]>\n</module>";
const NOTES: &str = "<module name='sharedNotesInitialContentJson'>[{&quot;id&quot;: 1}]</module >";
const OTHER: &str = "<module  name=\"later\" x='1'><!-- by hand --><item/></module>";
const SLIDES: &str =
    "<module name=\"presentation\"><document url=\"https://a.test/own.pdf\" filename=\"own.pdf\"/></module>";
const OURS: &str =
    "<module name=\"presentation\"><document url=\"https://school.test/w.pdf\" filename=\"w.pdf\"/></module>";

/// Starts a cluster whose tenant has a presentation.
async fn start(forced: bool) -> Cluster {
    let cluster = Cluster::start_with(1, with_time_for_documents).await;
    let presentation =
        PresentationDocument { url: "https://school.test/w.pdf".into(), name: String::new(), forced };
    let policy = TenantPolicy { presentation: Some(presentation), ..TenantPolicy::default() };
    cluster.plane.set_tenant(TenantRoute { policy, ..tenant(TenantId::DEFAULT, &[SECRET], &[]) });
    cluster.settled().await;
    cluster
}

/// Creates a meeting with a body, and returns the body that the server received.
async fn sent(cluster: &Cluster, method: &str, query: &str, body: impl Into<Bytes>) -> String {
    cluster.sims[0].forget_calls();
    let path = format!("/bigbluebutton/api/create?{}", signed("create", query));
    let answer = cluster.client.send(method, &path, &XML, body).await;
    assert!(answer.is_success(), "{answer:?}");
    let call = cluster.sims[0].calls().into_iter().find(|call| call.name == "create").expect("was called");
    String::from_utf8(call.body.into()).expect("is text")
}

#[tokio::test]
async fn a_forced_presentation_leaves_every_other_module_as_it_is() {
    let cluster = start(true).await;
    for (number, (given, expected)) in [
        (format!("{SETTINGS}\n{SLIDES}{NOTES}{OTHER}"), format!("{SETTINGS}\n{NOTES}{OTHER}{OURS}")),
        (format!("{SETTINGS}{NOTES}"), format!("{SETTINGS}{NOTES}{OURS}")),
        (SLIDES.to_owned(), OURS.to_owned()),
        (String::new(), OURS.to_owned()),
    ]
    .into_iter()
    .enumerate()
    {
        let query = format!("meetingID=room-{number}&name=Room");
        let got = sent(&cluster, "POST", &query, format!("<modules>{given}</modules>")).await;
        assert_eq!(got, format!("<modules>{expected}</modules>"), "{given}");
    }
    assert_eq!(
        sent(&cluster, "GET", "meetingID=bare&name=Room", "").await,
        format!("<modules>{OURS}</modules>")
    );
}

#[tokio::test]
async fn a_default_presentation_is_added_beside_other_modules_and_never_beside_slides() {
    let cluster = start(false).await;
    for (number, (given, expected)) in [
        (format!("{SETTINGS}{NOTES}{OTHER}"), format!("{SETTINGS}{NOTES}{OTHER}{OURS}")),
        (format!("{SETTINGS}{SLIDES}"), format!("{SETTINGS}{SLIDES}")),
        (String::new(), OURS.to_owned()),
    ]
    .into_iter()
    .enumerate()
    {
        let query = format!("meetingID=room-{number}&name=Room");
        let got = sent(&cluster, "POST", &query, format!("<modules>{given}</modules>")).await;
        assert_eq!(got, format!("<modules>{expected}</modules>"), "{given}");
    }
    let named = "meetingID=named&name=Room&preUploadedPresentation=https%3A%2F%2Fa.test%2Fa.pdf";
    let body = format!("<modules>{SETTINGS}</modules>");
    assert_eq!(sent(&cluster, "POST", named, body.clone()).await, body);
}

/// A large body is edited while it streams.
#[tokio::test]
async fn modules_of_a_large_body_are_kept_too() {
    for forced in [true, false] {
        let cluster = start(forced).await;
        let notes = format!("<module name=\"notes\">{}</module>", "QUJD".repeat(1 << 19));
        let slides =
            SLIDES.replace("/></module>", &format!(">{}</document></module>", "QUJD".repeat(1 << 19)));
        for (number, given) in
            [format!("{notes}{SETTINGS}"), format!("{slides}{SETTINGS}{notes}")].iter().enumerate()
        {
            let body = format!("<?xml version=\"1.0\"?>\n<modules>\n{given}</modules>\n");
            let expected = match (forced, number) {
                (false, 1) => body.clone(),
                _ => body.replace(&slides, "").replace("</modules>", &format!("{OURS}</modules>")),
            };
            let got = sent(&cluster, "POST", &format!("meetingID=room-{number}&name=Room"), body).await;
            assert!(got == expected, "{forced} {number}: {} and {} bytes", got.len(), expected.len());
        }
    }
}

/// BBB reads the body of a create at any method.
#[tokio::test]
async fn a_create_by_get_brings_its_modules() {
    let cluster = Cluster::start(1).await;
    let body = format!("<modules>{SLIDES}{SETTINGS}</modules>");
    assert_eq!(sent(&cluster, "GET", "meetingID=room&name=Room", body.clone()).await, body);
    assert_eq!(cluster.sims[0].meetings()[0].documents, ["own.pdf"]);
    let path = format!("/bigbluebutton/api/create?{}", signed("create", "meetingID=next&name=Room"));
    let answer = cluster.client.send("GET", &path, &XML, "<modules><").await;
    assert_eq!(answer.key(), "validationError", "{answer:?}");
    // The fields of a form are no parameters of a GET, and modules of no other call are read.
    let form = [("content-type", "application/x-www-form-urlencoded")];
    assert!(cluster.client.send("GET", &path, &form, "meetingID=evil").await.is_success());
    let path = format!("/bigbluebutton/api/getMeetings?{}", signed("getMeetings", ""));
    assert!(cluster.client.send("GET", &path, &XML, "<modules><").await.is_success());
}
