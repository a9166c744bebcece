//! The options of a cluster of etcd nodes.

/// The options of a cluster of etcd nodes.
#[derive(Debug, Clone)]
pub struct EtcdOptions {
    /// The number of nodes.
    pub members: usize,
    /// Whether connections are encrypted and clients need a certificate.
    pub tls: bool,
    /// Additional flags of every node.
    pub flags: Vec<String>,
    /// Whether the nodes reach each other over links.
    pub peer_links: bool,
}

impl Default for EtcdOptions {
    fn default() -> Self {
        Self { members: 1, tls: false, flags: Vec::new(), peer_links: false }
    }
}
