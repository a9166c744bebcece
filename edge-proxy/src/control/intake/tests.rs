use usher_bbb::{checksum::ChecksumAlgorithm, secret::Secret};
use usher_model::{
    id::ServerId,
    routing::{RoutingTable, ServerRoute},
    server::{AdminState, Health},
};
use usher_proto::v1::{self, SnapshotBegin, SnapshotChunk, SnapshotEnd};

use super::*;

fn servers(count: usize) -> Vec<ServerRoute> {
    (0..count)
        .map(|number| ServerRoute {
            id: ServerId::parse(&format!("s{number}")).unwrap(),
            url: "http://s.test/bigbluebutton/api/".into(),
            secret: Secret::new("s"),
            admin: AdminState::Enabled,
            health: Health::Online,
            algorithm: ChecksumAlgorithm::Sha256,
        })
        .collect()
}

fn delta(base: Revision, seq: u64, added: &[ServerRoute]) -> RoutingDelta {
    let mut delta = RoutingDelta::new(base, Revision::new(base.epoch, seq));
    delta.servers = added.iter().map(|server| (server.id.clone(), Some(server.clone()))).collect();
    delta
}

/// Returns a table with `count` servers at a revision, as the control plane has it.
fn model(epoch: u64, seq: u64, count: usize) -> RoutingTable {
    let start = Revision::new(epoch, 0);
    let mut table = RoutingTable::empty(start);
    table.apply(&delta(start, seq, &servers(count))).unwrap();
    table
}

fn frames(model: &RoutingTable, shrink_allowed: bool) -> Vec<Message> {
    let revision = Some(model.revision().into());
    let routes: Vec<v1::ServerRoute> = model.servers().map(Into::into).collect();
    vec![
        Message::SnapshotBegin(SnapshotBegin {
            revision,
            servers: routes.len() as u64,
            shrink_allowed,
            ..SnapshotBegin::default()
        }),
        Message::SnapshotChunk(SnapshotChunk { servers: routes, ..SnapshotChunk::default() }),
        Message::SnapshotEnd(SnapshotEnd { revision, digest: model.digest().0 }),
    ]
}

fn feed(intake: &mut StreamIntake, frames: Vec<Message>) -> Result<IntakeStep, IntakeError> {
    frames.into_iter().try_fold(IntakeStep::Quiet, |_, frame| intake.take(frame))
}

fn heartbeat(model: &RoutingTable, digest: u64) -> Message {
    Message::Heartbeat(Heartbeat { revision: Some(model.revision().into()), digest })
}

fn started(model: &RoutingTable) -> (Arc<CurrentTable>, StreamIntake) {
    let current = Arc::new(CurrentTable::default());
    let mut intake = StreamIntake::new(Arc::clone(&current), false);
    assert_eq!(feed(&mut intake, frames(model, false)), Ok(IntakeStep::Applied(model.revision())));
    (current, intake)
}

#[test]
fn x4_a_lost_delta_is_noticed_and_a_snapshot_repairs_it() {
    let mut truth = model(1, 5, 2);
    let (current, mut intake) = started(&truth);
    let lost = delta(truth.revision(), 6, &servers(3));
    truth.apply(&lost).unwrap();
    let next = delta(truth.revision(), 7, &servers(4));
    truth.apply(&next).unwrap();
    assert_eq!(intake.take(Message::Delta((&next).into())), Ok(IntakeStep::Resync("gap")));
    assert_eq!(intake.take(Message::Delta((&next).into())), Ok(IntakeStep::Quiet), "asks once");
    feed(&mut intake, frames(&truth, false)).unwrap();
    let table = current.load_full().unwrap();
    assert_eq!((table.revision(), table.digest()), (truth.revision(), truth.digest()));
}

#[test]
fn x4_a_digest_mismatch_or_a_new_epoch_means_resync() {
    let truth = model(1, 5, 2);
    let (_, mut intake) = started(&truth);
    assert_eq!(intake.take(heartbeat(&truth, truth.digest().0)), Ok(IntakeStep::Quiet));
    assert_eq!(intake.take(heartbeat(&truth, 99)), Ok(IntakeStep::Resync("digest")));
    let (_, mut intake) = started(&truth);
    assert_eq!(intake.take(heartbeat(&model(2, 1, 2), 0)), Ok(IntakeStep::Resync("epoch")));
}

#[test]
fn x2_an_older_snapshot_is_refused_within_its_epoch_only() {
    let (current, mut intake) = started(&model(1, 5, 2));
    let refused = feed(&mut intake, frames(&model(1, 4, 2), true));
    assert!(matches!(refused, Err(IntakeError::Older { .. })), "{refused:?}");
    assert_eq!(current.revision(), Some(Revision::new(1, 5)));
    assert!(feed(&mut intake, frames(&model(2, 1, 2), false)).is_ok());
    assert_eq!(current.revision(), Some(Revision::new(2, 1)));
}

#[test]
fn x2_a_shrunken_snapshot_needs_the_flag() {
    let (current, mut intake) = started(&model(1, 5, 10));
    for smaller in [0, 4] {
        let refused = feed(&mut intake, frames(&model(1, 6, smaller), false));
        assert!(matches!(refused, Err(IntakeError::Shrunk { .. })), "{refused:?}");
    }
    assert_eq!(current.load_full().unwrap().counts().servers, 10);
    assert!(feed(&mut intake, frames(&model(1, 6, 5), false)).is_ok(), "half is not more than half");
    assert!(feed(&mut intake, frames(&model(1, 7, 0), true)).is_ok());
}

#[test]
fn an_incomplete_snapshot_leaves_the_table_alone() {
    let (current, mut intake) = started(&model(1, 5, 2));
    let mut cut = frames(&model(1, 6, 3), false);
    cut.remove(1);
    assert_eq!(feed(&mut intake, cut), Err(SnapshotError::Incomplete.into()));
    let end_alone = vec![frames(&model(1, 6, 3), false).remove(2)];
    assert_eq!(feed(&mut intake, end_alone), Err(SnapshotError::Order.into()));
    assert_eq!(current.revision(), Some(Revision::new(1, 5)));
}

#[test]
fn i10_deltas_that_were_applied_already_change_nothing() {
    let mut truth = model(1, 5, 2);
    let old = delta(truth.revision(), 6, &servers(3));
    truth.apply(&old).unwrap();
    let (current, mut intake) = started(&truth);
    assert_eq!(intake.take(Message::Delta((&old).into())), Ok(IntakeStep::Quiet));
    assert_eq!(current.revision(), Some(Revision::new(1, 6)));
}

#[test]
fn i10_an_edge_keeps_the_last_seal_it_was_given_and_changes_nothing_by_it() {
    let truth = model(1, 5, 2);
    let (current, mut intake) = started(&truth);
    assert_eq!(current.seal(), None);
    for seq in [5, 9] {
        let seal = v1::Seal { revision: Some(Revision::new(1, seq).into()), mac: vec![7; 32] };
        assert_eq!(intake.take(Message::Seal(seal.clone())), Ok(IntakeStep::Quiet));
        assert_eq!(current.seal(), Some(seal));
    }
    assert_eq!(current.revision(), Some(truth.revision()), "it is no table");
}
