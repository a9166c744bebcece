//! Filters of lists.

use usher_control_plane::core::filter::{
    FieldKind, FieldSpec, FieldValue, FilteredEntry, ListFilter, ListOrder,
};

/// An entry with a field of each type.
struct AnyEntry {
    tags: [String; 2],
}

impl FilteredEntry for AnyEntry {
    const FIELDS: &'static [FieldSpec] = &[
        FieldSpec { name: "id", kind: FieldKind::Id("servers/") },
        FieldSpec { name: "name", kind: FieldKind::Text },
        FieldSpec { name: "state", kind: FieldKind::Word(&["active", "ending"]) },
        FieldSpec { name: "tags", kind: FieldKind::Texts },
        FieldSpec { name: "users", kind: FieldKind::Number },
        FieldSpec { name: "age", kind: FieldKind::Duration },
        FieldSpec { name: "detached", kind: FieldKind::Flag },
    ];

    fn value(&self, field: usize) -> FieldValue<'_> {
        match field {
            0 => FieldValue::text("bbb1"),
            1 => FieldValue::text("Straße"),
            2 => FieldValue::text("active"),
            3 => FieldValue::Texts(&self.tags),
            4 => FieldValue::Number(12.0),
            5 => FieldValue::Absent,
            _ => FieldValue::Flag(true),
        }
    }
}

/// Reads filters: a filter and its negation never admit the same entry.
pub(super) fn list_filter(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let entry = AnyEntry { tags: ["gpu".to_owned(), String::new()] };
    let _ = ListOrder::parse::<AnyEntry>(&text); // it must not panic
    match ListFilter::parse::<AnyEntry>(&text) {
        Ok(filter) if !filter.admits_all() => {
            // The negation may be one level too deep, or too long.
            if let Ok(negated) = ListFilter::parse::<AnyEntry>(&format!("NOT ({text})")) {
                assert_ne!(negated.admits(&entry), filter.admits(&entry), "{text}");
            }
        }
        Ok(filter) => assert!(filter.admits(&entry)),
        Err(fault) => assert!(!fault.to_string().is_empty()),
    }
}
