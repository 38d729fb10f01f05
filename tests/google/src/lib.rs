//! A stand-in for Google's OAuth, Gmail, Drive, Calendar and contacts, strict where it matters, for tests and the demo.
//!
//! One in-memory HTTPS server answers Google's real paths from a seeded mailbox and drive. It is strict about what
//! a credential vault must get right: PKCE, single-use codes, narrowed and rotated refresh tokens, expiry by an
//! injected clock, revocation that cascades, a scope for every method, unknown parameters refused. It can also
//! misbehave on order (see [`Fault`]) and tells what reached it (see [`StandIn::log`]).
//!
//! It is not Google and says so: each answer has the header `Server: stand-in-google`, and `/` explains itself.
//! Its secrets guard nothing, so they are plain strings; nothing here belongs into a program that holds real ones.
//!
//! ```no_run
//! # async fn demo() -> anyhow::Result<()> {
//! use stand_in_google::{Config, Seed, StandIn};
//! let google = StandIn::start(Config { seed: Seed::demo(), ..Config::default() }).await?;
//! let token = google.direct_token(&["https://www.googleapis.com/auth/gmail.readonly"]);
//! assert!(google.origin().starts_with("https://"));
//! # drop(token);
//! google.shutdown().await;
//! # Ok(())
//! # }
//! ```

mod body;
mod calendar;
mod clock;
mod compose;
mod config;
mod control;
mod drive;
mod faults;
mod fields;
mod filling;
mod gmail;
mod google_error;
mod log;
mod mime;
mod oauth;
mod pages;
mod people;
mod query;
mod random;
mod router;
mod scopes;
mod seed;
mod seed_demo;
mod server;
mod stand_in;
mod tls;
mod token_endpoint;
mod tokens;
mod uploads;
mod wire;
mod world;

pub use calendar::Invitation;
pub use compose::Letter;
pub use config::{Config, ConsentMode};
pub use faults::{EchoForm, Fault};
pub use gmail::Sent;
pub use log::LoggedRequest;
pub use mime::{ReadPart, read_mail};
pub use seed::{Owner, Seed, SeedCalendar, SeedContact, SeedEvent, SeedFile, SeedMail};
pub use stand_in::StandIn;
pub use tokens::Lineage;
