//! The settings of the edge that the inputs go to.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use usher_bbb::secret::Secret;
use usher_model::settings::Settings;

/// The address of a proxy whose PROXY protocol headers the edge believes and requires.
pub(super) const PROXY: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

/// The password of the telephone system.
pub(super) const DIAL_IN_PASSWORD: &str = "fuzz-dial-in";

/// The URL by which servers reach the edge.
pub(super) const PUBLIC_URL: &str = "https://usher.test";

/// Returns the settings of an edge with the control plane at `plane`.
pub(super) fn edge_settings(plane: SocketAddr) -> Settings {
    let mut settings = Settings::default();
    settings.addresses.listen = ([127, 0, 0, 1], 0).into();
    settings.public_url = Some(PUBLIC_URL.into());
    settings.edge.control_plane = vec![format!("http://{plane}")];
    settings.edge.id = Some("fuzz".into());
    settings.edge.proxy_protocol_from = vec![format!("{PROXY}/32")];
    settings.edge.client_timeout = Duration::from_millis(500);
    // All inputs come from one address.
    settings.edge.max_address_connections = Some(0);
    settings.edge.max_address_requests = Some(0);
    settings.health.connect_timeout = Duration::from_millis(500);
    settings.meetings.create_timeout = Duration::from_secs(1);
    settings.meetings.call_timeout = Duration::from_secs(1);
    settings.callbacks.accept_timeout = Duration::from_secs(1);
    settings.voice.fsapi_password = Some(Secret::new(DIAL_IN_PASSWORD));
    settings
}
