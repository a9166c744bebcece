//! Changes of recordings that are spread over servers: what each server is told, and what the caller
//! hears. It hears of success only when every server that has one of the recordings has said so.

use usher_bbb::{
    call::RecordingChange,
    query::{QueryEdit, RawQuery, rewrite},
};

use super::{entries, is_ours, metadata};

/// Recordings that one call names: calls that are GET only must fit into a URL.
pub const BATCH: usize = 50;

/// Returns the `recordID`s that a call names.
pub fn ids(parameters: &str) -> Vec<String> {
    let list = RawQuery::new(parameters).first("recordID").unwrap_or_default();
    entries(&list).into_iter().map(str::to_owned).collect()
}

/// A change as servers get it, but for the recordings that it concerns: each server is told of those it
/// has, in as many calls as that takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerChange {
    /// With an empty `recordID` where the list stood, which may be long and is read once.
    parameters: String,
}

impl ServerChange {
    /// Reads the parameters of a change.
    pub fn new(change: RecordingChange, parameters: &str) -> Self {
        let foreign: Vec<String> = metadata(parameters)
            .filter(|(name, key, _)| change != RecordingChange::Update || key.is_none() || is_ours(name))
            .map(|(name, ..)| name)
            .collect();
        let mut edits: Vec<QueryEdit<'_>> = foreign.iter().map(|name| QueryEdit::Remove(name)).collect();
        edits.push(QueryEdit::Set("recordID", ""));
        Self { parameters: rewrite(parameters, &edits) }
    }

    /// Returns the parameters of the call that is about these recordings.
    pub fn of(&self, ids: &[String]) -> String {
        rewrite(&self.parameters, &[QueryEdit::Set("recordID", &ids.join(","))])
    }
}

/// What one server said to a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangeResponse {
    /// Done.
    Done,
    /// It has none of them any more.
    NotFound,
    /// It refuses; this is its answer.
    Refused(String),
    /// Nothing that could be read: it may have been done.
    Nothing,
}

/// What the caller hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangeVerdict {
    /// Everything is done.
    Done,
    /// Nobody has any of them.
    NotFound,
    /// A server's refusal.
    Refused(String),
    /// Not everything is known to be done: the caller is to try again, which does no harm.
    TryAgain,
}

/// Puts together what the servers said.
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
        fn success_is_told_only_when_no_server_said_otherwise(said in prop::collection::vec(said(), 0..6)) {
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
    fn a_server_is_told_of_its_own_recordings_and_never_of_our_marks() {
        let given = "recordID=a,b,c&publish=true&x=1";
        let ids = ["a".to_owned(), "c".to_owned()];
        let change = ServerChange::new(RecordingChange::Publish, given);
        assert_eq!(change.of(&ids), "recordID=a%2Cc&publish=true&x=1");
        for smuggled in [
            "meta_usher-tenant=other",
            "meta_Usher-Tenant=other",
            "meta%5Fusher%2dtenant=",
            "meta_x%3E%3Cusher-tenant%3Eb%3C/usher-tenant%3E%3Cx=1",
            "meta_x%20y=1",
            "meta_=1",
        ] {
            let given = format!("recordID=a&meta_Course=&{smuggled}&meta_b=2");
            let sent = ServerChange::new(RecordingChange::Update, &given).of(&ids[..1]);
            assert_eq!(sent, "recordID=a&meta_Course=&meta_b=2", "{smuggled}");
        }
    }

    #[test]
    fn every_id_is_looked_for_once() {
        assert_eq!(ids("recordID=a,%20b,,a&publish=true"), ["a", "b"]);
        assert!(ids("publish=true").is_empty());
    }
}
