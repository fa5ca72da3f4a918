//! Who starts what on a node, and when.

mod calls;
pub(super) mod cycle;
pub(super) mod names;
pub(super) mod units;
pub(super) mod waiting;

pub(super) use calls::enabled;
