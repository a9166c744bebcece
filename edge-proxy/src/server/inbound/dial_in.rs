//! `/fsapi`: a `FreeSWITCH` requests the meeting of a caller. The table alone gives the answer, so that callers reach
//! their meetings also if no control plane can be reached.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, header};
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
        transport::{HttpResponse, ResponseBody},
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
        let owner = pin.map_or(Ok(None), |pin| owner(&tables, pin));
        let is_shared = owner.is_err();
        let owner = owner.unwrap_or_default();
        // A number that no table has may be one of a cell whose table was not read.
        let may_be_elsewhere =
            tables.len() < self.cells.cells().len() && pin.is_some() && owner.is_none() && !is_shared;
        if tables.is_empty() || may_be_elsewhere {
            return ("no_table", empty(StatusCode::SERVICE_UNAVAILABLE));
        }
        let host = owner.as_ref().and_then(|owner| host(&owner.server.url));
        let (label, answer) = match (&call, pin, &owner, &host) {
            (None, ..) => ("not_found", DialInAnswer::NotFound),
            (Some(_), None, ..) => ("asked", DialInAnswer::Ask),
            (Some(_), Some(_), None, _) if is_shared => ("several_cells", DialInAnswer::Unreachable),
            (Some(_), Some(_), None, _) => ("unknown", DialInAnswer::AskAgain),
            (Some(_), Some(pin), Some(owner), Some(host))
                if owner.decision(ApiCall::Join) == RoutingDecision::Forward =>
            {
                ("connected", DialInAnswer::Bridge { meeting: owner.key.meeting.as_str(), pin, host })
            }
            _ => ("unreachable", DialInAnswer::Unreachable),
        };
        let mut response = empty(StatusCode::OK);
        *response.body_mut() = Bytes::from(document(call.as_ref(), answer, self.prompt)).into();
        let kind = HeaderValue::from_static("text/xml; charset=utf-8");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        (label, response)
    }
}

/// A PIN stands for meetings of several cells.
#[derive(Debug, PartialEq, Eq)]
struct SharedPin;

/// Returns the meeting that callers reach by a PIN, with its server.
///
/// # Errors
/// Several cells have a meeting of this PIN, because their ranges overlap or both gave a spare number. No caller
/// is connected by a guess to a class that may be another one's.
fn owner(tables: &[Arc<LiveTable>], pin: &str) -> Result<Option<MeetingOwner>, SharedPin> {
    let in_table =
        |table: &Arc<LiveTable>| numbers(pin).find_map(|bridge| MeetingOwner::by_number(table, bridge));
    let mut owners = tables.iter().filter_map(in_table);
    let owner = owners.next();
    if owners.next().is_some() { Err(SharedPin) } else { Ok(owner) }
}

/// Returns the host of a server's URL, in the form that a SIP address needs.
fn host(url: &str) -> Option<String> {
    Some(Url::parse(url).ok()?.host()?.to_string())
}

fn empty(status: StatusCode) -> HttpResponse {
    let mut response = HttpResponse::new(ResponseBody::default());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

#[cfg(test)]
mod tests {
    use usher_bbb::checksum::ChecksumAlgorithm;
    use usher_model::{
        id::{MeetingId, ServerId, TenantId},
        meeting::MeetingKey,
        revision::Revision,
        routing::{MeetingRoute, RouteState, RoutingDelta, ServerRoute},
        server::{AdminState, Health},
        voice::VoiceBridge,
    };

    use super::*;

    /// Returns a table in which the meeting `id` has a number.
    fn table(id: &str, number: u32) -> Arc<LiveTable> {
        let start = Revision::new(1, 1);
        let mut delta = RoutingDelta::new(start, Revision::new(1, 2));
        let server = ServerRoute {
            id: ServerId::parse("s").expect("is an id"),
            url: "https://s.test/bigbluebutton/api/".into(),
            secret: Secret::new("server secret"),
            admin: AdminState::Enabled,
            health: Health::Online,
            algorithm: ChecksumAlgorithm::Sha256,
        };
        let meeting = MeetingId::parse(id).expect("is an id");
        let route = MeetingRoute {
            key: MeetingKey::new(TenantId::default_tenant(), meeting),
            server: server.id.clone(),
            state: RouteState::Pending,
            voice_bridge: VoiceBridge::new(number),
        };
        delta.servers.insert(server.id.clone(), Some(server));
        delta.meetings.insert(route.key.clone(), Some(route));
        let table = LiveTable::empty(start);
        table.apply(&delta).expect("follows the empty table");
        Arc::new(table)
    }

    #[test]
    fn a_pin_of_two_cells_leads_to_neither_meeting() {
        let (north, south) = (table("north", 12_345), table("south", 123_451));
        let owner_of = |tables: &[&Arc<LiveTable>], pin| {
            let tables: Vec<_> = tables.iter().map(|table| Arc::clone(table)).collect();
            owner(&tables, pin).map(|owner| owner.map(|owner| owner.key.meeting.to_string()))
        };
        let is = |id: &str| Ok(Some(id.to_owned()));
        assert_eq!(owner_of(&[&north, &south], "12345"), is("north"));
        assert_eq!(
            owner_of(&[&north, &table("far", 20_001)], "200012"),
            is("far"),
            "its second breakout room"
        );
        assert_eq!(owner_of(&[&north], "123451"), is("north"), "its first breakout room");
        assert_eq!(owner_of(&[&north, &south], "123451"), Err(SharedPin));
        assert_eq!(owner_of(&[&north, &table("other", 12_345)], "12345"), Err(SharedPin));
        assert_eq!(owner_of(&[&north, &south], "54321"), Ok(None));
    }
}
