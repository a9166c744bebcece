//! Stored statements of replicas: `replicas/NAME`. The fleet does not fold them, and `keys` does not
//! parse them.

use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use prost::Message;
use usher_model::id::EdgeId;
use usher_proto::store as pb;

use crate::core::replicas::{AlarmStatement, EdgeStatement, ReplicaStatement};

/// Prefix of the keys.
pub const PREFIX: &str = "replicas/";

const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

/// Returns the key of a replica's statement. The name is percent-encoded.
pub fn path(name: &str) -> String {
    format!("{PREFIX}{}", utf8_percent_encode(name, ENCODED))
}

/// Returns the name of the replica that a key belongs to.
pub fn name_of(path: &str) -> Option<String> {
    let name = percent_decode_str(path.strip_prefix(PREFIX)?).decode_utf8().ok()?;
    Some(name.into_owned())
}

/// Encodes a statement.
pub fn encode(statement: &ReplicaStatement) -> Bytes {
    let edge = |edge: &EdgeStatement| pb::ReplicaEdgeValue {
        id: edge.id.to_string(),
        address: edge.address.clone(),
        version: edge.version.clone(),
        connected_at_ms: edge.connected_ms,
        behind_since_ms: edge.behind_since_ms,
    };
    let alarm = |alarm: &AlarmStatement| pb::ReplicaAlarmValue {
        name: alarm.name.clone(),
        detail: alarm.detail.clone(),
    };
    let value = pb::ReplicaValue {
        version: statement.version.clone(),
        started_at_ms: statement.started_ms,
        edges: statement.edges.iter().map(edge).collect(),
        more_edges: statement.more_edges,
        alarms: statement.alarms.iter().map(alarm).collect(),
        libraries: statement.libraries.clone(),
    };
    value.encode_to_vec().into()
}

/// Reads a statement, within its bounds; `None` if the bytes are none. An edge with an unreadable
/// name is left out.
pub fn decode(bytes: &[u8]) -> Option<ReplicaStatement> {
    let value = pb::ReplicaValue::decode(bytes).ok()?;
    let edge = |edge: pb::ReplicaEdgeValue| {
        Some(EdgeStatement {
            id: EdgeId::parse(&edge.id).ok()?,
            address: edge.address,
            version: edge.version,
            connected_ms: edge.connected_at_ms,
            behind_since_ms: edge.behind_since_ms,
        })
    };
    let alarm = |alarm: pb::ReplicaAlarmValue| AlarmStatement { name: alarm.name, detail: alarm.detail };
    let more_edges = value.more_edges;
    let statement = ReplicaStatement {
        version: value.version,
        started_ms: value.started_at_ms,
        edges: value.edges.into_iter().filter_map(edge).collect(),
        more_edges: 0,
        alarms: value.alarms.into_iter().map(alarm).collect(),
        libraries: value.libraries,
    };
    let bounded = statement.bounded();
    Some(ReplicaStatement { more_edges: bounded.more_edges.saturating_add(more_edges), ..bounded })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_and_its_key_read_back() {
        for name in ["cp-1", "host/ü 1", "a.b_c-7"] {
            assert_eq!(name_of(&path(name)).as_deref(), Some(name));
            assert!(!path(name)[PREFIX.len()..].contains('/'));
        }
        let edge = EdgeStatement {
            id: EdgeId::parse("edge-1").expect("is an id"),
            address: "http://10.0.0.1:8080".into(),
            version: "1.2.3".into(),
            connected_ms: 1_700_000_000_000,
            behind_since_ms: Some(1_700_000_000_500),
        };
        let statement = ReplicaStatement {
            version: "1.2.3".into(),
            started_ms: 1_600_000_000_000,
            edges: vec![edge],
            more_edges: 3,
            alarms: vec![AlarmStatement { name: "store_space".into(), detail: "full".into() }],
            libraries: vec!["http://10.0.0.9:9092".into()],
        };
        assert_eq!(decode(&encode(&statement)), Some(statement));
        assert_eq!(decode(b"\x08"), None);
    }
}
