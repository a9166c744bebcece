//! The call `insertDocument`.

use usher_bbb::{
    call::ApiCall,
    reply::{self, xml::XmlDocument},
};

use super::{ids::meeting_id, modules};
use crate::{
    answer::ApiAnswer,
    memory::ServerMemory,
    options::BbbVersion,
    request::{ApiParams, ApiRequest},
};

pub(super) fn answer(memory: &mut ServerMemory, request: &ApiRequest, params: &ApiParams) -> ApiAnswer {
    let version = memory.version();
    let id = match meeting_id(params, version, ApiCall::InsertDocument) {
        Ok(id) => id,
        Err(fault) => return fault.into(),
    };
    // BBB reports success for a request without a body, and inserts no document.
    let documents = request.xml(version).map_or(Ok(Vec::new()), |xml| modules::documents(&xml));
    let Ok(mut documents) = documents else { return ApiAnswer::ServerError };
    match memory.find_mut(id) {
        Some(meeting) => {
            meeting.documents.append(&mut documents);
            ApiAnswer::Xml(reply::success(|xml| {
                xml.leaf("message", "Presentation is being uploaded");
            }))
        }
        None if version == BbbVersion::V2_5 => ApiAnswer::ServerError,
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
