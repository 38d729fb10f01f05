//! The program itself.

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_claviger-mcp"));
    command.env_clear().stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[test]
fn usage_is_told() {
    let help = program().arg("--help").output().unwrap();
    assert_eq!(help.status.code(), Some(0));
    let help = String::from_utf8(help.stdout).unwrap();
    for word in
        ["CLAVIGER_ADAPTER_SOCKET", "CLAVIGER_MCP_ENDPOINT", "CLAVIGER_VAULT_UID", "--single-user", "Example"]
    {
        assert!(help.contains(word), "{word} is missing in:\n{help}");
    }
    let wrong = program().arg("gmail").output().unwrap();
    assert_eq!(wrong.status.code(), Some(2));
    assert!(String::from_utf8(wrong.stderr).unwrap().contains("--vault-socket"));
}

#[test]
fn it_fails_with_a_reason() {
    let output = program()
        .args(["gmail", "--vault-socket", "/nonexistent/v", "--endpoint", "/nonexistent/e", "--log", "off"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.starts_with("claviger-mcp: cannot listen on /nonexistent/e"), "{told}");
}

#[test]
fn it_stops_when_asked_to() {
    let dir = tempfile::tempdir().unwrap();
    let endpoint = dir.path().join("mcp");
    for signal in [nix::sys::signal::Signal::SIGTERM, nix::sys::signal::Signal::SIGINT] {
        let mut child = program()
            .arg("gmail")
            .arg("--single-user")
            .env("CLAVIGER_ADAPTER_SOCKET", dir.path().join("vault"))
            .env("CLAVIGER_MCP_ENDPOINT", &endpoint)
            .spawn()
            .unwrap();
        let begin = Instant::now();
        while !endpoint.exists() {
            assert!(begin.elapsed() < Duration::from_secs(20), "it does not listen");
            std::thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(endpoint.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
        nix::sys::signal::kill(pid, signal).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0));
        assert!(!endpoint.exists());
    }
}
