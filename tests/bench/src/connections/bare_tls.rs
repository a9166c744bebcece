//! The reference for new connections: a bare rustls server with the same certificate that answers with
//! constant bytes.

use std::{net::SocketAddr, sync::Arc, sync::mpsc, thread::JoinHandle};

use anyhow::{Context, Result, anyhow};
use rustls::{ServerConfig, crypto::aws_lc_rs};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime::Builder,
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::machine::{self, CpuWorker};

use super::tls_client::BenchCertificate;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/xml;charset=utf-8\r\ncache-control: no-cache\r\n\
                        content-length: 87\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n\
                        <response><returncode>SUCCESS</returncode><version>2.0</version><x>xxxxx</x></response>";

/// A server on its own thread, until it is stopped.
#[derive(Debug)]
pub(super) struct BareTlsServer {
    pub(super) address: SocketAddr,
    pub(super) worker: CpuWorker,
    stop: CancellationToken,
    thread: JoinHandle<Result<()>>,
}

impl BareTlsServer {
    pub(super) fn start(certificate: &BenchCertificate) -> Result<Self> {
        let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.certificate()?], certificate.key()?)?;
        config.ticketer = aws_lc_rs::Ticketer::new()?;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let stop = CancellationToken::new();
        let (say, heard) = mpsc::channel();
        let stopped = stop.clone();
        let thread = std::thread::Builder::new().name("bare tls".to_owned()).spawn(move || {
            machine::stay_on(machine::SERVER_CORE)?;
            Builder::new_current_thread().enable_all().build()?.block_on(serve(acceptor, say, stopped))
        })?;
        match heard.recv() {
            Ok((address, worker)) => Ok(Self { address, worker, stop, thread }),
            Err(_) => Err(join(thread).err().unwrap_or_else(|| anyhow!("the bare server has no address"))),
        }
    }

    pub(super) fn stop(self) -> Result<()> {
        self.stop.cancel();
        join(self.thread)
    }
}

fn join(thread: JoinHandle<Result<()>>) -> Result<()> {
    thread.join().map_err(|_| anyhow!("the bare server panicked"))?
}

async fn serve(
    acceptor: TlsAcceptor,
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
        connections.spawn(answer(acceptor.clone(), stream));
        while connections.try_join_next().is_some() {}
    }
}

/// Answers each request of a connection; the length of a request is that of its head.
async fn answer(acceptor: TlsAcceptor, stream: TcpStream) -> Result<()> {
    let mut stream = acceptor.accept(stream).await?;
    let mut request = Vec::with_capacity(8 << 10);
    while stream.read_buf(&mut request).await? > 0 {
        if request.ends_with(b"\r\n\r\n") {
            request.clear();
            stream.write_all(ANSWER).await?;
            stream.flush().await?;
        }
    }
    Ok(())
}
