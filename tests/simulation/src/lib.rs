//! The library of the simulation is empty: the simulation is a test, see `tests/simulation`. The
//! symbols that it replaces must not be part of any other build.
