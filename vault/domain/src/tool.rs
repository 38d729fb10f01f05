//! Services and their tools, as the catalog defines them.

use std::collections::BTreeMap;

use crate::arg::{Arg, Arguments};
use crate::effect::Effect;
use crate::look::Look;
use crate::name::{Ident, ServiceId, ToolName};
use crate::origin::Pin;
use crate::step::{ParamSource, Step};

/// The SHA-256 of a tool's definition, which a grant pins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Definition(pub [u8; 32]);

impl Definition {
    /// Its first eight digits, for people.
    #[must_use]
    pub fn short(&self) -> String {
        self.to_string().chars().take(8).collect()
    }
}

impl std::fmt::Display for Definition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// One thing an agent can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tool {
    /// Its full name.
    pub name: ToolName,
    /// What a model is told it does.
    pub summary: String,
    /// Its effect.
    pub effect: Effect,
    /// Arguments that make a call of it a send: with one of them, others get to see what is written.
    pub sends_with: Vec<Ident>,
    /// Whether strangers can write what it answers.
    pub untrusted: bool,
    /// Whether what others wrote goes on by it, and would pass for the owner's own: who calls it counts as having read it.
    pub carries: bool,
    /// OAuth scopes of which any one suffices; the first is the narrowest.
    pub scope: Vec<String>,
    /// How many requests one call may make, probes not counted.
    pub requests: u32,
    /// Whether it can change what bounds it: then the object must be in scope before and after.
    pub rescopes: bool,
    /// Arguments an owner wants to see in lists.
    pub show: Vec<Ident>,
    /// Its arguments.
    pub args: BTreeMap<Ident, Arg>,
    /// What the vault looks at before a call of it is decided, and again before it is sent.
    pub looks: Vec<Look>,
    /// Its steps, in order.
    pub steps: Vec<Step>,
    /// What a grant pins.
    pub definition: Definition,
}

impl Tool {
    /// The step of that name.
    #[must_use]
    pub fn step(&self, name: &str) -> Option<&Step> {
        self.steps.iter().find(|step| step.name.as_str() == name)
    }

    /// The effect that a call with these arguments has, as far as they tell: a list counts where somebody is on it.
    #[must_use]
    pub fn effect_of(&self, args: &Arguments) -> Effect {
        let tells = |name: &Ident| {
            args.get(name).is_some_and(|value| value.texts().iter().any(|text| !text.is_empty()))
        };
        if self.effect == Effect::Write && self.sends_with.iter().any(tells) {
            Effect::Send
        } else {
            self.effect
        }
    }

    /// The arguments that hold recipients, in the catalog's order.
    #[must_use]
    pub fn recipient_args(&self) -> Vec<&Ident> {
        self.steps.iter().flat_map(|step| &step.recipients).collect()
    }

    /// The arguments that name an object of that resource outright.
    #[must_use]
    pub fn resource_args(&self, resource: &Ident) -> Vec<&Ident> {
        self.resource_args_of(resource.as_str())
    }

    /// The same by the resource's name, or by one of [`crate::reserved`].
    #[must_use]
    pub fn resource_args_of(&self, name: &str) -> Vec<&Ident> {
        self.steps.iter().filter_map(|step| step.check(name)?.arg.as_ref()).collect()
    }

    /// The look of that name.
    #[must_use]
    pub fn look(&self, name: &Ident) -> Option<&Look> {
        self.looks.iter().find(|look| look.name == *name)
    }

    /// Whether a look sees whom a call of it would reach.
    #[must_use]
    pub fn sees_people(&self) -> bool {
        self.looks.iter().any(|look| !look.people.is_empty())
    }

    /// Whether a call's arguments, or what is seen of its object, tell whom it would reach.
    #[must_use]
    pub fn tells_attendees(&self) -> bool {
        self.sees_people() || !self.recipient_args().is_empty()
    }

    /// The resources a step of this tool may be asked to choose an id of.
    #[must_use]
    pub fn choices(&self) -> Vec<&Ident> {
        let mut found = Vec::new();
        for source in self.steps.iter().flat_map(|step| step.params.values()) {
            if let ParamSource::Scope(resource) = source
                && !found.contains(&resource)
            {
                found.push(resource);
            }
        }
        found
    }

    /// Whether every step of it can be held to that resource.
    ///
    /// # Errors
    /// The reason why it cannot, as a clause.
    pub fn bounds(&self, resource: &Ident) -> Result<(), String> {
        self.checks(resource.as_str())
    }

    /// Whether every step of it can be held to what is bounded under that name: a resource's, or one of
    /// [`crate::reserved`].
    ///
    /// # Errors
    /// The reason why it cannot, as a clause.
    pub fn checks(&self, name: &str) -> Result<(), String> {
        let unbounded = self.steps.iter().any(|step| step.check(name).is_none());
        if unbounded || self.steps.is_empty() {
            Err(format!("{} cannot be bounded by {name}", self.name))
        } else {
            Ok(())
        }
    }
}

/// How a name that an owner writes becomes the id that a grant pins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// What bounding by it means.
    pub summary: String,
    /// A step of the service that lists candidates.
    pub step: Ident,
    /// The list in its answer.
    pub list: crate::pointer::Pointer,
    /// In each element: its name.
    pub name: crate::pointer::Pointer,
    /// In each element: its id.
    pub id: crate::pointer::Pointer,
    /// How what lies directly below one of them is listed; `None` where nothing does.
    pub nested: Option<Nested>,
}

/// How the objects of a resource that lie directly below another are listed, as folders in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nested {
    /// A step of the service.
    pub step: Ident,
    /// The list in its answer.
    pub list: crate::pointer::Pointer,
    /// In each element: its id.
    pub id: crate::pointer::Pointer,
    /// The parameter of the step that takes the id above.
    pub param: Ident,
}

/// How a service is authenticated to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Auth {
    /// OAuth 2.0 with that provider of the catalog.
    OAuth2 {
        /// The provider's id.
        provider: String,
    },
    /// `Authorization: Bearer`.
    Bearer,
    /// A header of that name.
    Header {
        /// The header's name, lower case.
        name: String,
    },
    /// HTTP Basic.
    Basic,
    /// Nothing.
    None,
}

impl Auth {
    /// The kind of secret it takes.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Auth::OAuth2 { .. } => "oauth2",
            Auth::Bearer => "bearer",
            Auth::Header { .. } => "header",
            Auth::Basic => "basic",
            Auth::None => "none",
        }
    }
}

/// One upstream service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Its id.
    pub id: ServiceId,
    /// What people call it.
    pub title: String,
    /// Where it is; a secret pins this when it is made.
    pub pin: Pin,
    /// How it is authenticated to.
    pub auth: Auth,
    /// What a grant may bound by.
    pub resources: BTreeMap<Ident, Resource>,
    /// Steps the vault uses itself.
    pub steps: BTreeMap<Ident, Step>,
    /// Its tools.
    pub tools: BTreeMap<Ident, Tool>,
}

/// An OAuth provider that services share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provider {
    /// Its id.
    pub id: String,
    /// Where an owner's browser goes: an https URL.
    pub authorize: Endpoint,
    /// Where codes and refresh tokens become access tokens (RFC 6749).
    pub token: Endpoint,
    /// Where tokens are revoked (RFC 7009), if anywhere.
    pub revoke: Option<Endpoint>,
    /// Whether revoking one token ends all that the account has given this client, newer ones too. Then an old
    /// version of a secret is not revoked when a new one takes its place.
    pub revokes_account: bool,
    /// Who the account is (OpenID Connect), if it says.
    pub userinfo: Option<Endpoint>,
    /// What short scope names are relative to.
    pub scope_prefix: String,
    /// Scopes asked for always.
    pub identity_scopes: Vec<String>,
    /// Further parameters of the authorization request.
    pub authorize_params: BTreeMap<String, String>,
    /// Whether its origins may be private, and which roots they pin.
    pub private: bool,
    /// PEM of the only roots trusted.
    pub roots_pem: Option<String>,
}

impl Provider {
    /// A scope's whole name.
    #[must_use]
    pub fn full_scope(&self, scope: &str) -> String {
        if scope.contains(':') || self.identity_scopes.iter().any(|known| known == scope) {
            scope.to_owned()
        } else {
            format!("{}{scope}", self.scope_prefix)
        }
    }
}

/// An https URL without query: an origin and a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The origin.
    pub origin: crate::origin::Origin,
    /// The path, beginning with a slash.
    pub path: String,
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", self.origin, self.path)
    }
}

impl std::str::FromStr for Endpoint {
    type Err = crate::origin::BadOrigin;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let rest = text.strip_prefix("https://").ok_or(crate::origin::BadOrigin::Scheme)?;
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~/".contains(&b);
        if !path.bytes().all(plain) || path.split('/').any(|segment| matches!(segment, "." | "..")) {
            return Err(crate::origin::BadOrigin::More);
        }
        Ok(Self { origin: format!("https://{authority}").parse()?, path: format!("/{path}") })
    }
}
