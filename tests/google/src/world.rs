//! Everything one stand-in knows, behind one lock.

use std::collections::BTreeSet;

use crate::calendar::Calendars;
use crate::config::ConsentMode;
use crate::drive::Drive;
use crate::gmail::Mailbox;
use crate::google_error as refuse;
use crate::pages::Pages;
use crate::people::People;
use crate::scopes;
use crate::seed::Owner;
use crate::tokens::{Access, Tokens};
use crate::wire::{Call, Reply};

/// The account, its tokens, and what the pretended user does.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) owner: Owner,
    pub(crate) consent: ConsentMode,
    pub(crate) tokens: Tokens,
    pub(crate) mailbox: Mailbox,
    pub(crate) drive: Drive,
    pub(crate) calendars: Calendars,
    pub(crate) people: People,
    pub(crate) pages: Pages,
}

/// What a good bearer may do.
#[derive(Debug)]
pub(crate) struct Bearer {
    pub(crate) scopes: BTreeSet<String>,
    pub(crate) client_id: String,
}

impl World {
    /// The request's access token; 401 when it is absent, unknown, expired or revoked.
    pub(crate) fn live(&self, call: &Call) -> Result<&Access, Reply> {
        let token = bearer(call).ok_or_else(refuse::unauthenticated)?;
        self.tokens.live(token, call.now_ms).ok_or_else(refuse::unauthenticated)
    }

    /// Checks the bearer for existence, expiry, revocation (401) and for one of the method's scopes (403).
    pub(crate) fn authorize(&self, call: &Call, method: &str) -> Result<Bearer, Reply> {
        let live = self.live(call)?;
        let accepted = scopes::accepted(method);
        if !scopes::any(&live.scopes, accepted) {
            return Err(refuse::insufficient_scope(method, accepted));
        }
        Ok(Bearer { scopes: live.scopes.clone(), client_id: live.client_id.clone() })
    }
}

/// The bearer of the one `Authorization` header. Never taken from the URL or the body (RFC 6750 section 2.3).
pub(crate) fn bearer(call: &Call) -> Option<&str> {
    let (scheme, token) = call.header("authorization")?.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}
