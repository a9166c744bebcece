//! Changes of recordings on several servers: the calls to each server, and the answer to the
//! caller. The caller gets success only if every server that has one of the recordings reports
//! success.

use usher_bbb::{
    call::RecordingChange,
    query::{EditedParameters, ParameterEdit, ParameterList, QueryEdit},
};

use super::{entries, is_ours, metadata};

/// The number of recordings in one call. A call that is GET only must fit into a URL.
pub const BATCH: usize = 50;

/// Returns the `recordID`s that a call names.
pub fn ids(parameters: &ParameterList<'_>) -> Vec<String> {
    let list = parameters.first("recordID").unwrap_or_default();
    entries(&list).into_iter().map(str::to_owned).collect()
}

/// A change of recordings of the library.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LibraryChange {
    /// Publishes or unpublishes them.
    Publish(bool),
    /// Changes their metadata: keys in lower case, an empty value removes a key.
    Update(Vec<(String, String)>),
    /// Deletes them.
    Delete,
}

impl LibraryChange {
    /// Reads the parameters of a change.
    pub fn read(change: RecordingChange, parameters: &ParameterList<'_>) -> Self {
        match change {
            RecordingChange::Publish => {
                let said = parameters.first("publish").unwrap_or_default();
                Self::Publish(said.trim().eq_ignore_ascii_case("true"))
            }
            RecordingChange::Update => Self::Update(metadata_changes(parameters).collect()),
            RecordingChange::Delete => Self::Delete,
        }
    }
}

/// Returns the metadata that a call changes: keys in lower case, an empty value for a key that is removed. Keys that
/// servers ignore, and those of Usher, are left out.
fn metadata_changes(parameters: &ParameterList<'_>) -> impl Iterator<Item = (String, String)> {
    let given = metadata(parameters).filter(|(name, ..)| !is_ours(name));
    given.filter_map(|(_, key, value)| Some((key?, value.into_owned())))
}

/// A change as it is sent to servers. Each server gets the recordings that it has, in as many calls as
/// necessary.
#[derive(Debug, Clone)]
pub struct ServerChange<'p> {
    /// The parameters, with an empty `recordID` in place of the list, which may be long.
    parameters: EditedParameters<'p>,
}

impl<'p> ServerChange<'p> {
    /// Reads the parameters of a change.
    pub fn new(change: RecordingChange, parameters: &'p ParameterList<'p>) -> Self {
        let foreign = metadata(parameters)
            .filter(|(name, key, _)| change != RecordingChange::Update || key.is_none() || is_ours(name))
            .map(|(name, ..)| QueryEdit::Remove(name));
        let mut sent = parameters.edited();
        sent.apply(foreign.chain([QueryEdit::Set("recordID", "")]));
        Self { parameters: sent }
    }

    /// Returns the parameters of the call for these recordings.
    pub fn of(&self, ids: &[String]) -> String {
        let mut sent = self.parameters.clone();
        sent.apply([ParameterEdit::Set("recordID".into(), ids.join(",").into())]);
        sent.to_text()
    }
}

/// The response of one server to a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangeResponse {
    /// The server made the change.
    Done,
    /// The server has none of the recordings any more.
    NotFound,
    /// The server refuses; its answer is kept.
    Refused(String),
    /// There is no readable answer: the server may have made the change.
    Nothing,
}

/// The answer to the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangeVerdict {
    /// Every server made its part of the change.
    Done,
    /// No server has any of the recordings.
    NotFound,
    /// A server refuses; its answer is passed on.
    Refused(String),
    /// Some part of the change may not have been made. The caller may try again, which does no
    /// harm.
    TryAgain,
}

/// Combines the responses of the servers.
pub fn verdict(said: impl IntoIterator<Item = ChangeResponse>) -> ChangeVerdict {
    let mut verdict = ChangeVerdict::NotFound;
    for said in said {
        verdict = match (said, verdict) {
            (ChangeResponse::Nothing, _) | (_, ChangeVerdict::TryAgain) => ChangeVerdict::TryAgain,
            (_, ChangeVerdict::Refused(answer)) | (ChangeResponse::Refused(answer), _) => {
                ChangeVerdict::Refused(answer)
            }
            (ChangeResponse::Done, _) | (ChangeResponse::NotFound, ChangeVerdict::Done) => {
                ChangeVerdict::Done
            }
            (ChangeResponse::NotFound, ChangeVerdict::NotFound) => ChangeVerdict::NotFound,
        };
    }
    verdict
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn said() -> impl Strategy<Value = ChangeResponse> {
        prop_oneof![
            Just(ChangeResponse::Done),
            Just(ChangeResponse::NotFound),
            Just(ChangeResponse::Refused("no".into())),
            Just(ChangeResponse::Nothing)
        ]
    }

    proptest! {
        #[test]
        fn success_is_answered_only_if_no_server_failed(said in prop::collection::vec(said(), 0..6)) {
            let has = |wanted: &ChangeResponse| said.contains(wanted);
            let expected = if has(&ChangeResponse::Nothing) {
                ChangeVerdict::TryAgain
            } else if has(&ChangeResponse::Refused("no".into())) {
                ChangeVerdict::Refused("no".into())
            } else if has(&ChangeResponse::Done) {
                ChangeVerdict::Done
            } else {
                ChangeVerdict::NotFound
            };
            prop_assert_eq!(verdict(said), expected);
        }
    }

    #[test]
    fn a_server_gets_its_own_recordings_and_never_ushers_marks() {
        let list = |text: &str| ParameterList::parse(text.to_owned(), 10).unwrap();
        let ids = ["a".to_owned(), "c".to_owned()];
        let given = list("recordID=a,b,c&publish=true&x=1");
        let change = ServerChange::new(RecordingChange::Publish, &given);
        assert_eq!(change.of(&ids), "recordID=a%2Cc&publish=true&x=1");
        for smuggled in [
            "meta_usher-tenant=other",
            "meta_Usher-Tenant=other",
            "meta%5Fusher%2dtenant=",
            "meta_x%3E%3Cusher-tenant%3Eb%3C/usher-tenant%3E%3Cx=1",
            "meta_x%20y=1",
            "meta_=1",
        ] {
            let given = list(&format!("recordID=a&meta_Course=&{smuggled}&meta_b=2"));
            let sent = ServerChange::new(RecordingChange::Update, &given).of(&ids[..1]);
            assert_eq!(sent, "recordID=a&meta_Course=&meta_b=2", "{smuggled}");
        }
    }

    #[test]
    fn every_id_is_looked_for_once() {
        let ids = |text| ids(&ParameterList::parse(text, 10).unwrap());
        assert_eq!(ids("recordID=a,%20b,,a&publish=true"), ["a", "b"]);
        assert!(ids("publish=true").is_empty());
    }
}
