//! Requests: every call, with every shape of parameters.

use std::{hint::black_box, time::Duration};

use usher_bbb::{
    call::{ApiCall, CallStrategy, RecordingAction, RecordingChange},
    checksum::{ChecksumAlgorithm, sign},
    query::{ParsedQuery, QueryEdit, rebuilt_form},
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
    resign::{outgoing, url},
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

const SHAPES: &[Shape] = &[
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

/// Does all work of the edge for a call with these parameters, as far as it depends on them.
fn work(call: ApiCall, parameters: &str) {
    let secrets = [Secret::new(SECRET)];
    // The query is signed in the address, and as a form in both ways.
    let signed = |over: &str| sign(ChecksumAlgorithm::Sha256, call.name(), over, &secrets[0]);
    let query = format!("{parameters}&checksum={}", signed(parameters));
    let _ = black_box(authenticate(call, parsed(&query), None, &secrets));
    let checksum = format!("checksum={}", signed(&rebuilt_form(parameters)));
    let taken = authenticate(call, parsed(&checksum), Some(parsed(parameters)), &secrets).expect("is signed");
    let list = &taken.into_parameters().expect("has no limit").into_url_safe();
    let _ = black_box(limits::check(call, list));
    let _ = black_box(validate::check(call, list));
    let parameters = list.text();
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
            let ruled = rules.ruled(parameters, &policy);
            black_box(wishes(&ruled));
            let sent = numbered(
                &rules.create(&ruled, &key, &scope, &policy),
                VoiceBridge::new(71234).expect("is one"),
            );
            let sealer = CallbackKey::parse(&CallbackKey::encode([5; 32])).expect("is a key");
            let given = AddressBinding { meeting: &key, server: &server.id, expires_ms: 7 };
            let addresses = CallbackAddresses::new("https://usher.test");
            let sent = addresses.rewrite(&sealer, &sent, given, |_| false, || [3; 12]).parameters;
            black_box(outgoing(&server, call, &sent, &[]));
        }
        CallStrategy::Redirect => {
            let changes = rules.join_changes(parameters, &policy);
            let mut edits = rules.join();
            edits.extend(changes.iter().map(usher_edge_proxy::core::rules::ParameterChange::edit));
            edits.push(QueryEdit::Set("meetingID", "school~room"));
            black_box(url(&server, call, parameters, &edits));
        }
        CallStrategy::Recordings(action) => {
            black_box(RecordingFilter::read(list));
            let asked = for_server(list, whose);
            black_box(outgoing(&server, ApiCall::GetRecordings, &asked, &[]));
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
                black_box(outgoing(&server, call, &change.of(batch), &[]));
            }
        }
        CallStrategy::Hooks(action) => {
            let _ = black_box(hooks::ask(action, list));
        }
        _ => {
            black_box(outgoing(&server, call, parameters, &[QueryEdit::Set("meetingID", "school~room")]));
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
