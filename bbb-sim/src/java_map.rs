//! The order in which a `HashMap` of Java lists its keys. bbb-web prints metadata in it.

/// Entries of a new map before it grows.
const FIRST_CAPACITY: usize = 16;

/// Returns the keys in the order of Java; keys in the same bucket stay in their order.
pub(crate) fn in_order<'k>(keys: impl IntoIterator<Item = &'k str>) -> Vec<&'k str> {
    let mut keys: Vec<&str> = keys.into_iter().collect();
    let mut capacity = FIRST_CAPACITY;
    // A map doubles when it is fuller than three quarters.
    while keys.len() * 4 > capacity * 3 {
        capacity *= 2;
    }
    let mask = u32::try_from(capacity - 1).unwrap_or(u32::MAX);
    keys.sort_by_key(|key| {
        let hash = hash(key);
        (hash ^ (hash >> 16)) & mask
    });
    keys
}

/// Returns `String.hashCode()`.
fn hash(text: &str) -> u32 {
    text.encode_utf16().fold(0, |hash: u32, unit| hash.wrapping_mul(31).wrapping_add(u32::from(unit)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_in_the_order_of_a_genuine_server() {
        assert_eq!(
            in_order(["bbb-origin", "empty", "moodle-course"]),
            ["moodle-course", "bbb-origin", "empty"]
        );
    }

    #[test]
    fn a_map_that_has_grown_has_another_order() {
        let many: Vec<String> = (0..13).map(|number| format!("key-{number}")).collect();
        let listed = in_order(many.iter().map(String::as_str));
        let buckets: Vec<u32> = listed.iter().map(|key| (hash(key) ^ (hash(key) >> 16)) & 31).collect();
        assert!(buckets.is_sorted(), "{buckets:?}");
    }
}
