//! One connection to the edge: the bytes of an input go out, the bytes of all answers come back.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpSocket,
    time::{Instant, timeout},
};

/// The silence after which the client ends its half of the connection: the edge waits for more.
const SILENCE: Duration = Duration::from_millis(60);

/// The longest time until the edge has ended the connection. The slowest call of the settings takes
/// a second, and an input of two such calls twice that.
const PATIENCE: Duration = Duration::from_secs(8);

/// Returns all bytes that the edge sends until it closes the connection.
///
/// # Panics
/// The edge does not close it in time.
pub(super) async fn exchange(from: IpAddr, to: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let socket = TcpSocket::new_v4().expect("a socket");
    // The connection ends with a reset, so that its port is free at once for the next input.
    socket.set_zero_linger().expect("a socket option");
    socket.bind((from, 0).into()).expect("an address of this machine");
    let mut stream = socket.connect(to).await.expect("the edge accepts connections");
    // The edge may close the connection before it has read all: only its answer counts.
    let _ = stream.write_all(bytes).await;
    let (mut answer, begun, mut ended) = (Vec::new(), Instant::now(), false);
    loop {
        match timeout(SILENCE, stream.read_buf(&mut answer)).await {
            Ok(Ok(0) | Err(_)) => return answer,
            Ok(Ok(_)) => {}
            Err(_) if ended => assert!(begun.elapsed() < PATIENCE, "the connection stays open"),
            Err(_) if begun.elapsed() > PATIENCE / 2 || !answer.is_empty() => {
                ended = true;
                let _ = stream.shutdown().await;
            }
            Err(_) => {}
        }
    }
}
