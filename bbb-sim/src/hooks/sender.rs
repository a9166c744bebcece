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
use usher_runtime::tasks::Tasks;

use super::{
    SimHook, SimHookPost,
    post::{Post, Sender},
};
use crate::{state::Shared, time};

/// Most redirects that are followed.
const REDIRECTS: usize = 10;

/// One event for one hook.
#[derive(Debug)]
pub(crate) struct Parcel {
    pub(crate) hook: SimHook,
    /// The id of the event.
    pub(crate) event: &'static str,
    /// The event as JSON, mapped or raw as the hook requires.
    pub(crate) text: String,
}

type HttpClient = Client<HttpConnector, Full<Bytes>>;

/// Sends events until `stop`.
pub(crate) async fn run(
    shared: Arc<Shared>,
    mut parcels: mpsc::UnboundedReceiver<Parcel>,
    tasks: Tasks,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let client: HttpClient = Client::builder(TokioExecutor::new()).build_http();
    let mut queues: HashMap<String, mpsc::UnboundedSender<Parcel>> = HashMap::new();
    loop {
        let parcel = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            parcel = parcels.recv() => match parcel {
                Some(parcel) => parcel,
                None => return Ok(()),
            },
        };
        queues.retain(|id, _| shared.has_hook(id));
        let queue = queues.entry(parcel.hook.id.clone()).or_insert_with(|| {
            let (queue, waiting) = mpsc::unbounded_channel();
            let serving = serve(Arc::clone(&shared), client.clone(), waiting);
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
        let _gone = queue.send(parcel);
    }
}

/// Sends events to one hook until the hook is removed.
async fn serve(shared: Arc<Shared>, client: HttpClient, mut waiting: mpsc::UnboundedReceiver<Parcel>) {
    while let Some(parcel) = waiting.recv().await {
        if !shared.has_hook(&parcel.hook.id) {
            return;
        }
        if !deliver(&shared, &client, &parcel).await && !parcel.hook.permanent {
            shared.remove_hook(&parcel.hook.id);
            return;
        }
    }
}

/// Returns whether the hook accepted the event. A permanent hook is tried for as long as it exists.
async fn deliver(shared: &Shared, client: &HttpClient, parcel: &Parcel) -> bool {
    let sender = Sender {
        version: shared.hooks_version(),
        options: &shared.options.hooks,
        domain: shared.hooks_domain(),
        secret: &shared.options.secret,
    };
    let post = sender.post(&parcel.hook, &parcel.text, time::now_ms());
    let mut pauses = shared.options.hooks.pauses.iter();
    loop {
        let status = tokio::time::timeout(shared.options.hooks.timeout, attempt(client, &post));
        let status = status.await.ok().flatten();
        debug!(?status, event = parcel.event, "a hook was called");
        shared.posted(SimHookPost {
            hook_id: parcel.hook.id.clone(),
            callback_url: parcel.hook.callback_url.clone(),
            event: parcel.event.to_owned(),
            body: post.body.clone(),
            status,
        });
        // bbb-webhooks counts 401 as accepted: the address works, and the application refuses the
        // event.
        if status.is_some_and(|status| (200..300).contains(&status) || status == 401) {
            return true;
        }
        let last = shared.options.hooks.pauses.last().filter(|_| parcel.hook.permanent);
        let Some(pause) = pauses.next().or(last) else { return false };
        tokio::time::sleep(*pause).await;
        if !shared.has_hook(&parcel.hook.id) {
            return false;
        }
    }
}

/// Sends the request once and follows redirects; a redirect other than 307 or 308 loses the body.
async fn attempt(client: &HttpClient, post: &Post) -> Option<u16> {
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
