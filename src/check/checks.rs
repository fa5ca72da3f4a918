//! The functions that test the rows: which row has which, and what each of them looks at.

use super::cluster::configuration;
use super::images::{identity, import, needed, whole};
use super::kit::{DiscView, Kit, Node};
use super::ordering::units;
use super::plan::Plan;
use super::rows::Part;
use super::seed::network;
use super::verdict::{Found, Verdict};
use super::{autoinstall, cluster, host, images, kit, ordering, packages, registry, seed};

/// All rows that have a function, in the order of the report.
const CHECKS: &[Check] = &[
    Check::row("SK0001").kit(kit::bytes_are_listed),
    Check::row("SK0002").kit(kit::artifacts_are_readable),
    Check::row("SK0101").disc(seed::disc_is_found),
    Check::row("SK0102").disc(seed::seed_is_valid),
    Check::row("SK0103").kit(seed::identity::follows_from_content).unless(seed::identity::is_not_ours),
    Check::row("SK0104").node(seed::texts_are_plain),
    Check::row("SK0105").node(seed::user_data::keys_are_known).unless(seed::is_opaque),
    Check::row("SK0106").node(seed::content::nothing_is_left_of_templates).unless(seed::is_opaque),
    Check::row("SK0107").node(seed::user_data::commands_are_text).unless(seed::is_opaque),
    Check::row("SK0108").node(network::comes_up).unless(network::is_not_described),
    Check::row("SK0109")
        .kit(network::nodes_are_apart)
        .plan(network::nodes_of_spec_are_apart)
        .unless(network::is_without_k3s),
    Check::row("SK0111").node(seed::user_data::copies_have_room).unless(seed::has_no_payload),
    Check::row("SK0112").disc(seed::disc_is_whole),
    Check::row("SK0201").node(units::enabled_units),
    Check::row("SK0202").node(units::one_owner),
    Check::row("SK0203").node(ordering::cycle::none),
    Check::row("SK0204").node(ordering::waiting::in_cloud_init),
    Check::row("SK0205").node(ordering::waiting::for_itself),
    Check::row("SK0206").kit(units::packages_are_there).node(units::k3s_waits_for_no_packages),
    Check::row("SK0207").node(units::k3s_has_time),
    Check::row("SK0208").node(units::roles),
    Check::row("SK0209").node(ordering::names::are_there),
    Check::row("SK0210").node(ordering::names::do_not_clash),
    Check::row("SK0301").node(needed::pause_image),
    Check::row("SK0302").node(needed::all_images),
    Check::row("SK0303")
        .kit(whole::archives_are_whole)
        .node(whole::tarballs_are_whole)
        .unless(seed::has_no_payload),
    Check::row("SK0304").node(whole::one_version),
    Check::row("SK0305").node(images::scripts::import_nothing),
    Check::row("SK0306").node(images::scripts::stop_at_failures),
    Check::row("SK0307").node(import::kubelet_flags).plan(import::kubelet_flags_of_spec),
    Check::row("SK0308").node(import::suffixes).plan(import::suffixes_of_spec),
    Check::row("SK0309").node(import::pins).plan(import::pins_of_spec),
    Check::row("SK0310").kit(whole::names).node(whole::names_on_nodes),
    Check::row("SK0311").node(needed::manifests),
    Check::row("SK0312").kit(import::components).plan(import::components_of_spec),
    Check::row("SK0313")
        .kit(identity::archives_are_those_of_the_bill)
        .node(identity::nodes_have_those_of_the_bill),
    Check::row("SK0314").kit(whole::images_are_whole),
    Check::row("SK0401").kit(registry::certificate::is_accepted),
    Check::row("SK0402").node(registry::configuration::files_are_there),
    Check::row("SK0403").node(registry::configuration::says_what_was_meant),
    Check::row("SK0404").node(registry::configuration::is_everywhere),
    Check::row("SK0405")
        .node(registry::configuration::has_no_default)
        .unless(registry::configuration::knows_no_default),
    Check::row("SK0406").node(registry::reach::of_kit).plan(registry::reach::of_spec),
    Check::row("SK0407").kit(registry::certificate::cluster_is_not_trusted),
    Check::row("SK0501").node(configuration::keys_are_known).plan(configuration::keys_of_spec_are_known),
    Check::row("SK0502").node(cluster::tokens::have_a_form),
    Check::row("SK0503").kit(cluster::tokens::fit_servers),
    Check::row("SK0504").kit(cluster::secrets::are_in_their_place),
    Check::row("SK0505").kit(configuration::servers_agree).plan(configuration::servers_of_spec_agree),
    Check::row("SK0506").node(configuration::name_servers).plan(configuration::name_servers_of_spec),
    Check::row("SK0507").node(configuration::network_cards),
    Check::row("SK0508").node(cluster::secrets::clocks),
    Check::row("SK0601").kit(packages::bundles_are_complete).node(packages::bundle_is_there),
    Check::row("SK0602").plan(packages::nothing_gets_older),
    Check::row("SK0603").node(packages::nothing_asks_the_network),
    Check::row("SK0604").kit(packages::installers_are_quiet).node(packages::apt_asks_nothing),
    Check::row("SK0605").plan(packages::debian_has_apparmor),
    Check::row("SK0606").kit(packages::installers_wait).node(packages::timers_are_masked),
    Check::row("SK0702").node(autoinstall::reads_the_seed).unless(autoinstall::is_not_used),
    Check::row("SK0703").node(autoinstall::settings_reach_the_node).unless(autoinstall::is_not_used),
    Check::row("SK0704").node(autoinstall::goes_on_without_a_mirror).unless(autoinstall::is_not_used),
    Check::row("SK0705").node(autoinstall::ends).unless(autoinstall::is_not_used),
    Check::row("SK0706").node(autoinstall::has_a_shell).unless(autoinstall::is_not_used),
    Check::row("SK0801").node(host::three_states),
    Check::row("SK0802").node(host::markers_name_the_seed),
    Check::row("SK0803").node(host::only_the_role_says_done),
    Check::row("SK0804").node(host::somebody_logs_in),
    Check::row("SK0902").kit(host::plugins_find_the_api).unless(host::has_a_proxy),
    Check::row("SK0903").kit(host::storage_class),
];

/// The rows that look at a disc itself; all others look at the node that it makes.
const OF_DISCS: [&str; 4] = ["SK0002", "SK0101", "SK0102", "SK0112"];

/// What tests one row: a function for each kind of subject that it looks at.
pub(super) struct Check {
    id: &'static str,
    unless: Option<fn(&Kit) -> Option<String>>,
    kit: Option<fn(&Kit, &mut Verdict)>,
    disc: Option<fn(&Kit, &DiscView, &mut Found<'_>)>,
    node: Option<fn(&Kit, &Node, &mut Found<'_>)>,
    plan: Option<fn(&Plan<'_>, &mut Found<'_>)>,
}

impl Check {
    const fn row(id: &'static str) -> Self {
        Self { id, unless: None, kit: None, disc: None, node: None, plan: None }
    }

    /// It means nothing for the kits of which `unless` says why.
    const fn unless(self, unless: fn(&Kit) -> Option<String>) -> Self {
        Self { unless: Some(unless), ..self }
    }

    /// It looks at a kit as a whole.
    const fn kit(self, work: fn(&Kit, &mut Verdict)) -> Self {
        Self { kit: Some(work), ..self }
    }

    /// It looks at each disc that can be read.
    const fn disc(self, work: fn(&Kit, &DiscView, &mut Found<'_>)) -> Self {
        Self { disc: Some(work), ..self }
    }

    /// It looks at each node that a disc makes.
    const fn node(self, work: fn(&Kit, &Node, &mut Found<'_>)) -> Self {
        Self { node: Some(work), ..self }
    }

    /// It looks at a spec and its lock.
    const fn plan(self, work: fn(&Plan<'_>, &mut Found<'_>)) -> Self {
        Self { plan: Some(work), ..self }
    }

    /// Returns what tests a row.
    pub(super) fn of(id: &str) -> Option<&'static Self> {
        CHECKS.iter().find(|check| check.id == id)
    }

    /// Looks at a finished kit, or a part of one; `None` if no function does.
    pub(super) fn look_at_kit(&self, kit: &Kit) -> Option<Verdict> {
        if !self.has_kit() {
            return None;
        }
        let mut verdict = Verdict::default();
        let is_without_node = kit.alone == Some(Part::Disc) && kit.nodes.is_empty();
        if is_without_node && !OF_DISCS.contains(&self.id) {
            verdict.not_applicable("cloud-init would find no seed on the disc");
        } else if let Some(reason) = self.unless.and_then(|unless| unless(kit)) {
            verdict.not_applicable(reason);
        } else {
            self.look_at_parts(kit, &mut verdict);
        }
        Some(verdict)
    }

    fn look_at_parts(&self, kit: &Kit, verdict: &mut Verdict) {
        if let Some(work) = self.kit {
            work(kit, verdict);
        }
        if let Some(work) = self.disc {
            for seed in &kit.seeds {
                if let Some(disc) = &seed.disc {
                    work(kit, disc, &mut verdict.of(&seed.path));
                }
            }
        }
        if let Some(work) = self.node {
            for node in &kit.nodes {
                work(kit, node, &mut verdict.of(&node.seed));
            }
        }
    }

    /// Looks at a spec and its lock; `None` if no function does.
    pub(super) fn look_at_plan(&self, plan: &Plan<'_>) -> Option<Verdict> {
        let work = self.plan?;
        let mut verdict = Verdict::default();
        work(plan, &mut verdict.of(plan.file));
        Some(verdict)
    }

    fn has_kit(&self) -> bool {
        self.kit.is_some() || self.disc.is_some() || self.node.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::rows::row;

    #[test]
    fn every_function_belongs_to_a_row_and_no_row_has_two() {
        let mut ids: Vec<&str> = CHECKS.iter().map(|check| check.id).collect();
        for check in CHECKS {
            let row = row(check.id).unwrap_or_else(|| panic!("{} is not a row", check.id));
            let (kit, plan) = (check.has_kit(), check.plan.is_some());
            assert_eq!((kit, plan), (row.scope.has_kit(), row.scope.has_spec()), "{}", check.id);
        }
        let count = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), count);
    }
}
