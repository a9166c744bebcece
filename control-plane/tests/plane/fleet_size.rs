//! Five hundred servers, simulated by one small listener.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use usher_proto::v1::*;

use crate::bench::{Bench, settings, until};

const SERVERS: usize = 500;
const EMPTY: &str = "<response><returncode>SUCCESS</returncode><meetings></meetings>\
    <messageKey>noMeetings</messageKey><message>no meetings</message></response>";

/// The times at which each server was polled, by its number in the path.
type Polls = Arc<Mutex<HashMap<String, Vec<Instant>>>>;

/// Answers every request with an empty list, for any server.
async fn answer(mut connection: TcpStream, polls: Polls) {
    let (mut request, mut buffer) = (String::new(), [0; 2048]);
    while let Ok(read @ 1..) = connection.read(&mut buffer).await {
        request.push_str(&String::from_utf8_lossy(&buffer[..read]));
        let Some(end) = request.find("\r\n\r\n") else { continue };
        let server = request.split('/').nth(1).unwrap_or_default().to_owned();
        request.drain(..end + 4);
        polls.lock().expect("nobody panics").entry(server).or_default().push(Instant::now());
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{EMPTY}", EMPTY.len());
        if connection.write_all(head.as_bytes()).await.is_err() {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s14_five_hundred_servers_are_each_polled_every_interval() {
    let interval = Duration::from_secs(3);
    let mut large = settings();
    large.health.interval = interval;
    large.health.deadline = Duration::from_secs(2);
    large.health.connect_timeout = Duration::from_secs(1);
    let bench = Bench::with(large, 0).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("listens");
    let (address, polls) = (listener.local_addr().expect("is bound"), Polls::default());
    let served = polls.clone();
    bench.tasks.spawn_short("servers", async move {
        while let Ok((connection, _)) = listener.accept().await {
            tokio::spawn(answer(connection, served.clone()));
        }
    });
    let adding = (0..SERVERS).map(|number| {
        let mut server = Server {
            url: format!("http://{address}/{number}/bigbluebutton/api/"),
            secret: "server-secret".into(),
            ..Server::default()
        };
        server.set_admin_state(AdminState::Enabled);
        let id = format!("bbb{number}");
        let request = CreateServerRequest {
            server: Some(server),
            server_id: id,
            validate_only: false,
            request_id: String::new(),
        };
        let mut servers = bench.servers();
        async move { servers.create_server(request).await.expect("is created") }
    });
    futures::future::join_all(adding).await;
    until("three polls of every server", async || {
        let polls = polls.lock().expect("nobody panics");
        (polls.len() == SERVERS && polls.values().all(|times| times.len() >= 3)).then_some(())
    })
    .await;
    // Polls one after the other, or in a pool that is too small, would be late.
    let polls = polls.lock().expect("nobody panics").clone();
    for (server, times) in &polls {
        for pair in times[..3].windows(2) {
            let apart = pair[1] - pair[0];
            assert!(apart < interval * 2, "bbb{server} waited {apart:?} for its next poll");
        }
    }
    assert!(bench.metric("usher_polls_total{server=\"bbb7\",outcome=\"timeout\"}") < 1.0);
    bench.plane.shutdown().await;
}
