//! The targets. Input becomes text as in the servers: bytes that are not UTF-8 become U+FFFD.

mod answers;
mod bodies;
mod callbacks;
mod dial_in;
mod list_filter;
mod proxy_header;
mod queries;
mod recordings;
mod server_list;
mod whole_request;

/// A target.
pub struct FuzzTarget {
    /// The name, also of the folder of its seeds.
    pub name: &'static str,
    /// The function that checks the law for an input.
    pub run: fn(&[u8]),
}

/// Every target, in the order of the runs.
pub static ALL: [FuzzTarget; 20] = [
    FuzzTarget { name: "raw_query", run: queries::raw_query },
    FuzzTarget { name: "parameter_list", run: queries::parameter_list },
    FuzzTarget { name: "checksum_removal", run: queries::checksum_removal },
    FuzzTarget { name: "server_xml", run: answers::server_xml },
    FuzzTarget { name: "server_list", run: server_list::server_list },
    FuzzTarget { name: "federated_lists", run: answers::federated_lists },
    FuzzTarget { name: "document_body", run: bodies::document_body },
    FuzzTarget { name: "presentation_edit", run: bodies::presentation_edit },
    FuzzTarget { name: "form_body", run: bodies::form_body },
    FuzzTarget { name: "multipart_body", run: bodies::multipart_body },
    FuzzTarget { name: "proxy_header", run: proxy_header::proxy_header },
    FuzzTarget { name: "callback", run: callbacks::callback },
    FuzzTarget { name: "callback_address", run: callbacks::callback_address },
    FuzzTarget { name: "callback_request", run: callbacks::callback_request },
    FuzzTarget { name: "webhook_event", run: callbacks::webhook_event },
    FuzzTarget { name: "dial_in", run: dial_in::dial_in },
    FuzzTarget { name: "list_filter", run: list_filter::list_filter },
    FuzzTarget { name: "recording_metadata", run: recordings::recording_metadata },
    FuzzTarget { name: "recording_offer", run: recordings::recording_offer },
    FuzzTarget { name: "whole_request", run: whole_request::whole_request },
];

/// Returns the target of this name.
pub fn named(name: &str) -> Option<&'static FuzzTarget> {
    ALL.iter().find(|target| target.name == name)
}
