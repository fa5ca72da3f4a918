//! A finished kit: what its bill of materials says, and whether its artifacts are there.
//!
//! Only names and lengths are compared: `seedkit verify` reads every byte.

use std::path::Path;

use fs_err as fs;

use crate::artifact::{Finding, SUMS};
use crate::bill::{self, Bill, BillError};
use crate::tree::TreePath;

/// Reads the bill of the kit in `folder`, and looks whether everything on it is there.
pub(super) fn read(folder: &Path) -> Result<(Bill, Vec<Finding>), BillError> {
    let bill = bill::read(folder)?;
    let artifacts =
        bill.artifacts.iter().filter_map(|(path, artifact)| judge(folder, path, Some(artifact.size)));
    let mut findings: Vec<Finding> = artifacts.chain(judge(folder, SUMS, None)).collect();
    let seeds = bill.nodes.iter().filter(|node| !bill.artifacts.contains_key(&node.seed));
    findings.extend(seeds.map(|node| {
        let reason = format!("`{}`, the seed of node `{}`, is not among its artifacts", node.seed, node.name);
        Finding::wrong(bill::FILE_NAME, reason)
    }));
    findings.sort();
    Ok((bill, findings))
}

/// Says what is wrong with a file that should be there, with that length.
fn judge(folder: &Path, path: &str, size: Option<u64>) -> Option<Finding> {
    // A bill may name what it likes; nothing outside of the kit is looked at.
    if let Err(error) = path.parse::<TreePath>() {
        return Some(Finding::wrong(path, error.to_string()));
    }
    match fs::symlink_metadata(folder.join(path)) {
        Ok(metadata) if !metadata.is_file() => Some(Finding::wrong(path, "it is not a regular file")),
        Ok(metadata) => size
            .filter(|size| *size != metadata.len())
            .map(|size| Finding::wrong(path, format!("it has {} bytes, not {size}", metadata.len()))),
        Err(_) => Some(Finding::Missing { path: path.to_owned() }),
    }
}
