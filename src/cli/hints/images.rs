//! What to do about images and registries.

use super::Hint;
use crate::fetch::pulls::NoPullsLeft;
use crate::fetch::transfer::TransferError;
use crate::oci::graph::GraphError;
use crate::oci::{SourceError, SourceErrorKind};
use crate::registry::Fault;
use crate::store::{Mismatch, StoreError};

impl Hint for NoPullsLeft {
    fn hint(&self) -> Option<&'static str> {
        Some(
            "wait until there are more, log in with `docker login HOST`, or name a mirror under `sources.HOST.mirrors`",
        )
    }
}

impl Hint for TransferError {
    fn hint(&self) -> Option<&'static str> {
        matches!(self, Self::Store(_, StoreError::Mismatch(_))).then_some(
            "run the same command again; if it says the same, the image is damaged where it comes from",
        )
    }
}

impl Hint for GraphError {
    fn hints(&self) -> Vec<String> {
        let without = "leave signatures out with `images.signatures: false`";
        let hint = match self {
            Self::Source(source) => return source.hints(),
            Self::NoSuchPlatform { .. } => {
                "take the platform out of `platforms`, or choose an image that has it".to_owned()
            }
            Self::Attachments(_, source) => match source.hint() {
                Some(first) => format!("{first}; or {without}"),
                None => without.to_owned(),
            },
            Self::NotAttached { .. } => format!("{without}, or ask who keeps the repository"),
            Self::Manifest(_, source) if source.is_unsupported() => UNSUPPORTED.to_owned(),
            Self::Manifest { .. } | Self::SizesDiffer { .. } | Self::TooLarge { .. } => return Vec::new(),
        };
        vec![hint]
    }
}

const UNSUPPORTED: &str = "no current container runtime takes it: choose another image or tag, or have it built and \
                           pushed anew with current tools";

impl Hint for SourceError {
    fn hint(&self) -> Option<&'static str> {
        let fault: Option<&Fault> = self.cause.as_ref().and_then(|cause| cause.downcast_ref());
        if let Some(hint) = fault.and_then(Hint::hint) {
            return Some(hint);
        }
        if self.cause.as_ref().is_some_and(|cause| cause.is::<Mismatch>()) {
            return Some(
                "it was asked for more than once: name another place under `sources.HOST.mirrors`, or have it copied there \
                 anew; a proxy before a registry may change what comes, too",
            );
        }
        Some(match self.kind {
            SourceErrorKind::NotFound => {
                "check the image's name and tag; a registry also says \"not found\" for what you may not see: log in \
                 with `docker login HOST` or `skopeo login HOST`"
            }
            SourceErrorKind::Denied => "log in with `docker login HOST`, or set REGISTRY_AUTH_FILE",
            SourceErrorKind::RateLimited => {
                "wait and run the same command again, or let it wait with --retry-for: what is whole is kept; logging in \
                 raises the limit"
            }
            SourceErrorKind::Connection => "check name, route and proxy (HTTPS_PROXY, NO_PROXY)",
            SourceErrorKind::Offline => "run it once without --offline where there is a network",
            SourceErrorKind::Invalid => {
                "something between here and the registry changes its answers, or it is broken"
            }
            SourceErrorKind::Local => {
                "check the path under `sources` in the spec; if it is right, have the layout or archive made anew"
            }
            SourceErrorKind::NotInLayout => {
                "check the image's name and tag, or add it: `skopeo copy docker://IMAGE oci:DIR:IMAGE`, with the full \
                 name both times"
            }
            SourceErrorKind::ContentNotFound => {
                "what refers to it is there, or was when it was locked: `seedkit lock` takes what the tags stand for now; \
                 if that changes nothing, the image is incomplete there: have it copied there again, or name another \
                 place under `sources.HOST.mirrors`"
            }
            SourceErrorKind::RefusedElsewhere => {
                "the registry leads to this server for its contents: let the proxy or filter between allow it; no login \
                 goes there"
            }
            SourceErrorKind::Unsupported => UNSUPPORTED,
            // The cause below has one.
            SourceErrorKind::Store => return None,
        })
    }
}

impl Hint for Fault {
    fn hint(&self) -> Option<&'static str> {
        match self {
            Self::UnknownAuthority | Self::AuthorityAsServer => Some(
                "name its authority's certificate in `sources.HOST.caFile`, or a bundle in SSL_CERT_FILE; a proxy \
                 that opens TLS has an authority of its own",
            ),
            Self::WrongName => Some("use a name or address that the server's certificate covers"),
            Self::Expired => Some("check this machine's clock, then the server's certificate"),
            Self::NotTls => Some(
                "if the registry has no TLS, write `from: http://…` and `plainHttp: true` for it under `sources`",
            ),
            Self::NotPlain => Some("write `https://` instead of `http://`"),
            Self::Proxy(_) => {
                Some("check HTTPS_PROXY and its user and password; NO_PROXY names what is reached directly")
            }
            Self::TimedOut | Self::TooSlow(_) | Self::Closed => {
                Some("run the same command again: what is whole is kept")
            }
            Self::NameServer => Some("check this machine's name servers (/etc/resolv.conf) and its network"),
            Self::UnknownHost | Self::Unreachable | Self::Refused | Self::Tls(_) | Self::Other(_) => None,
        }
    }
}
