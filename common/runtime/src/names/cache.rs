//! The answers of lookups, by name. It decides how long an answer serves, and never waits.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use super::lookup::{Addresses, FoundAddresses, NameError};

/// The shortest time for which an answer serves. A TTL of 0 would cost a lookup for each
/// connection.
const LEAST_TTL: Duration = Duration::from_secs(1);
/// The longest time for which an answer serves. Operators who correct a mistake need not wait for
/// the end of a TTL of days.
const MOST_TTL: Duration = Duration::from_mins(5);
/// The time after its end for which an answer still serves while it cannot be refreshed.
const EXPIRED_SERVES: Duration = Duration::from_hours(1);
/// The time for which a failure is the answer, and after which an expired answer is refreshed
/// again.
const FAILURE_TTL: Duration = Duration::from_secs(2);
/// The largest number of names. Applications choose the names that callbacks go to.
const NAMES: usize = 1024;

/// The answer of the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CachedAnswer {
    /// The addresses are valid.
    Valid(Addresses),
    /// The addresses were valid not long ago.
    Expired {
        /// The addresses.
        addresses: Addresses,
        /// Whether the caller must look the name up; a lookup that has just failed is not repeated.
        refresh: bool,
    },
    /// The last lookup failed a moment ago.
    Failed(NameError),
    /// The caller must look the name up.
    Unknown,
}

#[derive(Debug)]
struct CachedName {
    addresses: Option<Addresses>,
    valid_until: Instant,
    failed: Option<(NameError, Instant)>,
    used: Instant,
}

/// The cache.
#[derive(Debug, Default)]
pub(super) struct NameCache(HashMap<String, CachedName>);

impl NameCache {
    /// Returns the answer for a name.
    pub(super) fn get(&mut self, name: &str, now: Instant) -> CachedAnswer {
        let Some(known) = self.0.get_mut(name) else { return CachedAnswer::Unknown };
        known.used = now;
        let failed = known.failed.as_ref().filter(|(_, until)| now < *until);
        match &known.addresses {
            Some(addresses) if now < known.valid_until => CachedAnswer::Valid(addresses.clone()),
            Some(addresses) if now < known.valid_until + EXPIRED_SERVES => {
                CachedAnswer::Expired { addresses: addresses.clone(), refresh: failed.is_none() }
            }
            _ => failed.map_or(CachedAnswer::Unknown, |(error, _)| CachedAnswer::Failed(error.clone())),
        }
    }

    /// Notes the result of a lookup, and returns it in the form for callers. A name that does not
    /// exist any more loses its addresses; after any other failure they serve on.
    pub(super) fn put(
        &mut self,
        name: &str,
        found: Result<FoundAddresses, NameError>,
        now: Instant,
    ) -> Result<Addresses, NameError> {
        let found = found
            .and_then(|found| if found.addresses.is_empty() { Err(NameError::NotFound) } else { Ok(found) });
        let former = self.0.remove(name);
        let (cached, result) = match found {
            Ok(FoundAddresses { addresses, ttl }) => {
                let addresses: Addresses = addresses.into();
                let valid_until = now + ttl.clamp(LEAST_TTL, MOST_TTL);
                let cached =
                    CachedName { addresses: Some(addresses.clone()), valid_until, failed: None, used: now };
                (cached, Ok(addresses))
            }
            Err(error) => {
                let kept = former.filter(|_| error != NameError::NotFound);
                let valid_until = kept.as_ref().map_or(now, |kept| kept.valid_until);
                let addresses = kept.and_then(|kept| kept.addresses);
                let failed = Some((error.clone(), now + FAILURE_TTL));
                (CachedName { addresses, valid_until, failed, used: now }, Err(error))
            }
        };
        if self.0.len() >= NAMES {
            let oldest = self.0.iter().min_by_key(|(_, known)| known.used).map(|(name, _)| name.clone());
            oldest.map(|oldest| self.0.remove(&oldest));
        }
        self.0.insert(name.to_owned(), cached);
        result
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    fn address(last: u8) -> IpAddr {
        Ipv4Addr::new(192, 0, 2, last).into()
    }

    fn found(last: u8, ttl: u64) -> Result<FoundAddresses, NameError> {
        Ok(FoundAddresses { addresses: vec![address(last)], ttl: Duration::from_secs(ttl) })
    }

    fn addresses(last: u8) -> Addresses {
        vec![address(last)].into()
    }

    #[test]
    fn an_answer_serves_for_its_ttl_and_is_then_refreshed() {
        let (mut cache, begun) = (NameCache::default(), crate::clock::now());
        let after = |seconds| begun + Duration::from_secs(seconds);
        assert_eq!(cache.get("a", begun), CachedAnswer::Unknown);
        assert_eq!(cache.put("a", found(1, 30), begun), Ok(addresses(1)));
        assert_eq!(cache.get("a", after(29)), CachedAnswer::Valid(addresses(1)));
        let expired = |refresh| CachedAnswer::Expired { addresses: addresses(1), refresh };
        assert_eq!(cache.get("a", after(30)), expired(true));
        // The resolver hangs: the address serves on, and is looked up again with pauses.
        assert_eq!(cache.put("a", Err(NameError::Timeout), after(35)), Err(NameError::Timeout));
        assert_eq!(cache.get("a", after(36)), expired(false));
        assert_eq!(cache.get("a", after(38)), expired(true));
        assert_eq!(cache.put("a", found(2, 30), after(40)), Ok(addresses(2)));
        assert_eq!(cache.get("a", after(41)), CachedAnswer::Valid(addresses(2)));
        assert_eq!(cache.get("a", after(40 + 30 + 3600)), CachedAnswer::Unknown, "too old to serve");
    }

    #[test]
    fn a_name_that_is_gone_does_not_serve_on() {
        let (mut cache, begun) = (NameCache::default(), crate::clock::now());
        cache.put("a", found(1, 30), begun).expect("is found");
        let later = begun + Duration::from_mins(1);
        assert_eq!(cache.put("a", Err(NameError::NotFound), later), Err(NameError::NotFound));
        assert_eq!(cache.get("a", later), CachedAnswer::Failed(NameError::NotFound));
        assert_eq!(cache.get("a", later + FAILURE_TTL), CachedAnswer::Unknown);
        let empty = FoundAddresses { addresses: Vec::new(), ttl: Duration::from_secs(9) };
        assert_eq!(cache.put("b", Ok(empty), later), Err(NameError::NotFound));
    }

    #[test]
    fn every_ttl_is_brought_between_its_bounds() {
        let (mut cache, begun) = (NameCache::default(), crate::clock::now());
        cache.put("short", found(1, 0), begun).expect("is found");
        cache.put("long", found(1, 1_000_000), begun).expect("is found");
        let is_valid =
            |cache: &mut NameCache, name, at| matches!(cache.get(name, at), CachedAnswer::Valid(_));
        assert!(is_valid(&mut cache, "short", begun + Duration::from_millis(999)));
        assert!(!is_valid(&mut cache, "short", begun + LEAST_TTL));
        assert!(!is_valid(&mut cache, "long", begun + MOST_TTL));
    }

    #[test]
    fn invented_names_take_bounded_memory_and_leave_those_in_use() {
        let (mut cache, begun) = (NameCache::default(), crate::clock::now());
        cache.put("used", found(1, 300), begun).expect("is found");
        for number in 0..3_000_u32 {
            let now = begun + Duration::from_millis(u64::from(number));
            let _ = cache.put(&format!("n{number}"), Err(NameError::NotFound), now);
            assert!(matches!(cache.get("used", now), CachedAnswer::Valid(_)), "{number}");
        }
        assert!(cache.0.len() <= NAMES);
    }
}
