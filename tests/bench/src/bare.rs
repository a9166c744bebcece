//! The yardstick: a bare hyper server that answers one constant redirect.

use std::{convert::Infallible, net::SocketAddr, sync::mpsc, thread};

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::Full;
use hyper::{Response, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, runtime::Builder, task::LocalSet};

use crate::pin;

/// Starts the server on a thread of its own, for the life of this program.
pub(crate) fn start(location: String, body: String) -> Result<SocketAddr> {
    let (say, heard) = mpsc::channel();
    thread::spawn(move || {
        let served = serve(&say, location, body);
        if let Err(error) = served {
            eprintln!("bare server: {error:#}");
        }
    });
    heard.recv().context("the bare server has an address")
}

fn serve(say: &mpsc::Sender<SocketAddr>, location: String, body: String) -> Result<()> {
    pin::this_thread(pin::SERVER_CORE)?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let body = Bytes::from(body);
    LocalSet::new().block_on(&runtime, async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        say.send(listener.local_addr()?).context("somebody waits for the address")?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let (location, body) = (location.clone(), body.clone());
            let answer = service_fn(move |_| {
                let response = Response::builder()
                    .status(302)
                    .header("location", &location)
                    .body(Full::new(body.clone()));
                async move { Ok::<_, Infallible>(response.expect("the location came from a response")) }
            });
            tokio::task::spawn_local(async move {
                // An error is the load generator hanging up.
                let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
            });
        }
    })
}
