//! Secrets in their newtypes. None can be cloned, compared, serialised or printed.

use secrecy::{ExposeSecret, SecretBox, zeroize::Zeroize};

/// Bytes an upstream would accept: a token, a password, a header's value.
pub struct SecretBytes(SecretBox<Vec<u8>>);

impl SecretBytes {
    /// Takes the bytes over; the caller keeps no copy.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(SecretBox::new(Box::new(bytes)))
    }

    /// From text that is wiped after it was read.
    #[must_use]
    pub fn from_text(mut text: String) -> Self {
        let bytes = text.as_bytes().to_vec();
        text.zeroize();
        Self::new(bytes)
    }

    /// The bytes themselves. Every caller says above the line why it must see them.
    #[must_use]
    pub fn expose_secret(&self) -> &[u8] {
        // EXPOSE: this is the one door; callers say their own reason.
        self.0.expose_secret()
    }

    /// A second holder of the same bytes, for the moment a request is built or a record is re-sealed.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        // EXPOSE: copied from one guarded box into another.
        Self::new(self.0.expose_secret().clone())
    }

    /// How many bytes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        // EXPOSE: only the length leaves.
        self.0.expose_secret().len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl std::fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretBytes(…)")
    }
}
