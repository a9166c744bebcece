//! An HTTP client that signs calls and reads the fields of answers that the tests need.

use std::time::Duration;

use usher_bbb_sim::{BbbSim, SimOptions};

pub(crate) const SECRET: &str = "sim-test-secret";

/// Longest time that a single wait in these tests may take.
pub(crate) const DEADLINE: Duration = Duration::from_secs(10);

/// An answer, read completely.
#[derive(Debug)]
pub(crate) struct CallReply {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: String,
}

impl CallReply {
    /// Returns the text of the first element with this name; empty if there is none.
    pub(crate) fn text(&self, element: &str) -> &str {
        let (open, close) = (format!("<{element}>"), format!("</{element}>"));
        let from = self.body.find(&open).map(|at| at + open.len());
        from.and_then(|from| self.body[from..].split_once(&close)).map_or("", |(text, _)| text)
    }

    pub(crate) fn succeeded(&self) -> bool {
        self.text("returncode") == "SUCCESS"
    }

    pub(crate) fn key(&self) -> &str {
        self.text("messageKey")
    }

    pub(crate) fn location(&self) -> &str {
        self.headers.get("location").and_then(|value| value.to_str().ok()).unwrap_or("")
    }
}

/// Returns a client that follows no redirects and keeps no connections.
pub(crate) fn client() -> reqwest::Client {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .pool_max_idle_per_host(0)
        .no_proxy()
        .timeout(DEADLINE)
        .build()
        .unwrap()
}

pub(crate) async fn start() -> BbbSim {
    start_with(SimOptions::new(SECRET)).await
}

pub(crate) async fn start_with(options: SimOptions) -> BbbSim {
    BbbSim::start(options).await.unwrap()
}

pub(crate) async fn fetch(request: reqwest::RequestBuilder) -> reqwest::Result<CallReply> {
    let response = request.send().await?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = response.bytes().await?;
    Ok(CallReply { status, headers, body: String::from_utf8_lossy(&body).into_owned() })
}

/// Makes a signed call and returns its answer.
pub(crate) async fn call(sim: &BbbSim, name: &str, query: &str) -> CallReply {
    try_call(sim, name, query).await.unwrap()
}

/// Makes a signed call that may fail on the way.
pub(crate) async fn try_call(sim: &BbbSim, name: &str, query: &str) -> reqwest::Result<CallReply> {
    fetch(client().get(sim.signed_url(name, query))).await
}

/// Makes a signed `end` and lets the apps server carry it out.
pub(crate) async fn end(sim: &BbbSim, query: &str) -> CallReply {
    let answer = call(sim, "end", query).await;
    sim.settle();
    answer
}

/// Waits until `holds` returns true; panics after the deadline.
pub(crate) async fn until(mut holds: impl FnMut() -> bool) {
    let waited = tokio::time::timeout(DEADLINE, async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    });
    waited.await.unwrap();
}
