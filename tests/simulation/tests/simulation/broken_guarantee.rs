//! Guarantees of the simulated world that a history can break, to show that the checker finds the
//! consequences.

/// A guarantee that is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BrokenGuarantee {
    /// A list counts from its arrival and not from the request, and a young meeting counts as ended
    /// without a second query.
    WatermarkOfTheAnswer,
    /// The store accepts a transaction without regard to its guards; only fences hold.
    GuardsIgnored,
}

impl BrokenGuarantee {
    /// Every guarantee that can be broken.
    pub(crate) const ALL: [Self; 2] = [Self::WatermarkOfTheAnswer, Self::GuardsIgnored];

    /// Returns the name that selects it for a history.
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
