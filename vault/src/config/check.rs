//! From a raw table to a checked configuration.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use claviger_domain::name::ServiceId;
use claviger_domain::origin::Origin;
use toml::{Table, Value};
use url::Url;

use super::paths::SOCKET_PATH_MAX;
use super::raw::Reader;
use super::{AuditConfig, Config, Fault, MULTI_USER_RUN_DIR, Mode, ProviderOverride, ServiceOverride, env};

const MIB: u64 = 1 << 20;

/// Checks a whole file.
///
/// # Errors
/// Every fault.
pub(super) fn check(home: &Path, table: Table, overflow_uid: u32) -> Result<Config, Vec<Fault>> {
    let mut faults = Vec::new();
    let mut top = Reader::new("", table, &mut faults);
    let mode = mode(&mut top, overflow_uid);
    let default_run = match mode {
        Mode::SingleUser => home.join("run"),
        // The home is the vault user's own; other users could not reach a socket in it.
        Mode::MultiUser { .. } => PathBuf::from(MULTI_USER_RUN_DIR),
    };
    let run_dir = path(&mut top, "run-dir", home).unwrap_or(default_run);
    if run_dir.as_os_str().len() + "/admin.sock".len() > SOCKET_PATH_MAX {
        top.fault(
            "run-dir",
            format!("is too long: a socket's whole path has at most {SOCKET_PATH_MAX} bytes"),
        );
    }
    let store_path = path(&mut top, "store-path", home).unwrap_or_else(|| home.join("store/vault.db"));
    let keys_dir = path(&mut top, "keys-dir", home).unwrap_or_else(|| home.join("keys"));
    let allow_key_on_disk = top.flag("allow-key-on-disk");
    let services_dir = path(&mut top, "services-dir", home);
    let log = match top.text("log") {
        None => tracing::Level::INFO,
        Some(text) => env::level(&text).unwrap_or_else(|| {
            top.fault("log", "is error, warn, info, debug or trace");
            tracing::Level::INFO
        }),
    };
    let audit = top.table("audit");
    let services = top.table("service");
    let providers = top.table("provider");
    top.finish();

    let audit = check_audit(home, audit, &mut faults);
    let services = each(services, "service", &mut faults, |reader| service(reader, home));
    let providers = each(providers, "provider", &mut faults, |reader| provider(reader, home));
    let config = Config {
        home: home.to_owned(),
        mode,
        run_dir,
        store_path,
        audit,
        keys_dir,
        allow_key_on_disk,
        services_dir,
        services,
        providers,
        log,
    };
    if faults.is_empty() { Ok(config) } else { Err(faults) }
}

fn mode(top: &mut Reader<'_>, overflow_uid: u32) -> Mode {
    let mode = top.required("mode");
    let uids = top.numbers("admin-uids");
    match mode.as_deref() {
        Some("multi-user") => {
            let mut admin_uids = Vec::new();
            for uid in uids.unwrap_or_default() {
                match u32::try_from(uid) {
                    // -1 means "no user" to the kernel (chown(2), setreuid(2)).
                    Err(_) | Ok(u32::MAX) => top.fault("admin-uids", format!("{uid} is not a user id")),
                    Ok(uid) if uid == overflow_uid => top.fault(
                        "admin-uids",
                        format!("{uid} is the overflow uid: it stands for any user that is unknown here"),
                    ),
                    Ok(uid) if admin_uids.contains(&uid) => {
                        top.fault("admin-uids", format!("{uid} stands there twice"));
                    }
                    Ok(uid) => admin_uids.push(uid),
                }
            }
            if admin_uids.is_empty() {
                top.fault("admin-uids", "must name at least one user id: nobody could administer this vault");
            }
            Mode::MultiUser { admin_uids }
        }
        Some("single-user") => {
            if uids.is_some() {
                top.fault(
                    "admin-uids",
                    "means nothing in single-user mode: whoever reaches the socket is admin",
                );
            }
            Mode::SingleUser
        }
        Some(_) => {
            top.fault("mode", "is \"single-user\" or \"multi-user\"");
            Mode::SingleUser
        }
        None => Mode::SingleUser,
    }
}

fn check_audit(home: &Path, table: Table, faults: &mut Vec<Fault>) -> AuditConfig {
    let mut reader = Reader::new("audit", table, faults);
    let dir = path(&mut reader, "dir", home).unwrap_or_else(|| home.join("audit"));
    let max_bytes = reader.size("max-bytes").unwrap_or(4096 * MIB);
    let segment_bytes = reader.size("segment-bytes").unwrap_or(64 * MIB);
    let retention_days = reader.number("retention-days", 1..=3650).map_or(30, |days| days as u32);
    if !(MIB..=1024 * MIB).contains(&segment_bytes) {
        reader.fault("segment-bytes", "must be from 1 MiB to 1 GiB");
    } else if max_bytes < 4 * segment_bytes {
        // One being written, one preallocated, and room that revoking and sealing need when it is full.
        reader.fault("max-bytes", "must be at least four times segment-bytes");
    }
    reader.finish();
    AuditConfig { dir, max_bytes, segment_bytes, retention_days }
}

fn each<T>(
    table: Table,
    kind: &str,
    faults: &mut Vec<Fault>,
    mut read: impl FnMut(&mut Reader<'_>) -> Option<T>,
) -> BTreeMap<String, T> {
    let mut all = BTreeMap::new();
    for (name, value) in table {
        let key = format!("{kind}.{name}");
        if name.parse::<ServiceId>().is_err() {
            let problem =
                "the name is 1 to 32 lower-case letters, digits or hyphens, and begins with a letter";
            faults.push(Fault { key, problem: problem.to_owned(), hint: None });
            continue;
        }
        let Value::Table(table) = value else {
            let problem = format!("must be a table, [{key}]");
            faults.push(Fault { key, problem, hint: None });
            continue;
        };
        let mut reader = Reader::new(&key, table, faults);
        let item = read(&mut reader);
        reader.finish();
        all.extend(item.map(|item| (name, item)));
    }
    all
}

fn service(reader: &mut Reader<'_>, home: &Path) -> Option<ServiceOverride> {
    let origin = reader.required("origin");
    let private = reader.flag("private");
    let ca = path(reader, "ca", home);
    match origin?.parse::<Origin>() {
        Ok(origin) => Some(ServiceOverride { origin, private, ca }),
        Err(error) => {
            reader.fault("origin", error.to_string());
            None
        }
    }
}

fn provider(reader: &mut Reader<'_>, home: &Path) -> Option<ProviderOverride> {
    let authorize = reader.required("authorize").and_then(|text| endpoint(reader, "authorize", &text));
    let token = reader.required("token").and_then(|text| endpoint(reader, "token", &text));
    let revoke = reader.text("revoke").and_then(|text| endpoint(reader, "revoke", &text));
    let userinfo = reader.required("userinfo").and_then(|text| endpoint(reader, "userinfo", &text));
    let private = reader.flag("private");
    let ca = path(reader, "ca", home);
    Some(ProviderOverride { authorize: authorize?, token: token?, revoke, userinfo: userinfo?, private, ca })
}

/// An https address without user, fragment or (RFC 6749, 3.1: there it may be) query, whose origin egress can dial.
fn endpoint(reader: &mut Reader<'_>, key: &str, text: &str) -> Option<Url> {
    let problem = match Url::parse(text) {
        Err(_) => "is not an address",
        Ok(url) if url.scheme() != "https" => "must begin with https://",
        Ok(url) if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() => {
            "must have no user, password or fragment"
        }
        Ok(url) if url.origin().ascii_serialization().parse::<Origin>().is_err() => {
            "has a host that cannot be dialled"
        }
        Ok(url) => return Some(url),
    };
    reader.fault(key, problem);
    None
}

/// A path; a relative one begins at the home.
fn path(reader: &mut Reader<'_>, key: &'static str, home: &Path) -> Option<PathBuf> {
    let text = reader.text(key)?;
    if text.is_empty() || text.contains('\0') {
        reader.fault(key, "is not a path");
        return None;
    }
    if text.starts_with('~') {
        reader.fault(key, "`~` is not resolved here: write the whole path");
        return None;
    }
    Some(home.join(text))
}
