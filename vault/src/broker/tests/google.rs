//! A small stand-in for the upstream: mails with labels, files with parents, and a token endpoint.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::upstream::{Seen, json as answer};
use crate::port::{Answer, UpstreamFault};

/// What is upstream. Tests reach in.
pub(super) struct Google {
    /// Mails: their labels.
    pub(super) mails: BTreeMap<String, Vec<String>>,
    /// Files: their parents.
    pub(super) files: BTreeMap<String, Vec<String>>,
    /// Labels: id and name.
    pub(super) labels: Vec<(String, String)>,
    /// Refresh tokens that work.
    pub(super) refresh: Vec<String>,
    /// Whether each refresh gives a new refresh token and ends the old one.
    pub(super) renews: bool,
    /// Access tokens that work, with their scope.
    pub(super) access: BTreeMap<String, String>,
    /// Seconds an access token is said to live.
    pub(super) life_s: u64,
    /// An error that the token endpoint answers with.
    pub(super) token_error: Option<(u16, &'static str)>,
    /// Scopes that a token cannot be narrowed to.
    pub(super) no_narrowing: bool,
    /// What a login grants, if not what was asked.
    pub(super) grants: Option<String>,
    pub(super) subject: String,
    made: u32,
}

pub(super) type Shared = Arc<Mutex<Google>>;

pub(super) fn google() -> Shared {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    Arc::new(Mutex::new(Google {
        mails: BTreeMap::from([
            ("m1".to_owned(), texts(&["Label_ai", "INBOX"])),
            ("m2".to_owned(), texts(&["Label_ai"])),
            ("secret1".to_owned(), texts(&["INBOX"])),
        ]),
        files: BTreeMap::from([
            ("f1".to_owned(), texts(&["folder_ai"])),
            ("hidden1".to_owned(), texts(&["folder_other"])),
        ]),
        labels: vec![
            ("Label_ai".to_owned(), "AI".to_owned()),
            ("Label_1".to_owned(), "Twice".to_owned()),
            ("Label_2".to_owned(), "Twice".to_owned()),
        ],
        refresh: texts(&["refresh-0"]),
        renews: false,
        access: BTreeMap::new(),
        life_s: 3600,
        token_error: None,
        no_narrowing: false,
        grants: None,
        subject: "subject-1".to_owned(),
        made: 0,
    }))
}

/// Answers for that account.
pub(super) fn serve(
    google: &Shared,
) -> impl Fn(&Seen) -> Result<Answer, UpstreamFault> + Send + Sync + use<> {
    let google = Arc::clone(google);
    move |seen| google.lock().unwrap().reply(seen)
}

impl Google {
    pub(super) fn reply(&mut self, seen: &Seen) -> Result<Answer, UpstreamFault> {
        let (path, query) = seen.target.split_once('?').unwrap_or((&seen.target, ""));
        match path {
            "/token" => return self.token(seen),
            "/revoke" => return answer(200, &json!({})),
            _ => {}
        }
        if !self.access.contains_key(&seen.credential) {
            return answer(401, &json!({"error": "invalid"}));
        }
        if path == "/v1/userinfo" {
            return answer(200, &json!({"sub": self.subject, "email": "me@example.org"}));
        }
        if let Some(rest) = path.strip_prefix("/gmail/v1/users/me/") {
            return self.gmail(&seen.method, rest, query, &seen.body);
        }
        if let Some(rest) = path.strip_prefix("/drive/v3/files") {
            return self.drive(rest.trim_start_matches('/'), query);
        }
        answer(200, &json!({"id": "new", "parents": ["folder_ai"]}))
    }

    fn gmail(&mut self, method: &str, rest: &str, query: &str, body: &str) -> Result<Answer, UpstreamFault> {
        if rest == "labels" {
            let labels: Vec<Value> =
                self.labels.iter().map(|(id, name)| json!({"id": id, "name": name})).collect();
            return answer(200, &json!({"labels": labels}));
        }
        if rest == "messages/send" {
            return answer(200, &json!({"id": "sent1", "threadId": "t", "labelIds": ["SENT"]}));
        }
        if rest == "messages" {
            let wanted = query.split('&').find_map(|pair| pair.strip_prefix("labelIds="));
            let mails: Vec<Value> = self
                .mails
                .iter()
                .filter(|(_, labels)| wanted.is_none_or(|label| labels.iter().any(|known| known == label)))
                .map(|(id, _)| json!({"id": id, "threadId": "t"}))
                .collect();
            let list = json!({"messages": mails, "nextPageToken": "upstream-token", "resultSizeEstimate": self.mails.len()});
            return answer(200, &list);
        }
        let id = rest.trim_start_matches("messages/").trim_end_matches("/modify");
        let Some(labels) = self.mails.get_mut(id) else {
            return answer(404, &json!({"error": "no such mail"}));
        };
        if method == "POST" {
            let change: Value = serde_json::from_str(body).unwrap();
            let named = |name: &str| -> Vec<String> {
                change[name]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(Value::as_str)
                    .map(str::to_owned)
                    .collect()
            };
            labels.extend(named("addLabelIds"));
            let removed = named("removeLabelIds");
            labels.retain(|label| !removed.contains(label));
        }
        answer(
            200,
            &json!({"id": id, "threadId": "t", "labelIds": labels, "snippet": "hello", "historyId": "7"}),
        )
    }

    fn drive(&mut self, id: &str, query: &str) -> Result<Answer, UpstreamFault> {
        if id.is_empty() {
            let files: Vec<Value> = self
                .files
                .iter()
                .map(|(id, parents)| json!({"id": id, "name": "AI", "parents": parents}))
                .collect();
            return answer(200, &json!({"files": files}));
        }
        let Some(parents) = self.files.get(id) else { return answer(404, &json!({"error": "no such file"})) };
        if query.contains("alt=media") {
            return Ok(Answer { status: 200, headers: Vec::new(), body: "the content".into() });
        }
        answer(200, &json!({"id": id, "name": "AI", "parents": parents}))
    }

    fn token(&mut self, seen: &Seen) -> Result<Answer, UpstreamFault> {
        if let Some((status, word)) = self.token_error {
            return answer(status, &json!({"error": word}));
        }
        let scope =
            seen.field("scope").unwrap_or_default().replace("%2F", "/").replace("%3A", ":").replace('+', " ");
        let code = seen.field("grant_type").as_deref() == Some("authorization_code");
        if !code && !seen.field("refresh_token").is_some_and(|token| self.refresh.contains(&token)) {
            return answer(400, &json!({"error": "invalid_grant"}));
        }
        if self.no_narrowing && !scope.is_empty() {
            return answer(400, &json!({"error": "invalid_scope"}));
        }
        self.made += 1;
        let access = format!("access-{}", self.made);
        self.access.insert(access.clone(), scope.clone());
        let mut token = json!({"access_token": access, "token_type": "Bearer", "expires_in": self.life_s, "scope": scope});
        if let Some(granted) = self.grants.as_ref().filter(|_| code) {
            token["scope"] = json!(granted);
        }
        if self.renews || code {
            let refresh = format!("refresh-{}", self.made);
            if self.renews {
                self.refresh.clear();
            }
            self.refresh.push(refresh.clone());
            token["refresh_token"] = json!(refresh);
        }
        if scope.is_empty() && self.grants.is_none() {
            token.as_object_mut().unwrap().remove("scope");
        }
        answer(200, &token)
    }
}
