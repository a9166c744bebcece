//! Guarantees of the world around the product that a history can break, to show that the checker
//! finds what follows.

/// A guarantee that is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sabotage {
    /// A list counts as of when it came, not of when it was asked for, and no second question is asked
    /// before a young meeting is taken for ended.
    WatermarkOfTheAnswer,
    /// The store takes a transaction whatever its guards say; only fences hold.
    GuardsIgnored,
}

impl Sabotage {
    /// All of them.
    pub(crate) const ALL: [Self; 2] = [Self::WatermarkOfTheAnswer, Self::GuardsIgnored];

    /// Returns the name by which a history is told of it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::WatermarkOfTheAnswer => "watermark",
            Self::GuardsIgnored => "guards",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|sabotage| sabotage.name() == name)
    }
}
