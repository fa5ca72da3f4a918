//! The tar archives inside packages, as dpkg reads them: confined, bounded, with members of known kinds.

use std::io::{self, Read};

use super::InvalidPackage;
use crate::archive::Bounded;
use crate::archive::untar::{MemberKind, TarFault, Untar};
use crate::deb::packing::Packing;

/// A member of a package that is a tar archive.
pub(super) struct TarMember {
    pub(super) name: String,
    pub(super) packing: Packing,
}

/// A member of such an archive.
pub(super) struct Member<'input> {
    /// The path in the package, without `./` before it and a slash after it.
    pub(super) path: &'input str,
    /// The length of a regular file; `None` for anything else.
    pub(super) file_size: Option<u64>,
    pub(super) content: &'input mut dyn Read,
}

impl TarMember {
    /// Calls `visit` with every member, and never unpacks more than `limit` bytes.
    ///
    /// PAX headers are refused, as dpkg does; those of GNU for long names are read.
    pub(super) fn visit(
        &self,
        packed: impl Read,
        limit: u64,
        mut visit: impl FnMut(Member<'_>) -> io::Result<()>,
    ) -> Result<(), InvalidPackage> {
        let unpack = |source| InvalidPackage::Unpack(self.name.clone(), source);
        let mut input = Bounded::new(self.packing.open(packed).map_err(unpack)?, limit);
        let visited = self.visit_tar(&mut input, &mut visit);
        if input.is_exceeded() { Err(InvalidPackage::TooLarge(self.name.clone(), limit)) } else { visited }
    }

    fn visit_tar(
        &self,
        input: &mut impl Read,
        visit: &mut dyn FnMut(Member<'_>) -> io::Result<()>,
    ) -> Result<(), InvalidPackage> {
        let mut archive = Untar::of_package(input);
        while let Some(member) = archive.next_member().map_err(|fault| self.invalid(fault))? {
            let file_size = (member.kind == MemberKind::File).then_some(member.size);
            let visited = visit(Member { path: member.path.as_str(), file_size, content: &mut archive });
            visited.map_err(|error| self.invalid(archive.fault(error)))?;
        }
        Ok(())
    }

    fn invalid(&self, fault: TarFault) -> InvalidPackage {
        let member = self.name.clone();
        match fault {
            TarFault::Path(path) => InvalidPackage::Path { member, path },
            TarFault::Kind(path, kind) => InvalidPackage::Kind { member, path, kind },
            TarFault::Read(_, source) => InvalidPackage::Unpack(member, source),
            fault @ (TarFault::Truncated(..)
            | TarFault::Header(..)
            | TarFault::Extension(..)
            | TarFault::Duplicate(..)
            | TarFault::TooMany) => InvalidPackage::Unpack(member, io::Error::other(fault)),
        }
    }
}
