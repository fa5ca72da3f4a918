//! k3s' configuration, tokens, and how nodes join.

mod configuration;
mod leaks;
mod secrets;
mod tokens;

use super::Check;

pub(super) const CHECKS: &[Check] = &[
    Check::both("SK0501", configuration::keys_are_known, configuration::keys_of_spec_are_known),
    Check::kit("SK0502", tokens::have_a_form),
    Check::kit("SK0503", tokens::fit_servers),
    Check::kit("SK0504", secrets::are_in_their_place),
    Check::both("SK0505", configuration::servers_agree, configuration::servers_of_spec_agree),
    Check::both("SK0506", configuration::name_servers, configuration::name_servers_of_spec),
    Check::kit("SK0507", configuration::network_cards),
    Check::kit("SK0508", secrets::clocks),
];
