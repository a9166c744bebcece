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

fn file(path: &Path) -> LastGoodFile {
    LastGoodFile::of_edge(path.to_owned())
}

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
    save(&file(&path), &table).unwrap();
    save(&file(&path), &table).unwrap();
    let back = load(&file(&path)).unwrap().expect("there is a file");
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
    save(&file(&path), &table()).unwrap();
    let whole = fs::read(&path).unwrap();
    for length in [0, 1, whole.len() / 2, whole.len() - 1] {
        fs::write(&path, &whole[..length]).unwrap();
        assert!(load(&file(&path)).is_err(), "cut at {length}");
    }
    let mut flipped = whole.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    fs::write(&path, &flipped).unwrap();
    assert!(load(&file(&path)).is_err());
    assert!(load(&file(&folder.path().join("none"))).unwrap().is_none());
    let current = CurrentTable::default();
    assert!(!load_into(&current, &file(&path)) && current.load_full().is_none());
}

#[test]
fn x7_a_cell_reads_the_table_of_its_own_control_planes_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("table");
    let of = |name: &str, addresses: &[&str]| {
        let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        LastGoodFile::of_cell(&path, &CellName::parse(name).unwrap(), &addresses)
    };
    let north = of("north", &["http://n1:1", "http://n2:1"]);
    save(&north, &table()).unwrap();
    assert!(load(&of("south", &["http://s1:1"])).unwrap().is_none(), "a file of its own");
    assert!(load(&of("north", &["http://n2:1", "http://n3:1"])).unwrap().is_some(), "a replica was replaced");
    for taken in [of("north", &["http://s1:1"]), of("north", &["http://n2"])] {
        assert!(matches!(load(&taken), Err(LastGoodError::Foreign)), "the name is another cell's now");
    }
    let LastGoodFile { path: of_north, .. } = north;
    fs::copy(&of_north, folder.path().join("table.south")).unwrap();
    assert!(matches!(load(&of("south", &["http://n1:1"])), Err(LastGoodError::Foreign)), "renamed");
    assert!(load(&file(&of_north)).is_err(), "an edge without cells");
    save(&file(&path), &table()).unwrap();
    fs::copy(&path, &of_north).unwrap();
    assert!(matches!(load(&of("north", &["http://n1:1"])), Err(LastGoodError::Foreign)), "it has no mark");
}
