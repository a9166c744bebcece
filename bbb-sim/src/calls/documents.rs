//! The call `insertDocument`.

use usher_bbb::reply::{self, xml::XmlDocument};

use super::{CallContext, modules};
use crate::{
    answer::ApiAnswer,
    request::{ApiParams, ApiRequest},
};

pub(super) fn answer(context: &mut CallContext<'_>, request: &ApiRequest, params: &ApiParams) -> ApiAnswer {
    let id = match super::meeting_id(params) {
        Ok(id) => id,
        Err(refusal) => return refusal.into(),
    };
    // BBB reports success for a request without a body, and inserts no document.
    let documents = request.xml().map_or(Ok(Vec::new()), |xml| modules::documents(&xml));
    let Ok(mut documents) = documents else { return ApiAnswer::ServerError };
    match context.memory.find_mut(id) {
        Some(meeting) => {
            meeting.documents.append(&mut documents);
            ApiAnswer::Xml(reply::success(|xml| {
                xml.leaf("message", "Presentation is being uploaded");
            }))
        }
        None => ApiAnswer::Xml(failed(&format!("Meeting with id [{id}] not found."))),
    }
}

/// Returns a refusal without `messageKey`: BBB sends none for this call.
fn failed(message: &str) -> String {
    let mut xml = XmlDocument::new();
    xml.element("response", |xml| {
        xml.leaf("returncode", "FAILED").leaf("message", message);
    });
    xml.finish()
}
