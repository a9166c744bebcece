//! A load generator on one core: persistent connections, each with one request in progress.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use hdrhistogram::Histogram;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    runtime::Builder,
    task::{JoinSet, yield_now},
    time::sleep_until,
};

use super::request::PreparedRequest;
use crate::{
    answer_head::{self, AnswerHead},
    machine::{self, CpuWorker},
    measurement::LoadSlice,
};

/// The number of connections.
const CONNECTIONS: usize = 64;

/// The largest answer that is read, in bytes.
const ANSWER: usize = 16 << 10;

/// The requests, their target, and the duration of a load.
#[derive(Debug, Clone)]
pub(crate) struct JoinLoad {
    pub(crate) to: SocketAddr,
    /// The process or thread whose processor time is counted.
    pub(crate) server: CpuWorker,
    pub(crate) requests: Arc<[PreparedRequest]>,
    /// Whether each answer must redirect to the server of its request; a constant answer cannot.
    pub(crate) own_location: bool,
    pub(crate) warm_up: Duration,
    pub(crate) time: Duration,
}

impl JoinLoad {
    /// Sends requests in turn and checks every answer.
    ///
    /// # Errors
    /// An answer was wrong: then the rate is meaningless.
    pub(crate) fn run(&self) -> Result<LoadSlice> {
        machine::on_core(machine::LOAD_CORE, || {
            Builder::new_current_thread().enable_all().build()?.block_on(self.generate())
        })
    }

    /// Sends one request and returns the bytes of the answer.
    pub(crate) fn one(&self) -> Result<Vec<u8>> {
        let exchange = async {
            let mut connection = Connection::open(self).await?;
            let request = self.requests.first().context("there is a request to send")?;
            connection.exchange(request).await?;
            Ok(connection.buffer[..connection.filled].to_vec())
        };
        Builder::new_current_thread().enable_all().build()?.block_on(exchange)
    }

    async fn generate(&self) -> Result<LoadSlice> {
        let begin = Instant::now() + self.warm_up;
        let end = begin + self.time;
        let mut connections = JoinSet::new();
        for number in 0..CONNECTIONS {
            let first = number * self.requests.len() / CONNECTIONS;
            connections.spawn(converse(self.clone(), first, begin, end));
        }
        let mut awake = JoinSet::new();
        awake.spawn(stay_awake());
        sleep_until(begin.into()).await;
        let before = self.server.cpu()?;
        sleep_until(end.into()).await;
        let used = self.server.cpu()?.saturating_sub(before);
        let (mut micros, mut failed) = (Histogram::new(3)?, Vec::new());
        while let Some(seen) = connections.join_next().await {
            match seen? {
                Ok(seen) => micros.add(seen)?,
                Err(error) => failed.push(error),
            }
        }
        if let Some(first) = failed.first() {
            bail!("{} of {CONNECTIONS} connections had a wrong answer; the first: {first:#}", failed.len());
        }
        Ok(LoadSlice::new(micros, self.time, Some(used)))
    }
}

/// Keeps this core from sleeping: otherwise a server pays for waking it at every answer, and a
/// slower server pays more often than a faster one.
async fn stay_awake() {
    loop {
        yield_now().await;
    }
}

async fn converse(load: JoinLoad, first: usize, begin: Instant, end: Instant) -> Result<Histogram<u64>> {
    let mut connection = Connection::open(&load).await?;
    let mut micros = Histogram::new(3)?;
    for request in load.requests.iter().cycle().skip(first) {
        let sent = Instant::now();
        if sent >= end {
            break;
        }
        connection.exchange(request).await?;
        if sent >= begin {
            micros.record(u64::try_from(sent.elapsed().as_micros())?.max(1))?;
        }
    }
    Ok(micros)
}

struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    filled: usize,
    own_location: bool,
}

impl Connection {
    async fn open(load: &JoinLoad) -> Result<Self> {
        let stream = TcpStream::connect(load.to).await.context("connect to the server under load")?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: vec![0; ANSWER], filled: 0, own_location: load.own_location })
    }

    async fn exchange(&mut self, request: &PreparedRequest) -> Result<()> {
        self.stream.write_all(&request.bytes).await?;
        self.filled = 0;
        loop {
            let read = self.stream.read(&mut self.buffer[self.filled..]).await?;
            ensure!(read > 0, "the server hung up, or its answer is too long");
            self.filled += read;
            let Some(head) = answer_head::read(&self.buffer[..self.filled]) else { continue };
            if self.filled >= head.length {
                return check(&head, request, self.own_location);
            }
        }
    }
}

fn check(head: &AnswerHead<'_>, request: &PreparedRequest, own_location: bool) -> Result<()> {
    ensure!(head.status == 302, "status {} instead of 302", head.status);
    let location = head.location.context("a redirect without a location")?;
    ensure!(
        !own_location || location.starts_with(&request.leads_to),
        "a redirect to another server than {}",
        String::from_utf8_lossy(&request.leads_to)
    );
    Ok(())
}
