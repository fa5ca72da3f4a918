//! The lists that come with seedkit.

/// The list that seedkit's first users kept by hand, of `source destination` pairs.
pub const SEEDS: &str = include_str!("../../images/seeds.txt");

/// KubeSphere 3.1.0, with its `##` groups.
pub const KUBESPHERE: &str = include_str!("../../images/kubesphere.txt");

/// The k3s releases whose image list is known for certain, each with its list.
const K3S: [(&str, &str); 4] = [
    ("v1.33.4+k3s1", include_str!("../../images/k3s-v1.33.4+k3s1.txt")),
    ("v1.33.5+k3s1", include_str!("../../images/k3s-v1.33.5+k3s1.txt")),
    ("v1.35.0+k3s1", include_str!("../../images/k3s-v1.35.0+k3s1.txt")),
    ("v1.37.1+k3s1", include_str!("../../images/k3s-v1.37.1+k3s1.txt")),
];

/// Returns the images that a k3s release needs, such as that of `v1.33.4+k3s1`.
///
/// Only the exact release counts. A neighbour's list would name images of other versions: the cluster would
/// look for its own in vain, and offline there is nowhere else to look. For any other release the user
/// gives the release's own `k3s-images.txt`.
pub fn builtin_k3s(version: &str) -> Option<&'static str> {
    K3S.iter().find(|(release, _)| *release == version).map(|(_, list)| *list)
}

/// Returns the k3s releases that [`builtin_k3s`] knows, oldest first.
pub fn builtin_k3s_releases() -> impl Iterator<Item = &'static str> {
    K3S.iter().map(|(release, _)| *release)
}
