//! Authorities that sign authorities: a root, and what stands below it.
//!
//! Extensions as in k3s' own `generate-custom-ca-certs.sh`: a critical key usage of digital signature, key
//! encipherment and certificate signing, no limit of the path, and both key identifiers, the root's too: by them
//! k3s finds the root of a chain.

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyUsagePurpose, SubjectPublicKeyInfo};

use super::authority::{Authority, PkiError, generate_authority_parameters};
use super::key::PrivateKey;
use crate::epoch::Epoch;

impl Authority {
    /// Makes an authority that signs itself and further authorities; it lasts `lifetime_days` from `epoch`.
    ///
    /// To be called once: the certificate is kept in the secrets and is an input afterwards.
    pub fn generate_root(
        key: PrivateKey,
        subject: &str,
        epoch: Epoch,
        lifetime_days: u32,
    ) -> Result<Self, PkiError> {
        let parameters = generate_chain_parameters(subject, epoch, lifetime_days)?;
        let pem = parameters.self_signed(key.signing_key()).map_err(PkiError::Write)?.pem();
        Self::from_pem(&pem, key)
    }

    /// Makes an authority below this one, which signs servers, clients and further authorities.
    ///
    /// To be called once: the certificate is kept in the secrets and is an input afterwards.
    pub fn generate_subordinate(
        &self,
        key: PrivateKey,
        subject: &str,
        epoch: Epoch,
        lifetime_days: u32,
    ) -> Result<Self, PkiError> {
        let parameters = generate_chain_parameters(subject, epoch, lifetime_days)?;
        self.refuse_to_be_outlived(&parameters)?;
        let issuer =
            Issuer::from_ca_cert_pem(self.pem(), self.key().signing_key()).map_err(PkiError::Write)?;
        let public_key = SubjectPublicKeyInfo::from_der(&key.public_key()).map_err(PkiError::Write)?;
        let pem = parameters.signed_by(&public_key, &issuer).map_err(PkiError::Write)?.pem();
        let authority = Self::from_pem(&pem, key)?;
        if !authority.view().is_signed_by(self.view()) {
            return Err(PkiError::Unverifiable(self.view().subject().to_owned()));
        }
        Ok(authority)
    }
}

fn generate_chain_parameters(
    subject: &str,
    epoch: Epoch,
    lifetime_days: u32,
) -> Result<CertificateParams, PkiError> {
    let mut parameters = generate_authority_parameters(subject, epoch, lifetime_days)?;
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.key_usages = vec![
        KeyUsagePurpose::DigitalSignature,
        KeyUsagePurpose::KeyEncipherment,
        KeyUsagePurpose::KeyCertSign,
    ];
    Ok(parameters)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epoch() -> Epoch {
        "1763683200".parse().unwrap()
    }

    fn key() -> PrivateKey {
        PrivateKey::generate_p256().unwrap()
    }

    #[test]
    fn a_chain_of_authorities_verifies_link_by_link() {
        let root = Authority::generate_root(key(), "root", epoch(), 20).unwrap();
        let middle = root.generate_subordinate(key(), "middle", epoch(), 20).unwrap();
        let leaf = middle.generate_subordinate(key(), "leaf", epoch(), 10).unwrap();
        assert!(root.view().is_signed_by(root.view()));
        assert!(middle.view().is_signed_by(root.view()) && leaf.view().is_signed_by(middle.view()));
        assert!(!leaf.view().is_signed_by(root.view()));
        assert_eq!(leaf.view().issuer(), "CN=middle");
    }

    #[test]
    fn an_authority_that_outlives_its_issuer_is_refused() {
        let root = Authority::generate_root(key(), "root", epoch(), 20).unwrap();
        let error = root.generate_subordinate(key(), "middle", epoch(), 21).unwrap_err();
        assert!(matches!(error, PkiError::OutlivesAuthority { .. }), "{error}");
    }

    #[test]
    fn names_that_no_authority_has_are_refused() {
        for subject in ["", "a\nb", &"x".repeat(65)] {
            let error = Authority::generate_root(key(), subject, epoch(), 1).unwrap_err();
            assert!(matches!(error, PkiError::Subject(..)), "{subject}");
        }
    }
}
