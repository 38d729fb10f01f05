//! What is found by a name is the one of that name.

use std::collections::BTreeMap;

use serde_json::json;

use super::decision::case;
use super::world::{arg, everything, ident, parse, step, tool};
use crate::arg::ArgKind;
use crate::catalog::Catalog;
use crate::effect::Effect;
use crate::guard::Guard;
use crate::origin::Pin;
use crate::step::{Method, ParamSource};
use crate::tool::{Auth, Endpoint, Provider, Service};

fn provider() -> Provider {
    Provider {
        id: "google".to_owned(),
        authorize: "https://a.example/auth".parse().unwrap(),
        token: "https://a.example/token".parse().unwrap(),
        revoke: None,
        revokes_account: false,
        userinfo: None,
        scope_prefix: "https://scopes.example/".to_owned(),
        identity_scopes: vec!["openid".to_owned()],
        authorize_params: BTreeMap::new(),
        private: false,
        roots_pem: None,
    }
}

fn other() -> Service {
    let pin = Pin { origins: vec!["https://y.example".parse().unwrap()], private: false, roots_pem: None };
    Service {
        id: "gmail".parse().unwrap(),
        title: "Gmail".to_owned(),
        pin,
        tools: BTreeMap::new(),
        ..case().service
    }
}

#[test]
fn names_lead_to_their_own() {
    let services = [case().service, other()].map(|service| (service.id.clone(), service)).into();
    let providers = BTreeMap::from([("google".to_owned(), provider())]);
    let catalog = Catalog { services, providers, guard: Guard::default() };
    let title = |id: &str| catalog.service(&id.parse().unwrap()).map(|service| service.title.as_str());
    assert_eq!((title("drive"), title("gmail"), title("files")), (Some("Drive"), Some("Gmail"), None));
    let of =
        |secret: &str| catalog.service_of(&secret.parse().unwrap()).map(|service| service.title.as_str());
    assert_eq!((of("drive/me"), of("gmail/drive"), of("files/x")), (Some("Drive"), Some("Gmail"), None));
    let found = |name: &str| catalog.tool(&name.parse().unwrap()).map(|tool| tool.name.to_string());
    assert_eq!(found("drive.act").as_deref(), Some("drive.act"));
    assert_eq!((found("gmail.act"), found("drive.other"), found("files.act")), (None, None, None));
    assert_eq!(catalog.provider("google").map(|provider| provider.id.as_str()), Some("google"));
    assert!(catalog.provider("").is_none());
}

#[test]
fn a_scope_is_written_whole_once() {
    let provider = provider();
    assert_eq!(provider.full_scope("drive.file"), "https://scopes.example/drive.file");
    assert_eq!(provider.full_scope("openid"), "openid");
    assert_eq!(provider.full_scope("https://x.example/y"), "https://x.example/y");
}

#[test]
fn an_endpoint_is_an_origin_and_a_plain_path() {
    for (text, whole) in [
        ("https://a.example/x/y", "https://a.example/x/y"),
        ("https://a.example", "https://a.example/"),
        ("https://a.example:8443/", "https://a.example:8443/"),
    ] {
        assert_eq!(text.parse::<Endpoint>().unwrap().to_string(), whole);
    }
    for bad in [
        "http://a.example/x",
        "https://",
        "https:///x",
        "https://u@a.example/x",
        "https://a.example/x?y",
        "https://a.example/x#y",
        "https://a.example/%2e",
        "https://a.example/..",
        "https://a.example/./x",
        "https://a.example/x/../y",
        "https://a.example/x y",
    ] {
        assert!(bad.parse::<Endpoint>().is_err(), "{bad}");
    }
}

#[test]
fn each_way_in_has_a_word() {
    let header = Auth::Header { name: "x-key".to_owned() };
    let oauth = Auth::OAuth2 { provider: "google".to_owned() };
    let kinds = [oauth, Auth::Bearer, header, Auth::Basic, Auth::None].map(|auth| auth.kind());
    assert_eq!(kinds, ["oauth2", "bearer", "header", "basic", "none"]);
}

/// A tool that writes becomes a send by who is on its lists: by nobody, it does not; and a send never becomes less.
#[test]
fn a_list_with_somebody_on_it_makes_a_send() {
    let guests = || {
        tool(
            [("guests", arg(ArgKind::Addresses { max: 3 })), ("note", arg(ArgKind::Text { max: 9 }))],
            vec![step("act")],
        )
    };
    let effect = |declared, given: serde_json::Value| {
        let mut tool = guests();
        tool.effect = declared;
        tool.sends_with = vec![ident("guests"), ident("note")];
        let args = parse(&tool, &given).unwrap();
        tool.effect_of(&args)
    };
    assert_eq!(effect(Effect::Write, json!({})), Effect::Write);
    assert_eq!(effect(Effect::Write, json!({ "guests": [] })), Effect::Write);
    assert_eq!(effect(Effect::Write, json!({ "note": "" })), Effect::Write);
    assert_eq!(effect(Effect::Write, json!({ "guests": ["a@b.cd"] })), Effect::Send);
    assert_eq!(effect(Effect::Write, json!({ "guests": [], "note": "x" })), Effect::Send);
    assert_eq!(effect(Effect::Delete, json!({ "guests": ["a@b.cd"] })), Effect::Delete);
    assert_eq!(effect(Effect::Read, json!({ "guests": ["a@b.cd"] })), Effect::Read);
}

#[test]
fn a_tool_knows_its_steps_and_what_they_choose() {
    let mut tool = everything();
    assert_eq!(tool.step("second").map(|step| step.name.as_str()), Some("second"));
    assert!(tool.step("third").is_none());
    for step in &mut tool.steps {
        step.params.insert(ident("folder"), ParamSource::Scope(ident("folder")));
        step.params.insert(ident("other"), ParamSource::Answer);
    }
    assert_eq!(tool.choices(), [&ident("folder")]);
    assert_eq!(tool.definition.short(), "07070707");
    assert_eq!(tool.definition.to_string(), "07".repeat(32));
    assert!(tool.look(&ident("draft")).is_none());
    // Nothing can be held to anything without a step.
    tool.steps.clear();
    assert!(tool.bounds(&ident("folder")).is_err());
}

/// What may change something is looked at again right before, and so is what a look fills or guards.
#[test]
fn looks_are_done_again_before_what_they_decide() {
    use crate::look::needs_looks;
    assert!(!needs_looks(&step("get")));
    let mut writes = step("put");
    for method in [Method::Post, Method::Put, Method::Patch, Method::Delete] {
        writes.method = method;
        assert!(needs_looks(&writes));
    }
    let mut filled = step("get");
    filled.params.insert(ident("id"), ParamSource::Answer);
    assert!(!needs_looks(&filled));
    let kind = crate::step::LookedUp::Text;
    filled
        .params
        .insert(ident("raw"), ParamSource::Look { look: ident("draft"), at: "/raw".parse().unwrap(), kind });
    assert!(needs_looks(&filled));
    let mut guarded = step("get");
    guarded.if_match = Some(ident("event"));
    assert!(needs_looks(&guarded));
}
