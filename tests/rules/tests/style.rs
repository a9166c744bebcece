//! The repository keeps the style figures below their limits; `cargo xtask style` prints them.

use usher_rules::style::{limits::LIMITS, report, survey};

#[test]
fn style_figures_are_within_their_limits() {
    let survey = survey();
    assert!(survey.total.types > 100, "only {} public types: are the sources found?", survey.total.types);
    assert!(survey.total.documents.all > 1_000 && survey.total.comments.all > 1_000);
    let over: Vec<_> = LIMITS
        .iter()
        .map(|limit| (limit, (limit.value)(&survey)))
        .filter(|(limit, value)| *value > limit.now)
        .map(|(limit, value)| format!("{}: {value:.2}, limit {:.2}", limit.name, limit.now))
        .collect();
    let report = report(&survey, None, "").expect("the whole report has no list");
    assert!(over.is_empty(), "{report}\n{}", over.join("\n"));
}
