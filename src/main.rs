//! The command `seedkit`.
fn main() {}
