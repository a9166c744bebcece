//! Requests that create a resource and are sent again, because their answers were lost (ADR 35).

use tonic::{Code, Status, transport::Channel};
use tonic_types::StatusExt;
use usher_proto::v1::{tenant_service_client::TenantServiceClient, *};

use crate::{
    bench::{Bench, settings},
    hooks::{add_tenant, at, hooks, memory, reachable},
};

fn server(weight: f64, request_id: &str) -> CreateServerRequest {
    let url = "http://127.0.0.1:1/bigbluebutton/api/".into();
    CreateServerRequest {
        server: Some(Server { url, secret: "s".into(), weight, ..Server::default() }),
        server_id: "bbb1".into(),
        validate_only: false,
        request_id: request_id.into(),
    }
}

fn tenant(host: &str, request_id: &str) -> CreateTenantRequest {
    let tenant = Tenant { secrets: vec!["s".into()], hosts: vec![host.into()], ..Tenant::default() };
    CreateTenantRequest { tenant: Some(tenant), tenant_id: "school".into(), request_id: request_id.into() }
}

fn names_the_request_id(status: &Status) -> bool {
    let bad = status.get_details_bad_request().map(|bad| bad.field_violations).unwrap_or_default();
    status.code() == Code::InvalidArgument && bad.iter().any(|violation| violation.field == "request_id")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_that_is_sent_again_gets_the_server_of_the_first_one() {
    let bench = Bench::on(settings(), memory()).await;
    let create = async |request| bench.servers().create_server(request).await.map(|a| a.into_inner().server);
    let first = create(server(1.0, "r-1")).await.expect("is created");
    assert_eq!(create(server(1.0, "r-1")).await.expect("is the same"), first);
    let check = CreateServerRequest { validate_only: true, ..server(1.0, "r-2") };
    for (request, code) in [
        (server(1.0, "r-2"), Code::AlreadyExists),
        (server(1.0, ""), Code::AlreadyExists),
        (check, Code::AlreadyExists),
    ] {
        assert_eq!(create(request).await.expect_err("exists").code(), code);
    }
    let other = create(server(2.0, "r-1")).await.expect_err("has another content");
    assert!(names_the_request_id(&other) && other.message().contains("servers/bbb1"), "{other:?}");
    let unfit = create(server(1.0, "an id")).await.expect_err("is no id");
    assert!(names_the_request_id(&unfit), "{unfit:?}");

    // An update keeps the mark: the answer shows the server as it is now.
    let update = UpdateServerRequest {
        server: Some(Server { name: "servers/bbb1".into(), weight: 3.0, ..Server::default() }),
        ..UpdateServerRequest::default()
    };
    bench.servers().update_server(update).await.expect("is updated");
    let again = create(server(1.0, "r-1")).await.expect("is the same").expect("is shown");
    assert_eq!((again.weight, again.secret.as_str()), (3.0, ""));
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_that_is_sent_again_gets_the_tenant_of_the_first_one() {
    let bench = Bench::on(settings(), memory()).await;
    let tenants = TenantServiceClient::<Channel>::new(bench.channel.clone());
    let create = async |request| tenants.clone().create_tenant(request).await.map(|a| a.into_inner().tenant);
    let first = create(tenant("a.test", "r-1")).await.expect("is created");
    assert_eq!(create(tenant("a.test", "r-1")).await.expect("is the same"), first);
    let another = create(tenant("a.test", "r-2")).await.expect_err("exists");
    assert_eq!(another.code(), Code::AlreadyExists);
    let other = create(tenant("b.test", "r-1")).await.expect_err("has another content");
    assert!(names_the_request_id(&other) && other.message().contains("tenants/school"), "{other:?}");
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registration_that_is_sent_again_is_not_told_that_the_hook_existed() {
    let bench = Bench::on(reachable(), memory()).await;
    add_tenant(&bench, "school").await;
    let create = async |meeting: &str, request_id: &str| {
        let hook = Hook { meeting_id: meeting.into(), ..at("https://app.test/cb") };
        let (parent, request_id) = ("tenants/school".into(), request_id.into());
        let request = CreateHookRequest { parent, hook: Some(hook), request_id };
        hooks(&bench).create_hook(request).await.map(tonic::Response::into_inner)
    };
    let first = create("", "r-1").await.expect("is registered");
    assert!(!first.existing);
    assert_eq!(create("", "r-1").await.expect("is the same"), first);
    assert!(create("", "r-2").await.expect("stands").existing);
    assert!(create("", "").await.expect("stands").existing);
    let other = create("room", "r-1").await.expect_err("has another content");
    assert!(names_the_request_id(&other), "{other:?}");
    bench.stop().await;
}
