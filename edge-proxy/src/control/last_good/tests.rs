use std::os::unix::fs::PermissionsExt;

use usher_bbb::secret::Secret;
use usher_model::{
    id::{InternalMeetingId, MeetingId, ServerId, TenantId},
    meeting::MeetingKey,
    revision::Revision,
    routing::{MeetingRoute, RouteState, RoutingDelta, TenantRoute},
    voice::VoiceBridge,
};

use super::*;

fn table() -> LiveTable {
    let at = Revision::new(3, 4);
    let table = LiveTable::empty(Revision::new(3, 3));
    let mut delta = RoutingDelta::new(Revision::new(3, 3), at);
    let tenant =
        TenantRoute { secrets: vec![Secret::new("top")], ..TenantRoute::new(TenantId::default_tenant()) };
    delta.tenants.insert(tenant.id.clone(), Some(tenant));
    for number in 0..2_500 {
        let route = MeetingRoute {
            key: MeetingKey::new(
                TenantId::default_tenant(),
                MeetingId::parse(&format!("m{number}")).unwrap(),
            ),
            server: ServerId::parse("a").unwrap(),
            voice_bridge: VoiceBridge::new(10_000 + number).filter(|_| number % 2 == 0),
            state: RouteState::Active(InternalMeetingId::parse(&format!("x-{number}")).unwrap()),
        };
        delta.meetings.insert(route.key.clone(), Some(route));
    }
    table.apply(&delta).unwrap();
    table
}

#[test]
fn x1_a_saved_table_comes_back_whole_and_only_its_owner_can_read_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/table");
    let table = table();
    save(&path, &table).unwrap();
    save(&path, &table).unwrap();
    let back = load(&path).unwrap().expect("there is a file");
    assert_eq!(
        (back.revision(), back.digest(), back.counts()),
        (table.revision(), table.digest(), table.counts())
    );
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing is left aside");
}

#[test]
fn a_damaged_file_is_refused_wherever_it_is_cut() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("table");
    save(&path, &table()).unwrap();
    let whole = fs::read(&path).unwrap();
    for length in [0, 1, whole.len() / 2, whole.len() - 1] {
        fs::write(&path, &whole[..length]).unwrap();
        assert!(load(&path).is_err(), "cut at {length}");
    }
    let mut flipped = whole.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    fs::write(&path, &flipped).unwrap();
    assert!(load(&path).is_err());
    assert!(load(&folder.path().join("none")).unwrap().is_none());
    let current = CurrentTable::default();
    assert!(!load_into(&current, &path) && current.load_full().is_none());
}
