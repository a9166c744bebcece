//! The steps that the edge takes for a request or a body, counted: the bytes that it visits, copies and hashes, and the
//! names that it compares. A count is the same on every machine, so that the bounds are those of the code itself.

use usher_bbb::{
    call::{ApiCall, CallStrategy},
    work::steps_of,
};
use usher_edge_proxy::core::{
    document_body::{DocumentBody, PresentationEdit, PresentationMode},
    limits::PARAMETERS_MAX,
};

use super::{
    Shape, none_grows_too_fast,
    requests::{SHAPES, serve_query, signed_query},
};

/// The lengths that are compared, in parameters: the longest one that is served, and an eighth of it.
const LENGTHS: [usize; 2] = [PARAMETERS_MAX / 8, PARAMETERS_MAX];
/// The largest growth of the steps for each byte, from the shorter length to the longer. An index of many names takes
/// one comparison more for twice as many.
const GROWTH_MAX: f64 = 1.15;
/// The steps that a short request takes beside those for its bytes: lookups in a list that needs no index.
const STEPS_OF_LOOKUPS: u64 = 1000;

/// Returns the largest number of steps for each byte of a request.
fn most_steps_per_byte(call: ApiCall) -> u64 {
    match call.strategy() {
        // Found, hashed, checked to be safe in a URL, written and hashed again; one for names.
        CallStrategy::Redirect => 7,
        // The address that replaces one of an application is several times as long.
        CallStrategy::Place => 20,
        // A list is decoded where it is limited, filtered, searched and changed, and encoded for servers twice.
        CallStrategy::Recordings(_) => 24,
        _ => 7,
    }
}

fn steps(call: ApiCall, parameters: &str) -> u64 {
    let query = signed_query(call, parameters);
    steps_of(|| serve_query(call, &query)).expect("tests are built with the counter")
}

/// Returns how the steps of a call exceed a bound, for one shape of its parameters.
fn fault(call: ApiCall, shape: fn(usize) -> String) -> Option<String> {
    let [short, long] = LENGTHS.map(|count| {
        let text = shape(count);
        (text.len() as u64, steps(call, &text))
    });
    for (length, steps) in [short, long] {
        if steps > most_steps_per_byte(call) * length + STEPS_OF_LOOKUPS {
            return Some(format!("{steps} steps for {length} bytes"));
        }
    }
    let per_byte = |(length, steps): (u64, u64)| (steps + STEPS_OF_LOOKUPS) as f64 / length as f64;
    (per_byte(long) > GROWTH_MAX * per_byte(short))
        .then(|| format!("{short:?} bytes and steps become {long:?}"))
}

#[test]
fn the_steps_of_every_call_grow_as_its_parameters_up_to_the_limits() {
    let mut faults = Vec::new();
    for (call, (name, shape)) in ApiCall::all().flat_map(|call| SHAPES.iter().map(move |shape| (call, shape)))
    {
        faults.extend(fault(call, *shape).map(|fault| format!("{call}, {name}: {fault}")));
    }
    none_grows_too_fast(faults);
}

/// A join of an ordinary application takes one pass over its parameters, and a few over its bytes.
#[test]
fn the_steps_of_an_ordinary_join_are_few() {
    let join = "fullName=Ada+Lovelace&meetingID=room-42&role=VIEWER&userID=u-4711&createTime=1764489600000\
                &avatarURL=https%3A%2F%2Fapp.test%2Fa.png&guest=false&redirect=true&userdata-bbb_skip_check_audio=true";
    let (steps, length) = (steps(ApiCall::Join, join), join.len() as u64);
    assert!(steps < 7 * length, "{steps} steps for {length} bytes");
}

/// XML bodies, for a number of parts.
const BODIES: &[Shape] = &[
    ("documents", |count| {
        modules(
            &(0..count).map(|n| format!("<document url=\"https://a.test/{n}.pdf\"/>")).collect::<String>(),
        )
    }),
    ("one long document", |count| {
        modules(&format!("<document name=\"a.pdf\">{}</document>", "YWJj".repeat(count)))
    }),
    ("attributes", |count| {
        let attributes: String = (0..60).map(|n| format!(" a{n}='1'")).collect();
        modules(&format!("<document{attributes}/>").repeat(count / 60 + 1))
    }),
    ("prefixes", |count| {
        let bound: String = (0..60).map(|n| format!(" xmlns:p{n}='u'")).collect();
        let used: String = (0..60).map(|n| format!(" p{n}:a='1'")).collect();
        modules(&format!("<x{bound}><y{used}/></x>").repeat(count / 60 + 1))
    }),
    ("references", |count| modules(&"&amp;&#x41;".repeat(count))),
    ("modules", |count| {
        format!("<modules>{}</modules>", "<module name='presentation'></module>".repeat(count))
    }),
    ("comments", |count| modules(&"<!-- a -->".repeat(count))),
    ("text like markup", |count| modules(&format!("<![CDATA[{}]]>", "]]<a".repeat(count)))),
    ("instructions", |count| modules(&"<?a b?>".repeat(count))),
];

fn modules(content: &str) -> String {
    format!("<modules><module name=\"presentation\">{content}</module></modules>")
}

/// A body is checked as it comes, and once more where it gets the tenant's presentation.
#[test]
fn the_steps_of_a_body_grow_as_its_length() {
    let work = |body: &str| {
        let mut checked = DocumentBody::default();
        checked.read(body.as_bytes()).and_then(|()| checked.end()).expect("is accepted");
        for mode in [PresentationMode::Forced, PresentationMode::Default] {
            let mut edit = PresentationEdit::new(mode, "<module/>".into());
            edit.pass(body.as_bytes(), &mut Vec::new()).and_then(|()| edit.end()).expect("is accepted");
        }
    };
    let faults = BODIES.iter().filter_map(|(name, shape)| {
        let [short, long] = [1000, 8000].map(shape);
        let [of_short, of_long] =
            [&short, &long].map(|body| steps_of(|| work(body)).expect("is counted") as f64);
        let [per_short, per_long] = [of_short / short.len() as f64, of_long / long.len() as f64];
        (per_long > per_short * GROWTH_MAX || per_long > 40.0)
            .then(|| format!("{name}: {per_short}, then {per_long}"))
    });
    none_grows_too_fast(faults.collect());
}
