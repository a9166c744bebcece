//! The beginning of a create: the parameters by the tenant's rules, and the task that serves it.

use std::sync::Arc;

use sha2::{Digest, Sha256};
use tokio::time::Instant;
use usher_bbb::query::EditedParameters;
use usher_model::{id::TenantId, tenant::PresentationDocument};
use usher_runtime::tasks::TaskGroup;

use super::{
    breakout_room::breakout_room,
    meeting_creation::{CreatePorts, MeetingCreation},
};
use crate::{
    core::{
        document_body::{BodyFault, PresentationEdit, PresentationMode},
        presentation::{module, modules},
        rules::{DeploymentRules, wishes},
    },
    server::{
        admission::{body::BodyError, document::RequestDocument},
        fleet::meeting_locator::MeetingLocator,
        reply::CallReply,
        request::VerifiedRequest,
    },
    upstream::{ComputeRefusal, FairCompute},
};

/// Answers `create`.
#[derive(Debug)]
pub(in crate::server) struct CreateCalls {
    pub(in crate::server) rules: Arc<DeploymentRules>,
    pub(in crate::server) locator: MeetingLocator,
    pub(in crate::server) tasks: TaskGroup,
    pub(in crate::server) ports: Arc<CreatePorts>,
}

impl CreateCalls {
    /// Serves a create to its end. It runs in a task of its own, so that a client that closes its
    /// connection leaves neither a create nor its record half done (C10).
    pub(in crate::server) async fn answer(&self, mut request: VerifiedRequest) -> CallReply {
        let Some(key) = request.key() else { return CallReply::unavailable() };
        let route = Arc::clone(&request.route);
        let mut sent = self.rules.ruled(&request.parameters, &route.policy);
        let mut wishes = wishes(&sent);
        let names_presentation = names_presentation(&sent);
        self.rules.create(&mut sent, &key, request.meetings.scope(), &route.policy);
        if let Some(shown) = &route.policy.presentation
            && (shown.forced || !names_presentation)
        {
            let (compute, document) = (self.ports.servers.compute(), request.document);
            request.document = match with_presentation(compute, &request.tenant, document, shown).await {
                Ok(Ok(document)) => document,
                Ok(Err(fault)) => return CallReply::unread(request.call, BodyError::Faulty(fault)),
                Err(_) => return CallReply::unavailable(),
            };
        }
        let brings_documents = !request.document.is_empty() || names_presentation;
        match breakout_room(&self.locator, &request, &key, &sent).await {
            Ok(Some(room)) => {
                wishes.parent = Some(room.parent);
                sent.apply(room.edits);
            }
            Ok(None) => {}
            Err(reply) => return reply,
        }
        let edits = sent.into_edits();
        let creation = MeetingCreation {
            deadline: Instant::now() + self.ports.timeouts.create,
            wishes,
            digest: Sha256::digest(request.parameters.text()).into(),
            token: format!("{:032x}", rand::random::<u128>()),
            edits,
            brings_documents,
            ports: Arc::clone(&self.ports),
            key,
            request,
        };
        let done = self.tasks.spawn_short("create", creation.run());
        done.await.unwrap_or_else(|_| CallReply::unavailable())
    }
}

/// Returns the document of a create with the presentation of its tenant. All other modules stay. A document in memory
/// is edited in one piece, which is long work if it is large; one on its way is edited as it comes.
///
/// # Errors
/// Too much work of the tenant waits. The inner error is the fault of a document that no server accepts.
async fn with_presentation(
    compute: &FairCompute,
    tenant: &TenantId,
    document: RequestDocument,
    shown: &PresentationDocument,
) -> Result<Result<RequestDocument, BodyFault>, ComputeRefusal> {
    if document.is_empty() {
        return Ok(Ok(RequestDocument::Held(modules(shown).into())));
    }
    let mode = if shown.forced { PresentationMode::Forced } else { PresentationMode::Default };
    let edit = PresentationEdit::new(mode, module(shown));
    let size = if let RequestDocument::Held(bytes) = &document { bytes.len() } else { 0 };
    compute.run(Some(tenant), size, move || document.edited(edit)).await
}

/// Returns whether a create names a presentation in its parameters.
fn names_presentation(parameters: &EditedParameters<'_>) -> bool {
    parameters.first("preUploadedPresentation").is_some_and(|url| !url.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_large_document_is_edited_in_its_turn_and_occupies_no_worker() {
        let shown =
            PresentationDocument { url: "https://a.test/a.pdf".into(), name: String::new(), forced: true };
        let edited = async |turns: usize, size: usize| {
            let notes = "x".repeat(size);
            let body = format!("<modules><module name=\"notes\">{notes}</module></modules>");
            let document = RequestDocument::Held(body.into());
            let compute = FairCompute::with_turns(turns);
            with_presentation(&compute, &TenantId::default_tenant(), document, &shown).await
        };
        for (turns, size) in [(1, 1), (1, 1 << 20), (0, 1)] {
            let Ok(Ok(RequestDocument::Held(bytes))) = edited(turns, size).await else {
                panic!("{turns} {size}")
            };
            assert!(bytes.len() > size && bytes.ends_with(b"</module></modules>"), "{turns} {size}");
        }
        assert!(matches!(edited(0, 1 << 20).await, Err(ComputeRefusal::Full)));
    }
}
