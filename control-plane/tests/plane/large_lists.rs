//! The reading of large lists: a leader reads a limited number at a time, and no server pays for the
//! others.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use usher_bbb::{checksum::ChecksumAlgorithm, secret::Secret};
use usher_control_plane::{
    bbb_client::BbbClient,
    ports::{BbbCallError, BbbServers},
};
use usher_model::{
    id::ServerId,
    server::{AdminState, Server},
    settings::Settings,
};
use usher_runtime::pending::PendingCalls;

use crate::bench::until;

/// The number of lists that a leader reads at a time.
const AT_A_TIME: usize = 64;
/// The number of meetings of a list of about 200 KB.
const MEETINGS: usize = 1_000;
/// The deadline of a poll.
const DEADLINE: Duration = Duration::from_secs(2);

/// The way in which a server sends the second half of its list.
#[derive(Debug, Clone, Copy)]
enum SecondHalf {
    AtOnce,
    Never,
    /// One byte after another, each after a fifth of the time after which a server counts as silent.
    Slowly,
}

/// A server with one large list.
struct LargeListServer {
    server: Server,
    /// The number of bytes of second halves that were sent.
    sent: Arc<AtomicUsize>,
}

impl LargeListServer {
    /// Starts a server; its connections end with `connections`.
    async fn start(second_half: SecondHalf, connections: &mut JoinSet<()>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}/bigbluebutton/api/", listener.local_addr().expect("is bound"));
        let sent = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&sent);
        connections.spawn(async move {
            let mut streams = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                streams.spawn(serve(stream, second_half, Arc::clone(&counter)));
            }
        });
        let server = Server {
            id: ServerId::parse("bbb").expect("is an id"),
            url,
            secret: Secret::new("secret"),
            weight: 1.0,
            tags: Vec::new(),
            admin: AdminState::Enabled,
            algorithm: ChecksumAlgorithm::Sha256,
            created_at_ms: 0,
            former_of: None,
            created_by: None,
        };
        Self { server, sent }
    }
}

async fn serve(mut stream: TcpStream, second_half: SecondHalf, sent: Arc<AtomicUsize>) {
    let (mut request, list) = (Vec::new(), list());
    while !request.ends_with(b"\r\n\r\n") {
        match stream.read_buf(&mut request).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
    let head =
        format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{}", list.len(), &list[..list.len() / 2]);
    // A client that closes its connection ends the answer.
    let _ = stream.write_all(head.as_bytes()).await;
    let rest = &list.as_bytes()[list.len() / 2..];
    match second_half {
        SecondHalf::AtOnce => drop(stream.write_all(rest).await),
        SecondHalf::Never => std::future::pending().await,
        SecondHalf::Slowly => {
            let mut pace = tokio::time::interval(Duration::from_millis(20));
            for byte in rest {
                pace.tick().await;
                if stream.write_all(&[*byte]).await.is_err() {
                    return;
                }
                sent.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

fn list() -> String {
    let meeting = |number| {
        format!(
            "<meeting><meetingName>Lecture {number}</meetingName><meetingID>m-{number}</meetingID>\
             <internalMeetingID>27a5a05c01ee6e7b614f4055d6908eaee91d9c95-{number}</internalMeetingID>\
             <createTime>1795000000000</createTime><participantCount>3</participantCount></meeting>"
        )
    };
    let meetings: String = (0..MEETINGS).map(meeting).collect();
    format!("<response><returncode>SUCCESS</returncode><meetings>{meetings}</meetings></response>")
}

fn client() -> BbbClient {
    let mut settings = Settings::default();
    settings.health.deadline = DEADLINE;
    BbbClient::new(&settings, PendingCalls::default()).expect("is set up")
}

/// Starts a poll of each of `count` servers.
async fn poll_all(
    client: &BbbClient,
    count: usize,
    second_half: SecondHalf,
    connections: &mut JoinSet<()>,
) -> (Vec<LargeListServer>, JoinSet<Result<usize, BbbCallError>>) {
    let (mut servers, mut polls) = (Vec::new(), JoinSet::new());
    for _ in 0..count {
        let started = LargeListServer::start(second_half, connections).await;
        let (client, server) = (client.clone(), started.server.clone());
        polls.spawn(async move { client.poll(&server, 1).await.map(|sample| sample.meetings.len()) });
        servers.push(started);
    }
    (servers, polls)
}

/// A server that stalls in the middle of its list kept its place among those that are read.
#[tokio::test(flavor = "multi_thread")]
async fn servers_that_stall_within_their_lists_delay_no_other_poll() {
    let (client, mut connections) = (client(), JoinSet::new());
    let (_stalled, mut polls) = poll_all(&client, 3 * AT_A_TIME, SecondHalf::Never, &mut connections).await;
    let well = LargeListServer::start(SecondHalf::AtOnce, &mut connections).await;
    let read = client.poll(&well.server, 1).await;
    assert_eq!(read.map(|sample| sample.meetings.len()), Ok(MEETINGS));
    while let Some(poll) = polls.join_next().await {
        assert_eq!(poll.expect("ends"), Err(BbbCallError::Timeout(DEADLINE)));
    }
}

/// A new leader polls every server at once. Their lists then waited for each other, and the servers
/// counted as too slow.
#[tokio::test(flavor = "multi_thread")]
async fn the_wait_for_other_lists_does_not_count_towards_the_deadline_of_a_poll() {
    let (client, mut connections) = (client(), JoinSet::new());
    // Two groups are read in turn, each for as long as its deadline allows: the wait for both is
    // longer than a deadline.
    let (slow, mut polls) = poll_all(&client, 2 * AT_A_TIME, SecondHalf::Slowly, &mut connections).await;
    until("every slow list to be under way", async || {
        slow.iter().all(|server| server.sent.load(Ordering::Relaxed) > 0).then_some(())
    })
    .await;
    let well = LargeListServer::start(SecondHalf::AtOnce, &mut connections).await;
    let read = client.poll(&well.server, 1).await;
    assert_eq!(read.map(|sample| sample.meetings.len()), Ok(MEETINGS));
    while let Some(poll) = polls.join_next().await {
        assert_eq!(poll.expect("ends"), Err(BbbCallError::Timeout(DEADLINE)));
    }
}
