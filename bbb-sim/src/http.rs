//! One HTTP request: to the API, to a session page, or to the simulator's own controls.

mod wire;

use std::sync::Arc;

use ::http::{Request, Response, StatusCode, header, request::Parts};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use usher_bbb::{
    call::ApiCall,
    query::RawQuery,
    reply::{self, Refusal},
};

use crate::{
    answer::ApiAnswer,
    body::SimBody,
    calls::{self, CallContext},
    control, error_page,
    faults::{CallEffect, FaultKind},
    page,
    request::ApiRequest,
    response::response,
    state::ServerState,
    time,
    view::{SimCall, without_checksum},
};

const APPLICATION: &str = "/bigbluebutton";
const HTML: &str = "text/html;charset=utf-8";

/// The connection is to be closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("closed without an answer, by a fault")]
pub(crate) struct UnansweredClose;

pub(crate) async fn handle(
    state: Arc<ServerState>,
    request: Request<Incoming>,
) -> Result<Response<SimBody>, UnansweredClose> {
    let path = request.uri().path();
    if let Some(name) = call_name(path) {
        let name = name.to_owned();
        return api(&state, name, request).await;
    }
    let query = request.uri().query().unwrap_or_default();
    match path {
        "/" => Ok(response(StatusCode::OK, HTML, page::front(&state.name))),
        "/html5client" | "/html5client/" | "/html5client/join" | "/html5client/guestWait" => {
            Ok(session_page(&state, query))
        }
        _ => match path.strip_prefix(control::PATH) {
            Some(name) => Ok(control::answer(&state, request.method(), name, query).await),
            None => Ok(error_page::unknown_path(path, wire::accept(request.headers()))),
        },
    }
}

/// Returns the name of the call that a path names; empty for the root of the API.
fn call_name(path: &str) -> Option<&str> {
    let below = path.strip_prefix(APPLICATION)?;
    if matches!(below, "" | "/") {
        return Some("");
    }
    let below = below.strip_prefix("/api")?;
    (below.is_empty() || below.starts_with('/')).then(|| below.trim_matches('/'))
}

/// Returns the whole body; `None` if it is longer than `limit`. The rest of such a body is read and
/// dropped, so that the client reads the answer.
async fn read_body(mut body: Incoming, limit: usize) -> Result<Option<Bytes>, UnansweredClose> {
    let (mut text, mut length) = (BytesMut::new(), 0_usize);
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| UnansweredClose)?.into_data() else { continue };
        length = length.saturating_add(data.len());
        if length <= limit {
            text.extend_from_slice(&data);
        }
    }
    Ok((length <= limit).then(|| text.freeze()))
}

async fn api(
    state: &ServerState,
    name: String,
    request: Request<Incoming>,
) -> Result<Response<SimBody>, UnansweredClose> {
    let (head, body) = request.into_parts();
    let Some(body) = read_body(body, state.options.body_limit).await? else {
        return Ok(error_page::too_long());
    };
    let query = head.uri.query().unwrap_or_default().to_owned();
    let content_type = head.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let content_type = content_type.map(str::to_owned);
    let call = ApiCall::parse(&name);
    state.log(SimCall {
        name,
        method: head.method.to_string(),
        query: without_checksum(&query),
        headers: head.headers.clone(),
        body: body.clone(),
        at_ms: time::now_ms(),
    });
    let effect = state.faults.effect(call);
    let release = state.faults.release();
    if let Some(delay) = effect.delay {
        tokio::time::sleep(delay).await;
    }
    if effect.kind == Some(FaultKind::Hang) {
        release.cancelled().await;
        return Err(UnansweredClose);
    }
    if let Some(instead) = answer_without_call(&effect, call, &head) {
        return Ok(instead);
    }
    let answer = match call {
        Some(call) => {
            let method = head.method.clone();
            answer(state, &ApiRequest { call, method, query, content_type, body })
        }
        None => ApiAnswer::NotFound,
    };
    apply_fault(effect, answer, call, &head)
}

/// Carries out a request and returns its answer.
fn answer(state: &ServerState, request: &ApiRequest) -> ApiAnswer {
    let answer = calls::answer(
        &mut CallContext {
            memory: &mut state.memory(),
            hooks: &mut state.hooks.registry(),
            options: &state.options,
            base: &state.base,
            now_ms: time::now_ms(),
        },
        request,
    );
    state.report_changes();
    answer
}

/// Returns the answer of a fault that prevents the call.
fn answer_without_call(
    effect: &CallEffect,
    call: Option<ApiCall>,
    head: &Parts,
) -> Option<Response<SimBody>> {
    let broken = "<!DOCTYPE html>\n<html><head><title>Error</title></head>\n<body><h1>Something went wrong\
                  <br></h1></body></html>\n";
    match effect.kind? {
        FaultKind::Status500 => Some(response(StatusCode::INTERNAL_SERVER_ERROR, HTML, broken)),
        FaultKind::Html => Some(response(StatusCode::OK, HTML, broken)),
        FaultKind::NoHooks => Some(error_page::unknown_path(head.uri.path(), wire::accept(&head.headers))),
        FaultKind::ChecksumError => match call {
            Some(call) if !call.is_signed() => None,
            _ => Some(wire::xml(Refusal::CHECKSUM_MISMATCH.to_xml())),
        },
        _ => None,
    }
}

/// Applies the fault to the answer of a call that was carried out.
fn apply_fault(
    effect: CallEffect,
    answer: ApiAnswer,
    call: Option<ApiCall>,
    head: &Parts,
) -> Result<Response<SimBody>, UnansweredClose> {
    if let ApiAnswer::WithSession(answer) = answer {
        return apply_fault(effect, *answer, call, head).map(wire::with_session);
    }
    let is_list = matches!(&answer, ApiAnswer::Xml(xml) if xml.contains("<returncode>SUCCESS</returncode>"));
    match (effect.kind, answer) {
        (Some(FaultKind::LostAnswer), _) => Err(UnansweredClose),
        (Some(FaultKind::CutXml), ApiAnswer::Xml(mut text)) => {
            text.truncate(text.floor_char_boundary(text.len() / 2));
            Ok(wire::xml(text))
        }
        (Some(FaultKind::EmptyBody), ApiAnswer::Xml(_)) => Ok(wire::xml(String::new())),
        (Some(FaultKind::EmptyList), _) if is_list => Ok(wire::xml(reply::meetings([]))),
        (Some(FaultKind::FrozenList), _) if is_list => Ok(wire::xml(effect.frozen.unwrap_or_default())),
        (Some(FaultKind::Trickle(pause)), ApiAnswer::Xml(text)) => {
            Ok(wire::xml(String::new()).map(|_| SimBody::trickle(text, pause)))
        }
        (_, answer) => Ok(wire::plain(answer, call, head)),
    }
}

/// Answers a browser that opens the page of its session, and connects it as the client in that page
/// does.
fn session_page(state: &ServerState, query: &str) -> Response<SimBody> {
    let token = RawQuery::new(query).first("sessionToken").unwrap_or_default();
    let page = state
        .memory()
        .connect(&token, time::now_ms())
        .map(|(meeting, user)| response(StatusCode::OK, HTML, page::session(&state.name, meeting, user)));
    state.report_changes();
    page.unwrap_or_else(|| response(StatusCode::NOT_FOUND, HTML, page::no_session(&state.name)))
}
