//! From what a server says to what its application is to hear. Signatures are the server's; the
//! application's follow when it is delivered, with what its secrets are then.

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

/// A request to an address of ours.
#[derive(Debug, Clone, Copy)]
pub struct CallbackRequest<'r> {
    /// Its method.
    pub method: &'r Method,
    /// What the server appended to the address.
    pub query: &'r str,
    /// What it says after `Bearer`.
    pub bearer: Option<&'r str>,
    /// Its body.
    pub body: &'r [u8],
}

/// In which form the application hears of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallbackForm {
    /// A GET of the address.
    Get,
    /// A form with the claims of the body, signed.
    SignedForm,
    /// The body, JSON, with a bearer token.
    BearerJson,
}

/// What the application is to hear.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedCallback {
    /// How.
    pub form: CallbackForm,
    /// Where; empty when the application did not ask.
    pub url: String,
    /// What.
    pub body: Vec<u8>,
}

/// Why it is to hear nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CallbackRejection {
    /// This kind of callback is not made in this way.
    #[error("a callback of this kind is not made like this")]
    Method,
    /// No server of the fleet signed it, or it has run out.
    #[error("no server of this fleet signed it")]
    Signature,
    /// It does not say what it must.
    #[error("it cannot be read")]
    Malformed,
}

/// Checks a callback. `secrets` are the servers', the likeliest first.
///
/// # Errors
/// It is not one that the application is to hear of.
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

/// Gives a query the id that the application knows; breakout rooms have ids of the server's own.
fn own_query<'q>(query: &'q str, scope: &TenantScope) -> Cow<'q, str> {
    let given = RawQuery::new(query).first("meetingID");
    match given.as_deref().and_then(|id| Some((id, scope.original(id)?))) {
        Some((id, own)) if id != own => Cow::Owned(rewrite(query, &[QueryEdit::Set("meetingID", own)])),
        _ => Cow::Borrowed(query),
    }
}

/// Gives JSON the id that the application knows; byte for byte where it has it already.
fn own_json(body: &[u8], scope: &TenantScope) -> Result<Vec<u8>, CallbackRejection> {
    let value: Value = serde_json::from_slice(body).map_err(|_| CallbackRejection::Malformed)?;
    let Value::Object(mut fields) = value else { return Err(CallbackRejection::Malformed) };
    Ok(if own_id(&mut fields, scope) {
        Value::Object(fields).to_string().into_bytes()
    } else {
        body.to_vec()
    })
}

/// Tells whether it changed anything.
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

/// Appends to whatever query an address has; it had been decoded once, and is a URL as it is.
fn with_query(url: &str, query: &str) -> String {
    let address = url.split_once('#').map_or(url, |(address, _)| address);
    match (query.is_empty(), address.contains('?')) {
        (true, _) => address.to_owned(),
        (false, true) => format!("{address}&{query}"),
        (false, false) => format!("{address}?{query}"),
    }
}

/// Returns what follows `Bearer ` in a header.
pub fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
