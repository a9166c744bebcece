//! The calls of a browser's session. The simulated server knows no session for them and answers as
//! BBB does to an unknown token.

use serde_json::{Value, json};
use usher_bbb::{call::ApiCall, reply};

use crate::{answer::ApiAnswer, options::BbbVersion, request::ApiParams};

pub(super) fn answer(version: BbbVersion, call: ApiCall, base: &str, params: &ApiParams) -> ApiAnswer {
    let failed = |rest: Value| {
        let mut response = json!({ "returncode": "FAILED" });
        if let (Value::Object(all), Value::Object(rest)) = (&mut response, rest) {
            all.extend(rest);
        }
        response
    };
    let enveloped = |rest| ApiAnswer::Json(json!({ "response": failed(rest) }).to_string());
    match call {
        ApiCall::Enter if version < BbbVersion::V3_0 => {
            enveloped(json!({ "message": "User denied access for this session", "logoutURL": base }))
        }
        ApiCall::Stuns => ApiAnswer::Json(
            failed(json!({ "message": "Could not find conference.", "logoutURL": base })).to_string(),
        ),
        ApiCall::SignOut => ApiAnswer::Xml(reply::success(|_| {})),
        ApiCall::LearningDashboard => enveloped(json!({ "message": "Invalid session token" })),
        ApiCall::GuestWait => enveloped(json!({
            "messageKey": "missingSession", "message": "Invalid session token", "url": base,
        })),
        ApiCall::GetJoinUrl if version > BbbVersion::V2_5 => enveloped(json!({
            "message": "Could not find user session.", "sessionToken": params.get("sessionToken"),
        })),
        _ => ApiAnswer::NotFound,
    }
}
