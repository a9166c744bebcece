//! The bytes of one connection, between hyper and the client.
//!
//! - It tells the connection's [`Pulse`] what comes in.
//! - A request that hyper cannot read is answered by hyper itself, with a bare status: it has no
//!   hook for that. To clients the edge says nothing but HTTP 200 or 302, and what it says to servers
//!   that call back carries `cache-control`, so an answer of 4xx without it can only be hyper's; the
//!   client gets BBB's words in its place (design 7).
//! - A closed connection is read to its end, for a short time. A socket that is closed with bytes
//!   unread resets the connection, and the client may lose the answer that was sent before.

use std::{
    io,
    mem::MaybeUninit,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf, Bytes};
use futures::FutureExt;
use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::Sleep,
};
use tokio_rustls::server::TlsStream;
use usher_bbb::reply::{CONTENT_TYPE, Refusal};

use super::{connection_activity::Pulse, rewound_stream::Prefixed};

/// How hyper's own answers begin, up to the class of their status.
const REFUSED: [&[u8]; 2] = [b"HTTP/1.1 4", b"HTTP/1.0 4"];
/// What every answer of the edge itself carries, and none of hyper's.
const OURS: &[u8] = b"\r\ncache-control: ";
/// Longest time a closed connection is read on, and the most that is read of it.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 1 << 20;

/// A stream over a TCP connection.
pub(super) trait Transport: AsyncRead + AsyncWrite + Unpin {
    fn socket(&self) -> &TcpStream;
}

impl Transport for Prefixed<TcpStream> {
    fn socket(&self) -> &TcpStream {
        self.stream()
    }
}

impl Transport for TlsStream<Prefixed<TcpStream>> {
    fn socket(&self) -> &TcpStream {
        self.get_ref().0.stream()
    }
}

/// Reading what still comes after the last answer.
struct Lingering {
    timer: Pin<Box<Sleep>>,
    left: usize,
}

/// One connection's bytes.
pub(super) struct Wire<S> {
    stream: S,
    pulse: Arc<Pulse>,
    /// Whether the answers are HTTP/1, whose first bytes can be told.
    http1: bool,
    /// The last write took a part of what was offered: the next one begins anywhere.
    midway: bool,
    /// What the client gets for hyper's own answer, as far as it is not sent.
    instead: Option<Bytes>,
    lingering: Option<Lingering>,
}

impl<S: Transport> Wire<S> {
    pub(super) fn new(stream: S, pulse: Arc<Pulse>, http1: bool) -> Self {
        Self { stream, pulse, http1, midway: false, instead: None, lingering: None }
    }

    /// Tells whether bytes have come that nobody read: the socket itself is asked, since the
    /// reactor may not have said so yet.
    fn has_unread(&self) -> bool {
        let mut byte = [MaybeUninit::uninit()];
        SockRef::from(self.stream.socket()).peek(&mut byte).is_ok_and(|length| length > 0)
    }

    /// Takes hyper's own answer, if what it writes is one, and keeps BBB's for it.
    fn replaces(&mut self, begin: &[u8]) -> bool {
        if self.instead.is_some() {
            return true;
        }
        let refused = self.http1
            && !self.midway
            && REFUSED.iter().any(|answer| begin.starts_with(answer))
            && !begin.windows(OURS.len()).any(|text| text == OURS);
        if refused {
            self.pulse.refuse();
            self.instead = Some(answer(begin.get(9..12).unwrap_or_default()));
        }
        refused
    }

    fn wrote(&mut self, written: Poll<io::Result<usize>>, offered: usize) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(length)) = written {
            self.midway = length < offered;
        }
        written
    }

    fn poll_instead(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(rest) = self.instead.as_mut().filter(|rest| !rest.is_empty()) {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, rest))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            rest.advance(written);
        }
        Poll::Ready(Ok(()))
    }
}

/// Returns BBB's answer to what hyper refuses with this status.
fn answer(status: &[u8]) -> Bytes {
    let refusal = Refusal::validation(match status {
        b"431" => "Request head is too large",
        b"414" => "Request address is too long",
        _ => "Request not recognized",
    });
    let xml = refusal.to_xml();
    let length = xml.len();
    Bytes::from(format!(
        "HTTP/1.1 200 OK\r\ncontent-type: {CONTENT_TYPE}\r\ncache-control: no-cache\r\n\
         connection: close\r\ncontent-length: {length}\r\n\r\n{xml}"
    ))
}

impl<S: Transport> AsyncRead for Wire<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if read.is_pending() && self.pulse.is_asked() {
            self.pulse.answer(self.has_unread());
        } else if buf.filled().len() > before {
            self.pulse.heard();
        }
        read
    }
}

impl<S: Transport> AsyncWrite for Wire<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.replaces(buf) {
            return Poll::Ready(Ok(buf.len()));
        }
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.wrote(written, buf.len())
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let offered = bufs.iter().map(|buf| buf.len()).sum();
        if self.replaces(bufs.iter().find(|buf| !buf.is_empty()).map_or(&[], |buf| buf)) {
            return Poll::Ready(Ok(offered));
        }
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.wrote(written, offered)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_instead(cx))?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.lingering.is_none() {
            ready!(self.poll_instead(cx))?;
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
        }
        let this = &mut *self;
        let lingering = this.lingering.get_or_insert_with(|| Lingering {
            timer: Box::pin(tokio::time::sleep(LINGER)),
            left: LINGER_BYTES,
        });
        let mut room = [MaybeUninit::uninit(); 4096];
        while lingering.left > 0 && lingering.timer.poll_unpin(cx).is_pending() {
            let mut buf = ReadBuf::uninit(&mut room);
            let read = ready!(Pin::new(&mut this.stream).poll_read(cx, &mut buf));
            if read.is_err() || buf.filled().is_empty() {
                break;
            }
            lingering.left = lingering.left.saturating_sub(buf.filled().len());
        }
        Poll::Ready(Ok(()))
    }
}
