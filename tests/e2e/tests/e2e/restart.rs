//! Power failures: `kill -9` of a standalone Usher under load, and a restart on the same data.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
};

use anyhow::Result;
use futures::future::join_all;
use usher_harness::{standalone::RunningStandalone, wait};

/// A standalone is killed under load, several times → every meeting that was answered with SUCCESS
/// has its record, and no meeting is on two servers, those of unanswered creates included.
#[tokio::test]
async fn no_meeting_is_lost_or_split_by_kill_9_under_load() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut usher = RunningStandalone::start_on(Some(folder.path()), 4, &[]).await?;
    for round in 0..3 {
        let confirmed = cut_under_load(&mut usher, round).await?;
        assert!(confirmed.len() > 10, "the load was real: {}", confirmed.len());
        usher.restart().await?;
        let client = usher.client();
        for (id, internal) in &confirmed {
            let again = client.created(id).await?;
            assert_eq!(again.text("internalMeetingID"), Some(internal.as_str()), "{id} lives where it lived");
            client.joined(id).await?;
        }
        no_meeting_is_on_two_servers(&usher).await?;
    }
    Ok(())
}

/// Creates meetings from many clients until the process is killed meanwhile; returns the
/// acknowledged meetings.
async fn cut_under_load(usher: &mut RunningStandalone, round: usize) -> Result<BTreeMap<String, String>> {
    let (done, cut) = (AtomicUsize::new(0), AtomicBool::new(false));
    let client = usher.client();
    let clients = (0..16).map(|number| {
        let (client, done, cut) = (client.clone(), &done, &cut);
        async move {
            let mut confirmed = Vec::new();
            for turn in 0.. {
                let id = format!("cut-{round}-{number}-{turn}");
                match client.create(&id).await {
                    Ok(answer) if answer.is_success() => {
                        done.fetch_add(1, Ordering::Relaxed);
                        confirmed.push((id, answer.text("internalMeetingID").unwrap_or_default().to_owned()));
                    }
                    _ if cut.load(Ordering::Relaxed) => break,
                    Ok(answer) => panic!("refused before the cut: {}", answer.body),
                    Err(error) => panic!("failed before the cut: {error:#}"),
                }
            }
            confirmed
        }
    });
    let process = &mut usher.process;
    let killer = async {
        let loaded = wait::until("some creates", || async {
            anyhow::ensure!(done.load(Ordering::Relaxed) > 60);
            Ok(())
        });
        loaded.await?;
        cut.store(true, Ordering::Relaxed);
        process.kill()
    };
    let (confirmed, cut_off) = tokio::join!(join_all(clients), killer);
    cut_off?;
    Ok(confirmed.into_iter().flatten().collect())
}

/// Waits until the polls have adopted or ended the meetings of creates that were cut.
async fn no_meeting_is_on_two_servers(usher: &RunningStandalone) -> Result<()> {
    wait::until("every meeting to be on one server, with its record", || async {
        usher.admin().poll("-").await?;
        let mut hosts: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (number, sim) in usher.sims.iter().enumerate() {
            for meeting in sim.meetings() {
                hosts.entry(meeting.meeting_id.clone()).or_default().push(number);
            }
        }
        let split: Vec<_> = hosts.iter().filter(|(_, servers)| servers.len() > 1).collect();
        anyhow::ensure!(split.is_empty(), "split: {split:?}");
        let records = usher.admin().meetings().await?;
        for record in &records {
            let on = hosts.get(&record.meeting_id);
            let named = on.and_then(|servers| servers.first()).map(|number| format!("servers/bbb-{number}"));
            anyhow::ensure!(named.as_ref() == Some(&record.server), "{record:?} is on {on:?}");
        }
        anyhow::ensure!(records.len() == hosts.len(), "{} records, {} meetings", records.len(), hosts.len());
        Ok(())
    })
    .await
}
