//! The stored half of Usher (design 3): two stores behind one port, keys and values.
//!
//! [`keys`] names what is stored, [`codec`] writes and reads the values, [`committer`] gathers
//! transactions. [`embedded`] keeps everything in this process, [`etcd`] in a cluster.

#[cfg(test)]
mod arbitrary;
pub mod codec;
pub mod committer;
pub mod embedded;
pub mod keys;
