//! Values go in by prompt or stdin, reach the vault, and appear nowhere else.

use claviger_proto::v1::secret_value::Kind;
use claviger_proto::v1::*;

use super::fake::Fake;
use super::*;

const CANARY: &str = "c4nary-s3cret";

#[test]
fn each_kind_reaches_the_vault_and_nothing_else() {
    let vault = Fake::start();
    let check = |line: &str, answers: &[&str], expected: Kind| {
        for stdin in ["", " --stdin"] {
            let line = format!("secret add {line}{stdin}");
            let ran = vault.run(&line.split(' ').collect::<Vec<_>>(), answers).said(&["is stored"]);
            assert!(!ran.out.contains(CANARY) && !ran.err.contains(CANARY), "{}{}", ran.out, ran.err);
            let got = vault.got::<AddSecretRequest>("add_secret").value.and_then(|value| value.kind);
            assert!(got.as_ref() == Some(&expected), "{line}");
            assert!(!format!("{got:?}").contains(CANARY));
        }
    };
    let value = || CANARY.to_owned();
    check("github/me --kind bearer", &[CANARY], Kind::Bearer(value()));
    let header = HeaderValue { name: "X-Key".into(), value: value() };
    check("github/me --kind header --header-name X-Key", &[CANARY], Kind::Header(header));
    let basic = BasicValue { user: "u".into(), password: value() };
    check("github/me --kind basic --user u", &[CANARY], Kind::Basic(basic));
    let oauth2 = Oauth2Value { client_id: "i".into(), client_secret: value(), refresh_token: "r".into() };
    check("gmail/me --kind oauth2 --client-id i", &[CANARY, "r"], Kind::Oauth2(oauth2));
}

#[test]
fn a_service_without_credential_is_asked_for_none() {
    let vault = Fake::start();
    vault.run(&["secret", "add", "files/nas"], &[]).said(&["is stored"]);
    assert!(vault.got::<AddSecretRequest>("add_secret").value.is_none());
    vault
        .run(&["secret", "add", "files/nas", "--user", "u"], &[])
        .failed(Exit::Usage, &["--user means nothing"]);
}

#[test]
fn values_that_cannot_be_meant_are_not_sent() {
    let vault = Fake::start();
    let add = |value: &str, part: &str| {
        let line = ["secret", "add", "github/me", "--kind", "bearer", "--stdin"];
        let ran = vault.run(&line, &[value]).failed(Exit::Failed, &[part, "nothing was sent"]);
        assert!(!ran.err.contains(CANARY), "{}", ran.err);
    };
    add("", "is empty");
    add("c4nary-s3cret ", "begins or ends with a space");
    add("c4nary\x01-s3cret", "control character");
    add("c4nary-s3cret\r\nX: y", "control character");
    vault
        .run(&["secret", "add", "github/me", "--kind", "bearer", "--stdin"], &[])
        .failed(Exit::Failed, &["no token on stdin"]);
    vault
        .run(&["secret", "add", "github/me", "--kind", "bearer"], &[])
        .failed(Exit::Failed, &["cannot be asked for", "--stdin"]);
    assert!(!vault.was_called("add_secret"));
}

#[test]
fn parts_that_do_not_belong_to_the_kind_are_refused() {
    let vault = Fake::start();
    let check = |line: &str, part: &str| {
        let line = format!("secret add github/me --stdin --kind {line}");
        vault.run(&line.split(' ').collect::<Vec<_>>(), &[CANARY]).failed(Exit::Usage, &[part]);
    };
    check("header", "--header-name");
    check("basic", "--user");
    check("oauth2", "--client-id");
    check("bearer --user u", "--user means nothing");
    check("basic --user u --header-name x", "--header-name means nothing");
    assert!(!vault.was_called("add_secret"));
}

#[test]
fn rotating() {
    let vault = Fake::start();
    vault.run(&["secret", "rotate", "gmail/me"], &[]).said(&["version 2 now"]);
    assert!(vault.got::<RotateSecretRequest>("rotate_secret").value.is_none());
    vault.run(&["secret", "rotate", "gmail/me", "--stdin"], &[CANARY]).failed(Exit::Usage, &["--enter"]);
    let ran = vault.run(&["secret", "rotate", "github/me"], &[CANARY]).said(&["version 2 now"]);
    assert!(!ran.out.contains(CANARY) && !ran.err.contains(CANARY));
    let got = vault.got::<RotateSecretRequest>("rotate_secret").value.and_then(|value| value.kind);
    assert!(got == Some(Kind::Bearer(CANARY.into())));
    vault.run(&["secret", "rotate", "gmail/me", "--enter", "--stdin"], &[CANARY, "r"]).said(&[]);
    let got = vault.got::<RotateSecretRequest>("rotate_secret").value.and_then(|value| value.kind);
    let kept =
        Oauth2Value { client_id: String::new(), client_secret: CANARY.into(), refresh_token: "r".into() };
    assert!(got == Some(Kind::Oauth2(kept)));
}

#[test]
fn removing_revokes_upstream_only_when_told_to() {
    let vault = Fake::start();
    vault.run(&["secret", "rm", "gmail/me"], &[]).said(&[]);
    assert!(!vault.got::<RemoveSecretRequest>("remove_secret").revoke_upstream);
    vault.run(&["secret", "rm", "gmail/me", "--revoke-upstream"], &[]).said(&[]);
    assert!(vault.got::<RemoveSecretRequest>("remove_secret").revoke_upstream);
}

#[test]
fn unsealing() {
    let vault = Fake::start();
    for line in [&["unseal"][..], &["unseal", "--passphrase-stdin"]] {
        let ran = vault.run(line, &[CANARY]).said(&["unsealed"]);
        assert!(!ran.out.contains(CANARY) && !ran.err.contains(CANARY));
        let got: UnsealRequest = vault.got("unseal");
        assert!(got.key == Some(unseal_request::Key::Passphrase(CANARY.into())));
    }
    vault.run(&["unseal"], &[]).failed(Exit::Failed, &["--passphrase-stdin"]);
    // On the store's own filesystem an identity needs the owner's word.
    let file = vault.path("identity");
    let mode = |mode: u32| {
        let mode = <std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(mode);
        std::fs::set_permissions(&file, mode).unwrap();
    };
    std::fs::write(&file, CANARY).unwrap();
    mode(0o600);
    let line = ["unseal", "--identity", file.to_str().unwrap()];
    vault.run(&line, &[]).failed(Exit::Failed, &["the store's own filesystem", "allow-key-on-disk = true"]);
    let config = vault.path("claviger.toml");
    std::fs::write(&config, "mode = \"single-user\"\nallow-key-on-disk = true\n").unwrap();
    vault.run(&line, &[]).said(&["unsealed"]);
    assert!(vault.got::<UnsealRequest>("unseal").key == Some(unseal_request::Key::Identity(CANARY.into())));
    mode(0o644);
    vault.run(&line, &[]).failed(Exit::Failed, &["can be read by everybody", "chmod 600"]);
    mode(0o600);
    std::fs::write(&file, vec![b'x'; 70_000]).unwrap();
    vault.run(&line, &[]).failed(Exit::Failed, &["longer than 64 KiB"]);
}
