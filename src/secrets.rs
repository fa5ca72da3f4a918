//! The secrets folder: keys and tokens that are made once and are inputs of every build afterwards.
//!
//! A [`Secrets`] is open to its owner alone (folder 0700, files 0600) or it does not open at all. A secret
//! that exists is never made anew: two processes that create one at the same moment end with the same content.
//!
//! # Why
//! A build is reproducible only if its keys, tokens and certificates are inputs. All chance is therefore in
//! functions named `generate…`, called at most once for each name; what they return is kept here.

use std::collections::BTreeSet;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use fs_err as fs;
use fs_err::os::unix::fs::OpenOptionsExt;

pub mod names;

use crate::fs::{EVERYTHING, create_folder, create_new, hide_from_git, named_temporary, write_atomic};

/// What a secret may hold at most; the longest real one is an RSA key of 3 KiB.
const LARGEST_SECRET: u64 = 64 * 1024;
const LONGEST_NAME: usize = 100;
const OPEN_TO_OTHERS: u32 = 0o077;

/// A text that must not be printed by accident: `Debug` says `[secret]`, and there is no `Display`.
#[derive(Clone, PartialEq, Eq, derive_more::Debug, derive_more::From)]
#[debug("[secret]")]
pub struct SecretText(String);

impl SecretText {
    /// Returns the text itself, where it is needed: in a file of mode 0600 or in a seed.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Returns the text without the line ends that editors and `echo` leave after it.
    pub fn expose_line(&self) -> &str {
        self.0.trim_end_matches(['\r', '\n'])
    }
}

/// What [`Secrets::load_or_create`] found or made.
#[derive(Debug, Clone)]
pub struct Secret {
    /// The content, as it now lies on disk.
    pub text: SecretText,
    /// Whether this call is the one that made it.
    pub is_new: bool,
}

/// Says why the secrets folder or one of its files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// The name could leave the folder, or is not one that seedkit writes.
    #[error(
        "`{0}` is not the name of a secret: expected letters, digits, `.`, `_`, `-`, not starting with `.`"
    )]
    Name(String),
    /// Somebody else on the machine may read or write it.
    #[error("`{path}` is open to other users (mode {mode:04o}): type `chmod {wanted:04o} '{path}'`")]
    OpenToOthers {
        /// The folder or file.
        path: PathBuf,
        /// The permission bits it has.
        mode: u32,
        /// The permission bits it must have.
        wanted: u32,
    },
    /// The file system has no permissions, as a Windows drive under WSL has none.
    #[error(
        "`{0}` is open to every user, and its file system ignores chmod, as a Windows drive under WSL does: \
         keep the secrets in a folder of the Linux file system, such as one in your home"
    )]
    PermissionsHaveNoEffect(PathBuf),
    /// A folder, device or pipe stands where a secret should be.
    #[error("`{0}` is not a regular file")]
    NotAFile(PathBuf),
    /// More than any secret needs.
    #[error("`{0}` is too large for a secret: at most {LARGEST_SECRET} bytes")]
    TooLarge(PathBuf),
    /// An empty file, which an interrupted editor leaves behind.
    #[error("`{0}` is empty: remove it to have a new secret made")]
    Empty(PathBuf),
    /// Not a text.
    #[error("`{0}` is not UTF-8 text")]
    NotText(PathBuf),
    /// A key was lost: whoever made a new one now would hide it.
    #[error("the secrets folder has `{present}`, but not its private key `{missing}`")]
    Lost {
        /// The key.
        missing: &'static str,
        /// Its public half.
        present: &'static str,
    },
    /// The secret was there a moment ago.
    #[error("`{0}` disappeared while it was being created")]
    Disappeared(PathBuf),
    /// The operating system refused.
    #[error("cannot {0} `{1}`")]
    Io(&'static str, PathBuf, #[source] io::Error),
}

/// A folder of secrets that only its owner can enter.
#[derive(Debug, Clone)]
pub struct Secrets {
    folder: PathBuf,
    is_new: bool,
    /// Whether there were secrets when it was opened.
    had_any: bool,
    is_seen_by_git: bool,
}

impl Secrets {
    /// Opens `folder`, creating it with mode 0700 if it is missing.
    ///
    /// The folder may be a symbolic link, so that a project on a Windows drive can keep its secrets elsewhere. From its
    /// first secret on git passes it over: it says so itself, whoever wrote the spec.
    ///
    /// # Errors
    /// If others may enter it, or if its file system has no permissions; it is then not left behind if it was made now.
    pub fn open(folder: &Path) -> Result<Self, SecretsError> {
        let is_new = !folder.is_dir();
        create_folder(folder, 0o700).map_err(|source| failed("create", folder, source))?;
        let mut secrets = Self { folder: folder.to_owned(), is_new, had_any: false, is_seen_by_git: false };
        if let Err(error) = secrets.refuse_open_folder() {
            secrets.forget_unused();
            return Err(error);
        }
        if !is_new {
            secrets.had_any = !secrets.all()?.is_empty();
            // They may have come from a backup without it.
            secrets.is_seen_by_git = !secrets.hide()?;
        }
        Ok(secrets)
    }

    fn hide(&self) -> Result<bool, SecretsError> {
        hide_from_git(&self.folder, EVERYTHING).map_err(|source| failed("write to", &self.folder, source))
    }

    /// Returns whether there were secrets before this run.
    pub fn had_any(&self) -> bool {
        self.had_any
    }

    /// Returns whether git would take the secrets along: somebody else says what it passes over.
    pub fn is_seen_by_git(&self) -> bool {
        self.is_seen_by_git
    }

    /// Removes the folder if it was made by [`Secrets::open`] and no secret is in it.
    pub fn forget_unused(&self) {
        if self.is_new {
            // A folder with a secret is not empty, and stays.
            let _best_effort = fs::remove_dir(&self.folder);
        }
    }

    fn refuse_open_folder(&self) -> Result<(), SecretsError> {
        let folder = self.folder();
        let metadata = fs::metadata(folder).map_err(|source| failed("examine", folder, source))?;
        let mode = metadata.permissions().mode() & 0o7777;
        if mode & OPEN_TO_OTHERS != 0 {
            let newborn_mode = mode_of_newborn_file(folder)
                .map_err(|source| failed("learn about permissions in", folder, source))?;
            return Err(refusal(folder, mode, newborn_mode));
        }
        Ok(())
    }

    /// Returns the folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the path of a secret, whether it exists or not.
    pub fn path(&self, name: &str) -> Result<PathBuf, SecretsError> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        if name.is_empty()
            || name.len() > LONGEST_NAME
            || name.starts_with('.')
            || !name.bytes().all(is_plain)
        {
            return Err(SecretsError::Name(name.chars().take(LONGEST_NAME).collect()));
        }
        Ok(self.folder.join(name))
    }

    /// Returns a secret, or `None` if there is none of this name.
    ///
    /// # Errors
    /// If others may read or write the file, or if it is empty, huge or not text.
    pub fn load(&self, name: &str) -> Result<Option<SecretText>, SecretsError> {
        let path = self.path(name)?;
        load_file(&path)
    }

    /// Returns a secret, making it if there is none; what exists is never overwritten.
    ///
    /// If another process creates it meanwhile, what `make` returned is dropped and the other's content is
    /// returned: everybody ends with the same secret.
    pub fn load_or_create<E: From<SecretsError>>(
        &self,
        name: &str,
        make: impl FnOnce() -> Result<SecretText, E>,
    ) -> Result<Secret, E> {
        if let Some(text) = self.load(name)? {
            return Ok(Secret { text, is_new: false });
        }
        let text = make()?;
        let path = self.path(name)?;
        self.hide()?;
        match create_new(&path, text.0.as_bytes(), 0o600) {
            Ok(()) => Ok(Secret { text, is_new: true }),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let text = self.load(name)?.ok_or(SecretsError::Disappeared(path))?;
                Ok(Secret { text, is_new: false })
            }
            Err(source) => Err(failed("create", &path, source).into()),
        }
    }

    /// Returns a private key, making it if there is neither it nor its public half `public`.
    ///
    /// # Errors
    /// [`SecretsError::Lost`] if the public half alone is there.
    pub fn load_or_create_key<E: From<SecretsError>>(
        &self,
        (name, public): (&'static str, &'static str),
        make: impl FnOnce() -> Result<SecretText, E>,
    ) -> Result<Secret, E> {
        self.load_or_create(name, || {
            if self.load(public)?.is_some() {
                return Err(SecretsError::Lost { missing: name, present: public }.into());
            }
            make()
        })
    }

    /// Returns every text of the folder that is a secret, with its name: no certificate, and no public key.
    ///
    /// What is not a secret of seedkit's form, such as a folder or a file that others may read, is passed over.
    pub fn all(&self) -> Result<Vec<(String, SecretText)>, SecretsError> {
        let entries = fs::read_dir(&self.folder).map_err(|source| failed("list", &self.folder, source))?;
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let names: BTreeSet<String> = names.filter(|name| !name.ends_with(".pub")).collect();
        let load = |name: String| {
            let text = self.load(&name).ok().flatten()?;
            let is_public = ["BEGIN CERTIFICATE", "BEGIN PUBLIC KEY", "BEGIN PGP PUBLIC KEY"]
                .iter()
                .any(|label| text.expose().contains(label));
            (!is_public).then_some((name, text))
        };
        Ok(names.into_iter().filter_map(load).collect())
    }

    /// Replaces a secret by one rename; for renewals, which the user asked for by name.
    pub fn replace(&self, name: &str, text: &SecretText) -> Result<(), SecretsError> {
        let path = self.path(name)?;
        write_atomic(&path, text.0.as_bytes(), 0o600).map_err(|source| failed("replace", &path, source))
    }
}

fn failed(doing: &'static str, path: &Path, source: io::Error) -> SecretsError {
    SecretsError::Io(doing, path.to_owned(), source)
}

/// Returns the secret in a file of its own, or `None` if there is none.
///
/// # Errors
/// If others may read or write the file, or if it is empty, huge or not text.
pub fn load_file(path: &Path) -> Result<Option<SecretText>, SecretsError> {
    // Opened without waiting, then judged by its handle: a pipe cannot block us, nor a rename deceive us.
    let file = match fs::OpenOptions::new().read(true).custom_flags(open_flags()).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(failed("open", path, source)),
    };
    let metadata = file.metadata().map_err(|source| failed("examine", path, source))?;
    if !metadata.is_file() {
        return Err(SecretsError::NotAFile(path.to_owned()));
    }
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & OPEN_TO_OTHERS != 0 {
        return Err(SecretsError::OpenToOthers { path: path.to_owned(), mode, wanted: 0o600 });
    }
    let mut bytes = Vec::new();
    file.take(LARGEST_SECRET + 1).read_to_end(&mut bytes).map_err(|source| failed("read", path, source))?;
    match bytes.len() as u64 {
        0 => return Err(SecretsError::Empty(path.to_owned())),
        length if length > LARGEST_SECRET => return Err(SecretsError::TooLarge(path.to_owned())),
        _ => {}
    }
    let text = String::from_utf8(bytes).map_err(|_| SecretsError::NotText(path.to_owned()))?;
    Ok(Some(SecretText(text)))
}

fn open_flags() -> i32 {
    rustix::fs::OFlags::NONBLOCK.bits().cast_signed()
}

/// Returns the mode that a file created with 0600 really gets in `folder`.
fn mode_of_newborn_file(folder: &Path) -> io::Result<u32> {
    Ok(named_temporary(folder)?.as_file().metadata()?.permissions().mode() & 0o7777)
}

/// Chooses between the two reasons why a folder is open: nobody closed it, or nobody can.
fn refusal(folder: &Path, mode: u32, newborn_mode: u32) -> SecretsError {
    let folder = folder.to_owned();
    if newborn_mode & OPEN_TO_OTHERS != 0 {
        SecretsError::PermissionsHaveNoEffect(folder)
    } else {
        SecretsError::OpenToOthers { path: folder, mode, wanted: 0o700 }
    }
}

#[cfg(test)]
mod tests;
