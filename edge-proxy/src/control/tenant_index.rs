//! The tenants of a routing table, by id and by host, changed in place while requests read them.
//!
//! A change touches the entries of its own tenant only, so that loading a number of tenants takes
//! work in proportion to that number. Copies of the whole index, one for each change, were
//! rejected: the work to load 2,000 tenants grew with the square of their number.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use foldhash::quality::RandomState;
use papaya::{HashMap, HashMapRef, LocalGuard};
use usher_bbb::query::ParameterList;
use usher_model::{id::TenantId, routing::TenantRoute};
use usher_runtime::clock;

use super::meetings::TenantMeetings;
use crate::core::quota::SentPeople;

/// One tenant and its meetings.
#[derive(Debug, Clone)]
pub struct TenantSlot {
    /// The tenant; `None` if it was removed while its meetings still exist.
    pub route: Option<Arc<TenantRoute>>,
    /// The meetings of the tenant.
    pub meetings: Arc<TenantMeetings>,
    /// The people that this edge redirected; used only if the tenant's users are limited.
    pub sent_people: Arc<Mutex<SentPeople>>,
}

impl TenantSlot {
    fn new(id: &TenantId, expected: usize) -> Self {
        Self {
            route: None,
            meetings: Arc::new(TenantMeetings::new(id, expected)),
            sent_people: Arc::default(),
        }
    }

    /// Returns whether the person of a join may be redirected to `meeting`, the tenant's own id,
    /// according to the limit in `route`, and counts the person. Without a limit no lock is taken.
    pub fn admits(&self, route: &TenantRoute, meeting: &str, parameters: &ParameterList<'_>) -> bool {
        let limit = route.policy.max_users;
        let sent = || self.sent_people.lock().unwrap_or_else(PoisonError::into_inner);
        limit == 0 || sent().admit((meeting, parameters), route.users, limit, clock::now())
    }
}

/// The tenants that name one host, in the order of their ids. There is more than one only if two
/// operators gave the host away at the same moment; then every edge chooses the last one.
type HostOwners = Arc<[TenantId]>;

/// All tenants. One writer changes the index; readers never wait.
#[derive(Debug)]
pub struct TenantIndex {
    by_id: HashMap<TenantId, TenantSlot, RandomState>,
    by_host: HashMap<String, HostOwners, RandomState>,
    /// The number of changes that concern the way to a tenant: its existence, its hosts, whether it is enabled.
    ways_changed: AtomicU64,
}

impl Default for TenantIndex {
    fn default() -> Self {
        let empty = RandomState::default;
        Self {
            by_id: HashMap::builder().hasher(empty()).build(),
            by_host: HashMap::builder().hasher(empty()).build(),
            ways_changed: AtomicU64::new(0),
        }
    }
}

impl TenantIndex {
    /// Returns a view for lookups. What the view has returned stays valid while the view exists.
    pub fn view(&self) -> TenantView<'_> {
        TenantView { by_id: self.by_id.pin(), by_host: &self.by_host }
    }

    /// Returns the number of changes so far that concern the way to a tenant: its existence, its hosts, whether
    /// it is enabled. The numbers of users and other facts of tenants change far more often.
    pub fn ways_changed(&self) -> u64 {
        self.ways_changed.load(Ordering::Acquire)
    }

    /// Sets or removes tenants, and returns the former route of each, in the order of `changes`.
    /// `expected` is the number of meetings of a new tenant that will follow.
    ///
    /// A host that moves from one tenant to another is at no time without an owner: requests to it
    /// would be those of tenant `default` meanwhile. So all hosts are added before any is removed.
    pub(super) fn set<'c>(
        &self,
        changes: impl Iterator<Item = (&'c TenantId, Option<&'c TenantRoute>)>,
        expected: usize,
    ) -> Vec<Option<Arc<TenantRoute>>> {
        let mut replaced = Vec::new();
        for (id, route) in changes {
            let route = route.cloned().map(Arc::new);
            let old = self.set_route(id, route.clone(), expected);
            for host in hosts(route.as_deref()) {
                self.own_host(host, id);
            }
            replaced.push((id, old, route));
        }
        replaced
            .into_iter()
            .map(|(id, old, route)| {
                for host in hosts(old.as_deref()) {
                    if !hosts(route.as_deref()).any(|kept| kept == host) {
                        self.disown_host(&host, id);
                    }
                }
                let way = |route: Option<&TenantRoute>| {
                    route.map(|r| (r.enabled, hosts(Some(r)).collect::<Vec<_>>()))
                };
                if way(old.as_deref()) != way(route.as_deref()) {
                    self.ways_changed.fetch_add(1, Ordering::Release);
                }
                old
            })
            .collect()
    }

    fn set_route(
        &self,
        id: &TenantId,
        route: Option<Arc<TenantRoute>>,
        expected: usize,
    ) -> Option<Arc<TenantRoute>> {
        let by_id = self.by_id.pin();
        let slot = by_id.get(id).cloned().unwrap_or_else(|| TenantSlot::new(id, expected));
        let old = slot.route.clone();
        by_id.insert(id.clone(), TenantSlot { route, ..slot });
        old
    }

    /// Returns the meetings of a tenant, which need not be known yet.
    pub(super) fn meetings_of(&self, tenant: &TenantId) -> Arc<TenantMeetings> {
        let by_id = self.by_id.pin();
        let slot = by_id.get_or_insert_with(tenant.clone(), || TenantSlot::new(tenant, 0));
        Arc::clone(&slot.meetings)
    }

    /// Takes over the people that were redirected by the tables before.
    pub(super) fn inherit(&self, former: &Self) {
        let (own, before) = (self.by_id.pin(), former.by_id.pin());
        for (id, before) in &before {
            own.update(id.clone(), |slot| TenantSlot {
                sent_people: Arc::clone(&before.sent_people),
                ..slot.clone()
            });
        }
    }

    fn own_host(&self, host: String, id: &TenantId) {
        let by_host = self.by_host.pin();
        let known = by_host.get(&host);
        if known.is_some_and(|owners| owners.contains(id)) {
            return;
        }
        let mut owners = known.map_or_else(Vec::new, |owners| owners.to_vec());
        owners.push(id.clone());
        owners.sort_unstable();
        by_host.insert(host, owners.into());
    }

    fn disown_host(&self, host: &str, id: &TenantId) {
        let by_host = self.by_host.pin();
        let Some(owners) = by_host.get(host) else { return };
        let left: HostOwners = owners.iter().filter(|owner| *owner != id).cloned().collect();
        if left.is_empty() {
            by_host.remove(host);
        } else {
            by_host.insert(host.to_owned(), left);
        }
    }
}

/// Returns the hosts of a tenant in lower case.
pub(super) fn hosts(route: Option<&TenantRoute>) -> impl Iterator<Item = String> {
    route.into_iter().flat_map(|route| route.hosts.iter().map(|host| host.to_ascii_lowercase()))
}

/// A view of all tenants.
pub struct TenantView<'t> {
    by_id: HashMapRef<'t, TenantId, TenantSlot, RandomState, LocalGuard<'t>>,
    by_host: &'t HashMap<String, HostOwners, RandomState>,
}

impl std::fmt::Debug for TenantView<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TenantView({})", self.by_id.len())
    }
}

impl TenantView<'_> {
    /// Looks a tenant up by its id.
    pub fn by_id(&self, id: &str) -> Option<&TenantSlot> {
        self.any(id).filter(|slot| slot.route.is_some())
    }

    /// Looks a tenant up by its id, also one that was removed while its meetings still exist.
    pub fn any(&self, id: &str) -> Option<&TenantSlot> {
        self.by_id.get(id)
    }

    /// Returns whether any tenant is identified by the host of a request.
    pub fn has_hosts(&self) -> bool {
        !self.by_host.is_empty()
    }

    /// Looks a tenant up by the host of a request, in lower case and without a port.
    pub fn by_host(&self, host: &str) -> Option<&TenantSlot> {
        let owner = self.by_host.pin().get(host)?.last()?.clone();
        self.by_id(owner.as_str())
    }

    /// Visits all tenants in no particular order, including removed tenants whose meetings still
    /// exist.
    pub fn iter(&self) -> impl Iterator<Item = (&TenantId, &TenantSlot)> {
        self.by_id.iter()
    }

    /// Returns the number of all tenants, including removed tenants whose meetings still exist.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Returns whether there is no tenant.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use usher_bbb::secret::Secret;

    use super::*;

    fn route(id: &str, hosts: &[&str]) -> TenantRoute {
        TenantRoute {
            secrets: vec![Secret::new("s")],
            hosts: hosts.iter().map(ToString::to_string).collect(),
            ..TenantRoute::new(TenantId::parse(id).expect("is an id"))
        }
    }

    fn set(index: &TenantIndex, routes: &[TenantRoute]) {
        index.set(routes.iter().map(|route| (&route.id, Some(route))), 0);
    }

    fn owner(index: &TenantIndex, host: &str) -> Option<String> {
        index.view().by_host(host).and_then(|slot| Some(slot.route.as_ref()?.id.to_string()))
    }

    /// Loads that many tenants, each by a change of its own, and returns the number of entries of
    /// *other* tenants that the changes moved.
    fn entries_moved(tenants: usize) -> usize {
        let index = TenantIndex::default();
        let mut moved = 0;
        let mut places: Vec<(String, usize)> = Vec::new();
        for number in 0..tenants {
            let id = format!("t{number}");
            set(&index, &[route(&id, &[&format!("{id}.test")])]);
            if number % 100 == 99 {
                let view = index.view();
                let place = |id: &str| std::ptr::from_ref(view.any(id).expect("was set")) as usize;
                moved += places.iter().filter(|(id, at)| place(id) != *at).count();
                places = (0..=number)
                    .map(|number| format!("t{number}"))
                    .map(|id| (id.clone(), place(&id)))
                    .collect();
            }
        }
        moved
    }

    #[test]
    fn a_tenant_that_is_loaded_copies_no_other_tenant() {
        for tenants in [500, 2_000] {
            assert_eq!(entries_moved(tenants), 0, "{tenants} tenants");
        }
    }

    #[test]
    fn a_host_follows_its_tenants_in_any_order_of_changes() {
        let index = TenantIndex::default();
        set(&index, &[route("a", &["One.test", "two.test"]), route("b", &[])]);
        assert_eq!(owner(&index, "one.test").as_deref(), Some("a"));
        // Two operators gave one host away at the same moment: the tenant that sorts last has it.
        set(&index, &[route("c", &["one.test"]), route("b", &["one.test"])]);
        assert_eq!(owner(&index, "one.test").as_deref(), Some("c"));
        set(&index, &[route("c", &[]), route("b", &["one.test"])]);
        assert_eq!(owner(&index, "one.test").as_deref(), Some("b"));
        set(&index, &[route("a", &["two.test"]), route("b", &[])]);
        assert_eq!(owner(&index, "one.test"), None);
        assert!(index.view().has_hosts());
        set(&index, &[route("a", &[])]);
        assert!(!index.view().has_hosts());
    }

    #[test]
    fn only_a_change_of_the_way_to_a_tenant_counts_as_one() {
        let index = TenantIndex::default();
        let mut tenant = route("a", &["one.test"]);
        set(&index, std::slice::from_ref(&tenant));
        assert_eq!(index.ways_changed(), 1);
        tenant.users += 1;
        set(&index, std::slice::from_ref(&tenant));
        assert_eq!(index.ways_changed(), 1, "a poll has counted its users");
        tenant.enabled = false;
        set(&index, std::slice::from_ref(&tenant));
        set(&index, &[route("a", &[])]);
        index.set([(&tenant.id, None)].into_iter(), 0);
        assert_eq!(index.ways_changed(), 4);
    }

    #[test]
    fn a_removed_tenant_keeps_its_meetings_and_answers_to_no_name() {
        let index = TenantIndex::default();
        set(&index, &[route("a", &["one.test"])]);
        let id = TenantId::parse("a").expect("is an id");
        let meetings = index.meetings_of(&id);
        let old = index.set([(&id, None)].into_iter(), 0);
        assert!(old[0].as_ref().is_some_and(|old| old.id == id));
        let view = index.view();
        assert!(view.by_id("a").is_none() && view.by_host("one.test").is_none());
        assert!(view.any("a").is_some_and(|slot| Arc::ptr_eq(&slot.meetings, &meetings)));
    }
}
