//! The faults, and how each is healed.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use anyhow::Result;
use rand::{RngExt as _, rngs::StdRng};
use usher_bbb_sim::FaultKind;
use usher_harness::{cluster::Cluster, link::Condition};

/// The part that a fault affects; a part has at most one fault at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    ControlPlane(usize),
    Edge(usize),
    /// One of etcd's nodes: two at a time would be the loss of the quorum.
    Store,
    Server(usize),
}

/// One fault.
#[derive(Debug, Clone, Copy)]
enum Trouble {
    KilledPlane(usize),
    FrozenPlane(usize),
    KilledEdge(usize),
    FrozenEdge(usize),
    KilledMember(usize),
    FrozenMember(usize),
    Store(usize, Condition),
    Plane(usize, Condition),
    Edge(usize, Condition),
    Server(usize, FaultKind),
}

/// The current faults.
#[derive(Debug, Default)]
pub(super) struct Troubles {
    standing: Vec<(Instant, Part, Trouble)>,
    /// The servers that had a fault at any time.
    blamed: BTreeSet<usize>,
}

impl Troubles {
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
        cluster: &mut Cluster,
        chance: &mut StdRng,
        lasting: Duration,
    ) -> Result<Option<&'static str>> {
        let (name, part, trouble) = choose(cluster, chance);
        if self.standing.iter().any(|(_, other, _)| *other == part) {
            return Ok(None);
        }
        make(cluster, trouble).await?;
        if let Part::Server(number) = part {
            self.blamed.insert(number);
        }
        self.standing.push((Instant::now() + lasting, part, trouble));
        Ok(Some(name))
    }

    pub(super) async fn heal_those_that_are_over(&mut self, cluster: &mut Cluster) -> Result<()> {
        let now = Instant::now();
        let (over, standing) =
            std::mem::take(&mut self.standing).into_iter().partition(|(until, ..)| *until <= now);
        self.standing = standing;
        heal(cluster, over).await
    }

    pub(super) async fn heal_all(&mut self, cluster: &mut Cluster) -> Result<()> {
        heal(cluster, std::mem::take(&mut self.standing)).await
    }
}

fn choose(cluster: &Cluster, chance: &mut StdRng) -> (&'static str, Part, Trouble) {
    let plane = chance.random_range(0..cluster.control_planes.len());
    let edge = chance.random_range(0..cluster.edges.len());
    let (member, server) = (chance.random_range(0..3), chance.random_range(0..cluster.sims.len()));
    let link = match chance.random_range(0..5) {
        0 => Condition::Cut,
        1 => Condition::NoRequests,
        2 => Condition::NoAnswers,
        3 => Condition::Closed,
        _ => Condition::Delay(Duration::from_millis(chance.random_range(10..200))),
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
        0 => ("control plane killed", Part::ControlPlane(plane), Trouble::KilledPlane(plane)),
        1 => ("control plane frozen", Part::ControlPlane(plane), Trouble::FrozenPlane(plane)),
        2 => ("edge killed", Part::Edge(edge), Trouble::KilledEdge(edge)),
        3 => ("edge frozen", Part::Edge(edge), Trouble::FrozenEdge(edge)),
        4 => ("etcd member killed", Part::Store, Trouble::KilledMember(member)),
        5 => ("etcd member frozen", Part::Store, Trouble::FrozenMember(member)),
        6 => ("control plane cut from etcd", Part::ControlPlane(plane), Trouble::Store(plane, link)),
        7 => ("control plane cut from edges", Part::ControlPlane(plane), Trouble::Plane(plane, link)),
        8 => ("edge cut from control planes", Part::Edge(edge), Trouble::Edge(edge, link)),
        _ => ("server at fault", Part::Server(server), Trouble::Server(server, fault)),
    }
}

async fn make(cluster: &mut Cluster, trouble: Trouble) -> Result<()> {
    match trouble {
        Trouble::KilledPlane(number) => cluster.control_planes[number].kill()?,
        Trouble::FrozenPlane(number) => cluster.control_planes[number].freeze()?,
        Trouble::KilledEdge(number) => cluster.edges[number].kill()?,
        Trouble::FrozenEdge(number) => cluster.edges[number].freeze()?,
        Trouble::KilledMember(number) => cluster.etcd_mut().kill(number)?,
        Trouble::FrozenMember(number) => cluster.etcd().freeze(number)?,
        Trouble::Store(number, condition) => cluster.links.set_store(number, condition),
        Trouble::Plane(number, condition) => cluster.links.set_plane(number, condition),
        Trouble::Edge(number, condition) => cluster.links.set_edge(number, condition),
        Trouble::Server(number, fault) => cluster.sims[number].faults().set(fault).await,
    }
    Ok(())
}

/// Heals first the faults that take no time, because programs that start again need the other
/// parts.
async fn heal(cluster: &mut Cluster, over: Vec<(Instant, Part, Trouble)>) -> Result<()> {
    let mut killed = Vec::new();
    for (_, _, trouble) in over {
        match trouble {
            Trouble::FrozenPlane(number) => cluster.control_planes[number].thaw()?,
            Trouble::FrozenEdge(number) => cluster.edges[number].thaw()?,
            Trouble::KilledMember(number) => cluster.etcd_mut().revive(number)?,
            Trouble::FrozenMember(number) => cluster.etcd().thaw(number)?,
            Trouble::Store(number, _) => cluster.links.set_store(number, Condition::Open),
            Trouble::Plane(number, _) => cluster.links.set_plane(number, Condition::Open),
            Trouble::Edge(number, _) => cluster.links.set_edge(number, Condition::Open),
            Trouble::Server(number, _) => cluster.sims[number].faults().clear().await,
            Trouble::KilledPlane(_) | Trouble::KilledEdge(_) => killed.push(trouble),
        }
    }
    for trouble in killed {
        match trouble {
            Trouble::KilledPlane(number) => cluster.revive_control_plane(number).await?,
            Trouble::KilledEdge(number) => cluster.revive_edge(number).await?,
            _ => {}
        }
    }
    Ok(())
}
