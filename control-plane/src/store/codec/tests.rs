use proptest::{collection::vec, prelude::*};
use prost_types::FileDescriptorSet;
use usher_model::id::ServerId;

use super::*;
use crate::store::arbitrary;

fn entry(write: &TxnWrite, revision: u64) -> StoreEntry {
    match write {
        TxnWrite::Put(key, value) => {
            StoreEntry { key: key.clone(), value: value.clone(), create_revision: 3, mod_revision: revision }
        }
        TxnWrite::Delete(key) => panic!("{key} is deleted"),
    }
}

fn one_write(write: PlanWrite) -> Plan {
    Plan { guards: vec![], writes: vec![write] }
}

macro_rules! written_events {
    ($($(#[$doc:meta])* $family:ident($key:ty) => $value:ty;)*) => {
        /// Returns the write that stores the value of an event.
        fn written(event: FleetEvent) -> PlanWrite {
            match event {
                $(FleetEvent::$family(key, stored) => PlanWrite::$family(key, stored.expect("a value").value),)*
            }
        }

        /// Returns the messages of all families, and the largest field number that is known of each.
        fn messages() -> Vec<(&'static str, u32)> {
            vec![$((
                std::any::type_name::<<$value as KeyFamily>::Message>(),
                <$value as KeyFamily>::KNOWN_FIELDS,
            ),)*]
        }
    };
}

with_families!(written_events);

/// Encodes a field that this version does not know.
fn future_field(number: u32, text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    prost::encoding::string::encode(number, &text.to_owned(), &mut bytes);
    bytes
}

proptest! {
    #[test]
    fn every_value_reads_back_as_it_was_written(put in arbitrary::put()) {
        let codec = StoreCodec::new();
        let txn = codec.txn(&one_write(put.clone()), None);
        let event = codec.event(&KeyChange::Put(entry(&txn.writes[0], 9)));
        prop_assert_eq!(event.map(|event| event.map(written)), Ok(Some(put)));
    }

    #[test]
    fn unknown_fields_survive_an_update_and_end_with_the_value(
        put in arbitrary::put(), update in arbitrary::put(), number in 20_u32..2000, text in ".{1,20}"
    ) {
        let codec = StoreCodec::new();
        let mut stored = entry(&codec.txn(&one_write(put.clone()), None).writes[0], 9);
        let future = future_field(number, &text);
        let mut value = stored.value.to_vec();
        value.splice(0..0, future.iter().copied());
        stored.value = value.into();
        let event = codec.event(&KeyChange::Put(stored.clone()));
        prop_assert_eq!(event.map(|event| event.map(written)), Ok(Some(put.clone())), "they do not disturb");

        let again = entry(&codec.txn(&one_write(put.clone()), None).writes[0], 10);
        prop_assert!(again.value.ends_with(&future));
        let other = entry(&codec.txn(&one_write(update), None).writes[0], 10);
        prop_assert!(other.key == stored.key || !other.value.ends_with(&future));

        let key = keys::parse(&stored.key).expect("a key").expect("of a known family");
        let anew = Plan { guards: vec![plan::PlanGuard::Absent(key)], writes: vec![put.clone()] };
        prop_assert!(!entry(&codec.txn(&anew, None).writes[0], 11).value.ends_with(&future));

        codec.event(&KeyChange::Delete { key: stored.key.clone() }).expect("a key");
        prop_assert!(!entry(&codec.txn(&one_write(put), None).writes[0], 12).value.ends_with(&future));
    }

    #[test]
    fn any_bytes_are_a_value_or_an_error_that_names_the_key(key in arbitrary::key(), bytes in vec(any::<u8>(), 0..60)) {
        let path = keys::path(&key);
        let stored = StoreEntry { key: path.clone(), value: bytes.into(), create_revision: 1, mod_revision: 1 };
        if let Err(bad) = StoreCodec::new().event(&KeyChange::Put(stored)) {
            prop_assert!(bad.to_string().contains(&path), "{}", bad);
            prop_assert_eq!(bad.absent, Some(Box::new(FleetEvent::deleted(key))));
        }
    }
}

#[test]
fn known_fields_are_those_of_the_proto_files() {
    let set = FileDescriptorSet::decode(usher_proto::DESCRIPTORS).expect("descriptors");
    let file = set.file.iter().find(|file| file.package() == "usher.store.v1").expect("the store's file");
    for (path, known) in messages() {
        let name = path.rsplit("::").next().expect("a name");
        let message = file.message_type.iter().find(|message| message.name() == name).expect(name);
        let mut numbers: Vec<i32> =
            message.field.iter().map(prost_types::FieldDescriptorProto::number).collect();
        numbers.sort_unstable();
        let known: Vec<i32> = (1..=i32::try_from(known).expect("few")).collect();
        assert_eq!(numbers, known, "{name}");
    }
}

/// One value of each family, encoded by `protoc` with the fields that version 1 of the schema has.
const STORED: [(&str, &str); 7] = [
    (
        "servers/a",
        "0a0a68747470733a2f2f612f12017319000000000000044022026575280130023880d095ffbc314201624a2001010101\
         01010101010101010101010102020202020202020202020202020202",
    ),
    ("health/a", "080310011880d095ffbc31220774696d656f75742a0305ac0230073a0109"),
    (
        "load/a",
        "08ac021080d095ffbc311a290a017412036d20311a0461622d31200428e0d403300a380540014a05742e6d2031520163\
         58b96060012205332e302e34280c",
    ),
    (
        "tenants/t",
        "0a0173120b6262622e6578616d706c65180122110a067265636f726410021a0566616c73652a0f0a0567756573741003\
         1a0474727565305a380340c8014a0365752152150a0a68747470733a2f2f702f1205702e70646618015a0608904e10f7\
         5562032b3439680170327a200101010101010101010101010101010102020202020202020202020202020202",
    ),
    (
        "meetings/t/m%201",
        "08021201611a0461622d312203746f6b2a0201023080d095ffbc313881d095ffbc31400a480550b96058016001",
    ),
    ("zombies/t/m%201/a", "0802120461622d311a0a737570657273656465642080d095ffbc312808"),
    ("voice/12345", "0a017412036d20311880d095ffbc31"),
];

fn bytes_of(hex: &str) -> Bytes {
    let digit = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal digits");
    (0..hex.len()).step_by(2).map(digit).collect()
}

#[test]
fn stored_keys_and_values_keep_their_form() {
    assert_eq!(STORED.len(), messages().len(), "each family has a value here");
    for (key, hex) in STORED {
        let entry = StoreEntry { key: key.into(), value: bytes_of(hex), create_revision: 1, mod_revision: 2 };
        let codec = StoreCodec::new();
        let event = codec.event(&KeyChange::Put(entry.clone())).expect(key).expect(key);
        let txn = codec.txn(&one_write(written(event)), None);
        assert_eq!(txn.writes, [TxnWrite::Put(entry.key, entry.value)], "{key}");
    }
}

#[test]
fn a_plan_keeps_its_guards_and_a_leaders_carries_its_token() {
    let server = ServerId::parse("s").expect("a server id");
    let plan = Plan {
        guards: vec![
            plan::PlanGuard::Absent(FleetKey::Health(server.clone())),
            plan::PlanGuard::Unchanged(FleetKey::Server(server.clone()), 7),
        ],
        writes: vec![PlanWrite::Delete(FleetKey::Sample(server))],
    };
    let token = FencingToken { key: "/usher/election/1".into(), create_revision: 5 };
    let txn = StoreCodec::new().txn(&plan, Some(&token));
    assert_eq!(
        txn.guards,
        [
            TxnGuard::Absent("health/s".into()),
            TxnGuard::Unchanged("servers/s".into(), 7),
            TxnGuard::Fence(token)
        ]
    );
    assert_eq!(txn.writes, [TxnWrite::Delete("load/s".into())]);
}

#[test]
fn a_listing_is_read_past_its_bad_values() {
    let codec = StoreCodec::new();
    let good = pb::HealthValue { recover: 3, ..Default::default() }.encode_to_vec();
    let put = |key: &str, value: &[u8]| StoreEntry {
        key: key.into(),
        value: Bytes::copy_from_slice(value),
        create_revision: 1,
        mod_revision: 2,
    };
    let entries = vec![
        put("health/a", &good),
        put("health/b", b"\xff"),
        put("meta", &meta(StoreMeta { epoch: 1, cluster_id: 2 })),
        put("servers/!", b""),
    ];
    let (events, bad) = codec.events(&entries, &mut SharedIds::default());
    assert_eq!(events.len(), 1);
    assert_eq!(bad.iter().map(|bad| &*bad.path).collect::<Vec<_>>(), ["health/b", "servers/!"]);
}

#[test]
fn meta_is_read_back_and_a_newer_schema_is_refused() {
    let made = StoreMeta { epoch: 42, cluster_id: 7 };
    assert_eq!(read_meta(&meta(made)), Ok(made));
    let newer = pb::Meta { schema_version: SCHEMA_VERSION + 1, epoch: 42, cluster_id: 7 }.encode_to_vec();
    assert_eq!(read_meta(&newer), Err(ValueError::Field("schema_version")));
}
