//! Delivery of events: each hook gets its events in the order in which they happened, each repeated
//! until the hook accepts it. A hook that fails for too long is removed, unless it is permanent.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use http::{Uri, header};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::debug;
use usher_runtime::tasks::TaskGroup;

use super::{
    SimHookPost,
    post::{EventSigner, SignedPost},
    shared::{PendingEvent, QueuedEvents, SharedHooks},
};
use crate::time;

/// Most redirects that are followed.
const REDIRECTS: usize = 10;

type HttpClient = Client<HttpConnector, Full<Bytes>>;

/// Sends events until `stop`.
pub(crate) async fn run(
    hooks: Arc<SharedHooks>,
    mut pending_events: QueuedEvents,
    tasks: TaskGroup,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let client: HttpClient = Client::builder(TokioExecutor::new()).build_http();
    let mut queues: HashMap<String, mpsc::UnboundedSender<PendingEvent>> = HashMap::new();
    loop {
        let pending = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            pending = pending_events.recv() => match pending {
                Some(pending) => pending,
                None => return Ok(()),
            },
        };
        queues.retain(|id, _| hooks.registry().knows(id));
        let queue = queues.entry(pending.hook.id.clone()).or_insert_with(|| {
            let (queue, waiting) = mpsc::unbounded_channel();
            let serving = serve(Arc::clone(&hooks), client.clone(), waiting);
            let stop = stop.clone();
            tasks.spawn_short("sim-hook", async move {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = serving => {}
                }
            });
            queue
        });
        // Sending fails only if the hook was removed meanwhile; then the event is dropped.
        let _gone = queue.send(pending);
    }
}

/// Sends events to one hook until the hook is removed.
async fn serve(
    hooks: Arc<SharedHooks>,
    client: HttpClient,
    mut waiting: mpsc::UnboundedReceiver<PendingEvent>,
) {
    while let Some(pending) = waiting.recv().await {
        if !hooks.registry().knows(&pending.hook.id) {
            return;
        }
        if !deliver(&hooks, &client, &pending).await && !pending.hook.permanent {
            hooks.registry().destroy(&pending.hook.id);
            return;
        }
    }
}

/// Returns whether the hook accepted the event. A permanent hook is tried for as long as it exists.
async fn deliver(hooks: &SharedHooks, client: &HttpClient, pending: &PendingEvent) -> bool {
    let sender = EventSigner {
        version: hooks.registry().version(),
        options: &hooks.options,
        domain: hooks.domain(),
        secret: &hooks.secret,
    };
    let post = sender.post(&pending.hook, &pending.text, time::now_ms());
    let mut pauses = hooks.options.pauses.iter();
    loop {
        let status = tokio::time::timeout(hooks.options.timeout, attempt(client, &post));
        let status = status.await.ok().flatten();
        debug!(?status, event = pending.event, "a hook was called");
        hooks.record(SimHookPost {
            hook_id: pending.hook.id.clone(),
            callback_url: pending.hook.callback_url.clone(),
            event: pending.event.to_owned(),
            body: post.body.clone(),
            status,
        });
        // bbb-webhooks counts 401 as accepted: the address works, and the application refuses the
        // event.
        if status.is_some_and(|status| (200..300).contains(&status) || status == 401) {
            return true;
        }
        let last = hooks.options.pauses.last().filter(|_| pending.hook.permanent);
        let Some(pause) = pauses.next().or(last) else { return false };
        tokio::time::sleep(*pause).await;
        if !hooks.registry().knows(&pending.hook.id) {
            return false;
        }
    }
}

/// Sends the request once and follows redirects; a redirect other than 307 or 308 loses the body.
async fn attempt(client: &HttpClient, post: &SignedPost) -> Option<u16> {
    let (mut url, mut as_get) = (post.url.clone(), false);
    for _ in 0..=REDIRECTS {
        let response = client.request(post.request(&url, as_get)?).await.ok()?;
        let status = response.status().as_u16();
        let location = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
        let next = match (status, location) {
            (301..=303 | 307 | 308, Some(location)) => absolute(&url, location),
            _ => None,
        };
        response.into_body().collect().await.ok()?;
        let Some(next) = next else { return Some(status) };
        (url, as_get) = (next, as_get || status <= 303);
    }
    None
}

/// Returns the target of a redirect, which may consist of a path only.
fn absolute(from: &str, location: &str) -> Option<String> {
    if !location.starts_with('/') {
        return Some(location.to_owned());
    }
    let from: Uri = from.parse().ok()?;
    Some(format!("{}://{}{location}", from.scheme_str()?, from.authority()?))
}
