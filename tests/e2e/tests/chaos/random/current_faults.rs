//! The faults, and how each is healed.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use anyhow::Result;
use rand::{RngExt as _, rngs::StdRng};
use usher_bbb_sim::FaultKind;
use usher_harness::{cluster::TestCluster, link::LinkCondition};

/// The part that a fault affects; a part has at most one fault at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FaultyPart {
    ControlPlane(usize),
    Edge(usize),
    /// One of etcd's nodes: two at a time would be the loss of the quorum.
    Store,
    Server(usize),
}

/// One fault of one part.
#[derive(Debug, Clone, Copy)]
enum PartFault {
    KilledPlane(usize),
    FrozenPlane(usize),
    KilledEdge(usize),
    FrozenEdge(usize),
    KilledMember(usize),
    FrozenMember(usize),
    Store(usize, LinkCondition),
    Plane(usize, LinkCondition),
    Edge(usize, LinkCondition),
    Server(usize, FaultKind),
}

/// The current faults, with the time when each ends.
#[derive(Debug, Default)]
pub(super) struct CurrentFaults {
    standing: Vec<(Instant, FaultyPart, PartFault)>,
    /// The servers that had a fault at any time.
    blamed: BTreeSet<usize>,
}

impl CurrentFaults {
    /// Returns the number of current faults.
    pub(super) fn standing(&self) -> usize {
        self.standing.len()
    }

    /// Returns the servers that had a fault at any time: their meetings may have been unreachable.
    pub(super) fn blamed(self) -> BTreeSet<usize> {
        self.blamed
    }

    /// Begins a random fault and returns its name; `None` if its part already has one.
    pub(super) async fn begin(
        &mut self,
        cluster: &mut TestCluster,
        chance: &mut StdRng,
        lasting: Duration,
    ) -> Result<Option<&'static str>> {
        let (name, part, trouble) = choose(cluster, chance);
        if self.standing.iter().any(|(_, other, _)| *other == part) {
            return Ok(None);
        }
        make(cluster, trouble).await?;
        if let FaultyPart::Server(number) = part {
            self.blamed.insert(number);
        }
        self.standing.push((Instant::now() + lasting, part, trouble));
        Ok(Some(name))
    }

    pub(super) async fn heal_expired(&mut self, cluster: &mut TestCluster) -> Result<()> {
        let now = Instant::now();
        let (over, standing) =
            std::mem::take(&mut self.standing).into_iter().partition(|(until, ..)| *until <= now);
        self.standing = standing;
        heal(cluster, over).await
    }

    pub(super) async fn heal_all(&mut self, cluster: &mut TestCluster) -> Result<()> {
        heal(cluster, std::mem::take(&mut self.standing)).await
    }
}

fn choose(cluster: &TestCluster, chance: &mut StdRng) -> (&'static str, FaultyPart, PartFault) {
    let plane = chance.random_range(0..cluster.control_planes.len());
    let edge = chance.random_range(0..cluster.edges.len());
    let (member, server) = (chance.random_range(0..3), chance.random_range(0..cluster.sims.len()));
    let link = match chance.random_range(0..5) {
        0 => LinkCondition::Cut,
        1 => LinkCondition::NoRequests,
        2 => LinkCondition::NoAnswers,
        3 => LinkCondition::Closed,
        _ => LinkCondition::Delay(Duration::from_millis(chance.random_range(10..200))),
    };
    let fault = match chance.random_range(0..7) {
        0 => FaultKind::Refuse,
        1 => FaultKind::HangOnAccept,
        2 => FaultKind::Hang,
        3 => FaultKind::Slow(Duration::from_millis(chance.random_range(50..1500))),
        4 => FaultKind::LostAnswer,
        5 => FaultKind::Status500,
        _ => FaultKind::CutXml,
    };
    match chance.random_range(0..11) {
        0 => ("control plane killed", FaultyPart::ControlPlane(plane), PartFault::KilledPlane(plane)),
        1 => ("control plane frozen", FaultyPart::ControlPlane(plane), PartFault::FrozenPlane(plane)),
        2 => ("edge killed", FaultyPart::Edge(edge), PartFault::KilledEdge(edge)),
        3 => ("edge frozen", FaultyPart::Edge(edge), PartFault::FrozenEdge(edge)),
        4 => ("etcd member killed", FaultyPart::Store, PartFault::KilledMember(member)),
        5 => ("etcd member frozen", FaultyPart::Store, PartFault::FrozenMember(member)),
        6 => ("control plane cut from etcd", FaultyPart::ControlPlane(plane), PartFault::Store(plane, link)),
        7 => ("control plane cut from edges", FaultyPart::ControlPlane(plane), PartFault::Plane(plane, link)),
        8 => ("edge cut from control planes", FaultyPart::Edge(edge), PartFault::Edge(edge, link)),
        _ => ("server at fault", FaultyPart::Server(server), PartFault::Server(server, fault)),
    }
}

async fn make(cluster: &mut TestCluster, trouble: PartFault) -> Result<()> {
    match trouble {
        PartFault::KilledPlane(number) => cluster.control_planes[number].kill()?,
        PartFault::FrozenPlane(number) => cluster.control_planes[number].freeze()?,
        PartFault::KilledEdge(number) => cluster.edges[number].kill()?,
        PartFault::FrozenEdge(number) => cluster.edges[number].freeze()?,
        PartFault::KilledMember(number) => cluster.etcd_mut().kill(number)?,
        PartFault::FrozenMember(number) => cluster.etcd().freeze(number)?,
        PartFault::Store(number, condition) => cluster.links.set_store(number, condition),
        PartFault::Plane(number, condition) => cluster.links.set_plane(number, condition),
        PartFault::Edge(number, condition) => cluster.links.set_edge(number, condition),
        PartFault::Server(number, fault) => cluster.sims[number].faults().set(fault).await,
    }
    Ok(())
}

/// Heals first the faults that take no time, because programs that start again need the other
/// parts.
async fn heal(cluster: &mut TestCluster, over: Vec<(Instant, FaultyPart, PartFault)>) -> Result<()> {
    let mut killed = Vec::new();
    for (_, _, trouble) in over {
        match trouble {
            PartFault::FrozenPlane(number) => cluster.control_planes[number].thaw()?,
            PartFault::FrozenEdge(number) => cluster.edges[number].thaw()?,
            PartFault::KilledMember(number) => cluster.etcd_mut().revive(number)?,
            PartFault::FrozenMember(number) => cluster.etcd().thaw(number)?,
            PartFault::Store(number, _) => cluster.links.set_store(number, LinkCondition::Open),
            PartFault::Plane(number, _) => cluster.links.set_plane(number, LinkCondition::Open),
            PartFault::Edge(number, _) => cluster.links.set_edge(number, LinkCondition::Open),
            PartFault::Server(number, _) => cluster.sims[number].faults().clear().await,
            PartFault::KilledPlane(_) | PartFault::KilledEdge(_) => killed.push(trouble),
        }
    }
    for trouble in killed {
        match trouble {
            PartFault::KilledPlane(number) => cluster.revive_control_plane(number).await?,
            PartFault::KilledEdge(number) => cluster.revive_edge(number).await?,
            _ => {}
        }
    }
    Ok(())
}
