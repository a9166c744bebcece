//! The stored half of Usher (design 3): two stores behind one port, keys and values.
