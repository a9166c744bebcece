//! Entry of the `usher` command.

fn main() {}
