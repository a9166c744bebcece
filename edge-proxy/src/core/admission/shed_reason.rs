//! The limits over which the edge refuses, as the label `reason` of its metric.

/// The limit that a request, a connection or a callback exceeded. The set is closed, because each
/// value is a label of a metric, and `docs/operate/limits.md` has a row for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ShedReason {
    /// The tenant's calls under way at this edge cost as much as its share.
    TenantConcurrency,
    /// Too many lists of the tenant wait for processor time.
    TenantCost,
    /// As many calls are under way at one server as this tenant may have there.
    ServerConcurrency,
    /// One client address has as many connections as it may have.
    AddressConnections,
    /// One client address sends more requests in a second than it may send.
    AddressRequests,
    /// The answers and bodies in memory take as much of it as they may.
    ByteBudget,
    /// The waiting callbacks of one tenant or address fill their share of the queue.
    CallbackShare,
    /// The edge has as many connections as it may have (F13).
    Connections,
    /// The head of a request is larger than `edge.max_head`.
    HeadSize,
    /// The body of a request is larger than `edge.max_body`, or a part of it that must fit into memory is larger
    /// than it may be.
    BodySize,
    /// The body of a request took longer than `edge.client_timeout` allows.
    BodyTime,
    /// A request names too many parameters, or a list has too many entries.
    Parameters,
    /// The query of a callback is longer than a server makes it.
    CallbackQuery,
    /// A tenant has as many webhooks as it may have.
    Hooks,
    /// An HTTP/2 client withdraws too many requests, or sends a head in too many frames.
    Http2Flood,
}

impl ShedReason {
    /// All reasons, in the order of their declaration.
    pub const ALL: [Self; 15] = [
        Self::TenantConcurrency,
        Self::TenantCost,
        Self::ServerConcurrency,
        Self::AddressConnections,
        Self::AddressRequests,
        Self::ByteBudget,
        Self::CallbackShare,
        Self::Connections,
        Self::HeadSize,
        Self::BodySize,
        Self::BodyTime,
        Self::Parameters,
        Self::CallbackQuery,
        Self::Hooks,
        Self::Http2Flood,
    ];

    /// Returns the reason as the value of a label.
    pub fn name(self) -> &'static str {
        match self {
            Self::TenantConcurrency => "tenant_concurrency",
            Self::TenantCost => "tenant_cost",
            Self::ServerConcurrency => "server_concurrency",
            Self::AddressConnections => "address_connections",
            Self::AddressRequests => "address_requests",
            Self::ByteBudget => "byte_budget",
            Self::CallbackShare => "callback_share",
            Self::Connections => "connections",
            Self::HeadSize => "head_size",
            Self::BodySize => "body_size",
            Self::BodyTime => "body_time",
            Self::Parameters => "parameters",
            Self::CallbackQuery => "callback_query",
            Self::Hooks => "hooks",
            Self::Http2Flood => "http2_flood",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_at_its_index_and_has_a_name_of_its_own() {
        for (index, reason) in ShedReason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, index, "{reason:?}");
            let same = ShedReason::ALL.into_iter().filter(|other| other.name() == reason.name());
            assert_eq!(same.count(), 1, "{reason:?}");
        }
    }
}
