//! The bytes of one connection, between hyper and the client.
//!
//! - The stream reports to [`ConnectionActivity`] that bytes have come.
//! - hyper itself answers a request that it cannot read, with a bare status and no hook to change that.
//!   Answers to clients have HTTP 200 or 302, and those to servers that call back carry `cache-control`.
//!   So an answer of HTTP 4xx without that header can only be hyper's, and the client gets the words of
//!   the request handler instead (design 7).
//! - A closed connection is read to its end, for a short time. If a socket is closed with bytes unread,
//!   the system resets the connection, and the client may lose the answer that was sent before.

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

use super::{
    connection_activity::ConnectionActivity,
    request_handler::{RefusalText, UnreadableRequest},
    rewound_stream::RewoundStream,
};

/// The first bytes of hyper's own answers, up to the class of their status.
const HYPER_REFUSALS: [&[u8]; 2] = [b"HTTP/1.1 4", b"HTTP/1.0 4"];
/// The longest answer of hyper's own, bytes: a head without a body. A part of a file, which is written by itself, is no
/// such head.
const HYPER_REFUSAL_MAX: usize = 256;
/// A header that every answer of the request handler carries, and none of hyper's.
const HANDLER_MARK: &[u8] = b"\r\ncache-control: ";
/// Longest time for which a closed connection is read on.
const LINGER: Duration = Duration::from_secs(2);
/// Most bytes that are read of a closed connection.
const LINGER_BYTES: usize = 1 << 20;

/// A stream over a TCP connection.
pub(super) trait SocketStream: AsyncRead + AsyncWrite + Unpin {
    /// Returns the socket below.
    fn socket(&self) -> &TcpStream;
}

impl SocketStream for TcpStream {
    fn socket(&self) -> &TcpStream {
        self
    }
}

impl<S: SocketStream> SocketStream for Box<S> {
    fn socket(&self) -> &TcpStream {
        (**self).socket()
    }
}

impl<S: SocketStream> SocketStream for RewoundStream<S> {
    fn socket(&self) -> &TcpStream {
        self.stream().socket()
    }
}

impl<S: SocketStream> SocketStream for TlsStream<S> {
    fn socket(&self) -> &TcpStream {
        self.get_ref().0.socket()
    }
}

/// The reading of bytes that still come after the last answer.
struct LingeringRead {
    timer: Pin<Box<Sleep>>,
    left: usize,
}

/// The stream of one connection.
pub(super) struct ClientStream<S> {
    stream: RewoundStream<S>,
    activity: Arc<ConnectionActivity>,
    /// Words the refusal of an unreadable request.
    unreadable: fn(UnreadableRequest) -> RefusalText,
    /// Whether the answers are HTTP/1, whose first bytes can be recognized, and whose requests are seen
    /// to begin by their bytes. HTTP/2 also has bytes that belong to no request.
    http1: bool,
    /// The last write took a part of the bytes, so that the next one begins in the middle of an answer.
    midway: bool,
    /// The rest of the answer that replaces hyper's own.
    instead: Option<Bytes>,
    lingering: Option<LingeringRead>,
}

impl<S: SocketStream> ClientStream<S> {
    /// Wraps the stream of a connection; `unreadable` words the refusals of requests that hyper cannot
    /// read.
    pub(super) fn new(
        stream: RewoundStream<S>,
        activity: Arc<ConnectionActivity>,
        unreadable: fn(UnreadableRequest) -> RefusalText,
    ) -> Self {
        Self { stream, activity, unreadable, http1: true, midway: false, instead: None, lingering: None }
    }

    /// Notes that the client speaks HTTP/2.
    pub(super) fn speaks_http2(&mut self) {
        self.http1 = false;
    }

    /// Returns the stream below.
    pub(super) fn into_below(self) -> RewoundStream<S> {
        self.stream
    }

    /// Returns the stream below, whose bytes can be read ahead.
    pub(super) fn below(&mut self) -> &mut RewoundStream<S> {
        &mut self.stream
    }

    /// Returns whether bytes have come that were not read. It peeks into the socket itself, because the
    /// reactor may not have reported them yet.
    pub(super) fn has_unread(&self) -> bool {
        let mut byte = [MaybeUninit::uninit()];
        SockRef::from(self.stream.socket()).peek(&mut byte).is_ok_and(|length| length > 0)
    }

    /// Returns whether hyper writes an answer of its own, and keeps the one that replaces it.
    fn replaces(&mut self, begin: &[u8]) -> bool {
        if self.instead.is_some() {
            return true;
        }
        let refused = self.http1
            && !self.midway
            && begin.len() <= HYPER_REFUSAL_MAX
            && begin.ends_with(b"\r\n\r\n")
            && HYPER_REFUSALS.iter().any(|answer| begin.starts_with(answer))
            && !begin.windows(HANDLER_MARK.len()).any(|text| text == HANDLER_MARK);
        if refused {
            let request = unreadable_request(begin.get(9..12).unwrap_or_default());
            self.activity.refuse(request);
            self.instead = Some(whole_answer(&(self.unreadable)(request)));
        }
        refused
    }

    fn wrote(&mut self, written: Poll<io::Result<usize>>, offered: usize) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(length)) = written {
            self.midway = length < offered;
        }
        self.activity.note_unwritten(self.midway || written.is_pending());
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

/// Returns the fault of a request, by the status that hyper refuses it with.
fn unreadable_request(status: &[u8]) -> UnreadableRequest {
    match status {
        b"431" => UnreadableRequest::HeadTooLarge,
        b"414" => UnreadableRequest::AddressTooLong,
        _ => UnreadableRequest::Malformed,
    }
}

/// Returns a refusal as a whole HTTP/1.1 answer, the last one of its connection.
fn whole_answer(refusal: &RefusalText) -> Bytes {
    let RefusalText { content_type, body } = refusal;
    let length = body.len();
    Bytes::from(format!(
        "HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\ncache-control: no-cache\r\n\
         connection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    ))
}

impl<S: SocketStream> AsyncRead for ClientStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if read.is_pending() && self.activity.is_look_requested() {
            self.activity.note_unread(self.has_unread());
        } else if self.http1 && buf.filled().len() > before {
            self.activity.heard();
        }
        read
    }
}

impl<S: SocketStream> AsyncWrite for ClientStream<S> {
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
        let instead = self.poll_instead(cx)?;
        let flushed =
            if instead.is_ready() { Pin::new(&mut self.stream).poll_flush(cx) } else { Poll::Pending };
        self.activity.note_unwritten(flushed.is_pending());
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.lingering.is_none() {
            ready!(self.poll_instead(cx))?;
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
        }
        let this = &mut *self;
        let lingering = this.lingering.get_or_insert_with(|| LingeringRead {
            timer: Box::pin(tokio::time::sleep(LINGER)),
            left: LINGER_BYTES,
        });
        let mut buffer = [MaybeUninit::uninit(); 4096];
        while lingering.left > 0 && lingering.timer.poll_unpin(cx).is_pending() {
            let mut buf = ReadBuf::uninit(&mut buffer);
            let read = ready!(Pin::new(&mut this.stream).poll_read(cx, &mut buf));
            if read.is_err() || buf.filled().is_empty() {
                break;
            }
            lingering.left = lingering.left.saturating_sub(buf.filled().len());
        }
        Poll::Ready(Ok(()))
    }
}
