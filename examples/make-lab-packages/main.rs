//! Makes the repository of Debian packages in `fixtures/lab`, and the certificate that it is signed with.
//!
//! Run it after a change to `repository.rs`: `cargo run --example make-lab-packages`, then `cargo run -- lock -f
//! fixtures/lab/seedkit.yaml`. Same source, same bytes; a test compares them with what is committed.

mod repository;

use std::path::Path;

use fs_err as fs;

fn main() -> anyhow::Result<()> {
    let lab = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/lab");
    let folder = lab.join(repository::FOLDER);
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    for (path, bytes) in repository::files()? {
        let path = lab.join(path);
        fs::create_dir_all(path.parent().unwrap_or(&lab))?;
        fs::write(path, bytes)?;
    }
    Ok(())
}
