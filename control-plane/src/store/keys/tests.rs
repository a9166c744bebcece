use proptest::prelude::*;

use usher_model::{
    id::{MeetingId, ServerId, TenantId},
    meeting::{MeetingKey, ZombieKey},
};

use super::*;
use crate::store::arbitrary;

proptest! {
    #[test]
    fn a_written_key_reads_back_unchanged(key in arbitrary::key()) {
        let text = path(&key);
        prop_assert!(text.is_ascii(), "{}", text);
        prop_assert_eq!(parse(&text), Ok(Some(key)));
    }

    #[test]
    fn different_keys_have_different_paths(one in arbitrary::key(), other in arbitrary::key()) {
        prop_assert_eq!(one == other, path(&one) == path(&other));
    }

    #[test]
    fn any_text_is_read_or_refused_and_only_in_one_form(text in "(servers|meetings|zombies|load|voice|x)(/[ -~é]{0,8}){0,4}") {
        if let Ok(Some(key)) = parse(&text) {
            prop_assert_eq!(path(&key), text);
        }
    }
}

#[test]
fn keys_are_as_design_3_writes_them() {
    let meeting =
        MeetingKey::new(TenantId::default_tenant(), MeetingId::parse("a/b c%é").expect("a meeting id"));
    let server = ServerId::parse("bbb-1.example").expect("a server id");
    assert_eq!(path(&FleetKey::Sample(server.clone())), "load/bbb-1.example");
    assert_eq!(path(&FleetKey::Record(meeting.clone())), "meetings/default/a%2Fb%20c%25%C3%A9");
    assert_eq!(
        path(&FleetKey::Zombie(ZombieKey { meeting, server })),
        "zombies/default/a%2Fb%20c%25%C3%A9/bbb-1.example"
    );
}

#[test]
fn families_that_are_not_folded_are_no_error() {
    for text in [META, "election/694d8a2b", "hooks/a/b", "deliveries/1"] {
        assert_eq!(parse(text), Ok(None), "{text}");
    }
}

#[test]
fn malformed_keys_name_themselves() {
    for text in [
        "servers/",
        "servers/a/b",
        "meetings/t",
        "meetings/t/%zz",
        "meetings/t/%ff",
        "meetings/t/%41",
        "zombies/t/a/b/c",
        "voice/99999",
        "voice/012345",
        "voice/12345/a",
    ] {
        let error = parse(text).expect_err(text).to_string();
        assert!(error.contains(text), "{error}");
    }
}
