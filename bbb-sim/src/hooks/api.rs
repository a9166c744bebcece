//! The calls of bbb-webhooks: `hooks/create`, `hooks/list`, `hooks/destroy`. Each answer is one
//! line.

use usher_bbb::{
    call::ApiCall,
    checksum::{ChecksumAlgorithm, sign},
    query::RawQuery,
    reply::{self, Refusal, xml::XmlDocument},
};

use super::{HookRegistry, SimHook, SimHookRequest};
use crate::{
    answer::ApiAnswer,
    options::{HooksVersion, SimOptions},
    request::{ApiParams, ApiRequest},
};

/// Carries out a call about hooks and returns its answer.
pub(crate) fn answer(registry: &mut HookRegistry, options: &SimOptions, request: &ApiRequest) -> ApiAnswer {
    if !is_signed(registry.version(), options, request) {
        return refused(&Refusal::CHECKSUM_OF_HOOK);
    }
    let params = request.params();
    let done = match request.call {
        ApiCall::HooksCreate => create(registry, &params),
        ApiCall::HooksList => Ok(list(registry, params.get("meetingID"))),
        ApiCall::HooksDestroy => destroy(registry, &params),
        _ => return ApiAnswer::NotFound,
    };
    done.map_or_else(|refusal| refused(&refusal), |xml| ApiAnswer::Xml(one_line(&xml)))
}

/// Compares the checksum byte for byte: bbb-webhooks does not accept upper case, and 2.x accepts
/// only SHA-1.
fn is_signed(version: HooksVersion, options: &SimOptions, request: &ApiRequest) -> bool {
    let given = RawQuery::new(&request.query).first("checksum").unwrap_or_default();
    let Ok(signed) = RawQuery::new(&request.query).take_checksum() else { return false };
    let algorithm = match version {
        HooksVersion::V2 => Some(ChecksumAlgorithm::Sha1),
        HooksVersion::V3 => ChecksumAlgorithm::from_hex_len(given.len())
            .filter(|algorithm| options.hooks.algorithms.contains(algorithm)),
    };
    algorithm.is_some_and(|algorithm| {
        given == sign(algorithm, request.call.name(), &signed.query, &options.secret)
    })
}

fn create(registry: &mut HookRegistry, params: &ApiParams) -> Result<String, Refusal> {
    let callback_url = params.get("callbackURL").ok_or(Refusal::MISSING_CALLBACK_URL)?.to_owned();
    let raw = match params.given("getRaw").map(str::to_ascii_lowercase).as_deref() {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return Err(Refusal::HOOK_NOT_CREATED),
    };
    let request = SimHookRequest {
        callback_url,
        meeting_id: params.get("meetingID").map(str::to_owned),
        event_ids: params.get("eventID").map(|ids| ids.split(',').map(str::to_ascii_lowercase).collect()),
        permanent: false,
        raw,
    };
    Ok(match registry.create(request) {
        Ok(hook) => reply::success(|xml| {
            xml.leaf("hookID", &hook.id)
                .leaf("permanentHook", hook.permanent.to_string())
                .leaf("rawData", hook.raw.to_string());
        }),
        Err(known) => reply::success(|xml| {
            xml.leaf("hookID", &known.id)
                .leaf("messageKey", "duplicateWarning")
                .leaf("message", "There is already a hook for this callback URL.");
        }),
    })
}

fn destroy(registry: &mut HookRegistry, params: &ApiParams) -> Result<String, Refusal> {
    let id = params.get("hookID").ok_or(Refusal::MISSING_HOOK_ID)?;
    if !registry.destroy(id) {
        return Err(Refusal::HOOK_NOT_FOUND);
    }
    Ok(reply::success(|xml| {
        xml.leaf("removed", "true");
    }))
}

fn list(registry: &HookRegistry, meeting_id: Option<&str>) -> String {
    reply::success(|xml| {
        xml.element("hooks", |xml| {
            for hook in registry.listed(meeting_id) {
                xml.element("hook", |xml| write(xml, hook));
            }
        });
    })
}

fn write(xml: &mut XmlDocument, hook: &SimHook) {
    // bbb-webhooks does not escape the text: an address with the end of a CDATA section breaks the
    // answer.
    let cdata = |name: &str, text: &str| format!("<{name}><![CDATA[{text}]]></{name}>");
    xml.leaf("hookID", &hook.id).raw(&cdata("callbackURL", &hook.callback_url));
    if let Some(meeting_id) = &hook.meeting_id {
        xml.raw(&cdata("meetingID", meeting_id));
    }
    if let Some(ids) = &hook.event_ids {
        xml.leaf("eventID", ids.join(","));
    }
    xml.leaf("permanentHook", hook.permanent.to_string()).leaf("rawData", hook.raw.to_string());
}

fn refused(refusal: &Refusal) -> ApiAnswer {
    ApiAnswer::Xml(one_line(&refusal.to_xml()))
}

/// Removes the white space after every `>`, also inside a value, as bbb-webhooks does.
fn one_line(xml: &str) -> String {
    let mut parts = xml.trim().split('>');
    let mut line = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        line.push('>');
        line.push_str(part.trim_start());
    }
    line
}
