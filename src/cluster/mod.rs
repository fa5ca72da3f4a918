//! What belongs to the cluster as a whole, and not to one node.

pub mod tokens;
