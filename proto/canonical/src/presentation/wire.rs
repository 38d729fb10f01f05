//! The one text of a presentation.

use super::{Claim, MAX_TEXT, PresentationError, ToolName};
use crate::base64url;
use crate::canonical::Digest;

const PREFIX: &str = "claviger1.";

/// Bytes of an HMAC-SHA256.
pub(super) const MAC_LENGTH: usize = 32;

/// Returns the text of a claim and its MAC. The layout is described at the head of the parent module.
pub(super) fn encode(claim: &Claim, mac: &[u8]) -> String {
    // Without `..`: a new field must be sent, or this does not build.
    let Claim { handle, tool, digest, issued_at_ms, nonce, replica, boot, approval } = claim;
    let name = tool.as_str().as_bytes();
    let mut bytes = Vec::with_capacity(206);
    bytes.extend_from_slice(handle);
    bytes.extend_from_slice(digest.as_bytes());
    bytes.extend_from_slice(&issued_at_ms.to_be_bytes());
    bytes.extend_from_slice(nonce);
    bytes.extend_from_slice(replica);
    bytes.extend_from_slice(boot);
    bytes.push(u8::from(approval.is_some()));
    bytes.extend(approval.iter().flatten());
    // A `ToolName` has at most 64 bytes.
    bytes.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
    bytes.extend_from_slice(name);
    bytes.extend_from_slice(mac);
    format!("{PREFIX}{}", base64url::encode(&bytes))
}

/// Reads a text back; the inverse of [`encode`], defined on its image only.
pub(super) fn decode(text: &str) -> Result<(Claim, [u8; MAC_LENGTH]), PresentationError> {
    if text.len() > MAX_TEXT {
        return Err(PresentationError::TooLong);
    }
    let encoded = text.strip_prefix(PREFIX).ok_or(PresentationError::UnknownVersion)?;
    let bytes = base64url::decode(encoded).ok_or(PresentationError::Encoding)?;
    let mut reader = Reader(&bytes);
    let claim = Claim {
        handle: reader.take()?,
        digest: Digest::from_bytes(reader.take()?),
        issued_at_ms: u64::from_be_bytes(reader.take()?),
        nonce: reader.take()?,
        replica: reader.take()?,
        boot: reader.take()?,
        approval: match reader.take()? {
            [0] => None,
            [1] => Some(reader.take()?),
            _ => return Err(PresentationError::Layout),
        },
        tool: reader.tool()?,
    };
    let mac = reader.take()?;
    if reader.0.is_empty() { Ok((claim, mac)) } else { Err(PresentationError::Layout) }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], PresentationError> {
        let (taken, rest) = self.0.split_first_chunk::<N>().ok_or(PresentationError::Layout)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn tool(&mut self) -> Result<ToolName, PresentationError> {
        let [length] = self.take()?;
        let (name, rest) = self.0.split_at_checked(usize::from(length)).ok_or(PresentationError::Layout)?;
        self.0 = rest;
        std::str::from_utf8(name).ok().and_then(|name| name.parse().ok()).ok_or(PresentationError::Tool)
    }
}
