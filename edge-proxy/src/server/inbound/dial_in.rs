//! `/fsapi`: a `FreeSWITCH` asks where callers go. Answered from the table alone, so that callers reach
//! their meetings while no control plane can be asked.

use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use url::Url;
use usher_bbb::{call, secret::Secret};
use usher_model::settings::VoiceSettings;

use crate::server::{
    admission::body::read_small, fleet::locate::Owner, router::Gateway, transport::HttpResponse,
};
use crate::{
    control::table::LiveTable,
    core::{
        dial_in::{DialInAnswer, DialInCall, DialInPrompt, PATH, document, is_authorized, numbers},
        route::RoutingDecision,
    },
};

/// Largest form that is read, bytes. `FreeSWITCH` sends all it knows of a call, some ten KiB.
const FORM_MAX: u64 = 1 << 20;

/// What an edge that `FreeSWITCH` may ask has for that.
#[derive(Debug)]
pub struct DialIn {
    password: Secret,
    prompt: DialInPrompt,
}

impl DialIn {
    /// Answers whoever has the password; none where there is none.
    pub fn new(settings: &VoiceSettings) -> Option<Self> {
        let (pin_min, pin_max) = (settings.pin_min, settings.pin_max);
        let prompt = DialInPrompt { pin_min, pin_max, max_call: settings.max_call.as_secs() };
        settings.fsapi_password.clone().map(|password| Self { password, prompt })
    }
}

/// Serves a question of `FreeSWITCH`'s; none if it is none.
pub(in crate::server) async fn serve(
    gateway: &Gateway,
    request: Request<Incoming>,
) -> Result<HttpResponse, Request<Incoming>> {
    let asks = request.method() == Method::POST && request.uri().path().trim_end_matches('/') == PATH;
    let Some(dial_in) = gateway.dial_in.as_ref().filter(|_| asks) else { return Err(request) };
    let (parts, body) = request.into_parts();
    let authorization = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    if !is_authorized(authorization, &dial_in.password) {
        gateway.metrics.dial_in("unauthorized");
        let mut response = plain(StatusCode::UNAUTHORIZED);
        let challenge = HeaderValue::from_static("Basic realm=\"usher\"");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        return Ok(response);
    }
    let Ok(form) = read_small(body, FORM_MAX, gateway.limits.client).await else {
        gateway.metrics.dial_in("unreadable");
        return Ok(plain(StatusCode::BAD_REQUEST));
    };
    let Some(table) = gateway.cell.load_full() else {
        gateway.metrics.dial_in("no_table");
        return Ok(plain(StatusCode::SERVICE_UNAVAILABLE));
    };
    let call = DialInCall::read(&String::from_utf8_lossy(&form));
    let pin = call.as_ref().and_then(|call| call.pin.as_deref());
    let owner = pin.and_then(|pin| owner(&table, pin));
    let host = owner.as_ref().and_then(|owner| host(&owner.server.url));
    let (label, answer) = match (&call, pin, &owner, &host) {
        (None, ..) => ("not_found", DialInAnswer::NotFound),
        (Some(_), None, ..) => ("asked", DialInAnswer::Ask),
        (Some(_), Some(_), None, _) => ("unknown", DialInAnswer::AskAgain),
        (Some(_), Some(pin), Some(owner), Some(host))
            if owner.decision(call::ApiCall::Join) == RoutingDecision::Forward =>
        {
            ("connected", DialInAnswer::Bridge { meeting: owner.key.meeting.as_str(), pin, host })
        }
        _ => ("unreachable", DialInAnswer::Unreachable),
    };
    gateway.metrics.dial_in(label);
    let mut response = plain(StatusCode::OK);
    *response.body_mut() = Full::new(Bytes::from(document(call.as_ref(), answer, dial_in.prompt)));
    let kind = HeaderValue::from_static("text/xml; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    Ok(response)
}

/// Finds the meeting that callers reach by a PIN, and its server.
fn owner(table: &LiveTable, pin: &str) -> Option<Owner> {
    numbers(pin).find_map(|bridge| Owner::by_number(table, bridge))
}

/// Returns the host of a server's address, as it stands in a SIP address.
fn host(url: &str) -> Option<String> {
    Some(Url::parse(url).ok()?.host()?.to_string())
}

fn plain(status: StatusCode) -> HttpResponse {
    let mut response = HttpResponse::new(Full::default());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}
