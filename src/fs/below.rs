//! Opening files in folders that somebody else made.

use std::fs::File;
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

/// Opens the file `name` below `folder`; `None` if it is not a regular file.
///
/// Links are not followed on the way: one could lead out of the folder, to a device, to a FIFO.
pub fn open_below(folder: &Path, name: &str) -> Result<Option<File>, Errno> {
    let on_the_way = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let at_the_end = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let mut components = name.split('/').peekable();
    let mut place = rustix::fs::open(folder, on_the_way, Mode::empty())?;
    while let Some(component) = components.next() {
        let is_last = components.peek().is_none();
        let flags = if is_last { at_the_end } else { on_the_way | OFlags::NOFOLLOW };
        place = rustix::fs::openat(&place, component, flags, Mode::empty())?;
    }
    let file = File::from(place);
    let is_file = file.metadata().is_ok_and(|metadata| metadata.is_file());
    Ok(is_file.then_some(file))
}
