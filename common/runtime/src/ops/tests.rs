use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::*;

async fn get_path(addr: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(addr).await.expect("connects");
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("writes");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("reads");
    answer
}

#[tokio::test]
async fn ready_names_the_check_that_fails_and_live_does_not_care() {
    let (ops, tasks) = (OpsHandle::new(), TaskGroup::new());
    let complete = Arc::new(AtomicBool::new(false));
    let table = complete.clone();
    ops.ready_when("routing table", move || {
        if table.load(Ordering::Relaxed) { Ok(()) } else { Err("not complete yet".into()) }
    });
    let server = OpsServer::start(&ops, ([127, 0, 0, 1], 0).into(), &tasks).await.expect("binds");
    let answer = get_path(server.addr(), "/ready").await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(answer.contains("routing table: not complete yet"), "{answer}");
    assert!(get_path(server.addr(), "/live").await.starts_with("HTTP/1.1 200"));
    complete.store(true, Ordering::Relaxed);
    assert!(get_path(server.addr(), "/ready").await.starts_with("HTTP/1.1 200"));
    ops.begin_shutdown();
    assert!(get_path(server.addr(), "/ready").await.contains("is shutting down"));
    tasks.shutdown().await;
}

#[tokio::test]
async fn a_part_that_comes_later_adds_its_checks_and_metrics() {
    let (ops, tasks) = (OpsHandle::new(), TaskGroup::new());
    let server = OpsServer::start(&ops, ([127, 0, 0, 1], 0).into(), &tasks).await.expect("binds");
    assert!(get_path(server.addr(), "/live").await.starts_with("HTTP/1.1 200"));
    ops.live_when("poller", || Err("stuck".into()));
    assert!(get_path(server.addr(), "/live").await.contains("poller: stuck"));
    let gauge = prometheus_client::metrics::gauge::Gauge::<i64>::default();
    ops.metrics().register(|registry| registry.register("usher_leader", "Leads", gauge.clone()));
    gauge.set(1);
    let answer = get_path(server.addr(), "/metrics").await;
    assert!(answer.contains("usher_leader 1") && answer.contains("openmetrics-text"), "{answer}");
    tasks.shutdown().await;
}
