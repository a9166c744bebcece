use proptest::prelude::*;
use usher_bbb::{
    parse::{ServerReply, recordings},
    query::RawQuery,
};
use usher_model::{id::TenantId, scope::TenantScope};

use super::*;

const ROOM: &str = "<response><returncode>SUCCESS</returncode><recordings><recording>\
    <recordID>6fea-17</recordID><meetingID>school~room+1</meetingID><state>published</state>\
    <metadata><usher-tenant>school</usher-tenant><course>math 101</course></metadata>\
    </recording></recordings></response>";

fn admitted(parameters: &str) -> bool {
    let Ok(ServerReply::Success(list)) = recordings(ROOM) else { panic!("no list") };
    filter(parameters).admits(&list.recordings.unwrap_or_default()[0], "room+1")
}

fn sent(tenant: &str, parameters: &str) -> String {
    let tenant = TenantId::parse(tenant).expect("is an id");
    let scope = TenantScope::of(&tenant);
    let list = ParameterList::parse(parameters, 100).expect("is short");
    for_server(&list, RecordingOwner { tenant: &tenant, scope: &scope })
}

fn filter(parameters: &str) -> RecordingFilter {
    RecordingFilter::read(&ParameterList::parse(parameters, 100).expect("is short"))
}

#[test]
fn ids_states_and_metadata_are_understood_as_bbb_does() {
    for (parameters, expected) in [
        ("", true),
        ("meetingID=&recordID=", true),
        ("meetingID=a,room%2B1", true),
        ("meetingID=room%252B1", true),
        ("meetingID=school~room%2B1", false),
        ("meetingID=room", false),
        ("recordID=6fea", true),
        ("recordID=x,6fea-17&meetingID=other", true),
        ("recordID=x&meetingID=room%2B1", false),
        ("state=any", true),
        ("state=processing,published", true),
        ("state=deleted", false),
        ("meta_course=math+101", true),
        ("meta_COURSE=%25th%25&meta_course=math%25", true),
        ("meta_course=%25101", true),
        ("meta_course=%25", true),
        ("meta_course=math", false),
        ("meta_course=&meta_other=", true),
        ("meta_course=math%25&meta_other=1", false),
        ("meta_usher-tenant=school", false),
    ] {
        assert_eq!(admitted(parameters), expected, "{parameters}");
    }
}

#[test]
fn a_page_is_the_requested_one_and_never_out_of_range() {
    let page = |parameters: &str, total| filter(parameters).page(total);
    assert_eq!(page("", 7), (0..7, None));
    assert_eq!(page("offset=5", 7), (5..7, None));
    let told = |offset, limit, total| Some(RecordingPage { offset, limit, total });
    assert_eq!(page("offset=2&limit=3", 7), (2..5, told(2, 3, 7)));
    assert_eq!(page("offset=9&limit=3", 7), (7..7, told(9, 3, 7)));
    assert_eq!(page("offset=-1&limit=0", 7), (0..1, told(0, 1, 7)));
    assert_eq!(page("offset=x&limit=999", 700), (0..100, told(0, 100, 700)));
    assert_eq!(page("limit=x", 7), (0..7, None));
}

#[test]
fn servers_get_the_filters_but_no_page() {
    assert_eq!(sent("default", "state=any&offset=1&limit=5&x=%7e"), "state=any&x=%7e");
    assert_eq!(sent("default", "meetingID=&recordID=&meta_a=&meta_b_c=1"), "");
    assert_eq!(sent("default", "meetingID=a%2Cb+c"), "meetingID=a%2Cb%20c");
    assert_eq!(sent("default", "meetingID=x&recordID=r1,r2"), "recordID=r1%2Cr2");
    assert_eq!(sent("default", "meta_usher-tenant=other&meta_course=%25x%25"), "meta_course=%25x%25");
    assert_eq!(
        sent("school", "meetingID=a&meta_usher-tenant=other"),
        "meetingID=school~a%2Ca&meta_usher-tenant=school"
    );
}

#[test]
fn a_server_that_has_only_pages_gets_one_request_after_the_other() {
    assert_eq!(server_page("state=any", 0), ("state=any&offset=0&limit=100".into(), 100));
    assert_eq!(server_page("", 100).0, "offset=100&limit=100");
}

proptest! {
    /// A server decodes the entries of a list twice, and still reads each id unchanged.
    #[test]
    fn a_server_reads_each_id_as_it_was_given(ids in prop::collection::vec("[a-z%+ é=&]{1,6}", 1..4)) {
        let ids: Vec<String> = ids.into_iter().map(|id| id.trim().to_owned()).filter(|id| !id.is_empty()).collect();
        prop_assume!(!ids.is_empty());
        let tenant = TenantId::default_tenant();
        let scope = TenantScope::of(&tenant);
        let query = for_ids(&ids, RecordingOwner { tenant: &tenant, scope: &scope });
        let list = RawQuery::new(&query).first("recordID").unwrap_or_default().into_owned();
        let read: Vec<String> = list.split(',').map(|id| decode(id).trim().to_owned()).collect();
        for id in &ids {
            prop_assert!(read.contains(id), "{id} is not in {read:?}");
        }
    }

    #[test]
    fn any_parameters_make_a_filter(parameters in ".{0,80}", total in 0_usize..300) {
        let (range, page) = filter(&parameters).page(total);
        prop_assert!(range.start <= range.end && range.end <= total);
        prop_assert!(page.is_none_or(|page| (1..=100).contains(&page.limit) && range.len() <= page.limit));
        let _ = sent("school", &parameters);
    }
}
