//! Where nothing may be delivered to: the fleet's own edges, by `public_url` and by the hosts of tenants.

use usher_model::{callback::OwnAddress, settings::Settings};

use super::fleet_handle::FleetHandle;

/// Knows the fleet's own addresses.
#[derive(Clone)]
pub struct OwnTargets {
    public: Option<OwnAddress>,
    fleet: FleetHandle,
}

impl OwnTargets {
    /// Knows those of `settings` and of the tenants in `fleet`.
    pub fn new(settings: &Settings, fleet: FleetHandle) -> Self {
        Self { public: settings.public_url.as_deref().and_then(OwnAddress::parse), fleet }
    }

    /// Tells whether an address leads to the fleet's own edges.
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
