use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
struct Room {
    tenant: String,
    users: f64,
    age: Option<f64>,
    state: &'static str,
    tags: Vec<String>,
    detached: bool,
}

impl FilteredEntry for Room {
    const FIELDS: &'static [FieldSpec] = &[
        FieldSpec { name: "tenant", kind: FieldKind::Id("tenants/") },
        FieldSpec { name: "name", kind: FieldKind::Text },
        FieldSpec { name: "users", kind: FieldKind::Number },
        FieldSpec { name: "age", kind: FieldKind::Duration },
        FieldSpec { name: "state", kind: FieldKind::Word(&["active", "ending"]) },
        FieldSpec { name: "tags", kind: FieldKind::Texts },
        FieldSpec { name: "detached", kind: FieldKind::Flag },
    ];

    fn value(&self, field: usize) -> FieldValue<'_> {
        match field {
            0 => FieldValue::text(&self.tenant),
            1 => FieldValue::text(format!("Room of {}", self.tenant)),
            2 => FieldValue::Number(self.users),
            3 => self.age.map_or(FieldValue::Absent, FieldValue::Number),
            4 => FieldValue::text(self.state),
            5 => FieldValue::Texts(&self.tags),
            _ => FieldValue::Flag(self.detached),
        }
    }
}

fn room() -> Room {
    let tags = vec!["gpu".to_owned(), "EU West".to_owned()];
    Room { tenant: "school".into(), users: 12.0, age: Some(5400.0), state: "active", tags, detached: false }
}

fn admits(filter: &str) -> bool {
    ListFilter::parse::<Room>(filter).unwrap_or_else(|fault| panic!("{filter}: {fault}")).admits(&room())
}

fn refused(filter: &str) -> String {
    ListFilter::parse::<Room>(filter).expect_err(filter).to_string()
}

#[test]
fn every_comparator_and_type_is_understood() {
    for (filter, is_admitted) in [
        ("", true),
        ("  ", true),
        ("tenant = school", true),
        ("tenant=tenants/school", true),
        ("tenant = \"school\"", true),
        ("tenant = 'School'", false),
        ("tenant != school", false),
        ("tenant : SCH", true),
        ("name : \"room of\"", true),
        ("users = 12", true),
        ("users >= 12 AND users<=12", true),
        ("users > 12", false),
        ("users < 12.5", true),
        ("age > 1h", true),
        ("age<90m", false),
        ("age = 90m", true),
        ("age > 1d", false),
        ("state = ACTIVE", true),
        ("state != active", false),
        ("tags : gpu", true),
        ("tags = 'EU West'", true),
        ("tags : west", false),
        ("detached = false", true),
        ("detached : true", false),
    ] {
        assert_eq!(admits(filter), is_admitted, "{filter}");
    }
}

#[test]
fn or_binds_more_tightly_than_and() {
    // Read as (a OR b) AND c: false. With AND first it would be true.
    assert!(!admits("users = 12 OR users = 13 AND tenant = other"));
    assert!(admits("users = 12 OR (users = 13 AND tenant = other)"));
    assert!(admits("NOT users = 13 AND NOT (users = 14 OR tenant = other)"));
    assert!(admits("-tenant = other AND -(users = 1)"));
    assert!(admits("NOT NOT users = 12"));
}

#[test]
fn an_absent_value_meets_no_comparison_but_inequality() {
    let young = Room { age: None, ..room() };
    let admits = |filter| ListFilter::parse::<Room>(filter).expect(filter).admits(&young);
    assert!(!admits("age > 0s") && !admits("age <= 1h") && admits("age != 1h") && admits("NOT age > 0s"));
}

#[test]
fn faults_name_the_field_the_value_and_the_place() {
    for (filter, texts) in [
        ("user > 3", &["`user`", "tenant, name, users, age, state, tags, detached"][..]),
        ("users > many", &["`users`", "`many`", "a number"]),
        ("users > inf", &["a number"]),
        ("age > 10", &["`age`", "90s, 10m, 1h, 2d"]),
        ("age > -1h", &["`-1h`"]),
        ("state = gone", &["active, ending"]),
        ("state > active", &["`state`", "`>`", "no order"]),
        ("detached = yes", &["true or false"]),
        ("tenant = \"a", &["closing `\"`"]),
        ("tenant a", &["`a`", "comparator", "character 8"]),
        ("tenant =", &["its end", "a value"]),
        ("tenant = a users = 1", &["`users`", "AND, OR or the end", "character 12"]),
        ("(tenant = a", &["its end", "`)`"]),
        ("tenant = a)", &["`)`", "character 11"]),
        ("AND", &["`AND`", "a field"]),
        ("tenant = a AND", &["its end", "a field"]),
        ("\"tenant\" = a", &["`tenant`", "a field"]),
        ("school", &["`school`", "none of"]),
        ("tenant ! a", &["`!`"]),
        ("tenant = a, b", &["`,`"]),
    ] {
        let said = refused(filter);
        for text in texts {
            assert!(said.contains(text), "{filter}: {text}: {said}");
        }
    }
}

#[test]
fn length_depth_and_number_are_bounded() {
    let nested = |levels: usize| format!("{}users = 1{}", "(".repeat(levels), ")".repeat(levels));
    assert!(ListFilter::parse::<Room>(&nested(MOST_NESTED)).is_ok());
    assert_eq!(ListFilter::parse::<Room>(&nested(MOST_NESTED + 1)), Err(FilterFault::TooDeep(MOST_NESTED)));
    let negated = format!("{}users = 1", "NOT ".repeat(MOST_NESTED + 1));
    assert_eq!(ListFilter::parse::<Room>(&negated), Err(FilterFault::TooDeep(MOST_NESTED)));
    let many = |count: usize| vec!["users = 1"; count].join(" OR ");
    assert!(ListFilter::parse::<Room>(&many(MOST_COMPARISONS)).is_ok());
    let more = ListFilter::parse::<Room>(&many(MOST_COMPARISONS + 1));
    assert_eq!(more, Err(FilterFault::TooMany(MOST_COMPARISONS)));
    let long = format!("tenant = {}", "a".repeat(LONGEST));
    assert_eq!(ListFilter::parse::<Room>(&long), Err(FilterFault::TooLong(LONGEST)));
}

/// A filter as a tree, with the meaning that the test gives it.
#[derive(Debug, Clone)]
enum Model {
    Users(u8, u8),
    Tenant(bool, String),
    Not(Box<Model>),
    And(Box<Model>, Box<Model>),
    Or(Box<Model>, Box<Model>),
}

const ORDERS: [&str; 5] = ["<", "<=", "=", ">=", ">"];

impl Model {
    fn text(&self) -> String {
        match self {
            Self::Users(order, number) => format!("users {} {number}", ORDERS[usize::from(*order)]),
            Self::Tenant(is, id) => {
                let quoted = id.replace('\\', "\\\\").replace('"', "\\\"");
                format!("tenant {} \"{quoted}\"", if *is { "=" } else { "!=" })
            }
            Self::Not(inner) => format!("NOT ({})", inner.text()),
            Self::And(a, b) => format!("({}) AND ({})", a.text(), b.text()),
            Self::Or(a, b) => format!("({}) OR ({})", a.text(), b.text()),
        }
    }

    fn holds(&self, room: &Room) -> bool {
        match self {
            Self::Users(order, number) => {
                let (users, number) = (room.users, f64::from(*number));
                [users < number, users <= number, users == number, users >= number, users > number]
                    [usize::from(*order)]
            }
            Self::Tenant(is, id) => (room.tenant == *id) == *is,
            Self::Not(inner) => !inner.holds(room),
            Self::And(a, b) => a.holds(room) && b.holds(room),
            Self::Or(a, b) => a.holds(room) || b.holds(room),
        }
    }
}

fn model() -> impl Strategy<Value = Model> {
    let leaf = prop_oneof![
        (0..5_u8, 0..6_u8).prop_map(|(order, number)| Model::Users(order, number)),
        (any::<bool>(), "[ab\"'\\\\ =]{0,3}").prop_map(|(is, id)| Model::Tenant(is, id)),
    ];
    leaf.prop_recursive(4, 20, 2, |inner| {
        prop_oneof![
            inner.clone().prop_map(|a| Model::Not(Box::new(a))),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| Model::And(Box::new(a), Box::new(b))),
            (inner.clone(), inner).prop_map(|(a, b)| Model::Or(Box::new(a), Box::new(b))),
        ]
    })
}

proptest! {
    #[test]
    fn a_filter_admits_what_it_says(
        model in model(), users in 0..6_u8, tenant in "[ab\"'\\\\ =]{0,3}",
    ) {
        let room = Room { tenant, users: f64::from(users), ..room() };
        let filter = ListFilter::parse::<Room>(&model.text());
        let filter = filter.map_err(|fault| TestCaseError::fail(format!("{fault}: {}", model.text())))?;
        prop_assert_eq!(filter.admits(&room), model.holds(&room), "{}", model.text());
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[a-z =!<>:()\"'\\\\.,0-9A-Z-]{0,80}|.{0,80}") {
        match ListFilter::parse::<Room>(&text) {
            Ok(filter) => drop(filter.admits(&room())),
            Err(fault) => prop_assert!(!fault.to_string().is_empty()),
        }
    }
}
