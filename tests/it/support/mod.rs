//! What several test files need.

pub(crate) mod alone;
pub(crate) mod apt;
pub(crate) mod broken;
pub(crate) mod browser;
pub(crate) mod containerd;
pub(crate) mod hostile;
pub(crate) mod images;
pub(crate) mod kitdiff;
pub(crate) mod kits;
pub(crate) mod mirror;
pub(crate) mod oracle;
pub(crate) mod patience;
pub(crate) mod proxy;
pub(crate) mod registry;
pub(crate) mod sandbox;
pub(crate) mod systemd;
pub(crate) mod tls;
pub(crate) mod unruly;
