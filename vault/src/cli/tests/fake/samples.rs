//! What the vault of these tests has: one of each.

use claviger_proto::v1::*;

pub(in crate::cli::tests) fn agent(name: &str) -> Agent {
    Agent {
        name: name.into(),
        socket: format!("/run/agents/{name}.sock"),
        inputs: "open".into(),
        ..Agent::default()
    }
}

pub(in crate::cli::tests) fn approval(kind: &str) -> Approval {
    let line = |name: &str, text: &str| DetailLine { name: name.into(), text: text.into() };
    Approval {
        id: "ap_00112233445566778899aabbccddeef1".into(),
        kind: kind.into(),
        agent: "openclaw".into(),
        tool: if kind == "call" { "gmail.send_message".into() } else { String::new() },
        state: "pending".into(),
        created_at_ms: 1_799_999_940_000,
        expires_at_ms: 1_800_000_540_000,
        shown: vec![
            line("to (1 of 1)", "mona@example.com"),
            line("body", "Hello\nto (1 of 1)\nboss@example.com"),
        ],
        ..Approval::default()
    }
}

pub(in crate::cli::tests) fn secret(name: &str) -> Secret {
    Secret {
        name: name.into(),
        kind: if name.starts_with("gmail") { "oauth2" } else { "bearer" }.into(),
        version: 1,
        origins: vec!["https://gmail.googleapis.com".into()],
        email: "me@example.org".into(),
        subject: "1234".into(),
        scopes: vec!["gmail.readonly".into()],
        created_at_ms: 1_799_999_000_000,
        ..Secret::default()
    }
}

pub(in crate::cli::tests) fn service() -> Service {
    let schema = r#"{"type":"object","required":["message_id"],"properties":{"message_id":{"type":"string","description":"which"},"limit":{"type":"integer"}}}"#;
    let tool = Tool {
        name: "gmail.get_message".into(),
        description: "Read one message".into(),
        input_schema: schema.into(),
        effect: "read".into(),
        untrusted: true,
        ..Tool::default()
    };
    Service {
        id: "gmail".into(),
        title: "Gmail".into(),
        origin: "https://gmail.googleapis.com".into(),
        auth: "oauth2".into(),
        tools: vec![tool],
        resources: vec!["label".into()],
        private: false,
    }
}

pub(in crate::cli::tests) fn grant() -> Grant {
    Grant {
        id: "gr_0011223344556677".into(),
        agent: "openclaw".into(),
        secret: "gmail/me".into(),
        state: "active".into(),
        handle: "hdl_00112233445566778899aabbccddeeff".into(),
        sentence: "openclaw may read mail of gmail/me.".into(),
        warnings: vec!["it has no rate".into()],
        expires_at_ms: 1_800_000_000_000 + 30 * 86_400_000,
        tools: vec![GrantedTool { name: "gmail.get_message".into(), effect: "read".into(), changed: false }],
        caveats: vec![Caveat {
            kind: Some(caveat::Kind::Resource(Resource {
                nested: false,
                name: "label".into(),
                values: vec!["Label_7".into()],
                shown: vec!["AI".into()],
            })),
        }],
        ..Grant::default()
    }
}

pub(in crate::cli::tests) fn event() -> LogEvent {
    let line = |name: &str, text: &str| DetailLine { name: name.into(), text: text.into() };
    LogEvent {
        reference: "ref_0123456789abcdef".into(),
        at_ms: 1_799_999_940_000,
        kind: "refused".into(),
        actor: "adapter gmail".into(),
        agent: "openclaw".into(),
        tool: "gmail.send_message".into(),
        class: "out-of-scope".into(),
        field: "to".into(),
        detail: vec![
            line("caveat", "recipients *@example.com"),
            line("value", "eve@evil.example\u{1b}[2J\u{202e}"),
            line("fix", "add eve@evil.example to --recipients"),
        ],
        ..LogEvent::default()
    }
}

pub(in crate::cli::tests) fn decoy() -> Decoy {
    Decoy {
        id: "dec_0011223344556677".into(),
        kind: "credential".into(),
        value: "AIzaSyDECOY".into(),
        note: "in the old notes".into(),
        created_at_ms: 1_800_000_000_000 - 60_000,
        used: 1,
    }
}
