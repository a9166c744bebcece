//! `/fsapi`: a `FreeSWITCH` requests the meeting of a caller. The table alone gives the answer, so that callers reach
//! their meetings also if no control plane can be reached.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use url::Url;
use usher_bbb::{call::ApiCall, secret::Secret};
use usher_model::settings::VoiceSettings;

use super::server_answer::count_unread;
use crate::{
    control::{cell_directory::CellDirectory, table::LiveTable},
    core::{
        admission::{ByteBudget, ByteOwner},
        dial_in::{DialInAnswer, DialInCall, DialInPrompt, PATH, document, is_authorized, numbers},
        route::RoutingDecision,
    },
    metrics::RequestMetrics,
    server::{
        admission::{BodyLimits, body::read_small},
        fleet::meeting_owner::MeetingOwner,
        transport::HttpResponse,
    },
};

/// Largest form that is read, bytes. `FreeSWITCH` sends every variable of a call, some ten KiB.
const FORM_MAX: u64 = 1 << 20;

/// Answers the questions of `FreeSWITCH` about callers.
#[derive(Debug)]
pub(in crate::server) struct DialInReceiver {
    password: Secret,
    prompt: DialInPrompt,
    cells: Arc<CellDirectory>,
    form: BodyLimits,
    bytes: ByteBudget,
    metrics: RequestMetrics,
}

impl DialInReceiver {
    /// Returns a receiver that answers requests with the password of `settings`; `None` without a password.
    /// A client may be silent for `silence` while it sends its form.
    pub(in crate::server) fn new(
        settings: &VoiceSettings,
        cells: Arc<CellDirectory>,
        silence: Duration,
        bytes: ByteBudget,
        metrics: RequestMetrics,
    ) -> Option<Self> {
        let (pin_min, pin_max) = (settings.pin_min, settings.pin_max);
        let prompt = DialInPrompt { pin_min, pin_max, max_call: settings.max_call.as_secs() };
        let password = settings.fsapi_password.clone()?;
        Some(Self {
            password,
            prompt,
            cells,
            form: BodyLimits { largest: FORM_MAX, silence },
            bytes,
            metrics,
        })
    }

    /// Returns whether a request is a question of `FreeSWITCH`.
    pub(in crate::server) fn is_question<B>(request: &Request<B>) -> bool {
        request.method() == Method::POST && request.uri().path().trim_end_matches('/') == PATH
    }

    /// Answers a question of `FreeSWITCH`.
    pub(in crate::server) async fn answer(&self, request: Request<Incoming>) -> HttpResponse {
        let (label, response) = self.labelled_answer(request).await;
        self.metrics.dial_in(label);
        response
    }

    /// Returns the answer, with the label that it is counted under.
    async fn labelled_answer(&self, request: Request<Incoming>) -> (&'static str, HttpResponse) {
        let (parts, body) = request.into_parts();
        let authorization = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        if !is_authorized(authorization, &self.password) {
            let mut response = empty(StatusCode::UNAUTHORIZED);
            let challenge = HeaderValue::from_static("Basic realm=\"usher\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
            return ("unauthorized", response);
        }
        let mut bytes = self.bytes.holder(ByteOwner::Fleet);
        let form = match read_small(body, self.form, &mut bytes).await {
            Ok(form) => form,
            Err(error) => {
                count_unread(error, &self.metrics);
                return ("unreadable", empty(StatusCode::BAD_REQUEST));
            }
        };
        let tables = self.cells.tables();
        let call = DialInCall::read(&String::from_utf8_lossy(&form));
        let pin = call.as_ref().and_then(|call| call.pin.as_deref());
        let owner = pin.and_then(|pin| owner(&tables, pin));
        // A number that no table has may be one of a cell whose table was not read.
        let may_be_elsewhere = tables.len() < self.cells.cells().len() && pin.is_some() && owner.is_none();
        if tables.is_empty() || may_be_elsewhere {
            return ("no_table", empty(StatusCode::SERVICE_UNAVAILABLE));
        }
        let host = owner.as_ref().and_then(|owner| host(&owner.server.url));
        let (label, answer) = match (&call, pin, &owner, &host) {
            (None, ..) => ("not_found", DialInAnswer::NotFound),
            (Some(_), None, ..) => ("asked", DialInAnswer::Ask),
            (Some(_), Some(_), None, _) => ("unknown", DialInAnswer::AskAgain),
            (Some(_), Some(pin), Some(owner), Some(host))
                if owner.decision(ApiCall::Join) == RoutingDecision::Forward =>
            {
                ("connected", DialInAnswer::Bridge { meeting: owner.key.meeting.as_str(), pin, host })
            }
            _ => ("unreachable", DialInAnswer::Unreachable),
        };
        let mut response = empty(StatusCode::OK);
        *response.body_mut() = Full::new(Bytes::from(document(call.as_ref(), answer, self.prompt)));
        let kind = HeaderValue::from_static("text/xml; charset=utf-8");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        (label, response)
    }
}

/// Returns the meeting that callers reach by a PIN, with its server. The ranges of the cells are disjoint; of two
/// cells that gave one number away, the first has it.
fn owner(tables: &[Arc<LiveTable>], pin: &str) -> Option<MeetingOwner> {
    numbers(pin).find_map(|bridge| tables.iter().find_map(|table| MeetingOwner::by_number(table, bridge)))
}

/// Returns the host of a server's URL, in the form that a SIP address needs.
fn host(url: &str) -> Option<String> {
    Some(Url::parse(url).ok()?.host()?.to_string())
}

fn empty(status: StatusCode) -> HttpResponse {
    let mut response = HttpResponse::new(Full::default());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}
