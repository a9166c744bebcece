//! The kinds of callbacks. Most are requested by a parameter of `create`.

/// The kind of a callback (wire-contract 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CallbackKind {
    /// `meetingEndedURL`: the meeting has ended; a GET of exactly that address.
    Ended,
    /// `meta_endCallbackUrl`: the same, with `recordingmarks` and `meetingID` appended.
    EndedMeta,
    /// `meta_*-recording-ready-url`: a recording was published; a form with a signed token.
    RecordingReady,
    /// `meta_analytics-callback-url`: analytics of the meeting; JSON with a bearer token.
    Analytics,
    /// Any other `meta_*-callback-url`, in any of these forms.
    Other,
    /// An event for a webhook that an application registered; no parameter requests it.
    Webhook,
}

impl CallbackKind {
    /// Every kind of callback.
    pub const ALL: [Self; 6] =
        [Self::Ended, Self::EndedMeta, Self::RecordingReady, Self::Analytics, Self::Other, Self::Webhook];

    /// Returns the kind that a parameter of `create` requests. The case after `meta_` does not matter, because
    /// servers lower-case it.
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

    /// Returns the name of the kind, for addresses, labels and texts.
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

    /// Returns the kind with a name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Tells whether the callback reports the end of a meeting.
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
