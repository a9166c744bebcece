//! The answer to a call as HTTP, in the headers of bbb-web.

use ::http::{HeaderMap, HeaderValue, Response, StatusCode, header, request::Parts};
use usher_bbb::{call::ApiCall, reply};

use crate::{answer::ApiAnswer, body::SimBody, chance, error_page, response::response};

/// Returns the `Accept` header; an absent one accepts everything.
pub(super) fn accept(headers: &HeaderMap) -> &str {
    headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("*/*")
}

/// Returns the answer to the request with this head.
pub(super) fn plain(answer: ApiAnswer, call: Option<ApiCall>, head: &Parts) -> Response<SimBody> {
    match answer {
        ApiAnswer::Xml(_) if is_of_bbb_web(call) && !accepts_xml(accept(&head.headers)) => {
            // The format is chosen after the call was carried out.
            no_cache(error_page::exception())
        }
        ApiAnswer::Xml(text) if is_kept(call, &text) => {
            let mut response = xml(text);
            response.headers_mut().remove(header::CACHE_CONTROL);
            response
        }
        ApiAnswer::Xml(text) => xml(text),
        ApiAnswer::Json(text) => response(StatusCode::OK, "application/json;charset=utf-8", text),
        ApiAnswer::Text(text) => response(StatusCode::OK, "text/plain;charset=utf-8", text),
        ApiAnswer::Redirect(location) => redirect(&location),
        ApiAnswer::WithSession(answer) => with_session(plain(*answer, call, head)),
        ApiAnswer::NotFound => error_page::unknown_path(head.uri.path(), accept(&head.headers)),
        ApiAnswer::MethodNotAllowed => {
            response(StatusCode::METHOD_NOT_ALLOWED, "text/html;charset=utf-8", "")
        }
        ApiAnswer::ServerError => error_page::exception(),
    }
}

/// Returns whether bbb-web, and not bbb-webhooks, answers a call.
fn is_of_bbb_web(call: Option<ApiCall>) -> bool {
    call.is_some_and(|call| !call.is_of_webhooks())
}

/// Returns whether an `Accept` header admits XML.
fn accepts_xml(accept: &str) -> bool {
    accept.contains("xml") || accept.contains("*/*")
}

/// Returns whether an answer is one of those that BBB sends without `Cache-Control`.
fn is_kept(call: Option<ApiCall>, text: &str) -> bool {
    let is_of_these =
        matches!(call, Some(ApiCall::GetMeetingInfo | ApiCall::InsertDocument | ApiCall::GetRecordings));
    is_of_these && text.contains("<returncode>SUCCESS</returncode>")
}

fn no_cache(mut response: Response<SimBody>) -> Response<SimBody> {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

/// Adds the cookie of a new session.
pub(super) fn with_session(mut response: Response<SimBody>) -> Response<SimBody> {
    let id = chance::upper_hexadecimal(32);
    let cookie = HeaderValue::try_from(format!("JSESSIONID={id}; Path=/; Secure; HttpOnly"));
    if let Ok(cookie) = cookie {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

fn redirect(location: &str) -> Response<SimBody> {
    // An application's own address may contain bytes that no header allows; then there is no
    // target.
    let Ok(location) = HeaderValue::from_str(location) else { return error_page::exception() };
    let mut response = Response::new(SimBody::whole(""));
    *response.status_mut() = StatusCode::FOUND;
    response.headers_mut().insert(header::LOCATION, location);
    response
}

pub(super) fn xml(text: String) -> Response<SimBody> {
    response(StatusCode::OK, reply::CONTENT_TYPE, text)
}
