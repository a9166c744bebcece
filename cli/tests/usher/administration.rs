//! `usher meetings`, `edges`, `status` and `completions`, the token, and a control plane that is unreachable.

use usher_bbb::secret::Secret;

use crate::fleet::{TestFleet, settings, until, usher};

#[tokio::test(flavor = "multi_thread")]
async fn meetings_are_listed_shown_and_ended() {
    let fleet = TestFleet::start(1, &settings()).await;
    fleet.add(0).await;
    for id in ["room", "a%20%2F%20b"] {
        let created =
            fleet.call("create", &format!("meetingID={id}&name=Room&attendeePW=ap&moderatorPW=mp")).await;
        assert!(created.contains("<returncode>SUCCESS"), "{created}");
    }
    let list = fleet.usher("meetings list --server bbb-0 -o json").await.json();
    assert_eq!(list.as_array().map(Vec::len), Some(2), "{list}");
    assert!(list.as_array().into_iter().flatten().any(|meeting| meeting["meeting_id"] == "a / b"), "{list}");
    let shown = until("the meeting is active", async || {
        let shown = fleet.usher("meetings show room -o json").await.json();
        (shown["state"] == "active").then_some(shown)
    })
    .await;
    assert_eq!(
        (shown["tenant"].as_str(), shown["server"].as_str()),
        (Some("default"), Some("bbb-0")),
        "{shown}"
    );
    let ended = fleet.usher("meetings end room --yes").await;
    assert_eq!(ended.code, 0, "{ended:?}");
    until("the simulated server ended it", async || {
        let left: Vec<String> =
            fleet.sims[0].meetings().into_iter().filter(|m| !m.ending).map(|m| m.meeting_id).collect();
        (left == ["a / b"]).then_some(())
    })
    .await;
    assert_eq!(fleet.usher("meetings show missing").await.code, 1);
    assert_eq!(fleet.usher("zombies list -o json").await.code, 0);
    fleet.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn status_and_edges_show_the_state_of_the_fleet() {
    let fleet = TestFleet::start(1, &settings()).await;
    fleet.add(0).await;
    let status = fleet.usher("status -o json").await.json();
    assert_eq!(
        (status["servers_online"].as_u64(), status["servers"][0]["id"].as_str()),
        (Some(1), Some("bbb-0")),
        "{status}"
    );
    let text = fleet.usher("status").await.out;
    assert!(text.contains("1 online") && text.contains("bbb-0"), "{text}");
    let edges = fleet.usher("edges list -o yaml").await;
    assert!(edges.out.starts_with("- id: ") && edges.out.contains("lag: "), "{edges:?}");
    fleet.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn status_reports_webhooks_once_one_is_registered() {
    let mut reachable = settings();
    reachable.public_url = Some("https://usher.test".into());
    reachable.callbacks.allow = vec!["127.0.0.1".into()];
    let fleet = TestFleet::start(1, &reachable).await;
    fleet.add(0).await;
    assert!(!fleet.usher("status").await.out.contains("webhooks"), "there are none");
    let created = fleet.call("hooks/create", "callbackURL=http%3A%2F%2F127.0.0.1%3A1%2F").await;
    assert!(created.contains("<returncode>SUCCESS"), "{created}");
    until("the server to have its hook", async || {
        let line = "webhooks       1 registered, present on all servers, 0 events wait";
        fleet.usher("status").await.out.contains(line).then_some(())
    })
    .await;
    let status = fleet.usher("status -o json").await.json();
    let figures = ["hooks", "servers_without_hooks", "hook_events"].map(|name| status[name].as_u64());
    assert_eq!(figures, [Some(1), Some(0), Some(0)], "{status}");
    fleet.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_guards_the_control_port() {
    let mut guarded = settings();
    guarded.admin.token = Some(Secret::new("token"));
    let fleet = TestFleet::start(0, &guarded).await;
    for line in ["servers list", "--token wrong servers list"] {
        let said = fleet.usher(line).await;
        assert!(said.code == 4 && !said.error.contains("wrong"), "{line}: {said:?}");
    }
    assert_eq!(fleet.usher("servers list --token token").await.code, 0);
    fleet.stop().await;
}

#[tokio::test]
async fn an_unreachable_control_plane_is_named_and_the_code_says_try_again() {
    let said = usher("--endpoint 127.0.0.1:1 status").await;
    assert!(
        said.code == 3 && said.error.contains("http://127.0.0.1:1") && said.error.contains("--endpoint"),
        "{said:?}"
    );
    assert_eq!(usher("--endpoint nonsense://x status").await.code, 3);
    let said = usher("--endpoint https://127.0.0.1:1 status").await;
    assert!(said.code == 3 && said.error.contains("https://127.0.0.1:1"), "{said:?}");
}

#[tokio::test]
async fn completions_are_written_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let said = usher(&format!("completions {shell}")).await;
        assert!(said.code == 0 && said.out.contains("usher"), "{shell}");
    }
}
