//! The memory that this process may use.

use std::fs;

/// Files of the control groups, version 2 and 1, that hold the limit of the process in bytes.
const GROUP_LIMITS: [&str; 2] = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];

/// Returns the memory that this process may use in bytes: the machine's, or less if its control group, which
/// is that of its container, has a limit. Returns `None` where the system does not tell.
pub fn usable() -> Option<u64> {
    let machine = fs::read_to_string("/proc/meminfo").ok().as_deref().and_then(machine_total);
    let groups = GROUP_LIMITS.iter().filter_map(|path| fs::read_to_string(path).ok()?.trim().parse().ok());
    groups.chain(machine).min()
}

/// Returns the memory of the machine from the text of `/proc/meminfo`, bytes.
fn machine_total(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_of_the_machine_is_read_from_its_line() {
        let text = "MemFree:  5 kB\nMemTotal:       16303428 kB\n";
        assert_eq!(machine_total(text), Some(16_303_428 * 1024));
        assert_eq!(machine_total("MemFree:  5 kB\n"), None);
        assert!(usable().is_none_or(|bytes| bytes > 16 << 20));
    }
}
