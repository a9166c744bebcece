//! A whole edge in this process, for targets that go from the bytes of a connection to those of its
//! answers. Its control plane and its servers are stubs: they keep no state, so that an input has the
//! same answers after any other input.

mod connection;
mod fleet;
mod plane;
mod servers;
mod settings;
mod template;

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{LazyLock, Mutex, PoisonError},
};

use tokio::runtime::{Builder, Runtime};
use usher_edge_proxy::app::Edge;
use usher_runtime::{ops::OpsHandle, tasks::TaskGroup};

pub(crate) use self::fleet::CANARY;

const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

static EDGE: LazyLock<Mutex<StubbedEdge>> = LazyLock::new(|| Mutex::new(StubbedEdge::start()));

/// An edge with its stubs, all on one thread, which runs while an input is sent.
struct StubbedEdge {
    runtime: Runtime,
    address: SocketAddr,
    _edge: Edge,
    _tasks: TaskGroup,
    _ops: OpsHandle,
}

/// Returns the bytes that the edge answers to an input. Marks in the input become signatures and
/// sealed addresses, see [`template::fill`].
pub(crate) fn exchange(input: &[u8]) -> Vec<u8> {
    let sent = template::fill(input);
    let from = if template::begins_with_proxy_header(&sent) { settings::PROXY } else { CLIENT };
    let edge = EDGE.lock().unwrap_or_else(PoisonError::into_inner);
    edge.runtime.block_on(connection::exchange(from, edge.address, &sent))
}

impl StubbedEdge {
    fn start() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let (tasks, ops) = (TaskGroup::new(), OpsHandle::new());
        let edge = runtime.block_on(async {
            let servers = [servers::start(&tasks).await, servers::start(&tasks).await];
            let plane = plane::start(fleet::table(servers), &tasks).await;
            let edge =
                Edge::start(&settings::edge_settings(plane), &ops, &tasks).await.expect("the edge starts");
            edge.ready().await;
            edge
        });
        Self { address: edge.api_addr(), runtime, _edge: edge, _tasks: tasks, _ops: ops }
    }
}
