//! The callbacks there are, mostly by the parameter of `create` that asks for each.

/// What a callback is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CallbackKind {
    /// `meetingEndedURL`: the meeting is over; a GET of exactly that address.
    Ended,
    /// `meta_endCallbackUrl`: the same, with `recordingmarks` and `meetingID` appended.
    EndedMeta,
    /// `meta_*-recording-ready-url`: a recording was published; a form with a signed token.
    RecordingReady,
    /// `meta_analytics-callback-url`: what happened in the meeting; JSON with a bearer token.
    Analytics,
    /// Any other `meta_*-callback-url`, in whichever of these forms it comes.
    Other,
    /// No parameter asks for it: an event for a hook that an application registered.
    Webhook,
}

impl CallbackKind {
    /// Every kind.
    pub const ALL: [Self; 6] =
        [Self::Ended, Self::EndedMeta, Self::RecordingReady, Self::Analytics, Self::Other, Self::Webhook];

    /// Returns the kind that a parameter of `create` asks for. What follows `meta_` counts in any
    /// case, since servers lower-case it.
    pub fn of_parameter(name: &str) -> Option<Self> {
        if name == "meetingEndedURL" {
            return Some(Self::Ended);
        }
        let meta = name.strip_prefix("meta_")?.to_ascii_lowercase();
        match meta.as_str() {
            "endcallbackurl" => Some(Self::EndedMeta),
            "analytics-callback-url" => Some(Self::Analytics),
            _ if meta.ends_with("-recording-ready-url") => Some(Self::RecordingReady),
            _ if meta.ends_with("-callback-url") => Some(Self::Other),
            _ => None,
        }
    }

    /// Returns its name, for addresses, labels and people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ended => "ended",
            Self::EndedMeta => "ended_meta",
            Self::RecordingReady => "recording_ready",
            Self::Analytics => "analytics",
            Self::Other => "other",
            Self::Webhook => "webhook",
        }
    }

    /// Returns the kind of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Tells whether it says that the meeting is over.
    pub fn is_end(self) -> bool {
        matches!(self, Self::Ended | Self::EndedMeta)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_parameter_that_asks_for_a_callback_is_known() {
        for (name, kind) in [
            ("meetingEndedURL", CallbackKind::Ended),
            ("meta_endCallbackUrl", CallbackKind::EndedMeta),
            ("meta_ENDCALLBACKURL", CallbackKind::EndedMeta),
            ("meta_bbb-recording-ready-url", CallbackKind::RecordingReady),
            ("meta_bn-recording-ready-url", CallbackKind::RecordingReady),
            ("meta_canvas-recording-ready-url", CallbackKind::RecordingReady),
            ("meta_analytics-callback-url", CallbackKind::Analytics),
            ("meta_Some-Callback-URL", CallbackKind::Other),
        ] {
            assert_eq!(CallbackKind::of_parameter(name), Some(kind), "{name}");
        }
        for name in ["meetingendedurl", "endCallbackUrl", "meta_x", "logoutURL", "meta_callback-urls"] {
            assert_eq!(CallbackKind::of_parameter(name), None, "{name}");
        }
        for kind in CallbackKind::ALL {
            assert_eq!(CallbackKind::parse(kind.name()), Some(kind));
        }
    }
}
