//! A load generator on one core: keep-alive connections, each with one request under way.

use std::{
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use hdrhistogram::Histogram;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    runtime::Builder,
    task::{JoinSet, LocalSet},
};

use crate::pin;

const CONNECTIONS: usize = 64;
const WARM_UP: Duration = Duration::from_secs(1);

/// What a load saw.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// Answers per second.
    pub(crate) rate: f64,
    /// Time from request to answer, microseconds.
    pub(crate) micros: Histogram<u64>,
}

/// Sends requests in turn, for `time` after a warm-up, and expects every answer to begin like `status`.
pub(crate) fn run(
    to: SocketAddr,
    requests: Vec<String>,
    status: &'static str,
    time: Duration,
) -> Result<Seen> {
    let generator = thread::spawn(move || {
        pin::this_thread(pin::LOAD_CORE)?;
        let runtime = Builder::new_current_thread().enable_all().build()?;
        LocalSet::new().block_on(&runtime, generate(to, requests, status, time))
    });
    generator.join().map_err(|_| anyhow::anyhow!("the load generator panicked"))?
}

async fn generate(
    to: SocketAddr,
    requests: Vec<String>,
    status: &'static str,
    time: Duration,
) -> Result<Seen> {
    let requests: &'static [String] = requests.leak();
    let begin = Instant::now() + WARM_UP;
    let end = begin + time;
    let mut connections = JoinSet::new();
    for number in 0..CONNECTIONS {
        let turn = requests.iter().cycle().skip(number * requests.len() / CONNECTIONS);
        connections.spawn_local(converse(to, turn, status, begin, end));
    }
    let mut micros = Histogram::new(3)?;
    while let Some(seen) = connections.join_next().await {
        micros.add(seen??)?;
    }
    Ok(Seen { rate: micros.len() as f64 / time.as_secs_f64(), micros })
}

async fn converse(
    to: SocketAddr,
    mut requests: impl Iterator<Item = &'static String>,
    status: &'static str,
    begin: Instant,
    end: Instant,
) -> Result<Histogram<u64>> {
    let mut stream = TcpStream::connect(to).await.context("connect to the server under load")?;
    stream.set_nodelay(true)?;
    let mut micros = Histogram::new(3)?;
    let mut buffer = vec![0; 16 << 10];
    loop {
        let sent = Instant::now();
        if sent >= end {
            return Ok(micros);
        }
        let request = requests.next().context("there is something to send")?;
        stream.write_all(request.as_bytes()).await?;
        read_answer(&mut stream, &mut buffer, status).await?;
        if sent >= begin {
            micros.record(u64::try_from(sent.elapsed().as_micros())?.max(1))?;
        }
    }
}

async fn read_answer(stream: &mut TcpStream, buffer: &mut [u8], status: &str) -> Result<()> {
    let mut filled = 0;
    loop {
        let read = stream.read(&mut buffer[filled..]).await?;
        ensure!(read > 0, "the server hung up");
        filled += read;
        let text = std::str::from_utf8(&buffer[..filled]).context("read an answer")?;
        let Some(head) = text.find("\r\n\r\n") else { continue };
        let length = text[..head]
            .split("\r\n")
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            .map_or(Ok(0), |(_, value)| value.trim().parse::<usize>())?;
        if filled < head + 4 + length {
            continue;
        }
        if !text.starts_with(status) {
            bail!("an answer that was not expected: {}", text.lines().next().unwrap_or_default());
        }
        return Ok(());
    }
}
