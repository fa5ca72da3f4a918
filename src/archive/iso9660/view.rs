//! The two trees of a volume, and one thing for each.

/// The two trees of a volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum View {
    /// ECMA-119 with Rock Ridge.
    Primary,
    /// Joliet, for Windows.
    Joliet,
}

/// The trees in the order in which they are written.
pub(super) const VIEWS: [View; 2] = [View::Primary, View::Joliet];

/// One thing for each tree.
#[derive(Debug, Clone, Default)]
pub(super) struct PerView<T> {
    pub(super) primary: T,
    pub(super) joliet: T,
}

impl<T> PerView<T> {
    /// Returns the thing of one tree.
    pub(super) fn of(&self, view: View) -> &T {
        match view {
            View::Primary => &self.primary,
            View::Joliet => &self.joliet,
        }
    }

    pub(super) fn of_mut(&mut self, view: View) -> &mut T {
        match view {
            View::Primary => &mut self.primary,
            View::Joliet => &mut self.joliet,
        }
    }
}

/// Where one directory is.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Place {
    pub(super) block: u32,
    /// In bytes; a multiple of the block size.
    pub(super) length: u32,
}
