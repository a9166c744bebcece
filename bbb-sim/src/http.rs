//! One HTTP request: to the API, to a session page, or to the simulator's own controls.

use std::sync::Arc;

use ::http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Limited};
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
    control,
    faults::{CallEffect, FaultKind},
    page,
    request::ApiRequest,
    response::response,
    state::ServerState,
    time,
    view::{SimCall, without_checksum},
};

const API: &str = "/bigbluebutton/api";
/// Longest request body, in bytes; a longer one gets a 413.
const BODY_MAX: usize = 32 << 20;
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
    if let Some(below) = path.strip_prefix(API)
        && (below.is_empty() || below.starts_with('/'))
    {
        let name = below.trim_start_matches('/').to_owned();
        return api(&state, name, request).await;
    }
    let query = request.uri().query().unwrap_or_default();
    match path {
        "/" => Ok(response(StatusCode::OK, HTML, page::front(&state.name))),
        "/html5client" | "/html5client/" => Ok(session_page(&state, query)),
        _ => match path.strip_prefix(control::PATH) {
            Some(name) => Ok(control::answer(&state, request.method(), name, query).await),
            None => Ok(not_found(&state)),
        },
    }
}

async fn api(
    state: &ServerState,
    name: String,
    request: Request<Incoming>,
) -> Result<Response<SimBody>, UnansweredClose> {
    let (head, body) = request.into_parts();
    let Ok(body) = Limited::new(body, BODY_MAX).collect().await else {
        return Ok(response(StatusCode::PAYLOAD_TOO_LARGE, "text/plain", "too large"));
    };
    let (body, query) = (body.to_bytes(), head.uri.query().unwrap_or_default().to_owned());
    let content_type = head.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let content_type = content_type.map(str::to_owned);
    let call = ApiCall::parse(&name);
    state.log(SimCall {
        name,
        method: head.method.to_string(),
        query: without_checksum(&query),
        headers: head.headers,
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
    if let Some(instead) = answer_without_call(state, &effect, call) {
        return Ok(instead);
    }
    let answer = match call {
        Some(call) => answer(state, &ApiRequest { call, method: head.method, query, content_type, body }),
        None => ApiAnswer::NotFound,
    };
    apply_fault(state, effect, answer)
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
    state: &ServerState,
    effect: &CallEffect,
    call: Option<ApiCall>,
) -> Option<Response<SimBody>> {
    let broken = "<!DOCTYPE html>\n<html><head><title>Error</title></head>\n<body><h1>Something went wrong\
                  <br></h1></body></html>\n";
    match effect.kind? {
        FaultKind::Status500 => Some(response(StatusCode::INTERNAL_SERVER_ERROR, HTML, broken)),
        FaultKind::Html => Some(response(StatusCode::OK, HTML, broken)),
        FaultKind::NoHooks => Some(not_found(state)),
        FaultKind::ChecksumError => match call {
            Some(call) if !call.is_signed() => None,
            _ => Some(xml(Refusal::CHECKSUM_MISMATCH.to_xml())),
        },
        _ => None,
    }
}

/// Applies the fault to the answer of a call that was carried out.
fn apply_fault(
    state: &ServerState,
    effect: CallEffect,
    answer: ApiAnswer,
) -> Result<Response<SimBody>, UnansweredClose> {
    let is_list = matches!(&answer, ApiAnswer::Xml(xml) if xml.contains("<returncode>SUCCESS</returncode>"));
    match (effect.kind, answer) {
        (Some(FaultKind::LostAnswer), _) => Err(UnansweredClose),
        (Some(FaultKind::CutXml), ApiAnswer::Xml(mut text)) => {
            text.truncate(text.floor_char_boundary(text.len() / 2));
            Ok(xml(text))
        }
        (Some(FaultKind::EmptyBody), ApiAnswer::Xml(_)) => Ok(xml(String::new())),
        (Some(FaultKind::EmptyList), _) if is_list => Ok(xml(reply::meetings([]))),
        (Some(FaultKind::FrozenList), _) if is_list => Ok(xml(effect.frozen.unwrap_or_default())),
        (Some(FaultKind::Trickle(pause)), ApiAnswer::Xml(text)) => {
            Ok(xml(String::new()).map(|_| SimBody::trickle(text, pause)))
        }
        (_, answer) => Ok(plain(state, answer)),
    }
}

fn plain(state: &ServerState, answer: ApiAnswer) -> Response<SimBody> {
    match answer {
        ApiAnswer::Xml(text) => xml(text),
        ApiAnswer::Json(text) => response(StatusCode::OK, "application/json;charset=utf-8", text),
        ApiAnswer::Text(text) => response(StatusCode::OK, "text/plain;charset=utf-8", text),
        ApiAnswer::Redirect { location, session } => redirect(&location, session),
        ApiAnswer::NotFound => not_found(state),
        ApiAnswer::MethodNotAllowed => response(StatusCode::METHOD_NOT_ALLOWED, HTML, ""),
        ApiAnswer::ServerError => {
            response(StatusCode::INTERNAL_SERVER_ERROR, HTML, "<!DOCTYPE html>\n<h1>HTTP Status 500</h1>\n")
        }
    }
}

fn redirect(location: &str, session: Option<String>) -> Response<SimBody> {
    let mut response = response(StatusCode::FOUND, HTML, "");
    // An application's own address may contain bytes that no header allows; then there is no
    // target.
    let Ok(location) = HeaderValue::from_str(location) else {
        return crate::response::response(StatusCode::INTERNAL_SERVER_ERROR, HTML, "");
    };
    response.headers_mut().insert(header::LOCATION, location);
    let cookie = session.map(|id| format!("JSESSIONID={id}; Path=/bigbluebutton; HttpOnly"));
    if let Some(Ok(cookie)) = cookie.map(HeaderValue::try_from) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

fn session_page(state: &ServerState, query: &str) -> Response<SimBody> {
    let token = RawQuery::new(query).first("sessionToken").unwrap_or_default();
    let memory = state.memory();
    match memory.session(&token) {
        Some((meeting, user)) => response(StatusCode::OK, HTML, page::session(&state.name, meeting, user)),
        None => response(StatusCode::NOT_FOUND, HTML, page::no_session(&state.name)),
    }
}

fn not_found(state: &ServerState) -> Response<SimBody> {
    response(StatusCode::NOT_FOUND, HTML, page::front(&state.name))
}

fn xml(text: String) -> Response<SimBody> {
    response(StatusCode::OK, reply::CONTENT_TYPE, text)
}
