//! The reference for joins: a bare hyper server that answers with one constant redirect.

use std::{convert::Infallible, net::SocketAddr, sync::mpsc, thread::JoinHandle};

use anyhow::{Context, Result, anyhow};
use bytes::Bytes;
use http_body_util::Empty;
use hyper::{
    Response, StatusCode,
    header::{HeaderValue, LOCATION},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, runtime::Builder, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::machine::{self, CpuWorker};

/// The answer of hyper with an empty location; its length is subtracted from the requested one.
const REST: &str = "HTTP/1.1 302 Found\r\nlocation: \r\ncontent-length: 0\r\n\
                    date: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n";

/// A server on its own thread, until it is stopped.
#[derive(Debug)]
pub(crate) struct ConstantServer {
    pub(crate) address: SocketAddr,
    pub(crate) worker: CpuWorker,
    stop: CancellationToken,
    thread: JoinHandle<Result<()>>,
}

impl ConstantServer {
    /// Starts a server whose answers are `length` bytes long.
    pub(crate) fn start(length: usize) -> Result<Self> {
        let padding = length.checked_sub(REST.len()).context("too short for a redirect")?;
        let location = HeaderValue::from_str(&format!("{:x<padding$.padding$}", "https://a.example/join?"))?;
        let stop = CancellationToken::new();
        let (say, heard) = mpsc::channel();
        let stopped = stop.clone();
        let thread = std::thread::Builder::new().name("constant".to_owned()).spawn(move || {
            machine::stay_on(machine::SERVER_CORE)?;
            let runtime = Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(serve(location, say, stopped))
        })?;
        match heard.recv() {
            Ok((address, worker)) => Ok(Self { address, worker, stop, thread }),
            Err(_) => {
                Err(join(thread).err().unwrap_or_else(|| anyhow!("the constant server has no address")))
            }
        }
    }

    pub(crate) fn stop(self) -> Result<()> {
        self.stop.cancel();
        join(self.thread)
    }
}

fn join(thread: JoinHandle<Result<()>>) -> Result<()> {
    thread.join().map_err(|_| anyhow!("the constant server panicked"))?
}

async fn serve(
    location: HeaderValue,
    say: mpsc::Sender<(SocketAddr, CpuWorker)>,
    stop: CancellationToken,
) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    say.send((listener.local_addr()?, CpuWorker::this_thread()))
        .context("the caller waits for the address")?;
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = tokio::select! {
            accepted = listener.accept() => accepted?,
            () = stop.cancelled() => return Ok(()),
        };
        stream.set_nodelay(true)?;
        let location = location.clone();
        let answer = service_fn(move |_| {
            let mut response = Response::new(Empty::<Bytes>::new());
            *response.status_mut() = StatusCode::FOUND;
            response.headers_mut().insert(LOCATION, location.clone());
            async { Ok::<_, Infallible>(response) }
        });
        connections.spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
        while connections.try_join_next().is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use super::*;
    use crate::joins::{load::JoinLoad, request};

    #[test]
    fn its_answers_have_the_requested_length() {
        let server = ConstantServer::start(512).unwrap();
        let load = JoinLoad {
            to: server.address,
            server: server.worker,
            requests: Arc::from(request::prepare(10, 10)),
            own_location: false,
            warm_up: Duration::from_millis(100),
            time: Duration::from_millis(300),
        };
        assert_eq!(load.one().unwrap().len(), 512);
        assert!(load.run().unwrap().rate > 0.0);
        let wrong = JoinLoad { own_location: true, ..load };
        assert!(
            wrong
                .run()
                .is_err_and(|error| error.to_string().contains("64 of 64 connections had a wrong answer"))
        );
        server.stop().unwrap();
    }
}
