//! The conventions of the API for tools (ADR 43), over the descriptors of its services. The services
//! for edges are exempt, because their messages must stay as edges of neighbouring versions know them.

use std::collections::{BTreeMap, BTreeSet};

use prost_reflect::{
    Cardinality, DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor,
    Value,
};

/// Services that only edges call.
const FOR_EDGES: [&str; 4] = ["RoutingService", "PlacementService", "CallbackService", "LibraryService"];
/// Calls of other services that only edges make.
const CALLS_OF_EDGES: [&str; 1] = ["AcceptEvents"];
/// Endings of the names of durations.
const DURATIONS: [&str; 3] = ["_duration", "_age", "_interval"];
/// Endings that a number with a unit of time would have.
const RAW_TIMES: [&str; 7] = ["_ms", "_millis", "_milliseconds", "_seconds", "_secs", "_nanos", "_minutes"];

struct ToolApi {
    pool: DescriptorPool,
    methods: Vec<MethodDescriptor>,
    /// The messages that requests and answers have, by name.
    messages: BTreeMap<String, MessageDescriptor>,
}

impl ToolApi {
    fn read() -> Self {
        let pool = DescriptorPool::decode(usher_proto::DESCRIPTORS).expect("is a descriptor set");
        let services = pool.services().filter(|service| service.package_name() == "usher.v1");
        let services: Vec<_> = services.filter(|service| !FOR_EDGES.contains(&service.name())).collect();
        let methods = services.iter().flat_map(|service| service.methods().collect::<Vec<_>>());
        let methods: Vec<_> = methods.filter(|method| !CALLS_OF_EDGES.contains(&method.name())).collect();
        let mut messages = BTreeMap::new();
        for method in &methods {
            collect(&method.input(), &mut messages);
            collect(&method.output(), &mut messages);
        }
        Self { pool, methods, messages }
    }

    fn fields(&self) -> impl Iterator<Item = FieldDescriptor> {
        self.messages.values().flat_map(|message| message.fields().collect::<Vec<_>>())
    }

    /// Returns the value of an option of `google.api`, if it is set.
    fn option(&self, options: &DynamicMessage, name: &str) -> Option<Value> {
        let option = self.pool.get_extension_by_name(&format!("google.api.{name}")).expect("is declared");
        options.has_extension(&option).then(|| options.get_extension(&option).into_owned())
    }

    fn text_of(&self, options: &DynamicMessage, option: &str, field: &str) -> Option<String> {
        let value = self.option(options, option)?;
        let text = value.as_message()?.get_field_by_name(field)?.as_str()?.to_owned();
        (!text.is_empty()).then_some(text)
    }

    /// Returns the resource that a message describes.
    fn resource(&self, message: &MessageDescriptor) -> Option<String> {
        self.text_of(&message.options(), "resource", "type")
    }

    fn reference(&self, field: &FieldDescriptor) -> Option<String> {
        let of = |part| self.text_of(&field.options(), "resource_reference", part);
        of("type").or_else(|| of("child_type"))
    }

    /// Returns the numbers of `google.api.FieldBehavior` of a field.
    fn behaviors(&self, field: &FieldDescriptor) -> Vec<i32> {
        let value = self.option(&field.options(), "field_behavior");
        let list = value.as_ref().and_then(Value::as_list).unwrap_or_default();
        list.iter().filter_map(Value::as_enum_number).collect()
    }
}

const OPTIONAL: i32 = 1;
const REQUIRED: i32 = 2;
const IDENTIFIER: i32 = 8;

fn collect(message: &MessageDescriptor, all: &mut BTreeMap<String, MessageDescriptor>) {
    if message.package_name() != "usher.v1" || all.contains_key(message.name()) {
        return;
    }
    all.insert(message.name().to_owned(), message.clone());
    for field in message.fields() {
        if let Kind::Message(inner) = field.kind() {
            collect(&inner, all);
        }
    }
}

/// Returns the comment above a field.
fn comment(field: &FieldDescriptor) -> String {
    let file = field.parent_file();
    let info = file.file_descriptor_proto().source_code_info.as_ref().expect("has its source");
    let place = info.location.iter().find(|place| place.path == field.path());
    place.map(|place| place.leading_comments().to_owned()).unwrap_or_default()
}

fn is_text(field: &FieldDescriptor) -> bool {
    field.kind() == Kind::String
}

#[test]
fn the_api_for_tools_has_its_messages() {
    let api = ToolApi::read();
    for name in ["Server", "Meeting", "Tenant", "Hook", "GetStatusResponse", "Alarm", "TenantPolicy"] {
        assert!(api.messages.contains_key(name), "{name}");
    }
    assert!(!api.messages.contains_key("MeetingKey") && api.methods.len() > 35, "{}", api.methods.len());
}

#[test]
fn a_message_with_a_name_is_a_resource_and_its_name_its_identifier() {
    let api = ToolApi::read();
    let mut resources = BTreeSet::new();
    for message in api.messages.values().filter(|message| !message.name().ends_with("Request")) {
        let name = message.get_field_by_name("name");
        let resource = api.resource(message);
        assert_eq!(
            name.is_some(),
            resource.is_some(),
            "{}: a resource has a `name`, and no other message has one",
            message.name()
        );
        let (Some(name), Some(resource)) = (name, resource) else { continue };
        assert_eq!(resource, format!("usher/{}", message.name()));
        assert_eq!(api.behaviors(&name), [IDENTIFIER], "{}", name.full_name());
        for part in ["plural", "singular"] {
            assert!(api.text_of(&message.options(), "resource", part).is_some(), "{resource}: {part}");
        }
        resources.insert(message.name().to_owned());
    }
    // A `Get` returns a resource.
    for method in api.methods.iter().filter(|method| method.name() != "GetStatus") {
        if let Some(kind) = method.name().strip_prefix("Get") {
            assert!(resources.contains(kind), "{} returns no resource", method.name());
        }
    }
}

#[test]
fn every_reference_says_to_which_resource() {
    let api = ToolApi::read();
    let resources: BTreeSet<String> =
        api.messages.values().filter_map(|message| api.resource(message)).collect();
    let option = |message: &MessageDescriptor, part| api.text_of(&message.options(), "resource", part);
    let described = api.messages.values().filter(|message| api.resource(message).is_some());
    let words: BTreeSet<String> = described
        .flat_map(|message| ["singular", "plural"].map(|part| option(message, part)))
        .flatten()
        .collect();
    for field in api.fields() {
        let reference = api.reference(&field);
        if let Some(to) = &reference {
            assert!(to == "*" || resources.contains(to), "{}: `{to}` is no resource", field.full_name());
        }
        if !is_text(&field) || api.behaviors(&field) == [IDENTIFIER] {
            continue;
        }
        // A text refers to a resource by its name, or its comment says so.
        let is_named = ["name", "names", "parent", "removed"].contains(&field.name());
        let comment = comment(&field);
        let shows_form = words.iter().any(|word| comment.trim_start().starts_with(&format!("`{word}/")));
        if is_named || shows_form || words.contains(field.name()) {
            assert!(reference.is_some(), "{} lacks a resource_reference", field.full_name());
        }
    }
}

#[test]
fn a_bare_id_stands_beside_the_name_or_makes_one() {
    let api = ToolApi::read();
    for field in api.fields().filter(is_text) {
        let Some(kind) = field.name().strip_suffix("_id") else { continue };
        let message = field.parent_message();
        let is_own = message.name().eq_ignore_ascii_case(kind);
        let makes = message.name().eq_ignore_ascii_case(&format!("create{kind}request"));
        let has_name = message.get_field_by_name(kind).is_some();
        let names_none = ["internal_id", "request_id"].contains(&field.name());
        assert!(is_own || makes || has_name || names_none, "{}: write the resource name", field.full_name());
    }
}

#[test]
fn times_and_durations_are_timestamps_and_durations() {
    let api = ToolApi::read();
    for field in api.fields() {
        let (name, full) = (field.name(), field.full_name());
        let is_raw = RAW_TIMES.iter().any(|ending| name.ends_with(ending));
        assert!(!is_raw, "{full}: use google.protobuf.Timestamp or Duration");
        let of = |wanted: &str| matches!(field.kind(), Kind::Message(kind) if kind.full_name() == wanted);
        let is_time = of("google.protobuf.Timestamp");
        assert_eq!(
            is_time,
            name.ends_with("_time"),
            "{full}: a timestamp, and nothing else, ends in `_time`"
        );
        let is_duration = of("google.protobuf.Duration");
        let named = DURATIONS.iter().any(|ending| name.ends_with(ending));
        assert_eq!(is_duration, named, "{full}: a duration, and nothing else, ends in one of {DURATIONS:?}");
    }
}

#[test]
fn every_field_of_a_request_says_whether_it_is_required() {
    let api = ToolApi::read();
    for field in api.methods.iter().flat_map(|method| method.input().fields().collect::<Vec<_>>()) {
        let behaviors = api.behaviors(&field);
        assert!(behaviors == [OPTIONAL] || behaviors == [REQUIRED], "{}: {behaviors:?}", field.full_name());
        assert!(field.cardinality() != Cardinality::Required);
    }
    for message in api.messages.values().filter(|message| api.resource(message).is_some()) {
        for field in message.fields() {
            assert!(!api.behaviors(&field).is_empty(), "{} has no field_behavior", field.full_name());
        }
    }
}

#[test]
fn every_call_has_an_http_path_whose_variables_are_fields_of_its_request() {
    let api = ToolApi::read();
    let mut paths = BTreeSet::new();
    for method in &api.methods {
        let of = |verb| api.text_of(&method.options(), "http", verb).map(|path| (verb, path));
        let found = ["get", "post", "patch", "delete"].into_iter().find_map(of);
        let (verb, path) = found.unwrap_or_else(|| panic!("{} has no google.api.http", method.name()));
        assert!(paths.insert((verb, path.clone())), "{}: {verb} {path} is taken", method.name());
        assert!(path.starts_with("/v1/"), "{path}");
        if let Some((variable, _)) = path.split_once('{').and_then(|(_, rest)| rest.split_once('=')) {
            let mut message = Some(method.input());
            for part in variable.split('.') {
                let field = message.as_ref().and_then(|message| message.get_field_by_name(part));
                let field = field.unwrap_or_else(|| panic!("{}: `{variable}` is no field", method.name()));
                message = if let Kind::Message(inner) = field.kind() { Some(inner) } else { None };
            }
        }
    }
}
