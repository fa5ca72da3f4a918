//! Why no answer, or no whole answer, came.

use std::error::Error;
use std::io;

use rustls::{CertificateError, Error as TlsError};

use super::echo::Echo;
use super::pace::Pace;

/// Why a connection did not work, as far as a user can do something about it.
///
/// It is the cause inside a [`SourceError`](crate::oci::SourceError), or inside the [`io::Error`] of a body.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The name has no address.
    #[error("the host's name has no address")]
    UnknownHost,
    /// Nobody could be asked for the name's address.
    #[error("no name server answers")]
    NameServer,
    /// No route leads there.
    #[error("there is no way to the host")]
    Unreachable,
    /// Nobody listens there.
    #[error("the connection is refused")]
    Refused,
    /// Nothing came for too long.
    #[error("nothing came within the time allowed")]
    TimedOut,
    /// So little came for so long that it is as good as nothing.
    #[error("fewer than {} bytes came in {} s", .0.bytes, .0.within.as_secs_f64())]
    TooSlow(Pace),
    /// The connection ended early.
    #[error("the connection ended before the answer was complete")]
    Closed,
    /// The certificate comes from an authority that is not trusted.
    #[error("the server's certificate is not from an authority that is trusted here")]
    UnknownAuthority,
    /// The certificate is for other names.
    #[error("the server's certificate is for another name")]
    WrongName,
    /// The certificate is not valid now, or the clock is wrong.
    #[error("the server's certificate has expired or is not valid yet")]
    Expired,
    /// The certificate is that of an authority, as `openssl req -x509` makes it unless told otherwise.
    #[error("the server shows the certificate of an authority (CA:TRUE) as its own")]
    AuthorityAsServer,
    /// TLS failed otherwise.
    #[error("TLS fails: {0}")]
    Tls(String),
    /// Asked over TLS, the server answered something else.
    #[error("the server does not speak TLS on this port")]
    NotTls,
    /// Asked in plain HTTP, the server wants TLS.
    #[error("the server speaks TLS on this port, and was asked in plain http")]
    NotPlain,
    /// The proxy did not open the way.
    #[error("the proxy does not open the way: {0}")]
    Proxy(String),
    /// Anything else, in the words of the one who knows.
    #[error("{0}")]
    Other(String),
}

impl Fault {
    /// Recognises what the HTTP client reports.
    pub(super) fn of(error: &(dyn Error + 'static)) -> Self {
        causes(error).find_map(recognise).unwrap_or_else(|| {
            let deepest = causes(error).last().unwrap_or(error);
            Self::Other(quoted(&deepest.to_string(), 200))
        })
    }

    /// Returns the same without the logins that a server or proxy repeats.
    pub(super) fn cleaned(self, echo: &Echo) -> Self {
        match self {
            Self::Tls(text) => Self::Tls(echo.clean(&text)),
            Self::Proxy(text) => Self::Proxy(echo.clean(&text)),
            Self::Other(text) => Self::Other(echo.clean(&text)),
            Self::UnknownHost
            | Self::NameServer
            | Self::Unreachable
            | Self::Refused
            | Self::TimedOut
            | Self::TooSlow(_)
            | Self::Closed
            | Self::UnknownAuthority
            | Self::WrongName
            | Self::Expired
            | Self::AuthorityAsServer
            | Self::NotTls
            | Self::NotPlain => self,
        }
    }

    /// Returns whether it may pass by itself, so that asking again is of use.
    ///
    /// What only a person can mend does not pass: names, certificates, protocols, a proxy's password.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::Refused
            | Self::TimedOut
            | Self::TooSlow(_)
            | Self::Closed
            | Self::NameServer
            | Self::Unreachable => true,
            Self::Proxy(reason) => !reason.contains("authorization"),
            Self::UnknownHost
            | Self::UnknownAuthority
            | Self::WrongName
            | Self::Expired
            | Self::AuthorityAsServer
            | Self::Tls(_)
            | Self::NotTls
            | Self::NotPlain
            | Self::Other(_) => false,
        }
    }

    /// Returns whether it is about the way out of here, whichever host is asked.
    pub(super) fn is_of_the_line(&self) -> bool {
        matches!(self, Self::NameServer | Self::Unreachable)
    }

    /// Returns the kind that an [`io::Error`] about this has.
    pub(super) fn io_kind(&self) -> io::ErrorKind {
        match self {
            Self::TimedOut | Self::TooSlow(_) => io::ErrorKind::TimedOut,
            Self::Closed => io::ErrorKind::UnexpectedEof,
            Self::Refused => io::ErrorKind::ConnectionRefused,
            Self::UnknownHost
            | Self::NameServer
            | Self::Unreachable
            | Self::UnknownAuthority
            | Self::WrongName
            | Self::Expired
            | Self::AuthorityAsServer
            | Self::Tls(_)
            | Self::NotTls
            | Self::NotPlain
            | Self::Proxy(_)
            | Self::Other(_) => io::ErrorKind::Other,
        }
    }
}

/// Walks down the causes; an [`io::Error`] hides what it was made of from `source`.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| {
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        inner.map(|inner| inner as &(dyn Error + 'static)).or_else(|| error.source())
    })
}

fn recognise(error: &(dyn Error + 'static)) -> Option<Fault> {
    if let Some(fault) = error.downcast_ref::<Fault>() {
        return Some(fault.clone());
    }
    if let Some(error) = error.downcast_ref::<TlsError>() {
        return Some(recognise_tls(error));
    }
    if let Some(error) = error.downcast_ref::<reqwest::Error>() {
        return error.is_timeout().then_some(Fault::TimedOut);
    }
    if let Some(error) = error.downcast_ref::<io::Error>() {
        return recognise_io(error.kind());
    }
    // The HTTP client's own types for these are private to it or to what it is made of.
    let text = error.to_string();
    if let Some(reason) = text.strip_prefix("tunnel error: ") {
        return Some(Fault::Proxy(quoted(reason, 200)));
    }
    // The last is what is said of a connection that ends while something is sent, whatever the server said before.
    let is_cut = ["message completed", "message length reached", "receiver is gone"]
        .iter()
        .any(|words| text.contains(words));
    match text.as_str() {
        "dns error" | "error resolving DNS" => Some(unresolved(error)),
        _ if is_cut || text.contains("unexpected EOF") => Some(Fault::Closed),
        _ => None,
    }
}

/// Tells a name that nobody has from a name server that cannot be asked, in the words of glibc and musl.
fn unresolved(error: &(dyn Error + 'static)) -> Fault {
    let is_passing = |text: String| text.contains("Temporary failure") || text.contains("Try again");
    if causes(error).any(|cause| is_passing(cause.to_string())) {
        Fault::NameServer
    } else {
        Fault::UnknownHost
    }
}

fn recognise_io(kind: io::ErrorKind) -> Option<Fault> {
    use io::ErrorKind::{
        BrokenPipe, ConnectionAborted, ConnectionRefused, ConnectionReset, HostUnreachable, NetworkDown,
        NetworkUnreachable, TimedOut, UnexpectedEof,
    };
    [
        (ConnectionRefused, Fault::Refused),
        (TimedOut, Fault::TimedOut),
        (ConnectionReset, Fault::Closed),
        (ConnectionAborted, Fault::Closed),
        (BrokenPipe, Fault::Closed),
        (UnexpectedEof, Fault::Closed),
        (HostUnreachable, Fault::Unreachable),
        (NetworkUnreachable, Fault::Unreachable),
        (NetworkDown, Fault::Unreachable),
    ]
    .into_iter()
    .find_map(|(known, fault)| (known == kind).then_some(fault))
}

fn recognise_tls(error: &TlsError) -> Fault {
    use CertificateError as Certificate;
    if matches!(error, TlsError::InvalidMessage(_)) {
        return Fault::NotTls;
    }
    let TlsError::InvalidCertificate(certificate) = error else { return Fault::Tls(error.to_string()) };
    if matches!(certificate, Certificate::UnknownIssuer | Certificate::BadSignature) {
        return Fault::UnknownAuthority;
    }
    if matches!(certificate, Certificate::NotValidForName | Certificate::NotValidForNameContext { .. }) {
        return Fault::WrongName;
    }
    let is_expired = matches!(certificate, Certificate::Expired | Certificate::ExpiredContext { .. });
    let is_early = matches!(certificate, Certificate::NotValidYet | Certificate::NotValidYetContext { .. });
    if is_expired || is_early {
        return Fault::Expired;
    }
    // The verifier's own type is not among those that rustls passes on.
    if format!("{certificate:?}").contains("CaUsedAsEndEntity") {
        return Fault::AuthorityAsServer;
    }
    Fault::Tls(quoted(&certificate.to_string(), 300))
}

/// Returns a foreign text for a message: at most `most` characters, control characters escaped.
pub(super) fn quoted(text: &str, most: usize) -> String {
    let text = text.trim();
    let mut quoted = String::new();
    for character in text.chars().take(most) {
        match character {
            '"' | '\'' | '\\' => quoted.push(character),
            other => quoted.extend(other.escape_debug()),
        }
    }
    if text.chars().nth(most).is_some() {
        quoted.push('…');
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_texts_are_bounded_and_cannot_move_the_cursor() {
        assert_eq!(quoted("\u{1b}[2Jcleared\r\n", 100), "\\u{1b}[2Jcleared");
        assert_eq!(quoted(r#"unknown manifest "a\b" 'c'"#, 100), r#"unknown manifest "a\b" 'c'"#);
        assert_eq!(quoted("abcdef", 3), "abc…");
    }

    #[test]
    fn faults_are_found_below_errors_that_hide_them() {
        let hidden = |inner: TlsError| io::Error::other(io::Error::other(inner));
        let of = |inner| Fault::of(&hidden(inner));
        assert_eq!(
            of(TlsError::InvalidCertificate(CertificateError::UnknownIssuer)),
            Fault::UnknownAuthority
        );
        assert_eq!(of(TlsError::InvalidCertificate(CertificateError::NotValidForName)), Fault::WrongName);
        assert_eq!(of(TlsError::InvalidCertificate(CertificateError::Expired)), Fault::Expired);
        assert_eq!(
            Fault::of(&io::Error::other(io::Error::from(io::ErrorKind::ConnectionReset))),
            Fault::Closed
        );
        assert_eq!(Fault::of(&io::Error::other("novel\n")), Fault::Other("novel".to_owned()));
    }
}
