//! The beginning of a create: the parameters by the tenant's rules, and the task that serves it.

use std::sync::Arc;

use sha2::{Digest, Sha256};
use tokio::time::Instant;
use usher_bbb::query::EditedParameters;
use usher_model::tenant::PresentationDocument;
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
            request.document = match with_presentation(request.document, shown) {
                Ok(document) => document,
                Err(fault) => return CallReply::unread(request.call, BodyError::Faulty(fault)),
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

/// Returns the document of a create with the presentation of its tenant. All other modules stay.
fn with_presentation(
    document: RequestDocument,
    shown: &PresentationDocument,
) -> Result<RequestDocument, BodyFault> {
    if document.is_empty() {
        return Ok(RequestDocument::Held(modules(shown).into()));
    }
    let mode = if shown.forced { PresentationMode::Forced } else { PresentationMode::Default };
    document.edited(PresentationEdit::new(mode, module(shown)))
}

/// Returns whether a create names a presentation in its parameters.
fn names_presentation(parameters: &EditedParameters<'_>) -> bool {
    parameters.first("preUploadedPresentation").is_some_and(|url| !url.trim().is_empty())
}
