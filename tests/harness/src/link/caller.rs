//! Whose connection it is: the kernel knows, and says so below `/proc`.

use std::{
    fs,
    net::{IpAddr, SocketAddr},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

/// Where the kernel lists connections, with the inode of each.
const CONNECTIONS: &str = "/proc/net/tcp";

/// Least time between two looks at the list. The kernel walks through all of its table for each, which
/// takes some milliseconds, and one look serves everybody who waits for it.
const REST: Duration = Duration::from_millis(50);

/// The latest look, and when it began.
static LATEST: Mutex<Option<(Instant, Arc<str>)>> = Mutex::new(None);

/// Tells whether this system says whose a connection is.
pub fn can_be_told() -> bool {
    Path::new(CONNECTIONS).is_file() && Path::new("/proc/self/fd").is_dir()
}

/// Tells whether the connection from `theirs` to `ours`, which stands by now, belongs to a process.
/// It blocks.
pub(super) fn is(process: u32, theirs: SocketAddr, ours: SocketAddr) -> bool {
    let list = connections(Instant::now());
    let Some(inode) = inode(&list, theirs, ours) else { return false };
    let wanted = format!("socket:[{inode}]");
    let Ok(open) = fs::read_dir(format!("/proc/{process}/fd")) else { return false };
    open.flatten().any(|file| {
        fs::read_link(file.path()).is_ok_and(|target| target.as_os_str().to_str() == Some(wanted.as_str()))
    })
}

/// Returns the kernel's list as it was at some time after `since`.
fn connections(since: Instant) -> Arc<str> {
    let mut latest = LATEST.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((begun, list)) = &*latest {
        if *begun >= since {
            return Arc::clone(list);
        }
        thread::sleep(REST.saturating_sub(begun.elapsed()));
    }
    let begun = Instant::now();
    let list: Arc<str> = fs::read_to_string(CONNECTIONS).unwrap_or_default().into();
    *latest = Some((begun, Arc::clone(&list)));
    list
}

/// Finds a connection in the kernel's list, as its caller's side sees it.
fn inode(list: &str, theirs: SocketAddr, ours: SocketAddr) -> Option<&str> {
    let (local, remote) = (hex(theirs)?, hex(ours)?);
    let ends = format!(" {local} {remote} ");
    list.lines().find(|line| line.contains(&ends))?.split_whitespace().nth(9)
}

/// Writes an address as the kernel does: the address as a number of this machine's byte order.
fn hex(address: SocketAddr) -> Option<String> {
    let IpAddr::V4(ip) = address.ip() else { return None };
    Some(format!("{:08X}:{:04X}", u32::from_ne_bytes(ip.octets()), address.port()))
}
