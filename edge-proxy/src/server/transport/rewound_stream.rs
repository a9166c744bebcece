//! A stream of which some bytes were read already: to wait for the first ones without a buffer, and to
//! find out which protocol the client speaks.

use std::{
    future::poll_fn,
    io,
    mem::MaybeUninit,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Most bytes that one look ahead reads: as many as hyper's first read, so that an ordinary request
/// takes one system call.
const AHEAD: usize = 8 << 10;

/// Returns the bytes that were read ahead first, and then those of the stream.
#[derive(Debug)]
pub(super) struct RewoundStream<S> {
    ahead: BytesMut,
    stream: S,
}

impl<S: AsyncRead + Unpin> RewoundStream<S> {
    /// Wraps a stream of which no byte was read yet.
    pub(super) fn new(stream: S) -> Self {
        Self { ahead: BytesMut::new(), stream }
    }

    /// Returns the stream behind.
    pub(super) fn stream(&self) -> &S {
        &self.stream
    }

    /// Returns the bytes that were read ahead; bytes taken out of them are not given back.
    pub(super) fn ahead(&mut self) -> &mut BytesMut {
        &mut self.ahead
    }

    /// Reads more bytes ahead; returns whether there were any before the end of the stream. A stream
    /// that waits has no buffer: the bytes are read into the stack of the thread.
    pub(super) async fn read_ahead(&mut self) -> io::Result<bool> {
        poll_fn(|cx| {
            let mut space = [MaybeUninit::uninit(); AHEAD];
            let mut buf = ReadBuf::uninit(&mut space);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buf))?;
            self.ahead.extend_from_slice(buf.filled());
            Poll::Ready(Ok(!buf.filled().is_empty()))
        })
        .await
    }

    /// Puts bytes back that were read and not used.
    pub(super) fn put_back(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.ahead = [bytes, &self.ahead].concat().as_slice().into();
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for RewoundStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.ahead.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        let length = self.ahead.len().min(buf.remaining());
        buf.put_slice(&self.ahead[..length]);
        self.ahead.advance(length);
        if self.ahead.is_empty() {
            self.ahead = BytesMut::new(); // gives the memory back
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for RewoundStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    /// A socket with bytes, which counts the reads.
    struct CountingSocket {
        bytes: &'static [u8],
        reads: usize,
    }

    impl AsyncRead for CountingSocket {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            self.reads += 1;
            let length = self.bytes.len().min(buf.remaining());
            buf.put_slice(&self.bytes[..length]);
            self.bytes = &self.bytes[length..];
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn the_first_request_is_read_at_once_and_given_back_whole() {
        let request = &[b'x'; 2_000];
        let mut stream = RewoundStream::new(CountingSocket { bytes: request, reads: 0 });
        assert!(stream.read_ahead().await.expect("is read"));
        let mut buffer = vec![0; AHEAD];
        let length = stream.read(&mut buffer).await.expect("is read");
        assert_eq!((&buffer[..length], stream.stream().reads), (&request[..], 1));
        assert_eq!(stream.ahead().capacity(), 0, "no memory stays");
    }

    #[tokio::test]
    async fn bytes_that_were_put_back_come_before_the_others() {
        let mut stream = RewoundStream::new(CountingSocket { bytes: b"def", reads: 0 });
        stream.put_back(b"");
        assert!(stream.read_ahead().await.expect("is read"));
        stream.put_back(b"abc");
        let mut text = String::new();
        stream.read_to_string(&mut text).await.expect("is read");
        assert_eq!(text, "abcdef");
        assert!(!stream.read_ahead().await.expect("is the end"));
    }
}
