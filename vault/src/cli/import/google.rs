//! The files in which MCP servers for Google keep an OAuth client and a refresh token.

use std::path::{Path, PathBuf};

use secrecy::SecretString;
use serde_json::Value as Json;

use super::super::client_install::{For, Held, parse};
use super::found::Value;

/// The most files of one directory that are looked at.
const MOST_FILES: usize = 64;

/// An OAuth client and a refresh token out of two files.
///
/// # Errors
/// Why there is none, without anything of the files.
pub(super) fn from_files(client: &Path, token: &Path) -> Result<Value, String> {
    let (client_id, client_secret) = client_of(&json(client)?).ok_or_else(|| no(client, "OAuth client"))?;
    let refresh_token = token_of(&json(token)?).ok_or_else(|| no(token, "single refresh token"))?;
    Ok(Value::Oauth2 { client_id, client_secret, refresh_token })
}

/// The one account that workspace-mcp has in that directory: its file, and what is in it.
///
/// # Errors
/// There is none, or more than one; or it lacks something.
pub(super) fn workspace(directory: &Path) -> Result<(PathBuf, Value), String> {
    let shown = directory.display();
    let entries = std::fs::read_dir(directory).map_err(|error| format!("{shown}: {}", error.kind()))?;
    let mut files: Vec<PathBuf> = entries
        .take(MOST_FILES)
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|end| end == "json"))
        // Its file of sign-ins under way.
        .filter(|path| path.file_name().is_some_and(|name| name != "oauth_states.json"))
        .collect();
    let file = match (files.pop(), files.len()) {
        (Some(file), 0) => file,
        (None, _) => return Err(format!("{shown} has no account")),
        (Some(_), more) => {
            return Err(format!("{shown} has {} accounts, and which is meant cannot be told", more + 1));
        }
    };
    let read = json(&file)?;
    let (client_id, client_secret) = pair(&read).ok_or_else(|| no(&file, "OAuth client"))?;
    let refresh_token = text(&read, "refresh_token").ok_or_else(|| no(&file, "refresh token"))?;
    Ok((file, Value::Oauth2 { client_id, client_secret, refresh_token: refresh_token.into() }))
}

fn no(path: &Path, what: &str) -> String {
    format!("{} holds no {what}", path.display())
}

fn json(path: &Path) -> Result<Json, String> {
    let held = Held::open(path, For::Reading).map_err(|failure| failure.message)?;
    if !held.exists() {
        return Err(format!("{} is not there", path.display()));
    }
    parse(held.text()).map_err(|unfit| format!("{}: {unfit}", path.display()))
}

/// A client as Google's console hands it out, for either type; or bare, as some servers take it.
fn client_of(file: &Json) -> Option<(String, SecretString)> {
    ["installed", "web"].iter().find_map(|kind| pair(file.get(kind)?)).or_else(|| pair(file))
}

fn pair(client: &Json) -> Option<(String, SecretString)> {
    Some((text(client, "client_id")?.to_owned(), text(client, "client_secret")?.into()))
}

/// A refresh token: at the top, or of the only account, or of the one that is called `normal`.
fn token_of(file: &Json) -> Option<SecretString> {
    if let Some(token) = text(file, "refresh_token") {
        return Some(token.into());
    }
    let accounts: Vec<_> = file.as_object()?.iter().filter(|(_, account)| account.is_object()).collect();
    let account = match accounts.as_slice() {
        [(_, account)] => account,
        several => several.iter().find(|(name, _)| *name == "normal").map(|(_, account)| account)?,
    };
    text(account, "refresh_token").map(SecretString::from)
}

fn text<'j>(json: &'j Json, key: &str) -> Option<&'j str> {
    json.get(key)?.as_str().filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use secrecy::ExposeSecret;

    use super::*;

    fn opened(value: &Value) -> (String, String, String) {
        let Value::Oauth2 { client_id, client_secret, refresh_token } = value else { panic!("no oauth2") };
        // EXPOSE: a test looks at its own values.
        let open = |secret: &SecretString| secret.expose_secret().to_owned();
        (client_id.clone(), open(client_secret), open(refresh_token))
    }

    #[test]
    fn the_files_as_the_servers_write_them() {
        let dir = tempfile::tempdir().unwrap();
        let (client, token) = (dir.path().join("c.json"), dir.path().join("t.json"));
        let check = |one: &str, two: &str, fine: bool| {
            std::fs::write(&client, one).unwrap();
            std::fs::write(&token, two).unwrap();
            let found = from_files(&client, &token);
            match &found {
                Ok(value) => {
                    assert!(fine, "{one} {two}");
                    assert_eq!(opened(value), ("i".into(), "c4nary-s".into(), "c4nary-r".into()));
                }
                Err(why) => assert!(!fine && !why.contains("c4nary"), "{why}"),
            }
        };
        let installed =
            r#"{"installed": {"client_id": "i", "client_secret": "c4nary-s", "redirect_uris": []}}"#;
        let flat = r#"{"access_token": "c4nary-a", "refresh_token": "c4nary-r", "expiry_date": 1}"#;
        check(installed, flat, true);
        check(&installed.replace("installed", "web"), flat, true);
        check(r#"{"client_id": "i", "client_secret": "c4nary-s"}"#, flat, true);
        check(
            installed,
            &format!("{{\"normal\": {flat}, \"work\": {{\"refresh_token\": \"c4nary-w\"}}}}"),
            true,
        );
        check(installed, &format!("{{\"home\": {flat}}}"), true);
        check(installed, &format!("{{\"home\": {flat}, \"work\": {flat}}}"), false);
        check(installed, r#"{"access_token": "c4nary-a"}"#, false);
        check(installed, "c4nary-r", false);
        check(r#"{"installed": {"client_id": "i", "client_secret": 5}}"#, flat, false);
        check(r#"{"installed": {"client_id": "i", "client_id": "c4nary"}}"#, flat, false);
        check(installed, flat, true);
        std::fs::remove_file(&token).unwrap();
        assert!(from_files(&client, &token).err().unwrap().contains("is not there"));
    }

    #[test]
    fn one_account_of_workspace_mcp() {
        let dir = tempfile::tempdir().unwrap();
        let account = r#"{"token": "c4nary-a", "refresh_token": "c4nary-r", "client_id": "i", "client_secret": "c4nary-s"}"#;
        assert!(workspace(&dir.path().join("none")).is_err());
        assert!(workspace(dir.path()).err().unwrap().contains("no account"));
        std::fs::write(dir.path().join("oauth_states.json"), "{}").unwrap();
        std::fs::write(dir.path().join("me%40example.org.json"), account).unwrap();
        assert_eq!(
            opened(&workspace(dir.path()).unwrap().1),
            ("i".into(), "c4nary-s".into(), "c4nary-r".into())
        );
        std::fs::write(dir.path().join("b.json"), account).unwrap();
        assert!(workspace(dir.path()).err().unwrap().contains("2 accounts"));
    }
}
