//! Suggests the known setting that is nearest to an unknown name.

use super::fault::{ConfigFault, SettingOrigin};

/// Returns the fault of an unknown setting, with the nearest known one.
pub(super) fn unknown(origin: SettingOrigin, name: &str, known: impl Iterator<Item = String>) -> ConfigFault {
    let remedy = match nearest(name, known) {
        Some(known) => format!("did you mean `{known}`?"),
        None => "remove it, or see --print-config for every setting".into(),
    };
    // An unknown name may have any length; the text quotes only its beginning.
    let shown: String = name.chars().take(80).collect();
    ConfigFault::new(origin, shown, "is not a setting", remedy)
}

fn nearest(name: &str, known: impl Iterator<Item = String>) -> Option<String> {
    let last = |name: &str| name.rsplit(['.']).next().unwrap_or_default().to_owned();
    known
        .map(|known| {
            // `interval` in the wrong section is as near as `healht.interval` in the right one.
            let inner = distance(&last(name), &last(&known)) + 1;
            (distance(name, &known).min(inner), known)
        })
        .min()
        .filter(|(distance, known)| *distance <= known.len() / 3)
        .map(|(_, known)| known)
}

/// Returns the Levenshtein distance of the first 64 characters.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(64).collect(), b.chars().take(64).collect());
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, right) in b.iter().enumerate() {
            let change = diagonal + usize::from(!left.eq_ignore_ascii_case(right));
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::{distance, nearest};

    #[test]
    fn distance_counts_edits() {
        for (a, b, edits) in [("", "", 0), ("kitten", "sitting", 3), ("abc", "", 3), ("A", "a", 0)] {
            assert_eq!(distance(a, b), edits, "{a} {b}");
        }
    }

    #[test]
    fn a_slip_is_recognised_and_nonsense_is_not() {
        let known = || ["health.interval", "health.deadline", "listen"].map(String::from).into_iter();
        assert_eq!(nearest("healht.interval", known()).as_deref(), Some("health.interval"));
        assert_eq!(nearest("intervall", known()).as_deref(), Some("health.interval"));
        assert_eq!(nearest("listne", known()).as_deref(), Some("listen"));
        assert_eq!(nearest("colour_of_the_sky", known()), None);
    }
}
