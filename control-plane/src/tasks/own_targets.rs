//! Addresses that must not receive deliveries: the fleet's own edges, by `public_url` and by the
//! hosts of tenants. A delivery to an edge would come back as a callback.

use usher_model::{callback::OwnAddress, settings::Settings};

use super::fleet_handle::FleetHandle;

/// Recognizes the fleet's own addresses.
#[derive(Clone)]
pub struct OwnTargets {
    public: Option<OwnAddress>,
    fleet: FleetHandle,
}

impl OwnTargets {
    /// Returns the addresses of `settings` and of the tenants in `fleet`.
    pub fn new(settings: &Settings, fleet: FleetHandle) -> Self {
        Self { public: settings.public_url.as_deref().and_then(OwnAddress::parse), fleet }
    }

    /// Returns whether an address leads to the fleet's own edges.
    pub fn include(&self, url: &str) -> bool {
        let is_tenants = |host: &str| {
            self.fleet.read(|fleet| {
                let mut hosts = fleet.tenants().flat_map(|tenant| &tenant.value.hosts);
                hosts.any(|own| own.eq_ignore_ascii_case(host))
            })
        };
        self.public.as_ref().is_some_and(|public| public.is_led_to_by(url, is_tenants))
    }
}
