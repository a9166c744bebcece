use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::atomic::{AtomicUsize, Ordering},
};

use hickory_resolver::{
    config::{ConnectionConfig, NameServerConfig, ResolverConfig},
    net::runtime::TokioRuntimeProvider,
    proto::{
        op::{Message, MessageType, ResponseCode},
        rr::{RData, Record, rdata::A},
    },
};
use tokio::net::UdpSocket;

use super::*;
use crate::tasks::TaskGroup;

/// A name server on this machine: `known.test` and `short.campus.test` have an address.
struct TestServer {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
    tasks: TaskGroup,
}

impl TestServer {
    async fn start(ttl: u32) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
        let (address, asked) = (socket.local_addr().expect("is bound"), Arc::<AtomicUsize>::default());
        let (tasks, count) = (TaskGroup::new(), Arc::clone(&asked));
        tasks.spawn("name server", move |stop| async move {
            let mut buffer = [0; 2048];
            loop {
                let (size, from) = tokio::select! {
                    () = stop.cancelled() => return Ok(()),
                    received = socket.recv_from(&mut buffer) => received?,
                };
                count.fetch_add(1, Ordering::SeqCst);
                let query = Message::from_vec(&buffer[..size])?;
                socket.send_to(&answer(&query, ttl).to_vec()?, from).await?;
            }
        });
        Self { address, asked, tasks }
    }

    fn resolver(&self, search: &str) -> TokioResolver {
        let mut connection = ConnectionConfig::udp();
        connection.port = self.address.port();
        let server = NameServerConfig::new(self.address.ip(), true, vec![connection]);
        let search = vec![Name::from_utf8(search).expect("is a name")];
        let config = ResolverConfig::from_parts(None, search, vec![server]);
        let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        builder.options_mut().cache_size = 0;
        builder.build().expect("builds")
    }
}

fn answer(query: &Message, ttl: u32) -> Message {
    let mut answer = query.clone();
    answer.metadata.message_type = MessageType::Response;
    answer.metadata.response_code = ResponseCode::NXDomain;
    if let Some(question) = query.queries.first() {
        let name = question.name().to_utf8().to_ascii_lowercase();
        if matches!(name.as_str(), "known.test." | "short.campus.test.") {
            answer.metadata.response_code = ResponseCode::NoError;
            if question.query_type() == RecordType::A {
                let record = Record::from_rdata(
                    question.name().clone(),
                    ttl,
                    RData::A(A(Ipv4Addr::new(192, 0, 2, 7))),
                );
                answer.add_answer(record);
            }
        }
    }
    answer
}

#[tokio::test]
async fn names_come_from_dns_with_their_ttl_and_by_search_domains() {
    let server = TestServer::start(42).await;
    let dns = server.resolver("campus.test.");
    let found = by_dns(&dns, "known.test").await.expect("is found");
    assert_eq!(found.addresses, [IpAddr::from(Ipv4Addr::new(192, 0, 2, 7))]);
    assert!((Duration::from_secs(40)..=Duration::from_secs(42)).contains(&found.ttl), "{:?}", found.ttl);
    assert!(by_dns(&dns, "short").await.is_ok(), "a search domain");
    assert_eq!(by_dns(&dns, "unknown.test.").await, Err(NameError::NotFound));
    assert!(server.asked.load(Ordering::SeqCst) >= 4);
    server.tasks.shutdown().await;
}

#[tokio::test]
async fn names_of_this_machine_are_known_without_a_name_server() {
    let names = SystemNames::default();
    let found = names.lookup("localhost").await.expect("is in /etc/hosts, or is known anyway");
    assert!(found.addresses.iter().all(IpAddr::is_loopback), "{found:?}");
}
