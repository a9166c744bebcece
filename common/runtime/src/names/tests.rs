use std::{
    net::Ipv4Addr,
    sync::atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use tokio::sync::Notify;

use super::*;

/// A source that counts its lookups, and answers `slow` names when it is told to.
#[derive(Default)]
struct CountedNames {
    asked: AtomicUsize,
    go: Notify,
}

#[async_trait]
impl NameLookup for CountedNames {
    async fn lookup(&self, name: &str) -> Result<FoundAddresses, NameError> {
        let number = self.asked.fetch_add(1, Ordering::SeqCst);
        if name.starts_with("slow") {
            self.go.notified().await;
        }
        if name.starts_with("missing") {
            return Err(NameError::NotFound);
        }
        let address = Ipv4Addr::new(192, 0, 2, u8::try_from(number).unwrap_or(255));
        let ttl = Duration::from_secs(if name.starts_with("short") { 0 } else { 60 });
        Ok(FoundAddresses { addresses: vec![address.into()], ttl })
    }
}

fn resolver() -> (NameResolver, Arc<CountedNames>) {
    let source = Arc::new(CountedNames::default());
    (NameResolver::new(source.clone()), source)
}

#[tokio::test]
async fn a_name_in_use_is_looked_up_once_in_its_ttl_in_any_case() {
    let (resolver, source) = resolver();
    for name in ["bbb.test", "BBB.test", "bbb.test"] {
        resolver.resolve(name).await.expect("is found");
    }
    assert_eq!(source.asked.load(Ordering::SeqCst), 1);
    for _ in 0..3 {
        assert_eq!(resolver.resolve("missing").await, Err(NameError::NotFound));
    }
    assert_eq!(source.asked.load(Ordering::SeqCst), 2, "a failure is remembered for a moment");
}

#[tokio::test]
async fn callers_at_once_share_one_lookup_and_one_that_leaves_does_not_end_it() {
    let (resolver, source) = resolver();
    let first = resolver.resolve("slow");
    let gone = tokio::time::timeout(Duration::from_millis(20), first).await;
    assert!(gone.is_err());
    let others = futures_of(&resolver, 50);
    source.go.notify_one();
    for answer in others.await {
        assert_eq!(answer, Ok(vec![Ipv4Addr::new(192, 0, 2, 0).into()].into()));
    }
    assert_eq!(source.asked.load(Ordering::SeqCst), 1);
}

async fn futures_of(resolver: &NameResolver, number: usize) -> Vec<LookupResult> {
    let tasks = TaskGroup::new();
    let mut waiting = Vec::new();
    for _ in 0..number {
        let resolver = resolver.clone();
        waiting.push(tasks.spawn_short("caller", async move { resolver.resolve("slow").await }));
    }
    let mut answers = Vec::new();
    for answer in waiting {
        answers.push(answer.await.expect("no caller panics"));
    }
    answers
}

#[tokio::test]
async fn the_number_of_lookups_under_way_is_bounded() {
    let (resolver, _source) = resolver();
    for number in 0..LOOKUPS {
        drop(resolver.begin(format!("slow{number}")).expect("is begun"));
    }
    assert_eq!(resolver.resolve("slow-too").await, Err(NameError::Busy));
}
