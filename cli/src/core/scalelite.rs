//! Turns the keys of a Scalelite in Redis into servers, tenants and meetings to take over. The keys may come from
//! any version of Scalelite and be incomplete: an unusable entry is reported with its key, and the others are used.

mod inventory;
mod keys;
mod meetings;
mod servers;
mod tenants;

#[cfg(test)]
mod tests;

pub use inventory::{FoundMeeting, FoundServer, FoundTenant, KeyProblem, ScaleliteInventory};
pub use keys::{HashFields, RedisHash, ScaleliteKeys};

/// Returns the servers, tenants and meetings of the keys, with the faults that were found.
pub fn read(keys: &ScaleliteKeys) -> ScaleliteInventory {
    let mut found = ScaleliteInventory::default();
    servers::read(keys, &mut found);
    let tenants = tenants::read(keys, &mut found);
    meetings::read(keys, &tenants, &mut found);
    found
}
