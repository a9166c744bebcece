//! Verifies the callback of a server and makes the callback for its application. Signatures are
//! checked against the secrets of the servers. The signature for the application is made at the
//! delivery, with the secrets that the tenant has then.

use std::borrow::Cow;

use http::Method;
use serde_json::{Map, Value};
use usher_bbb::{
    query::{QueryEdit, RawQuery, rewrite},
    secret::Secret,
};
use usher_model::{
    callback::{CallbackKind, CallbackState, jwt},
    scope::TenantScope,
};

/// The longest text that a caller may append to an address, in bytes. A server appends
/// `recordingmarks` and a `meetingID`, which has at most 256 characters, or 3,072 bytes encoded. No
/// server signs the text, and each byte of it is stored.
const APPENDED_MAX: usize = 4096;

/// A request to a callback address of the edges.
#[derive(Debug, Clone, Copy)]
pub struct CallbackRequest<'r> {
    /// The method of the request.
    pub method: &'r Method,
    /// The query that the server appended to the address.
    pub query: &'r str,
    /// The token after `Bearer` in the `Authorization` header.
    pub bearer: Option<&'r str>,
    /// The body of the request.
    pub body: &'r [u8],
}

/// The form in which the application receives a callback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallbackForm {
    /// A GET request of the address.
    Get,
    /// A form with the claims of the body, signed.
    SignedForm,
    /// The JSON body of the server, with a bearer token.
    BearerJson,
}

/// A callback for the application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedCallback {
    /// The form of the request to the application.
    pub form: CallbackForm,
    /// The address; empty if the application did not request the callback.
    pub url: String,
    /// The body, before it is signed.
    pub body: Vec<u8>,
}

/// The reason why a callback is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CallbackRejection {
    /// This kind of callback is not made with this method.
    #[error("this kind of callback is not made with this method")]
    Method,
    /// No server of the fleet signed the callback, or its signature has expired.
    #[error("no server of this fleet signed the callback")]
    Signature,
    /// A required field is missing or unreadable.
    #[error("the callback cannot be read")]
    Malformed,
    /// The text that the caller appended to the address is too long.
    #[error("the text that is appended to the address is too long")]
    TooLong,
}

/// Verifies a callback. `secrets` are those of the servers, the likeliest first.
///
/// # Errors
/// The callback must not reach the application.
pub fn receive<'s>(
    state: &CallbackState,
    request: CallbackRequest<'_>,
    secrets: impl IntoIterator<Item = &'s Secret>,
    now_ms: i64,
) -> Result<ReceivedCallback, CallbackRejection> {
    let url = state.url.clone().unwrap_or_default();
    let scope = TenantScope::of(&state.meeting.tenant);
    let get = *request.method == Method::GET;
    match state.kind {
        CallbackKind::Ended if get => Ok(ReceivedCallback { form: CallbackForm::Get, url, body: Vec::new() }),
        CallbackKind::EndedMeta | CallbackKind::Other if get => {
            if request.query.len() > APPENDED_MAX {
                return Err(CallbackRejection::TooLong);
            }
            let url = with_query(&url, &own_query(request.query, &scope));
            Ok(ReceivedCallback { form: CallbackForm::Get, url, body: Vec::new() })
        }
        CallbackKind::RecordingReady | CallbackKind::Analytics | CallbackKind::Other
            if *request.method == Method::POST =>
        {
            if let Some(token) = request.bearer {
                jwt::verify(token, secrets, now_ms).map_err(|_| CallbackRejection::Signature)?;
                return Ok(ReceivedCallback {
                    form: CallbackForm::BearerJson,
                    url,
                    body: own_json(request.body, &scope)?,
                });
            }
            let form = std::str::from_utf8(request.body).map_err(|_| CallbackRejection::Malformed)?;
            let token = RawQuery::new(form).first("signed_parameters").ok_or(CallbackRejection::Signature)?;
            let mut claims =
                jwt::verify(&token, secrets, now_ms).map_err(|_| CallbackRejection::Signature)?;
            own_id(&mut claims, &scope);
            Ok(ReceivedCallback {
                form: CallbackForm::SignedForm,
                url,
                body: Value::Object(claims).to_string().into_bytes(),
            })
        }
        _ => Err(CallbackRejection::Method),
    }
}

/// Replaces the meeting id in a query by the one that the application knows. Breakout rooms keep
/// the ids that the server gave them.
fn own_query<'q>(query: &'q str, scope: &TenantScope) -> Cow<'q, str> {
    let given = RawQuery::new(query).first("meetingID");
    match given.as_deref().and_then(|id| Some((id, scope.original(id)?))) {
        Some((id, own)) if id != own => Cow::Owned(rewrite(query, &[QueryEdit::Set("meetingID", own)])),
        _ => Cow::Borrowed(query),
    }
}

/// Replaces the meeting id in a JSON body by the one that the application knows. A body that needs
/// no change stays equal byte for byte.
fn own_json(body: &[u8], scope: &TenantScope) -> Result<Vec<u8>, CallbackRejection> {
    let value: Value = serde_json::from_slice(body).map_err(|_| CallbackRejection::Malformed)?;
    let Value::Object(mut fields) = value else { return Err(CallbackRejection::Malformed) };
    Ok(if own_id(&mut fields, scope) {
        Value::Object(fields).to_string().into_bytes()
    } else {
        body.to_vec()
    })
}

/// Replaces the meeting id among the fields, and returns whether it changed.
fn own_id(fields: &mut Map<String, Value>, scope: &TenantScope) -> bool {
    let Some(Value::String(id)) = fields.get_mut("meeting_id") else { return false };
    match scope.original(id) {
        Some(own) if own != id => {
            *id = own.to_owned();
            true
        }
        _ => false,
    }
}

/// Appends a query to an address. The address was decoded once and is a complete URL.
fn with_query(url: &str, query: &str) -> String {
    let address = url.split_once('#').map_or(url, |(address, _)| address);
    match (query.is_empty(), address.contains('?')) {
        (true, _) => address.to_owned(),
        (false, true) => format!("{address}&{query}"),
        (false, false) => format!("{address}?{query}"),
    }
}

/// Returns the token after `Bearer ` in a header.
pub fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
