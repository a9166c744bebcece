//! Requests: every call, with every shape of parameters.

use std::{hint::black_box, time::Duration};

use usher_bbb::{
    call::{ApiCall, CallStrategy, RecordingAction, RecordingChange},
    checksum::{ChecksumAlgorithm, sign},
    query::{EditedParameters, ParameterList, ParsedQuery, QueryEdit, rebuilt_form},
    secret::Secret,
};
use usher_edge_proxy::core::{
    authenticate::authenticate,
    callbacks::{AddressBinding, CallbackAddresses},
    dial_in, hooks, limits,
    recordings::{
        RecordingOwner,
        change::{BATCH, ServerChange, ids},
        filter::{RecordingFilter, for_ids, for_server, server_page},
    },
    resign::{join_url, outgoing},
    rules::{DeploymentRules, numbered, wishes},
    validate,
};
use usher_model::{
    callback::CallbackKey,
    id::{MeetingId, ServerId, TenantId},
    meeting::MeetingKey,
    routing::ServerRoute,
    scope::TenantScope,
    server::{AdminState, Health},
    settings::MeetingSettings,
    tenant::TenantPolicy,
    voice::VoiceBridge,
};

use super::{Shape, grows_linearly, none_grows_too_fast};

const SECRET: &str = "tenant-secret";

fn each(count: usize, one: impl Fn(usize) -> String) -> String {
    (0..count).map(one).collect::<Vec<_>>().join("&")
}

/// Returns a list. It is longer than other shapes, because the work for an entry is small, and for
/// a comparison of two smaller.
fn list(name: &str, count: usize) -> String {
    let entries: Vec<String> = (0..4 * count).map(|number| format!("room-{number}")).collect();
    format!("{name}={}", entries.join(","))
}

pub(super) const SHAPES: &[Shape] = &[
    ("a list of meetings", |count| list("meetingID", count)),
    ("a list of recordings", |count| list("recordID", count)),
    ("a list of recordings that begin alike", |count| {
        list("recordID", count).replace("room-", "6fea8cf5c91f71a844862ead37a54d70198c664e-")
    }),
    ("a list whose commas are encoded, and entries twice", |count| {
        list("meetingID", count).replace(',', "%2C").replace("room-", "room%252B")
    }),
    ("a list of states", |count| list("state", count)),
    ("a list of events", |count| list("eventID", count)),
    ("a list that a rule adds to", |count| list("disabledFeatures", count)),
    ("one entry again and again", |count| format!("recordID={}", vec!["r"; count].join(","))),
    ("metadata of ours", |count| each(count, |number| format!("meta_usher-{number}=x"))),
    ("metadata that may not be", |count| each(count, |number| format!("meta_a_{number}=x"))),
    ("metadata", |count| each(count, |number| format!("meta_key-{number}=x"))),
    ("one key of metadata again and again", |count| each(count, |number| format!("meta_Key=x{number}"))),
    ("addresses for callbacks", |count| {
        each(count, |number| format!("meta_c{number}-callback-url=https://app.test/{number}"))
    }),
    ("one address again and again", |count| {
        each(count, |number| format!("meta_endCallbackUrl=https://app.test/{number}"))
    }),
    ("parameters of which many are given again, far behind", |count| {
        let first = each(count / 2, |number| format!("a{number}=1"));
        let again = each(count / 16, |_| {
            "duration=1&meetingID=x&recordID=r&dialNumber=1&voiceBridge=7&name=n&meta_usher-tenant=t&logo=l"
                .into()
        });
        format!("{first}&{again}")
    }),
    ("names that are encoded", |count| each(count, |number| format!("%6deta%5fusher-{number}=%78"))),
    ("nothing between ampersands", |count| "&".repeat(count)),
    ("one long value", |count| format!("welcome={}", "a%20b+c".repeat(count))),
    ("one long name", |count| format!("meta_{}=x", "a".repeat(count * 8))),
    ("no parameter but names", |count| each(count, |number| format!("userdata-{number}"))),
];

fn server() -> ServerRoute {
    ServerRoute {
        id: ServerId::parse("a").expect("is an id"),
        url: "https://a.test/bigbluebutton/api/".into(),
        secret: Secret::new("server secret"),
        admin: AdminState::Enabled,
        health: Health::Online,
        algorithm: ChecksumAlgorithm::Sha256,
    }
}

/// Reads parameters without the limit of their number, which must not be the reason for a low cost.
fn parsed(text: &str) -> ParsedQuery<'_> {
    ParsedQuery::parse(text, usize::MAX)
}

/// Returns a query as its application signs it.
pub(super) fn signed_query(call: ApiCall, parameters: &str) -> String {
    let checksum = sign(ChecksumAlgorithm::Sha256, call.name(), parameters, &Secret::new(SECRET));
    format!("{parameters}&checksum={checksum}")
}

/// Does all work of the edge for a call with these parameters in its query, as far as it depends on them.
pub(super) fn serve_query(call: ApiCall, query: &str) {
    let signed = authenticate(call, parsed(query), None, &[Secret::new(SECRET)]).expect("is signed");
    serve(call, &signed.into_parameters().expect("has no limit").into_url_safe());
}

/// Does all work of the edge for a call with these parameters, in its query and in a form.
fn work(call: ApiCall, parameters: &str) {
    serve_query(call, &signed_query(call, parameters));
    let secrets = [Secret::new(SECRET)];
    // Old applications sign the parameters of a form in this way.
    let checksum = sign(ChecksumAlgorithm::Sha256, call.name(), &rebuilt_form(parameters), &secrets[0]);
    let query = format!("checksum={checksum}");
    let signed = authenticate(call, parsed(&query), Some(parsed(parameters)), &secrets);
    black_box(signed.expect("is signed").into_parameters().expect("has no limit").into_url_safe());
}

/// Does the work that follows the verification.
fn serve(call: ApiCall, list: &ParameterList<'_>) {
    let _ = black_box(limits::check(call, list));
    let _ = black_box(validate::check(call, list));
    let (tenant, server) = (TenantId::parse("school").expect("is an id"), server());
    let scope = TenantScope::of(&tenant);
    let whose = RecordingOwner { tenant: &tenant, scope: &scope };
    let rule = |rule: &str| rule.parse().expect("is a rule");
    let policy = TenantPolicy {
        create_rules: vec![
            rule("merge:disabledFeatures=chat"),
            rule("override:record=true"),
            rule("cap:duration=60"),
        ],
        join_rules: vec![rule("remove:avatarURL"), rule("override:userdata-x=1")],
        dial_number: "+49".into(),
        ..TenantPolicy::default()
    };
    let rules = DeploymentRules::new(&MeetingSettings {
        max_duration: Duration::from_mins(90),
        create_exclude: vec!["logo".into()],
        join_exclude: vec!["logo".into()],
        ..MeetingSettings::default()
    });
    match call.strategy() {
        CallStrategy::Place => {
            let key = MeetingKey::new(tenant.clone(), MeetingId::parse("room").expect("is an id"));
            let mut sent = rules.ruled(list, &policy);
            black_box(wishes(&sent));
            rules.create(&mut sent, &key, &scope, &policy);
            let edits = sent.into_edits();
            let mut sent = EditedParameters::resumed(list, &edits);
            sent.apply([numbered(VoiceBridge::new(71234).expect("is one"))]);
            let sealer = CallbackKey::parse(&CallbackKey::encode([5; 32])).expect("is a key");
            let given = AddressBinding { meeting: &key, server: &server.id, expires_ms: 7 };
            let addresses = CallbackAddresses::new("https://usher.test");
            black_box(addresses.rewrite(&sealer, &mut sent, given, |_| false, || [3; 12]));
            black_box(outgoing(&server, call, &sent.to_text()));
        }
        CallStrategy::Redirect => {
            let id = Some(QueryEdit::Set("meetingID", "school~room"));
            black_box(join_url(&server, &rules.join(list, &policy, id)));
        }
        CallStrategy::Recordings(action) => {
            black_box(RecordingFilter::read(list));
            let asked = for_server(list, whose);
            black_box(outgoing(&server, ApiCall::GetRecordings, &asked));
            black_box(server_page(&asked, 100));
            let ids = ids(list);
            black_box(for_ids(&ids, whose));
            let change = match action {
                RecordingAction::Change(change) => change,
                // The other calls about recordings cost less than this.
                _ => RecordingChange::Update,
            };
            let change = ServerChange::new(change, list);
            for batch in ids.chunks(BATCH) {
                black_box(outgoing(&server, call, &change.of(batch)));
            }
        }
        CallStrategy::Hooks(action) => {
            let _ = black_box(hooks::ask(action, list));
        }
        _ => {
            let mut sent = list.edited();
            sent.apply([QueryEdit::Set("meetingID", "school~room")]);
            black_box(outgoing(&server, call, &sent.to_text()));
        }
    }
}

/// Returns whether a call is the first of those that take the same computation, which stands for
/// all of them.
fn is_first_of_its_kind(call: ApiCall) -> bool {
    let alike = |other: &ApiCall| {
        (other.strategy(), other.signing(), other.is_read())
            == (call.strategy(), call.signing(), call.is_read())
    };
    ApiCall::all().find(alike) == Some(call)
        || matches!(call.strategy(), CallStrategy::Recordings(_) | CallStrategy::Hooks(_))
}

#[test]
fn the_cost_of_every_call_grows_as_its_parameters_in_every_shape() {
    let calls: Vec<ApiCall> = ApiCall::all().filter(|call| is_first_of_its_kind(*call)).collect();
    let mut faults = Vec::new();
    for (call, (name, shape)) in calls.iter().flat_map(|call| SHAPES.iter().map(move |shape| (*call, shape)))
    {
        let result = grows_linearly(shape, |parameters| work(call, parameters));
        faults.extend(result.err().map(|fault| format!("{call:?}, {name}: {fault}")));
    }
    none_grows_too_fast(faults);
}

#[test]
fn the_cost_of_a_dial_in_request_grows_as_its_form() {
    let mut faults = Vec::new();
    for (name, shape) in SHAPES {
        let result = grows_linearly(shape, |form| {
            black_box(dial_in::DialInCall::read(form));
        });
        faults.extend(result.err().map(|fault| format!("{name}: {fault}")));
    }
    none_grows_too_fast(faults);
}
