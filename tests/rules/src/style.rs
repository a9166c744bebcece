//! Measures how the repository is written: names of public types, words of prose, doc comments,
//! width of documents, circles of files. `cargo xtask style` prints the figures, and `tests/style.rs`
//! holds them against [`limits`].

pub mod circles;
pub mod figures;
pub mod limits;
mod modules;
mod names;
mod report;
mod survey;
mod words;

pub use report::report;
pub use survey::survey;
