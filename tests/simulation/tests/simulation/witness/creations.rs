//! The resources that tools created, by the history of the store (ADR 35): each request creates at
//! most once, and its tool is told the truth.

use std::collections::BTreeMap;

use usher_control_plane::{
    core::plan::FleetEvent,
    notifications::store::hooks,
    ports::{ChangeBatch, KeyChange, StoreEntry},
    store::codec::StoreCodec,
};
use usher_model::request_mark::RequestMark;

/// An answer that is final.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CreateAnswer {
    /// The request created the resource.
    Own,
    /// Another request created it.
    Exists,
    /// A refusal that no request of the simulation deserves.
    Refused(String),
}

/// The makers of the resources.
#[derive(Debug, Default)]
pub(crate) struct ResourceCreations {
    /// The tools whose requests created a key, in order.
    makers: BTreeMap<String, Vec<u64>>,
}

impl ResourceCreations {
    /// Notes a commit of the store.
    ///
    /// # Errors
    /// A resource was created again, although it was never deleted by a tool.
    pub(super) fn committed(&mut self, codec: &StoreCodec, batch: &ChangeBatch) -> Result<(), String> {
        for change in &batch.changes {
            let KeyChange::Put(entry) = change else { continue };
            if let Some(tool) = maker(codec, entry) {
                let makers = self.makers.entry(entry.key.clone()).or_default();
                // A later change of the value keeps its mark.
                if entry.create_revision == batch.revision || makers.last() != Some(&tool) {
                    makers.push(tool);
                }
                if makers.len() > 1 {
                    return Err(format!("{} was created more than once: by tools {makers:?}", entry.key));
                }
            }
        }
        Ok(())
    }

    /// Judges an answer to a tool.
    ///
    /// # Errors
    /// The answer is not the truth.
    pub(super) fn judge(&self, key: &str, tool: u64, answer: &CreateAnswer) -> Result<(), String> {
        let made = self.makers.get(key).map(|makers| makers.contains(&tool));
        let is_true = match answer {
            CreateAnswer::Own => made == Some(true),
            CreateAnswer::Exists => made == Some(false),
            CreateAnswer::Refused(_) => false,
        };
        let makers = self.makers.get(key);
        if is_true {
            Ok(())
        } else {
            Err(format!("{key}: tool {tool} is told {answer:?}, made by {makers:?}"))
        }
    }
}

/// Returns the tool whose request created a value.
fn maker(codec: &StoreCodec, entry: &StoreEntry) -> Option<u64> {
    let mark = if let Some((tenant, _)) = hooks::id_of(&entry.key) {
        hooks::decode(&tenant, &entry.value).ok()?.created_by
    } else if entry.key.starts_with("servers/") || entry.key.starts_with("tenants/") {
        match codec.event(&KeyChange::Put(entry.clone())).ok()?? {
            FleetEvent::Server(_, stored) => stored?.value.created_by,
            FleetEvent::Tenant(_, stored) => stored?.value.created_by,
            _ => None,
        }
    } else {
        None
    };
    tool_of(mark)
}

/// Returns the mark of the request of a tool.
pub(crate) fn mark_of(tool: u64) -> RequestMark {
    let half = u128::from(tool + 1).to_le_bytes();
    RequestMark { id: half, content: half }
}

/// Returns the tool whose request has a mark.
fn tool_of(mark: Option<RequestMark>) -> Option<u64> {
    let number = u128::from_le_bytes(mark?.id).checked_sub(1)?;
    u64::try_from(number).ok()
}

mod tests {
    use usher_control_plane::notifications::rules::hooks::RegisteredHook;
    use usher_model::id::TenantId;

    use super::*;

    /// Returns the registration of one hook by the request of a tool, at a revision.
    fn registered(tool: u64, create_revision: u64, revision: u64) -> ChangeBatch {
        let hook = RegisteredHook {
            tenant: TenantId::default_tenant(),
            url: "https://app.example/1".into(),
            meeting: None,
            events: Vec::new(),
            raw: false,
            created_at_ms: 0,
            created_by: Some(mark_of(tool)),
        };
        let key = hooks::path(&hook.tenant, &hook.id());
        let value = hooks::encode(&hook);
        let entry = StoreEntry { key, value, create_revision, mod_revision: revision };
        ChangeBatch { revision, changes: vec![KeyChange::Put(entry)], attested: true }
    }

    #[test]
    fn a_tool_is_told_whether_its_request_created_the_resource() {
        let (codec, mut creations) = (StoreCodec::new(), ResourceCreations::default());
        let first = registered(4, 7, 7);
        let KeyChange::Put(entry) = &first.changes[0] else { unreachable!("it is a put") };
        let judge =
            |creations: &ResourceCreations, tool, answer| creations.judge(&entry.key, tool, &answer).is_ok();
        assert!(!judge(&creations, 4, CreateAnswer::Own) && !judge(&creations, 5, CreateAnswer::Exists));
        creations.committed(&codec, &first).unwrap();
        creations.committed(&codec, &registered(4, 7, 8)).unwrap();
        assert!(judge(&creations, 4, CreateAnswer::Own) && judge(&creations, 5, CreateAnswer::Exists));
        assert!(!judge(&creations, 4, CreateAnswer::Exists) && !judge(&creations, 5, CreateAnswer::Own));
        assert!(!judge(&creations, 5, CreateAnswer::Refused("taken".into())));
        creations.committed(&codec, &registered(5, 7, 9)).unwrap_err();
    }
}
