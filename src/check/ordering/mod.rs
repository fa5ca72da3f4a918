//! Who starts what on a node, and when.

mod calls;
mod cycle;
mod names;
mod units;
mod waiting;

use super::Check;
pub(super) use calls::enabled;

pub(super) const CHECKS: &[Check] = &[
    Check::kit("SK0201", units::enabled_units),
    Check::kit("SK0202", units::one_owner),
    Check::kit("SK0203", cycle::none),
    Check::kit("SK0204", waiting::in_cloud_init),
    Check::kit("SK0205", waiting::for_itself),
    Check::kit("SK0206", units::k3s_waits_for_no_packages),
    Check::kit("SK0207", units::k3s_has_time),
    Check::kit("SK0208", units::roles),
    Check::kit("SK0209", names::are_there),
    Check::kit("SK0210", names::do_not_clash),
];
