//! Servers in this process, each at a port of its own, with a fixed set of meetings: most answer
//! `getMeetings` as BBB does, with about 1 KB for each meeting, and some accept connections and never
//! answer. Users join and leave: in each list, one meeting of ten has other users than in the list
//! before.

use std::{
    fmt::Write as _,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use anyhow::Result;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use usher_runtime::tasks::TaskGroup;

use super::scale::SizeScale;
use crate::synthetic;

/// The largest request that is read, bytes.
const REQUEST: usize = 16 << 10;

/// The lists of one server after which a meeting has other users.
const USERS_STAY: usize = 10;

/// The servers of the fleet.
pub(super) struct FixedServers {
    servers: Vec<Arc<FixedServer>>,
    addresses: Vec<SocketAddr>,
    tasks: TaskGroup,
}

/// One server.
struct FixedServer {
    number: usize,
    scale: SizeScale,
    /// The ids and internal ids of its meetings; none if it hangs.
    meetings: Vec<(String, String)>,
    /// The arrivals of requests for its list.
    polls: Mutex<Vec<Instant>>,
    lists: AtomicUsize,
}

impl FixedServers {
    pub(super) async fn start(scale: SizeScale) -> Result<Self> {
        let (mut servers, mut addresses, tasks) = (Vec::new(), Vec::new(), TaskGroup::new());
        for number in 0..scale.servers {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            addresses.push(listener.local_addr()?);
            let server = Arc::new(FixedServer::new(number, scale));
            servers.push(Arc::clone(&server));
            let connections = tasks.clone();
            tasks.spawn("server", |stop| async move {
                loop {
                    let accepted = tokio::select! {
                        accepted = listener.accept() => accepted,
                        () = stop.cancelled() => return Ok(()),
                    };
                    let Ok((connection, _)) = accepted else { continue };
                    let (server, stop) = (Arc::clone(&server), stop.clone());
                    connections.spawn_short("connection", async move {
                        tokio::select! {
                            // A client that closes its connection is no error.
                            _ = server.serve(connection) => {}
                            () = stop.cancelled() => {}
                        }
                    });
                }
            });
        }
        Ok(Self { servers, addresses, tasks })
    }

    /// Returns the base URL of a server.
    pub(super) fn url(&self, server: usize) -> String {
        format!("http://{}/bigbluebutton/api/", self.addresses[server])
    }

    /// Returns the arrivals of polls at each server that answers, since the last call.
    pub(super) fn take_polls(&self) -> Vec<Vec<Instant>> {
        let answering = self.servers.iter().filter(|server| !SizeScale::hangs(server.number));
        answering
            .map(|server| std::mem::take(&mut *server.polls.lock().unwrap_or_else(PoisonError::into_inner)))
            .collect()
    }

    pub(super) async fn stop(self) {
        self.tasks.shutdown().await;
    }
}

impl FixedServer {
    fn new(number: usize, scale: SizeScale) -> Self {
        let ids = scale.meetings_on(number).map(synthetic::meeting_id);
        let meetings = ids.map(|id| (id.clone(), synthetic::internal_id(&id)));
        let meetings = if SizeScale::hangs(number) { Vec::new() } else { meetings.collect() };
        Self { number, scale, meetings, polls: Mutex::default(), lists: AtomicUsize::new(0) }
    }

    async fn serve(&self, mut connection: TcpStream) -> Result<()> {
        connection.set_nodelay(true)?;
        let mut request = Vec::new();
        loop {
            request.clear();
            while !request.ends_with(b"\r\n\r\n") {
                if connection.read_buf(&mut request).await? == 0 || request.len() > REQUEST {
                    return Ok(());
                }
            }
            let is_poll = request.windows(b"/getMeetings?".len()).any(|part| part == b"/getMeetings?");
            if is_poll {
                self.polls.lock().unwrap_or_else(PoisonError::into_inner).push(Instant::now());
            }
            if SizeScale::hangs(self.number) {
                std::future::pending::<()>().await;
            }
            let body = if is_poll { self.list() } else { NOT_FOUND.to_owned() };
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: text/xml;charset=utf-8\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            connection.write_all(head.as_bytes()).await?;
            connection.write_all(body.as_bytes()).await?;
        }
    }

    /// Returns the answer to `getMeetings`, in the order and with the elements of BBB 3.0.
    fn list(&self) -> String {
        let list = self.lists.fetch_add(1, Ordering::Relaxed);
        let mut body = String::with_capacity(self.meetings.len() * 1_200 + 100);
        body.push_str("<response><returncode>SUCCESS</returncode><meetings>");
        for (number, (id, internal_id)) in self.meetings.iter().enumerate() {
            let users = 1 + (number + list) / USERS_STAY % 9;
            let bridge = 10_000 + (number * self.scale.servers + self.number) % 90_000;
            let written = write!(
                body,
                "<meeting><meetingName>Analysis II, exercises of group {number}</meetingName>\
                 <meetingID>{id}</meetingID><internalMeetingID>{internal_id}</internalMeetingID>\
                 <createTime>{created}</createTime><createDate>Wed Nov 18 06:40:00 UTC 2026</createDate>\
                 <voiceBridge>{bridge}</voiceBridge><dialNumber>613-555-1234</dialNumber>\
                 <attendeePW>ap</attendeePW><moderatorPW>mp</moderatorPW><running>true</running>\
                 <duration>0</duration><hasUserJoined>true</hasUserJoined><recording>false</recording>\
                 <hasBeenForciblyEnded>false</hasBeenForciblyEnded><startTime>{created}</startTime>\
                 <endTime>0</endTime><participantCount>{users}</participantCount>\
                 <listenerCount>0</listenerCount><voiceParticipantCount>{users}</voiceParticipantCount>\
                 <videoCount>0</videoCount><maxUsers>0</maxUsers><moderatorCount>1</moderatorCount>\
                 <attendees></attendees><metadata><bbb-origin>Moodle</bbb-origin>\
                 <usher-tenant>default</usher-tenant>\
                 <bbb-context>Analysis II</bbb-context></metadata>\
                 <isBreakout>false</isBreakout></meeting>",
                created = synthetic::CREATED_AT_MS,
            );
            debug_assert!(written.is_ok(), "a string takes any text");
        }
        body.push_str("</meetings></response>");
        body
    }
}

const NOT_FOUND: &str = "<response><returncode>FAILED</returncode><messageKey>notFound</messageKey>\
    <message>There is no such meeting.</message></response>";
