//! Opaque identifiers: random bytes with one textual form each.

use std::fmt;
use std::str::FromStr;

/// The text is not an identifier of the expected kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a well-formed identifier (expected {prefix}… with {digits} lower-case hexadecimal digits)")]
pub struct BadId {
    prefix: &'static str,
    digits: usize,
}

macro_rules! opaque_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal, $bytes:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $bytes]);

        impl $name {
            /// How many bytes it has.
            pub const BYTES: usize = $bytes;

            /// From its bytes, which are random where the vault makes a new one.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; $bytes]) -> Self {
                Self(bytes)
            }

            /// From a slice of exactly the right length; `None` otherwise.
            #[must_use]
            pub fn from_slice(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self)
            }

            /// Its bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; $bytes] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str($prefix)?;
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = BadId;

            fn from_str(text: &str) -> Result<Self, BadId> {
                parse_hex(text, $prefix).map(Self)
            }
        }
    };
}

opaque_id!(
    /// Names one vault for its whole life; part of every sealed record's associated data.
    VaultId, "vlt_", 16
);
opaque_id!(
    /// Names one grant.
    GrantId, "gr_", 8
);
opaque_id!(
    /// Names one handle. No secret: without its proof key it is worth nothing.
    HandleId, "hdl_", 16
);
opaque_id!(
    /// The public half of a capability.
    CapabilityId, "cap_", 16
);
opaque_id!(
    /// Names one tool call, from Mint to its last use.
    CallId, "call_", 8
);
opaque_id!(
    /// Names one use: a single credentialed request.
    UseId, "use_", 8
);
opaque_id!(
    /// What a refused peer is given, and what `claviger why` takes.
    Ref, "ref_", 8
);
opaque_id!(
    /// Names what waits for a person: a call, a task, a grant, a question. A presentation names it by its bytes.
    ApprovalId, "ap_", 16
);
opaque_id!(
    /// Names one decoy.
    DecoyId, "dec_", 8
);
opaque_id!(
    /// Random at each start of a vault process: what was presented to an earlier one is stale.
    BootId, "boot_", 16
);
opaque_id!(
    /// Names one replica of a vault.
    ReplicaId, "rep_", 8
);

/// A fixed number of bytes from `prefix` and exactly that many lower-case hexadecimal digits: one form, no other.
fn parse_hex<const N: usize>(text: &str, prefix: &'static str) -> Result<[u8; N], BadId> {
    let bad = BadId { prefix, digits: N * 2 };
    let digits = text.strip_prefix(prefix).ok_or(bad)?.as_bytes();
    if digits.len() != N * 2 {
        return Err(bad);
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = nibble(pair[0]).zip(nibble(pair[1])).map(|(high, low)| high << 4 | low).ok_or(bad)?;
    }
    Ok(bytes)
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_textual_form_each() {
        let id = GrantId::from_bytes([0, 1, 2, 3, 0xab, 0xcd, 0xef, 0xff]);
        assert_eq!(id.to_string(), "gr_00010203abcdefff");
        assert_eq!("gr_00010203abcdefff".parse(), Ok(id));
        for wrong in [
            "",
            "gr_",
            "00010203abcdefff",
            "gr_00010203ABCDEFFF",
            "gr_00010203abcdeff",
            "gr_00010203abcdefff0",
            "hdl_00010203abcdefff",
            "gr_00010203abcdefg0",
            " gr_00010203abcdefff",
            "gr_é010203abcdeff",
        ] {
            assert!(wrong.parse::<GrantId>().is_err(), "{wrong:?} was taken");
        }
        let told = "gr_".parse::<GrantId>().map_err(|bad| bad.to_string());
        assert!(told.is_err_and(|bad| bad.contains("gr_") && bad.contains("16")));
    }
}
