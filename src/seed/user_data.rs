//! What cloud-init takes user-data for.

use serde::Serialize;

/// What user-data is to cloud-init, told from how it starts (`INCLUSION_TYPES_MAP` and `type_from_starts_with` in
/// cloudinit/handlers, which take no notice of blanks before it, or of capitals).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, derive_more::Display)]
#[serde(rename_all = "kebab-case")]
pub enum UserDataFormat {
    /// A mapping in YAML.
    #[display("a cloud-config")]
    CloudConfig,
    /// A list of parts in YAML.
    #[display("an archive of cloud-init's")]
    CloudConfigArchive,
    /// A program.
    #[display("a script")]
    Script,
    /// A program that runs early in each boot.
    #[display("a script of cloud-init's")]
    Boothook,
    /// Addresses of what is to be fetched.
    #[display("a list of addresses")]
    Include,
    /// A template of any of these.
    #[display("a template for jinja")]
    Jinja,
    /// A program for parts of a kind of its own.
    #[display("a handler of cloud-init's")]
    PartHandler,
    /// Several parts, as in a mail.
    #[display("of several parts")]
    Multipart,
    /// Any of these, compressed by gzip.
    #[display("compressed")]
    Compressed,
    /// Nothing.
    #[display("empty")]
    Empty,
    /// What cloud-init passes over with a warning.
    #[display("unknown")]
    Unknown,
}

/// How each starts, in small letters; the longer before the shorter that begins alike.
const STARTS: [(&str, UserDataFormat); 9] = [
    ("#cloud-config-archive", UserDataFormat::CloudConfigArchive),
    ("#cloud-config", UserDataFormat::CloudConfig),
    ("#cloud-boothook", UserDataFormat::Boothook),
    ("#part-handler", UserDataFormat::PartHandler),
    ("#include", UserDataFormat::Include),
    ("## template: jinja", UserDataFormat::Jinja),
    ("#!", UserDataFormat::Script),
    ("content-type: multipart", UserDataFormat::Multipart),
    ("mime-version:", UserDataFormat::Multipart),
];

impl UserDataFormat {
    /// Tells what user-data is; only its first bytes are looked at.
    pub fn of(user_data: &[u8]) -> Self {
        if user_data.starts_with(&[0x1f, 0x8b]) {
            return Self::Compressed;
        }
        let text = user_data.trim_ascii_start();
        let starts_with = |start: &str| {
            text.get(..start.len()).is_some_and(|found| found.eq_ignore_ascii_case(start.as_bytes()))
        };
        let known = STARTS.iter().find(|(start, _)| starts_with(start));
        known.map_or(if text.is_empty() { Self::Empty } else { Self::Unknown }, |(_, format)| *format)
    }

    /// Returns whether this is something of which nothing is known without doing what cloud-init would do with it.
    pub fn is_opaque(self) -> bool {
        !matches!(self, Self::CloudConfig | Self::Empty | Self::Unknown)
    }
}
