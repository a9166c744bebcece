use http::Method;
use usher_bbb::{
    call::ApiCall,
    checksum::{ChecksumAlgorithm, sign_query},
    secret::Secret,
};

use super::*;
use crate::{answer::ApiAnswer, options::SimOptions, request::ApiRequest};

const SECRET: &str = "lb-Secret.0123456789ABCDEFabcdef";
const V11: &str = "callbackURL=https%3A%2F%2Fapp.example.org%2Fcb%3Fa%3D1%26b%3D2&meetingID=room-42";
const V11_SHA1: &str = "a348ffec157e3590cb527aa276ec1a81572ecc78";
const V11_SHA512: &str = "75e311fa1969113dbc36833537e3c2fdd1552b0020d6113ef2af18d127fddbb38812d508ecc150281ded66583d96ac989f0acb78c1466ec8e2a83cc63b759125";

fn options(version: HooksVersion) -> SimOptions {
    SimOptions {
        secret: Secret::new(SECRET),
        hooks: HookOptions { version: Some(version), ..HookOptions::default() },
        ..SimOptions::default()
    }
}

fn registry(options: &SimOptions) -> HookRegistry {
    HookRegistry::new(&options.hooks, options.version)
}

fn call_hooks(registry: &mut HookRegistry, options: &SimOptions, call: ApiCall, query: String) -> String {
    let request =
        ApiRequest { call, method: Method::GET, query, content_type: None, body: bytes::Bytes::new() };
    match answer(registry, options, &request) {
        ApiAnswer::Xml(xml) => xml,
        other => panic!("{other:?}"),
    }
}

fn signed(call: ApiCall, query: &str) -> String {
    let algorithm = ChecksumAlgorithm::Sha1;
    sign_query(algorithm, call.name(), query.to_owned(), &Secret::new(SECRET))
}

fn hook_id(xml: &str) -> &str {
    xml.split_once("<hookID>").and_then(|(_, rest)| rest.split_once("</hookID>")).map_or("", |(id, _)| id)
}

#[test]
fn calls_are_signed_with_sha_1_for_2_x_and_by_a_list_for_3_x() {
    let upper = V11_SHA1.to_ascii_uppercase();
    for (version, checksum, fits) in [
        (HooksVersion::V2, V11_SHA1, true),
        (HooksVersion::V2, V11_SHA512, false),
        (HooksVersion::V2, upper.as_str(), false),
        (HooksVersion::V3, V11_SHA1, true),
        (HooksVersion::V3, V11_SHA512, true),
        (HooksVersion::V3, upper.as_str(), false),
        (HooksVersion::V3, "", false),
    ] {
        let options = options(version);
        for query in [format!("{V11}&checksum={checksum}"), format!("checksum={checksum}&{V11}")] {
            let xml = call_hooks(&mut registry(&options), &options, ApiCall::HooksCreate, query);
            assert_eq!(xml.contains("SUCCESS"), fits, "{version:?} {checksum}: {xml}");
            let refusal = "<response><returncode>FAILED</returncode><messageKey>checksumError</messageKey>\
                           <message>You did not pass the checksum security check.</message></response>";
            assert!(fits || xml == refusal, "{xml}");
        }
    }
    let mut strict = options(HooksVersion::V3);
    strict.hooks.algorithms = vec![ChecksumAlgorithm::Sha256];
    let xml = call_hooks(
        &mut registry(&strict),
        &strict,
        ApiCall::HooksCreate,
        format!("{V11}&checksum={V11_SHA1}"),
    );
    assert!(xml.contains("checksumError"), "{xml}");
    let options = options(HooksVersion::V3);
    for query in [V11.to_owned(), format!("{V11}&checksum={V11_SHA1}&checksum={V11_SHA1}")] {
        let xml = call_hooks(&mut registry(&options), &options, ApiCall::HooksCreate, query);
        assert!(xml.contains("checksumError"), "{xml}");
    }
}

#[test]
fn one_address_is_one_hook_whichever_parameters_follow() {
    for (version, is_id) in [
        (HooksVersion::V2, (|id: &str| id == "1") as fn(&str) -> bool),
        (HooksVersion::V3, |id: &str| {
            id.len() == 36 && id.as_bytes()[14] == b'4' && id.matches('-').count() == 4
        }),
    ] {
        let options = options(version);
        let mut hooks = registry(&options);
        let created =
            call_hooks(&mut hooks, &options, ApiCall::HooksCreate, signed(ApiCall::HooksCreate, V11));
        let id = hook_id(&created).to_owned();
        assert!(is_id(&id), "{id}");
        assert_eq!(
            created,
            format!(
                "<response><returncode>SUCCESS</returncode><hookID>{id}</hookID>\
                 <permanentHook>false</permanentHook><rawData>false</rawData></response>"
            )
        );
        let other = V11.replace("room-42", "other");
        let again =
            call_hooks(&mut hooks, &options, ApiCall::HooksCreate, signed(ApiCall::HooksCreate, &other));
        assert_eq!(
            again,
            format!(
                "<response><returncode>SUCCESS</returncode><hookID>{id}</hookID><messageKey>duplicateWarning\
                 </messageKey><message>There is already a hook for this callback URL.</message></response>"
            )
        );
        assert_eq!(hooks.hooks().len(), 1);
    }
}

#[test]
fn lists_are_as_bbb_writes_them() {
    let options = options(HooksVersion::V2);
    let mut hooks = registry(&options);
    let empty = call_hooks(&mut hooks, &options, ApiCall::HooksList, signed(ApiCall::HooksList, ""));
    assert_eq!(empty, "<response><returncode>SUCCESS</returncode><hooks></hooks></response>");
    for query in [
        "callbackURL=https%3A%2F%2Fapp.test%2Fcb%3Fa%3D1%26b%3D2&meetingID=a%26b&eventID=Meeting-Ended,user-left",
        "callbackURL=https%3A%2F%2Fapp.test%2Fall&getRaw=TRUE",
        "callbackURL=https%3A%2F%2Fapp.test%2Fother&meetingID=other",
    ] {
        call_hooks(&mut hooks, &options, ApiCall::HooksCreate, signed(ApiCall::HooksCreate, query));
    }
    let listed =
        call_hooks(&mut hooks, &options, ApiCall::HooksList, signed(ApiCall::HooksList, "meetingID=a%26b"));
    assert_eq!(
        listed,
        "<response><returncode>SUCCESS</returncode><hooks>\
         <hook><hookID>1</hookID><callbackURL><![CDATA[https://app.test/cb?a=1&b=2]]></callbackURL>\
         <meetingID><![CDATA[a&b]]></meetingID><eventID>meeting-ended,user-left</eventID>\
         <permanentHook>false</permanentHook><rawData>false</rawData></hook>\
         <hook><hookID>2</hookID><callbackURL><![CDATA[https://app.test/all]]></callbackURL>\
         <permanentHook>false</permanentHook><rawData>true</rawData></hook></hooks></response>"
    );
    let all = call_hooks(&mut hooks, &options, ApiCall::HooksList, signed(ApiCall::HooksList, ""));
    assert_eq!(all.matches("<hook>").count(), 3, "{all}");
}

#[test]
fn every_refusal_has_its_key() {
    let mut options = options(HooksVersion::V3);
    options.hooks.permanent = vec!["https://app.test/always".into(), "https://app.test/always".into()];
    let mut hooks = registry(&options);
    assert_eq!(hooks.hooks().len(), 1);
    let permanent = hooks.hooks()[0].id.clone();
    for (call, query, key) in [
        (ApiCall::HooksCreate, String::new(), "missingParamCallbackURL"),
        (ApiCall::HooksCreate, "callbackURL=x&getRaw=maybe".into(), "createHookError"),
        (ApiCall::HooksDestroy, String::new(), "missingParamHookID"),
        (ApiCall::HooksDestroy, "hookID=17".into(), "destroyMissingHook"),
        (ApiCall::HooksDestroy, format!("hookID={permanent}"), "destroyMissingHook"),
    ] {
        let xml = call_hooks(&mut hooks, &options, call, signed(call, &query));
        let start = format!("<response><returncode>FAILED</returncode><messageKey>{key}</messageKey>");
        assert!(xml.starts_with(&start), "{query}: {xml}");
    }
    let created = call_hooks(&mut hooks, &options, ApiCall::HooksCreate, signed(ApiCall::HooksCreate, V11));
    let query = format!("hookID={}", hook_id(&created));
    let gone = call_hooks(&mut hooks, &options, ApiCall::HooksDestroy, signed(ApiCall::HooksDestroy, &query));
    assert_eq!(gone, "<response><returncode>SUCCESS</returncode><removed>true</removed></response>");
    let again =
        call_hooks(&mut hooks, &options, ApiCall::HooksDestroy, signed(ApiCall::HooksDestroy, &query));
    assert!(again.contains("destroyMissingHook"), "{again}");
}
