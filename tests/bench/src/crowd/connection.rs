//! One HTTP/1.1 connection of a client: an address to come from, and one request under way.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::timeout,
};

use crate::answer_head;

/// The longest wait for a connection or an answer. A slower one counts as broken.
const PATIENCE: Duration = Duration::from_secs(20);

/// The beginning of a body that is examined; the rest of an answer is read and dropped.
const EXAMINED: usize = 512;

const SUCCESS: &[u8] = b"<returncode>SUCCESS</returncode>";

/// The answer to a request, as far as a client of the bench reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BenchAnswer {
    /// A redirect, `SUCCESS`, or a callback that was accepted.
    Served,
    /// Any other complete answer.
    Refused,
}

/// An open connection.
#[derive(Debug)]
pub(super) struct BenchConnection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl BenchConnection {
    /// Connects to `to` from an address of the loopback network: limits of the edge for one client
    /// address must not make different clients of the bench one.
    pub(super) async fn open(from: IpAddr, to: SocketAddr) -> Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((from, 0).into()).context("bind an address of a client")?;
        let stream = timeout(PATIENCE, socket.connect(to)).await.context("the edge accepts nobody")??;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(16 << 10) })
    }

    /// Sends a request and reads its answer to the end.
    ///
    /// # Errors
    /// The edge closed the connection, or gave no answer in time.
    pub(super) async fn exchange(&mut self, request: &[u8]) -> Result<BenchAnswer> {
        let exchange = async {
            // The edge may answer a large body before it has read it: the answer counts.
            let sent = self.stream.write_all(request).await;
            self.answer().await.or_else(|error| sent.map_err(Into::into).and(Err(error)))
        };
        timeout(PATIENCE, exchange).await.context("no answer in time")?
    }

    async fn answer(&mut self) -> Result<BenchAnswer> {
        self.buffer.clear();
        loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                bail!("the edge closed the connection");
            }
            let Some(head) = answer_head::read(&self.buffer) else { continue };
            let (status, length) = (head.status, head.length);
            while self.buffer.len() < length.min(self.buffer.capacity()) {
                self.read().await?;
            }
            let body = &self.buffer[..length.min(self.buffer.len())];
            let answer = answer_of(status, body);
            let mut left = length.saturating_sub(self.buffer.len());
            while left > 0 {
                self.buffer.clear();
                left = left.saturating_sub(self.read().await?);
            }
            return Ok(answer);
        }
    }

    async fn read(&mut self) -> Result<usize> {
        let length = self.stream.read_buf(&mut self.buffer).await?;
        if length == 0 {
            bail!("the edge closed the connection within an answer");
        }
        Ok(length)
    }

    /// Waits until the edge closes a connection on which no request was sent.
    pub(super) async fn closed(&mut self) {
        // Any byte is an answer to no request, after which the edge closes the connection.
        let _ = self.stream.read_buf(&mut self.buffer).await;
    }
}

fn answer_of(status: u16, answer: &[u8]) -> BenchAnswer {
    let body = answer.windows(4).position(|end| end == b"\r\n\r\n").map_or(answer, |at| &answer[at + 4..]);
    let begin = &body[..body.len().min(EXAMINED)];
    let succeeded = begin.is_empty() || begin.windows(SUCCESS.len()).any(|text| text == SUCCESS);
    match status {
        302 => BenchAnswer::Served,
        200 if succeeded => BenchAnswer::Served,
        _ => BenchAnswer::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_in_words_is_a_refusal_and_a_redirect_is_none() {
        let answer = |body: &str| format!("HTTP/1.1 200 OK\r\n\r\n{body}").into_bytes();
        let failed = "<response><returncode>FAILED</returncode></response>";
        assert_eq!(answer_of(200, &answer(failed)), BenchAnswer::Refused);
        assert_eq!(answer_of(200, &answer("<returncode>SUCCESS</returncode>")), BenchAnswer::Served);
        assert_eq!(answer_of(302, b"HTTP/1.1 302 Found\r\n\r\n"), BenchAnswer::Served);
        assert_eq!(answer_of(200, b"HTTP/1.1 200 OK\r\n\r\n"), BenchAnswer::Served, "a callback");
        assert_eq!(answer_of(503, b"HTTP/1.1 503 x\r\n\r\n"), BenchAnswer::Refused);
    }
}
