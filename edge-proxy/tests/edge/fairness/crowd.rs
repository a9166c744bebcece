//! A crowd of one tenant, and a tenant that knows nothing of it.

use crate::support::{Answer, Client, Cluster, SECRET, signed, tenant};

/// A tenant whose clients all call at once and wait.
pub(super) struct Crowd {
    pub(super) answers: tokio::sync::mpsc::Receiver<Answer>,
    /// Dropped with the crowd: its clients close their connections.
    _tasks: tokio::task::JoinSet<()>,
}

impl Crowd {
    /// Sends a signed call of tenant `crowd` from each of so many connections.
    pub(super) fn of(
        cluster: &Cluster,
        calls: usize,
        call: &'static str,
        query: impl Fn(usize) -> String,
    ) -> Self {
        Self::with_body(cluster, calls, call, query, "")
    }

    /// Sends such calls with an XML body; without one if it is empty.
    pub(super) fn with_body(
        cluster: &Cluster,
        calls: usize,
        call: &'static str,
        query: impl Fn(usize) -> String,
        body: &str,
    ) -> Self {
        let (sender, answers) = tokio::sync::mpsc::channel(calls);
        let mut tasks = tokio::task::JoinSet::new();
        for number in 0..calls {
            let path = format!("/crowd/bigbluebutton/api/{call}?{}", signed(call, &query(number)));
            let (client, sender) = (Client::new(cluster.client.address), sender.clone());
            let body = body.to_owned();
            tasks.spawn(async move {
                let answer = if body.is_empty() {
                    client.get(&path).await
                } else {
                    client.send("POST", &path, &[("content-type", "application/xml")], body).await
                };
                let _ = sender.send(answer).await;
            });
        }
        Self { answers, _tasks: tasks }
    }

    /// Waits for so many answers, each of which has to be the retryable one.
    pub(super) async fn is_refused(&mut self, count: usize) {
        for _ in 0..count {
            let answer = self.answers.recv().await.expect("is answered");
            assert!(answer.is_retryable(), "{answer:?}");
        }
    }

    /// Returns the number of answers that came and were not read.
    pub(super) fn further_answers(&mut self) -> usize {
        std::iter::from_fn(|| self.answers.try_recv().ok()).count()
    }
}

/// A cluster with the tenants `default` and `crowd`, whose calls wait for longer than the test takes.
pub(super) async fn cluster(
    servers: usize,
    alter: impl FnOnce(&mut usher_model::settings::Settings),
) -> Cluster {
    let cluster = Cluster::start_with(servers, |settings| {
        settings.meetings.call_timeout = std::time::Duration::from_mins(1);
        settings.meetings.create_timeout = std::time::Duration::from_mins(1);
        alter(settings);
    })
    .await;
    cluster.plane.set_tenant(tenant("crowd", &[SECRET], &[]));
    cluster.client.create("room").await;
    cluster.confirmed("room").await;
    cluster
}

/// Calls as a tenant that knows nothing of the crowd.
pub(super) async fn is_served(cluster: &Cluster, id: &str) {
    cluster.client.create(id).await;
    cluster.confirmed(id).await;
    cluster.client.join(id).await.location();
    assert!(cluster.client.call("getMeetings", "").await.is_success());
    assert!(cluster.client.call("getMeetingInfo", &format!("meetingID={id}")).await.is_success());
    assert!(cluster.client.call("end", &format!("meetingID={id}")).await.is_success());
}

pub(super) fn shed(cluster: &Cluster, reason: &str) -> f64 {
    cluster.metric(&format!("usher_edge_shed_total{{reason=\"{reason}\"}}"))
}

/// Calls as tenant `crowd`.
pub(super) async fn crowd_call(cluster: &Cluster, call: &str, query: &str) -> Answer {
    cluster.client.get(&format!("/crowd/bigbluebutton/api/{call}?{}", signed(call, query))).await
}
