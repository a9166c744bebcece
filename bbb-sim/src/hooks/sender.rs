//! Sending: to each hook one thing after the other, in the order in which they happened, each again and
//! again until it is taken. A hook that takes nothing for too long is removed, unless it is permanent.

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
use crate::{shared::Shared, time};

/// How often a redirect is followed.
const REDIRECTS: usize = 10;

/// One event for one hook.
#[derive(Debug)]
pub(crate) struct Parcel {
    pub(crate) hook: SimHook,
    /// The event's id.
    pub(crate) event: &'static str,
    /// JSON, as this hook gets it.
    pub(crate) text: String,
}

type HttpClient = Client<HttpConnector, Full<Bytes>>;

/// Sends parcels until `stop`.
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
        // Nobody listens any more: the hook was removed meanwhile.
        let _gone = queue.send(parcel);
    }
}

/// Tells one hook what comes, until it is gone.
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

/// Tells whether the parcel was taken. A permanent hook is tried for as long as it is there.
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
        // 401 counts as taken: the address works, and somebody there says no.
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

/// Sends it once, wherever redirects lead; those that are not 307 or 308 lose the body.
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

/// Returns where a redirect leads that may name the path alone.
fn absolute(from: &str, location: &str) -> Option<String> {
    if !location.starts_with('/') {
        return Some(location.to_owned());
    }
    let from: Uri = from.parse().ok()?;
    Some(format!("{}://{}{location}", from.scheme_str()?, from.authority()?))
}
