#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::*;

fn parse(text: &str) -> Result<Config, Vec<String>> {
    Config::parse(Path::new("/v"), text, 65534).map_err(|error| match error {
        ConfigError::Faults { faults, .. } => faults.iter().map(Fault::to_string).collect(),
        other => vec![other.to_string()],
    })
}

#[test]
fn defaults_of_a_single_user_vault() {
    let config = parse("mode = \"single-user\"").unwrap();
    assert_eq!(config.admin_socket(), Path::new("/v/run/admin.sock"));
    assert_eq!(config.agent_socket("bot"), Path::new("/v/run/agents/bot.sock"));
    assert_eq!(config.adapter_socket("gmail"), Path::new("/v/run/adapters/gmail.sock"));
    assert_eq!(config.mcp_endpoint("gmail"), Path::new("/v/run/mcp/gmail.sock"));
    assert_eq!(config.run_dirs().len(), 4);
    assert_eq!(config.store_path, Path::new("/v/store/vault.db"));
    assert_eq!(config.keys_dir, Path::new("/v/keys"));
    assert_eq!(config.log, tracing::Level::INFO);
    assert!(!config.allow_key_on_disk);
    assert_eq!(
        config.audit,
        AuditConfig {
            dir: "/v/audit".into(),
            max_bytes: 4 << 30,
            segment_bytes: 64 << 20,
            retention_days: 30
        }
    );
}

#[test]
fn a_multi_user_vault_has_sockets_where_others_can_reach_them() {
    let config = parse("mode = \"multi-user\"\nadmin-uids = [0, 1000]").unwrap();
    assert_eq!(config.mode, Mode::MultiUser { admin_uids: vec![0, 1000] });
    assert_eq!(config.admin_socket(), Path::new("/run/claviger/admin.sock"));
    assert_eq!(config.agent_socket("bot"), Path::new("/run/claviger/agent.sock"));
    assert_eq!(config.adapter_socket("gmail"), Path::new("/run/claviger/adapter.sock"));
    assert_eq!(config.mcp_endpoint("gmail"), Path::new("/run/claviger-mcp-gmail/mcp.sock"));
}

#[test]
fn overrides_are_read() {
    let config = parse(
        r#"
        mode = "single-user"
        log = "debug"
        run-dir = "/tmp/r"
        services-dir = "more"
        [audit]
        max-bytes = "1 GiB"
        segment-bytes = 1048576
        retention-days = 7
        [service.gmail]
        origin = "https://127.0.0.1:8443"
        private = true
        ca = "ca.pem"
        [provider.google]
        authorize = "https://127.0.0.1:8443/auth"
        token = "https://127.0.0.1:8443/token"
        userinfo = "https://127.0.0.1:8443/me"
        "#,
    )
    .unwrap();
    let gmail = &config.services["gmail"];
    assert_eq!(gmail.origin.to_string(), "https://127.0.0.1:8443");
    assert!(gmail.private);
    assert_eq!(gmail.ca, Some(PathBuf::from("/v/ca.pem")));
    let google = &config.providers["google"];
    assert_eq!(google.token.as_str(), "https://127.0.0.1:8443/token");
    assert_eq!((google.revoke.as_ref(), google.private), (None, false));
    assert_eq!(config.services_dir, Some(PathBuf::from("/v/more")));
    assert_eq!((config.audit.max_bytes, config.audit.segment_bytes), (1 << 30, 1 << 20));
    assert_eq!(config.run_dir, Path::new("/tmp/r"));
}

#[test]
fn all_faults_are_told_at_once() {
    let faults = parse(
        r#"
        mode = "multi-user"
        admin_uids = [1000]
        log = "loud"
        run-dir = "~/x"
        frobnicate = 1
        [audit]
        segment-bytes = "64 megabytes"
        max-size = 5
        retention-days = 0
        [service.gmail]
        url = "https://x"
        [service.Bad]
        origin = "https://example.org"
        [provider.google]
        authorize = "http://example.org/"
        token = "https://me@example.org/"
        userinfo = "nonsense"
        "#,
    )
    .unwrap_err();
    let all = faults.join("\n");
    for part in [
        "admin-uids: must name at least one",
        "admin_uids: there is no such key (the key is called `admin-uids`)",
        "log: is error, warn, info, debug or trace",
        "run-dir: `~` is not resolved here",
        "frobnicate: there is no such key (known here: mode",
        "audit.segment-bytes: must be a size",
        "audit.max-size: there is no such key (the key is called `max-bytes`)",
        "audit.retention-days: must be from 1 to 3650",
        "service.gmail.origin: is missing",
        "service.gmail.url: there is no such key (the key is called `origin`)",
        "service.Bad: the name is",
        "provider.google.authorize: must begin with https://",
        "provider.google.token: must have no user",
        "provider.google.userinfo: is not an address",
    ] {
        assert!(all.contains(part), "{part:?} is missing in:\n{all}");
    }
    assert_eq!(faults.len(), 14, "{all}");
}

#[test]
fn who_may_be_admin() {
    let check = |text: &str, expected: &str| {
        let faults = parse(text).unwrap_err().join("\n");
        assert!(faults.contains(expected), "{text}: {faults}");
    };
    check("mode = \"multi-user\"", "must name at least one user id");
    check("mode = \"multi-user\"\nadmin-uids = []", "must name at least one user id");
    check("mode = \"multi-user\"\nadmin-uids = [65534]", "overflow uid");
    check("mode = \"multi-user\"\nadmin-uids = [1000, 65534]", "overflow uid");
    check("mode = \"multi-user\"\nadmin-uids = [-1]", "not a user id");
    check("mode = \"multi-user\"\nadmin-uids = [4294967295]", "not a user id");
    check("mode = \"multi-user\"\nadmin-uids = [4294967296]", "not a user id");
    check("mode = \"multi-user\"\nadmin-uids = [1, 1]", "twice");
    check("mode = \"multi-user\"\nadmin-uids = [\"root\"]", "list of whole numbers");
    check("mode = \"multi-user\"\nadmin-uids = 0", "list of whole numbers");
    check("mode = \"single-user\"\nadmin-uids = [1]", "means nothing");
    check("admin-uids = [1]", "mode: is missing");
    check("mode = \"both\"", "mode: is \"single-user\"");
    check("mode = true", "mode: must be a text");
    check("mode = \"single-user", "is not TOML");
}

#[test]
fn other_bad_values() {
    let check = |line: &str, expected: &str| {
        let faults = parse(&format!("mode = \"single-user\"\n{line}")).unwrap_err().join("\n");
        assert!(faults.contains(expected), "{line}: {faults}");
    };
    check(&format!("run-dir = \"/{}\"", "x".repeat(100)), "too long");
    check("run-dir = \"\"", "not a path");
    check("allow-key-on-disk = \"yes\"", "must be true or false");
    check("audit = 1", "must be a table");
    check("[audit]\nmax-bytes = \"64 MiB\"", "four times");
    check("[audit]\nsegment-bytes = 1000", "1 MiB to 1 GiB");
    check("[audit]\nmax-bytes = -1", "must be a size");
    check("[audit]\nmax-bytes = \"99999999999999999999 GiB\"", "must be a size");
    check("[service]\ngmail = 1", "must be a table");
    check("[service.gmail]\norigin = \"http://x\"", "begins with https://");
    check("[service.gmail]\norigin = \"https://x/path\"", "nothing more");
    check("log = \"INFO\"", "log: is error");
    check("log = \"3\"", "log: is error");
}

#[test]
fn a_fresh_file_says_what_it_was_told() {
    for (mode, run_dir, allow_key_on_disk) in [
        (Mode::SingleUser, None, false),
        (Mode::SingleUser, Some(PathBuf::from("/tmp/a \"b\"\\c")), true),
        (Mode::MultiUser { admin_uids: vec![0, 1000] }, None, false),
    ] {
        let fresh = Fresh { mode: mode.clone(), run_dir: run_dir.clone(), allow_key_on_disk };
        let config = parse(&fresh.to_text()).unwrap();
        assert_eq!(config.mode, mode);
        assert_eq!(config.allow_key_on_disk, allow_key_on_disk);
        if let Some(run_dir) = run_dir {
            assert_eq!(config.run_dir, run_dir);
        }
    }
}

#[test]
fn every_commented_example_of_a_fresh_file_is_valid() {
    let fresh =
        Fresh { mode: Mode::MultiUser { admin_uids: vec![1] }, run_dir: None, allow_key_on_disk: false };
    let text: String = fresh
        .to_text()
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(rest) if rest.contains(" = ") && !rest.contains(':') || rest.starts_with('[') => rest,
            Some(rest) if rest.contains("= \"https://") => rest,
            _ => line,
        })
        .map(|line| format!("{line}\n"))
        .collect();
    let config = parse(&text).unwrap();
    assert_eq!((config.services.len(), config.providers.len()), (1, 1));
    assert_eq!(config.run_dir, Path::new("/v/run"));
}

#[test]
fn a_file_that_others_could_write_is_not_believed() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("home");
    assert!(matches!(Config::load(&home), Err(ConfigError::Missing { .. })));
    std::fs::create_dir(&home).unwrap();
    assert!(matches!(Config::load(&home), Err(ConfigError::Missing { .. })));
    let fresh = Fresh { mode: Mode::SingleUser, run_dir: None, allow_key_on_disk: false };
    write_fresh(&home, &fresh).unwrap();
    let mode = |path: &Path, mode: u32| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(&home, 0o700);
    assert_eq!(Config::load(&home).unwrap().services_dir, None);
    std::fs::create_dir(home.join("services")).unwrap();
    assert_eq!(Config::load(&home).unwrap().services_dir, Some(home.join("services")));
    mode(&home.join(FILE), 0o620);
    assert!(matches!(Config::load(&home), Err(ConfigError::Writable { .. })));
    mode(&home.join(FILE), 0o600);
    mode(&home, 0o770);
    assert!(matches!(Config::load(&home), Err(ConfigError::Writable { .. })));
    mode(&home, 0o700);
    assert!(write_fresh(&home, &fresh).is_err(), "a configuration was overwritten");
}
