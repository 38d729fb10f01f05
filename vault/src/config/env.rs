//! Every environment variable that is read, in this one file. None of those that are named here ever holds a secret.

use std::ffi::OsString;
use std::path::PathBuf;
use std::str::FromStr;

use secrecy::SecretString;

use super::{ConfigError, Fault};

/// A variable and what it is for.
#[derive(Debug)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// What it does, for the help text.
    pub doc: &'static str,
}

/// The vault's home directory.
pub const CLAVIGER_HOME: Variable =
    Variable { name: "CLAVIGER_HOME", doc: "the vault's home directory, unless --home says it" };
/// How much is logged.
pub const CLAVIGER_LOG: Variable = Variable {
    name: "CLAVIGER_LOG",
    doc: "error, warn, info, debug or trace; goes before the configuration",
};
/// Where data of programs lives.
pub const XDG_DATA_HOME: Variable =
    Variable { name: "XDG_DATA_HOME", doc: "the vault is in claviger/ there, unless it is said otherwise" };
/// The user's home.
pub const HOME: Variable = Variable {
    name: "HOME",
    doc: "the vault is in .local/share/claviger/ there, unless it is said otherwise",
};
/// No colour.
pub const NO_COLOR: Variable = Variable { name: "NO_COLOR", doc: "no colour, if it is set to anything" };
/// A screen.
pub const DISPLAY: Variable =
    Variable { name: "DISPLAY", doc: "whether there is a screen on which `connect` can open a browser" };
/// A screen, too.
pub const WAYLAND_DISPLAY: Variable = Variable { name: "WAYLAND_DISPLAY", doc: "as DISPLAY" };

/// Where systemd puts the credentials of a service (systemd.exec(5), `LoadCredential=`). The directory is no secret.
pub const CREDENTIALS_DIRECTORY: Variable = Variable {
    name: "CREDENTIALS_DIRECTORY",
    doc: "where `serve --credential` finds the identity that systemd hands over",
};

/// All of them, in the order of the help text.
pub const ALL: [&Variable; 8] = [
    &CLAVIGER_HOME,
    &CLAVIGER_LOG,
    &XDG_DATA_HOME,
    &HOME,
    &NO_COLOR,
    &DISPLAY,
    &WAYLAND_DISPLAY,
    &CREDENTIALS_DIRECTORY,
];

impl Variable {
    /// Its value, if it is set and not empty.
    #[must_use]
    #[allow(clippy::disallowed_methods, reason = "this file reads the environment, for all")]
    pub fn value(&self) -> Option<OsString> {
        std::env::var_os(self.name).filter(|value| !value.is_empty())
    }
}

/// The value of a variable that a client's configuration names, for `claviger import` alone: what it is, and whether it
/// is a secret, only that file knows. `None` where it is not set, empty, or no text.
#[must_use]
#[allow(clippy::disallowed_methods, reason = "this file reads the environment, for all")]
pub fn referred(name: &str) -> Option<SecretString> {
    // A name with one of these would make the standard library panic or find nothing (std::env::var_os).
    if name.is_empty() || name.contains(['=', '\0']) {
        return None;
    }
    std::env::var(name).ok().filter(|value| !value.is_empty()).map(SecretString::from)
}

/// The home directory: the flag, else `CLAVIGER_HOME`, else the user's place for data.
///
/// # Errors
/// [`ConfigError::NoHome`] where nothing says it.
pub fn home(flag: Option<PathBuf>) -> Result<PathBuf, ConfigError> {
    flag.or_else(|| CLAVIGER_HOME.value().map(PathBuf::from))
        .or_else(|| {
            // The XDG base directory specification: a relative path is to be ignored.
            let data = XDG_DATA_HOME.value().map(PathBuf::from).filter(|path| path.is_absolute());
            data.or_else(|| Some(PathBuf::from(HOME.value()?).join(".local/share")))
                .map(|data| data.join("claviger"))
        })
        .ok_or(ConfigError::NoHome)
}

/// Whether anything but the default says where the home is.
#[must_use]
pub fn home_is_named() -> bool {
    CLAVIGER_HOME.value().is_some()
}

/// Whether a browser could be shown here.
#[must_use]
pub fn has_screen() -> bool {
    cfg!(target_os = "macos") || DISPLAY.value().is_some() || WAYLAND_DISPLAY.value().is_some()
}

/// The level that `CLAVIGER_LOG` names.
///
/// # Errors
/// It is set to something that is no level.
pub(super) fn log_level() -> Result<Option<tracing::Level>, Fault> {
    let Some(value) = CLAVIGER_LOG.value() else { return Ok(None) };
    level(&value.to_string_lossy()).map(Some).ok_or_else(|| Fault {
        key: CLAVIGER_LOG.name.to_owned(),
        problem: "is error, warn, info, debug or trace".to_owned(),
        hint: None,
    })
}

/// A log level by its lower-case name.
pub(super) fn level(text: &str) -> Option<tracing::Level> {
    // `Level` itself also takes digits and any case; one spelling is enough.
    (!text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase()))
        .then(|| tracing::Level::from_str(text).ok())
        .flatten()
}
