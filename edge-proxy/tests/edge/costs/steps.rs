//! The steps that the edge takes for a request, counted: the bytes that it visits, copies and hashes, and the names
//! that it compares. A count is the same on every machine, so that the bounds are those of the code itself.

use usher_bbb::{
    call::{ApiCall, CallStrategy},
    work::steps_of,
};
use usher_edge_proxy::core::limits::PARAMETERS_MAX;

use super::{
    none_grows_too_fast,
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
        _ => 9,
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
