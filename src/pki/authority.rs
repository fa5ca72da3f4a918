//! The registry's own certificate authority, and the server certificates it signs (RFC 5280).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyUsagePurpose, SanType,
};
use time::{Date, Duration, OffsetDateTime};

use super::constraints;
use super::key::PrivateKey;
use super::name::SubjectName;
use super::view::{CertificateView, InvalidCertificate};
use crate::epoch::Epoch;

/// The most days a certificate may be asked to last: a century.
pub const LONGEST_LIFETIME_DAYS: u32 = 36_500;

/// How long before the epoch a certificate becomes valid; clocks of offline machines are wrong.
const BACK_DATED_DAYS: i64 = 30;

/// RFC 5280, appendix A: `ub-common-name`.
const LONGEST_COMMON_NAME: usize = 64;

/// A certificate authority with its private key.
#[derive(Debug)]
pub struct Authority {
    key: PrivateKey,
    pem: String,
    view: CertificateView,
}

/// A certificate that an [`Authority`] just signed.
#[derive(Debug, Clone)]
pub struct ServerCertificate {
    pem: String,
    view: CertificateView,
}

/// Says why a certificate cannot be made, or an authority not be used.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// The name would not fit in a certificate.
    #[error("`{0}` cannot be the name of an authority: expected 1 to 64 characters, no control characters")]
    Subject(String),
    /// Nothing lasts no days, or longer than a century.
    #[error("a certificate cannot last {0} days: expected 1 to {LONGEST_LIFETIME_DAYS}")]
    Lifetime(u32),
    /// Clients refuse a chain as soon as its authority has expired.
    #[error("the certificate would be valid until {wanted}, its authority only until {authority}")]
    OutlivesAuthority {
        /// The last day that was asked for.
        wanted: Date,
        /// The last day of the authority.
        authority: Date,
    },
    /// The certificate cannot be read.
    #[error("the authority's certificate cannot be read")]
    Certificate(#[source] InvalidCertificate),
    /// A server certificate where an authority belongs.
    #[error("the certificate of `{0}` is not that of an authority: it may not sign certificates")]
    NotAnAuthority(String),
    /// The files of two authorities are mixed.
    #[error("the private key is not that of the authority `{0}`")]
    WrongKey(String),
    /// Clients would refuse such a certificate.
    #[error("the authority `{subject}` vouches for {permitted} alone, not for `{name}`")]
    NotPermitted {
        /// Whose authority it is.
        subject: String,
        /// The address or name that was asked for.
        name: String,
        /// What it may vouch for.
        permitted: String,
    },
    /// The operating system has no random numbers.
    #[error("cannot get random numbers for a serial number")]
    Random(#[source] getrandom::Error),
    /// The writer refused.
    #[error("cannot write a certificate")]
    Write(#[source] rcgen::Error),
    /// What was written cannot be verified; an authority's name of a rare form does this.
    #[error("the certificate that was made does not verify against the authority `{0}`")]
    Unverifiable(String),
}

impl Authority {
    /// Makes an authority that signs itself and servers, but no authorities; it lasts `lifetime_days` from `epoch`.
    ///
    /// It vouches for `names` and its own machine alone: who gets hold of its key can stand in for no other server.
    /// To be called once for each lab: the certificate is kept in the secrets and is an input afterwards.
    pub fn generate_self_signed(
        key: PrivateKey,
        subject: &str,
        names: &[SubjectName],
        epoch: Epoch,
        lifetime_days: u32,
    ) -> Result<Self, PkiError> {
        let mut parameters = generate_authority_parameters(subject, epoch, lifetime_days)?;
        parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        parameters.name_constraints = Some(constraints::limited_to(&with_local_names(names)));
        let pem = parameters.self_signed(key.signing_key()).map_err(PkiError::Write)?.pem();
        Self::from_pem(&pem, key)
    }

    /// Loads an authority, seedkit's own or one that the user brought.
    ///
    /// Whether it is still valid is not asked here: that depends on the time.
    pub fn from_pem(certificate: &str, key: PrivateKey) -> Result<Self, PkiError> {
        let view = CertificateView::from_pem(certificate).map_err(PkiError::Certificate)?;
        let subject = || view.subject().to_owned();
        if !view.is_authority() {
            return Err(PkiError::NotAnAuthority(subject()));
        }
        if view.public_key() != key.public_key() {
            return Err(PkiError::WrongKey(subject()));
        }
        Ok(Self { key, pem: certificate.to_owned(), view })
    }

    /// Returns its private key.
    pub fn key(&self) -> &PrivateKey {
        &self.key
    }

    /// Returns the certificate, the one file that nodes need.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Returns what the certificate says.
    pub fn view(&self) -> &CertificateView {
        &self.view
    }

    /// Signs a certificate for a registry that is reached as any of `names`, and on its own machine.
    ///
    /// The first name becomes the common name, for people; clients look at the alternative names only.
    /// To be called once and for each renewal: the certificate is kept in the secrets and is an input afterwards.
    pub fn generate_server_certificate(
        &self,
        key: &PrivateKey,
        names: &[SubjectName],
        epoch: Epoch,
        lifetime_days: u32,
    ) -> Result<ServerCertificate, PkiError> {
        let names = with_local_names(names);
        let permitted = self.view.permitted();
        if let Some(name) = names.iter().find(|name| !permitted.permits(name)) {
            let (name, permitted) = (name.to_string(), permitted.to_string());
            return Err(PkiError::NotPermitted { subject: self.view.subject().to_owned(), name, permitted });
        }
        let common_name = names.first().map(SubjectName::to_string);
        let common_name = common_name.filter(|name| name.len() <= LONGEST_COMMON_NAME);
        let mut parameters =
            generate_parameters(common_name.as_deref().unwrap_or("registry"), epoch, lifetime_days)?;
        self.refuse_to_be_outlived(&parameters)?;
        parameters.subject_alt_names = names.iter().map(alternative_name).collect::<Result<_, _>>()?;
        // Written out, it brings the key identifier along; OpenSSL's strict mode asks for it.
        parameters.is_ca = IsCa::ExplicitNoCa;
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];

        let issuer = Issuer::from_ca_cert_pem(&self.pem, self.key.signing_key()).map_err(PkiError::Write)?;
        let public_key = rcgen::SubjectPublicKeyInfo::from_der(&key.public_key()).map_err(PkiError::Write)?;
        let pem = parameters.signed_by(&public_key, &issuer).map_err(PkiError::Write)?.pem();
        self.verified(pem)
    }

    /// Compares by the second and reports by the day.
    pub(super) fn refuse_to_be_outlived(&self, parameters: &CertificateParams) -> Result<(), PkiError> {
        if parameters.not_after.unix_timestamp() <= self.view.not_after() {
            return Ok(());
        }
        let authority = OffsetDateTime::from_unix_timestamp(self.view.not_after())
            .map_or(Date::MIN, OffsetDateTime::date);
        Err(PkiError::OutlivesAuthority { wanted: parameters.not_after.date(), authority })
    }

    /// Reads the new certificate with the independent parser and verifies its signature.
    fn verified(&self, pem: String) -> Result<ServerCertificate, PkiError> {
        let view = CertificateView::from_pem(&pem).map_err(PkiError::Certificate)?;
        if !view.is_signed_by(&self.view) {
            return Err(PkiError::Unverifiable(self.view.subject().to_owned()));
        }
        Ok(ServerCertificate { pem, view })
    }
}

impl ServerCertificate {
    /// Returns the certificate, without that of its authority: nodes have it already.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Returns what the certificate says.
    pub fn view(&self) -> &CertificateView {
        &self.view
    }
}

/// Adds how the registry's own machine reaches it, and drops what is there twice; the order stays.
fn with_local_names(names: &[SubjectName]) -> Vec<SubjectName> {
    let localhost = "localhost".parse().expect("localhost is a host name");
    let local =
        [IpAddr::from(Ipv4Addr::LOCALHOST).into(), IpAddr::from(Ipv6Addr::LOCALHOST).into(), localhost];
    let mut all: Vec<SubjectName> = Vec::new();
    for name in names.iter().chain(&local) {
        if !all.contains(name) {
            all.push(name.clone());
        }
    }
    all
}

fn alternative_name(name: &SubjectName) -> Result<SanType, PkiError> {
    match name {
        SubjectName::Ip(address) => Ok(SanType::IpAddress(*address)),
        SubjectName::Dns(name) => name.as_str().try_into().map(SanType::DnsName).map_err(PkiError::Write),
    }
}

/// Fills in what all authorities share, after a look at the name.
pub(super) fn generate_authority_parameters(
    subject: &str,
    epoch: Epoch,
    lifetime_days: u32,
) -> Result<CertificateParams, PkiError> {
    let length = subject.chars().count();
    if !(1..=LONGEST_COMMON_NAME).contains(&length) || subject.chars().any(char::is_control) {
        return Err(PkiError::Subject(subject.escape_debug().take(80).collect()));
    }
    generate_parameters(subject, epoch, lifetime_days)
}

/// Fills in what all kinds of certificate share: subject, validity, a random serial number.
fn generate_parameters(
    common_name: &str,
    epoch: Epoch,
    lifetime_days: u32,
) -> Result<CertificateParams, PkiError> {
    if !(1..=LONGEST_LIFETIME_DAYS).contains(&lifetime_days) {
        return Err(PkiError::Lifetime(lifetime_days));
    }
    let mut serial = [0; 16];
    getrandom::fill(&mut serial).map_err(PkiError::Random)?;
    // RFC 5280, section 4.1.2.2: positive, and no leading zero octet; 126 random bits remain.
    serial[0] = serial[0] & 0x7f | 0x40;

    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, common_name);
    parameters.not_before = epoch.date_time() - Duration::days(BACK_DATED_DAYS);
    parameters.not_after = epoch.date_time() + Duration::days(lifetime_days.into());
    parameters.serial_number = Some(serial.to_vec().into());
    parameters.use_authority_key_identifier_extension = true;
    Ok(parameters)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 24 * 60 * 60;

    fn epoch() -> Epoch {
        "1763683200".parse().unwrap()
    }

    fn key() -> PrivateKey {
        PrivateKey::generate_p256().unwrap()
    }

    fn authority(days: u32) -> Authority {
        let names = names(&["192.168.6.1", "registry.lan", "*.mirror.lan"]);
        Authority::generate_self_signed(key(), "lab registry CA", &names, epoch(), days).unwrap()
    }

    fn names(texts: &[&str]) -> Vec<SubjectName> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn server(authority: &Authority, days: u32) -> Result<ServerCertificate, PkiError> {
        authority.generate_server_certificate(&key(), &names(&["192.168.6.1", "registry.lan"]), epoch(), days)
    }

    #[test]
    fn a_server_certificate_says_what_was_asked_for() {
        let authority = authority(3650);
        let certificate = server(&authority, 825).unwrap();
        let view = certificate.view();
        assert_eq!(view.names(), names(&["192.168.6.1", "registry.lan", "127.0.0.1", "::1", "localhost"]));
        assert_eq!((view.subject(), view.issuer()), ("CN=192.168.6.1", "CN=lab registry CA"));
        assert_eq!(view.not_before(), 1_763_683_200 - 30 * DAY);
        assert_eq!(view.not_after(), 1_763_683_200 + 825 * DAY);
        assert!(view.is_for_servers() && !view.is_authority() && authority.view().is_authority());
        assert!(view.is_signed_by(authority.view()) && !authority.view().is_signed_by(view));
    }

    #[test]
    fn names_given_twice_appear_once() {
        let names = names(&["LOCALHOST", "localhost", "::ffff:127.0.0.1", "[::1]"]);
        let certificate = authority(10).generate_server_certificate(&key(), &names, epoch(), 10).unwrap();
        assert_eq!(certificate.view().names().len(), 3);
    }

    #[test]
    fn an_authority_signs_for_its_own_names_alone() {
        let authority = authority(10);
        let signs = |name: &str| {
            let made = authority.generate_server_certificate(&key(), &names(&[name]), epoch(), 10);
            assert_eq!(made.is_ok(), authority.view().permitted().permits(&name.parse().unwrap()));
            made.err().map(|error| error.to_string())
        };
        for own in [
            "192.168.6.1",
            "127.0.0.1",
            "::1",
            "registry.lan",
            "a.registry.lan",
            "a.mirror.lan",
            "*.mirror.lan",
        ] {
            assert_eq!(signs(own), None, "{own}");
        }
        for foreign in ["192.168.6.2", "::2", "harbor.example", "notregistry.lan", "lan"] {
            let expected = format!(
                "the authority `CN=lab registry CA` vouches for 192.168.6.1, 127.0.0.1, ::1, registry.lan, \
                 mirror.lan, localhost alone, not for `{foreign}`"
            );
            assert_eq!(signs(foreign), Some(expected));
        }
        assert!(authority.view().is_authority() && !authority.view().is_for_servers());
    }

    #[test]
    fn serial_numbers_have_sixteen_octets_and_differ() {
        let authority = authority(10);
        let serials = [(); 20].map(|()| server(&authority, 10).unwrap().view().serial().to_owned());
        assert!(serials.iter().all(|serial| serial.len() == 16 * 3 - 1 && serial < &"80".to_owned()));
        assert_eq!(serials.iter().collect::<std::collections::BTreeSet<_>>().len(), 20);
    }

    #[test]
    fn a_server_certificate_that_outlives_its_authority_is_refused_with_both_dates() {
        assert!(server(&authority(10), 10).is_ok());
        let message = server(&authority(10), 11).unwrap_err().to_string();
        let expected = "the certificate would be valid until 2025-12-02, its authority only until 2025-12-01";
        assert_eq!(message, expected);
    }

    #[test]
    fn an_authority_and_key_that_do_not_fit_are_refused() {
        let one = authority(10);
        let load = |pem: &str| Authority::from_pem(pem, key()).unwrap_err();
        assert!(matches!(load(one.pem()), PkiError::WrongKey(..)));
        assert!(matches!(load(server(&one, 1).unwrap().pem()), PkiError::NotAnAuthority(..)));
        assert!(matches!(load("garbage"), PkiError::Certificate(_)));
    }

    #[test]
    fn names_and_lifetimes_that_no_certificate_has_are_refused() {
        for subject in ["", "a\nb", &"x".repeat(65)] {
            let error = Authority::generate_self_signed(key(), subject, &[], epoch(), 1).unwrap_err();
            assert!(matches!(error, PkiError::Subject(..)), "{subject}");
        }
        for days in [0, LONGEST_LIFETIME_DAYS + 1] {
            let error = Authority::generate_self_signed(key(), "lab", &[], epoch(), days).unwrap_err();
            assert!(matches!(error, PkiError::Lifetime(..)), "{days}");
        }
        assert_eq!(authority(LONGEST_LIFETIME_DAYS).view().days_left(1_763_683_200), 36_500);
    }

    #[test]
    fn a_long_host_name_is_no_common_name() {
        let long = format!("{}.{}.registry.lan", "a".repeat(60), "b".repeat(60));
        let certificate =
            authority(10).generate_server_certificate(&key(), &names(&[&long]), epoch(), 10).unwrap();
        assert_eq!(certificate.view().subject(), "CN=registry");
        assert!(certificate.view().covers(&long.parse().unwrap()));
    }
}
