//! The simulation is a test, see `tests/simulation`: what it pauses and replaces must not be part of
//! what is built beside it.
