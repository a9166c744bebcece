//! The edge: speaks the BBB API, looks meetings up in the routing table, re-signs requests.
