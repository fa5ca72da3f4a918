//! What several test files need.

pub(crate) mod hostile;
pub(crate) mod images;
pub(crate) mod oracle;
pub(crate) mod proxy;
pub(crate) mod registry;
pub(crate) mod tls;
