//! Server tags as creates ask for them, with Scalelite's meaning.

/// Which servers may take a meeting: those with one of some tags, strictly or preferably.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TagWish {
    alternatives: Vec<String>,
    required: bool,
}

impl TagWish {
    /// Reads a wish: alternatives parted by `;`, where `none` means servers without tags; a `!` before
    /// or after makes it strict. Blank, or a lone `!`, is no wish: servers without tags.
    pub fn parse(text: &str) -> Self {
        let text = text.trim();
        let (text, required) = match text.strip_suffix('!').or_else(|| text.strip_prefix('!')) {
            Some(rest) => (rest, true),
            None => (text, false),
        };
        let alternatives: Vec<String> =
            text.split(';').map(str::trim).filter(|tag| !tag.is_empty()).map(str::to_owned).collect();
        Self { required: required && !alternatives.is_empty(), alternatives }
    }

    /// Returns whether the wish names any tag.
    pub fn is_some(&self) -> bool {
        !self.alternatives.is_empty()
    }

    /// Returns whether only matching servers may take the meeting.
    pub fn is_required(&self) -> bool {
        self.required
    }

    /// Returns whether a server with these tags matches.
    pub fn matches(&self, tags: &[String]) -> bool {
        self.alternatives.iter().any(|wish| match wish.as_str() {
            "none" => tags.is_empty(),
            wish => tags.iter().any(|tag| tag == wish),
        })
    }
}
