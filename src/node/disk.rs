//! The disk that an unattended installation erases.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

/// Which disk of several Ubuntu's installer takes, of those that are like what else is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DiskSize {
    /// The one with the most space.
    Largest,
    /// The one with the least.
    Smallest,
}

/// What is known about a disk, in the words of Ubuntu's installer: texts may have its wildcards `*`, `?` and `[…]`.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Disk")]
pub struct DiskTraits {
    /// Of several: the `largest` or the `smallest`.
    pub size: Option<DiskSize>,
    /// Its `ID_SERIAL`, which `udevadm info --query=property /dev/sda` prints. Many virtual disks have none.
    pub serial: Option<String>,
    /// Its `ID_MODEL`. Needs `size` beside it: two disks may be of one model.
    pub model: Option<String>,
    /// Its device, such as `/dev/vda`; a machine with several disks may count them in another order each time.
    pub path: Option<String>,
}

/// Says why a disk cannot be told from the others by what is said about it.
#[derive(Debug, thiserror::Error, Clone, Copy, PartialEq, Eq)]
pub enum NoSuchDisk {
    /// Nothing is said, or an empty text.
    #[error("this does not say which disk")]
    Unsaid,
    /// The installer compares the kernel's own names alone.
    #[error("this is not the name of a disk's device")]
    NotADevice,
    /// The installer takes any one of those that are like that.
    #[error("several disks may be like that, and the installer takes any one of them")]
    Several,
}

/// The disk that an unattended installation erases: what is said about it leaves no choice to the installer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InstallDisk(DiskTraits);

impl TryFrom<DiskTraits> for InstallDisk {
    type Error = NoSuchDisk;

    fn try_from(traits: DiskTraits) -> Result<Self, NoSuchDisk> {
        let DiskTraits { size, serial, model, path } = &traits;
        let texts = [serial, model, path].map(|text| text.as_deref());
        if texts.iter().flatten().any(|text| text.trim().is_empty()) {
            return Err(NoSuchDisk::Unsaid);
        }
        let is_device = |path: &str| path.starts_with("/dev/") && !path.starts_with("/dev/disk/");
        if path.as_deref().is_some_and(|path| !is_device(path)) {
            return Err(NoSuchDisk::NotADevice);
        }
        let is_one =
            |text: &Option<String>| text.as_ref().is_some_and(|text| !text.contains(['*', '?', '[']));
        if size.is_some() || is_one(serial) || is_one(path) {
            return Ok(Self(traits));
        }
        Err(if texts.iter().all(Option::is_none) { NoSuchDisk::Unsaid } else { NoSuchDisk::Several })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_to_erase_is_one_of_which_there_is_no_second() {
        let disk = |text: &str| InstallDisk::try_from(serde_json::from_str::<DiskTraits>(text).unwrap());
        for text in [
            r#"{"size": "largest"}"#,
            r#"{"serial": "QM00001"}"#,
            r#"{"path": "/dev/vda"}"#,
            r#"{"size": "smallest", "model": "Samsung*"}"#,
            r#"{"serial": "QM00001", "model": "QEMU*"}"#,
        ] {
            assert_eq!(
                serde_json::to_string(&disk(text).unwrap()).unwrap(),
                text.replace(": ", ":").replace(", ", ",")
            );
        }
        for (text, error) in [
            ("{}", NoSuchDisk::Unsaid),
            (r#"{"serial": " "}"#, NoSuchDisk::Unsaid),
            (r#"{"path": "", "size": "largest"}"#, NoSuchDisk::Unsaid),
            (r#"{"path": "sda"}"#, NoSuchDisk::NotADevice),
            (r#"{"path": "/dev/disk/by-id/scsi-1"}"#, NoSuchDisk::NotADevice),
            (r#"{"model": "QEMU HARDDISK"}"#, NoSuchDisk::Several),
            (r#"{"serial": "QM*"}"#, NoSuchDisk::Several),
            (r#"{"path": "/dev/sd?"}"#, NoSuchDisk::Several),
        ] {
            assert_eq!(disk(text), Err(error), "{text}");
        }
    }
}
