//! What belongs to the cluster as a whole, and not to one node.

pub mod authorities;
pub mod executable;
pub mod mirrors;
pub mod tokens;
