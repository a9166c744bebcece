//! The edge: speaks the BBB API, looks meetings up in the routing table and re-signs requests.

pub mod control;
