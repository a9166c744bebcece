//! Requests that once occupied the workers of an edge for seconds: joins of other tenants stay
//! fast, and running meetings go on.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use tokio::time::timeout;
use usher_harness::client::{BbbTestClient, HttpAnswer};

use crate::site::UsherSite;

/// Longest time that a join may take meanwhile, in a debug build on a loaded machine. The forms
/// below took tens of seconds there.
const QUICK: Duration = Duration::from_secs(3);
/// Least number of joins that the test makes.
const JOINS: usize = 40;

fn list(name: &str, entries: usize) -> String {
    let ids: Vec<String> = (0..entries).map(|number| format!("lesson-{number:05}")).collect();
    format!("{name}={}", ids.join(","))
}

fn create(id: &str, parameters: usize, one: impl Fn(usize) -> String) -> String {
    let more: String = (0..parameters).map(one).collect();
    format!("name=Room&meetingID={id}{more}")
}

/// Joins repeatedly until `done`, and fails if a join is slow.
async fn joins(client: &BbbTestClient, ids: &[String], done: &AtomicBool) -> Result<()> {
    for turn in 0_usize.. {
        if turn >= JOINS && done.load(Ordering::SeqCst) {
            break;
        }
        let id = &ids[turn % ids.len()];
        let joined = timeout(QUICK, client.joined(id)).await;
        joined.with_context(|| format!("join {turn} took longer than {QUICK:?}"))??;
    }
    Ok(())
}

async fn others_joins_stay_quick(site: &UsherSite) -> Result<()> {
    let (school, hostile) = (site.tenant("school").await?, site.tenant("hostile").await?);
    let ids: Vec<String> = (0..4).map(|number| format!("class-{number}")).collect();
    for id in &ids {
        school.created(id).await?;
    }
    let before = site.running();
    let usher = |number: usize| format!("&meta_usher-{number}=x");
    let address = |number: usize| format!("&meta_a{number}-callback-url=https://app.test/{number}");
    // Forms far beyond the limits, and forms just within them.
    let far = [
        ("getRecordings", list("meetingID", 30_000)),
        ("getRecordings", list("recordID", 30_000)),
        ("create", create("one", 30_000, usher)),
        ("create", create("two", 30_000, address)),
        ("updateRecordings", list("recordID", 30_000)),
    ];
    let near = [
        ("getRecordings", list("meetingID", 2000)),
        ("getRecordings", list("recordID", 2000)),
        ("create", create("three", 990, usher)),
        ("create", create("four", 990, address)),
    ];
    let done = AtomicBool::new(false);
    let attack = async {
        let all = far.iter().chain(&near).map(|(call, form)| hostile.post_form(call, form));
        let answers = futures::future::join_all(all).await;
        done.store(true, Ordering::SeqCst);
        answers.into_iter().collect::<Result<Vec<HttpAnswer>>>()
    };
    let (joined, answers) = futures::future::join(joins(&school, &ids, &done), attack).await;
    joined?;
    let answers = answers?;
    for answer in &answers[..far.len()] {
        ensure!(answer.key() == "validationError", "{}", answer.body);
    }
    for answer in &answers[far.len()..] {
        ensure!(answer.is_success(), "{}", answer.body);
    }
    let after = site.running();
    ensure!(before.iter().all(|instance| after.contains(instance)), "{before:?} {after:?}");
    for id in &ids {
        school.joined(id).await?;
    }
    Ok(())
}

/// On etcd, a tenant sends forms with thousands of entries → joins of another tenant take less than
/// `QUICK`.
#[tokio::test(flavor = "multi_thread")]
async fn one_tenants_forms_slow_no_others_joins_on_etcd() -> Result<()> {
    others_joins_stay_quick(&UsherSite::on_etcd(&[]).await?).await
}

/// On the embedded store, a tenant sends forms with thousands of entries → joins of another tenant
/// take less than `QUICK`.
#[tokio::test(flavor = "multi_thread")]
async fn one_tenants_forms_slow_no_others_joins_on_the_embedded_store() -> Result<()> {
    others_joins_stay_quick(&UsherSite::embedded(&[]).await?).await
}
