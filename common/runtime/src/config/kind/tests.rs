use std::{net::SocketAddr, path::PathBuf, time::Duration};

use proptest::prelude::*;

use super::*;
use usher_bbb::secret::Secret;

#[test]
fn durations_carry_units() {
    for (text, ms) in [
        ("800ms", 800),
        ("10s", 10_000),
        ("15m", 900_000),
        ("24h", 86_400_000),
        ("0", 0),
        ("1.5s", 1500),
        ("2d", 172_800_000),
    ] {
        assert_eq!(Duration::parse(text), Ok(Duration::from_millis(ms)), "{text}");
    }
    for text in ["10", "", "s", "-1s", "5 parsecs", "1e9s", "99999999d", "0.5ms", "1s1s", "∞"] {
        assert!(Duration::parse(text).is_err(), "{text}");
    }
}

#[test]
fn sizes_carry_units_or_are_bytes() {
    for (text, bytes) in
        [("64MiB", 64 << 20), ("64kib", 64 << 10), ("512", 512), ("1 GB", 1_000_000_000), ("0", 0)]
    {
        assert_eq!(u64::parse(text), Ok(bytes), "{text}");
    }
    for text in ["", "-1", "64QB", "1.5MiB", "99999999999GiB"] {
        assert!(u64::parse(text).is_err(), "{text}");
    }
}

#[test]
fn addresses_need_an_address_and_a_port_and_name_the_missing_part() {
    assert!(SocketAddr::parse("127.0.0.1:0").is_ok() && SocketAddr::parse("[::1]:8080").is_ok());
    assert_eq!(SocketAddr::parse("localhost:80"), Ok(SocketAddr::from(([127, 0, 0, 1], 80))));
    for (text, part) in [
        (":8080", "no address"),
        ("127.0.0.1", "no port"),
        ("1.2.3.4:x", "valid port"),
        ("bbb.org:80", "not an IP"),
    ] {
        let problem = SocketAddr::parse(text).expect_err("is refused");
        assert!(problem.what.contains(part), "{text}: {problem:?}");
    }
}

#[test]
fn lists_of_the_environment_are_comma_separated_or_json() {
    let read = |text: &str| {
        <Vec<Secret> as SettingKind>::read(&RawValue::Text(text))
            .map(|s| s.iter().map(|s| s.expose().to_owned()).collect::<Vec<_>>())
    };
    assert_eq!(read("one, two").expect("reads"), ["one", "two"]);
    assert_eq!(read(r#"["a,b", "c"]"#).expect("reads"), ["a,b", "c"]);
    assert!(read("a,,b").is_err() && read(r#"["a""#).is_err() && read("[1]").is_err());
}

#[test]
fn a_command_line_value_is_taken_as_it_was_typed() {
    let typed = ["a,b".to_owned(), "[c".to_owned()];
    assert_eq!(<Vec<String> as SettingKind>::read(&RawValue::Many(&typed)), Ok(typed.to_vec()));
}

#[test]
fn texts_of_a_file_are_not_numbers() {
    assert!(<String as SettingKind>::read(&RawValue::Toml(&Value::Integer(5))).is_err());
    assert!(<PathBuf as SettingKind>::read(&RawValue::Toml(&Value::Array(vec![]))).is_err());
    assert_eq!(<u32 as SettingKind>::read(&RawValue::Toml(&Value::Integer(5))), Ok(5));
    assert!(<u32 as SettingKind>::read(&RawValue::Toml(&Value::Integer(-5))).is_err());
}

fn round_trip<T: ScalarKind + PartialEq + std::fmt::Debug>(value: &T) {
    assert_eq!(T::from_toml(&ScalarKind::show(value)).as_ref(), Ok(value));
}

proptest! {
    #[test]
    fn a_printed_value_reads_back(ms in 0..=315_000_000_000_u64, size in 0..=i64::MAX as u64, number: u32, flag: bool, share in -1e9..1e9_f64) {
        round_trip(&Duration::from_millis(ms));
        round_trip(&size);
        round_trip(&number);
        round_trip(&flag);
        round_trip(&share);
    }

    #[test]
    fn no_input_panics_and_no_value_is_quoted(text in "\\PC{5,40}") {
        let problems = [
            Duration::parse(&text).err(), u64::parse(&text).err(), u32::parse(&text).err(), bool::parse(&text).err(),
            SocketAddr::parse(&text).err(), <Vec<Secret> as SettingKind>::read(&RawValue::Text(&text)).err(),
        ];
        prop_assert!(problems.iter().flatten().all(|problem| !problem.what.contains(&text)));
    }
}
