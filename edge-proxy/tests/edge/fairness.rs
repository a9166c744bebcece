//! A crowd of one tenant, address or server is refused at once, and others are served as if it were not
//! there. Crowds are counted, not timed: the servers that they wait for hang until the test ends.

mod addresses;
mod bytes;
mod crowd;
mod servers;
mod tenants;
