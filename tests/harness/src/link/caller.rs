//! The owner of a connection, as the kernel reports it below `/proc`.

use std::{
    fs,
    net::{IpAddr, SocketAddr},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

/// The kernel's list of connections, with the inode of each.
const CONNECTIONS: &str = "/proc/net/tcp";

/// Least time between two reads of the list. The kernel walks through its whole table for each
/// read, which takes some milliseconds, and one read serves all waiting callers.
const REST: Duration = Duration::from_millis(50);

/// The latest copy of the list, and the time when its read began.
static LATEST: Mutex<Option<(Instant, Arc<str>)>> = Mutex::new(None);

/// Returns whether this system reports the owner of a connection.
pub fn is_supported() -> bool {
    Path::new(CONNECTIONS).is_file() && Path::new("/proc/self/fd").is_dir()
}

/// Returns whether the established connection from `theirs` to `ours` belongs to a process. The
/// call blocks.
pub(super) fn is(process: u32, theirs: SocketAddr, ours: SocketAddr) -> bool {
    let list = connections(Instant::now());
    let Some(inode) = inode(&list, theirs, ours) else { return false };
    let wanted = format!("socket:[{inode}]");
    let Ok(open) = fs::read_dir(format!("/proc/{process}/fd")) else { return false };
    open.flatten().any(|file| {
        fs::read_link(file.path()).is_ok_and(|target| target.as_os_str().to_str() == Some(wanted.as_str()))
    })
}

/// Returns a copy of the kernel's list that was read after `since`.
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

/// Finds a connection in the kernel's list, from the caller's side, and returns its inode.
fn inode(list: &str, theirs: SocketAddr, ours: SocketAddr) -> Option<&str> {
    let (local, remote) = (hex(theirs)?, hex(ours)?);
    let ends = format!(" {local} {remote} ");
    list.lines().find(|line| line.contains(&ends))?.split_whitespace().nth(9)
}

/// Writes an address as the kernel does: the IP address as a number in the byte order of the
/// machine.
fn hex(address: SocketAddr) -> Option<String> {
    let IpAddr::V4(ip) = address.ip() else { return None };
    Some(format!("{:08X}:{:04X}", u32::from_ne_bytes(ip.octets()), address.port()))
}
