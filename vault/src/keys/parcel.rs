//! Something small kept encrypted for its owner: an age file that opens with the stock `age` program, years later too.

use std::io::Write as _;
use std::path::Path;

use age::Encryptor;
use secrecy::SecretString;

use super::ring::{Kind, Ring};
use super::wrap::WorkFactor;

/// What opens a parcel.
pub enum Opener {
    /// The identity of any of these X25519 recipients (`age1…`).
    Recipients(Vec<String>),
    /// A passphrase.
    Passphrase(SecretString),
}

/// Why nothing was sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParcelFault {
    /// One of the recipients is none, or there are none.
    #[error("a recipient is not an age X25519 recipient (age1…)")]
    BadRecipient,
    /// age could not encrypt.
    #[error("it could not be encrypted")]
    Encrypt,
}

/// The names and X25519 recipients of the ring in that directory; none where there is no ring that can be read.
#[must_use]
pub fn recipients(dir: &Path) -> Vec<(String, String)> {
    let holders = Ring::read(dir).map(|ring| ring.holders).unwrap_or_default();
    let key = |kind| match kind {
        Kind::X25519(key) => Some(key),
        Kind::Passphrase => None,
    };
    holders.into_iter().filter_map(|holder| Some((holder.name, key(holder.kind)?))).collect()
}

/// A whole age file with those bytes in it. `work` is for a passphrase.
///
/// # Errors
/// See [`ParcelFault`].
pub fn seal(bytes: &[u8], opener: &Opener, work: WorkFactor) -> Result<Vec<u8>, ParcelFault> {
    let encryptor = match opener {
        Opener::Recipients(keys) => {
            let recipients: Vec<age::x25519::Recipient> = keys
                .iter()
                .map(|key| key.trim().parse())
                .collect::<Result<_, _>>()
                .map_err(|_| ParcelFault::BadRecipient)?;
            if recipients.is_empty() {
                return Err(ParcelFault::BadRecipient);
            }
            Encryptor::with_recipients(recipients.iter().map(|key| key as &dyn age::Recipient))
        }
        Opener::Passphrase(passphrase) => {
            let mut recipient = age::scrypt::Recipient::new(passphrase.clone());
            recipient.set_work_factor(work.log_n());
            Encryptor::with_recipients(std::iter::once(&recipient as &dyn age::Recipient))
        }
    };
    let mut sealed = Vec::new();
    let writer = encryptor.map_err(|_| ParcelFault::Encrypt)?.wrap_output(&mut sealed);
    let mut writer = writer.map_err(|_| ParcelFault::Encrypt)?;
    writer.write_all(bytes).and_then(|()| writer.finish().map(drop)).map_err(|_| ParcelFault::Encrypt)?;
    Ok(sealed)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use secrecy::ExposeSecret;

    use super::super::identity::identity_new;
    use super::*;

    fn open(sealed: &[u8], identity: &dyn age::Identity) -> Result<Vec<u8>, age::DecryptError> {
        let mut plain = Vec::new();
        let mut reader = age::Decryptor::new_buffered(sealed)?.decrypt(std::iter::once(identity))?;
        std::io::Read::read_to_end(&mut reader, &mut plain)?;
        Ok(plain)
    }

    #[test]
    fn each_recipient_opens_it_and_nobody_else() {
        let pairs = [identity_new(), identity_new()];
        let keys = pairs.iter().map(|(_, key)| key.clone()).collect();
        let sealed = seal(b"c4nary", &Opener::Recipients(keys), WorkFactor::weak_for_tests()).unwrap();
        assert!(!sealed.windows(6).any(|part| part == b"c4nary"));
        for (identity, _) in &pairs {
            // EXPOSE: a test opens what it sealed.
            let identity: age::x25519::Identity = identity.expose_secret().parse().unwrap();
            assert_eq!(open(&sealed, &identity).unwrap(), b"c4nary");
        }
        assert!(open(&sealed, &age::x25519::Identity::generate()).is_err());
    }

    #[test]
    fn a_passphrase_opens_it() {
        let sealed =
            seal(b"c4nary", &Opener::Passphrase("correct horse".into()), WorkFactor::weak_for_tests())
                .unwrap();
        let open = |phrase: &str| open(&sealed, &age::scrypt::Identity::new(phrase.to_owned().into()));
        assert_eq!(open("correct horse").unwrap(), b"c4nary");
        assert!(open("correct house").is_err());
    }

    #[test]
    fn nobody_is_no_recipient() {
        let check = |keys: &[&str]| {
            let keys = keys.iter().map(|key| (*key).to_owned()).collect();
            seal(b"x", &Opener::Recipients(keys), WorkFactor::weak_for_tests())
        };
        assert_eq!(check(&[]), Err(ParcelFault::BadRecipient));
        assert_eq!(check(&["age1x"]), Err(ParcelFault::BadRecipient));
        assert!(recipients(Path::new("/nonexistent")).is_empty());
    }
}
