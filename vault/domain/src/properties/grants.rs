//! What an owner reads about a grant, and when two grants get in each other's way.

use super::world::ident;
use crate::caveat::{Bound, Caveat, ResourceBound};
use crate::effect::Effect;
use crate::grant::{Approve, Grant, GrantedTool, State};
use crate::id::{GrantId, HandleId};
use crate::sentence::{sentence, warnings};
use crate::tool::Definition;

fn grant(tools: &[(&str, Effect)], caveats: Vec<Caveat>) -> Grant {
    let tool = |(name, effect): &(&str, Effect)| GrantedTool {
        name: name.parse().unwrap(),
        effect: *effect,
        definition: Definition([0; 32]),
    };
    Grant {
        id: GrantId::from_bytes([1; 8]),
        agent: "openclaw".parse().unwrap(),
        secret: "gmail/me".parse().unwrap(),
        tools: tools.iter().map(tool).collect(),
        caveats,
        expires_at_ms: Some(10),
        approve: Approve::Never,
        created_at_ms: 0,
        state: State::Active,
        root: HandleId::from_bytes([1; 16]),
        deny: false,
        trusted_sink: false,
        name: None,
        lasts_s: None,
    }
}

#[test]
fn every_bound_is_in_the_sentence() {
    let label = ResourceBound {
        resource: ident("label"),
        ids: vec!["Label_7".to_owned()],
        shown: vec!["AI\n.".to_owned()],
        nested: false,
    };
    let caveats = vec![
        Caveat::Resource(label),
        Caveat::Recipients(vec!["*@example.com".parse().unwrap(), "a@b.cd".parse().unwrap()]),
        Caveat::Argument(ident("max_results"), Bound::Max(5)),
        Caveat::Argument(ident("bcc"), Bound::Absent),
        Caveat::Rate("60/1h".parse().unwrap()),
        Caveat::Calls(20),
    ];
    let tools = [
        ("gmail.send_message", Effect::Send),
        ("gmail.get_message", Effect::Read),
        ("gmail.search_messages", Effect::Read),
    ];
    assert_eq!(
        sentence(&grant(&tools, caveats)),
        "openclaw may read (get_message, search_messages) and send (send_message) with gmail/me, only label AI\\u{a}., \
         only to *@example.com and a@b.cd, only with max_results.max = 5, only with bcc.absent, at most 60/1h, \
         20 times altogether, without asking you."
    );
    assert_eq!(sentence(&grant(&[], Vec::new())), "openclaw may do nothing with gmail/me.");
}

#[test]
fn what_is_wide_open_is_said() {
    let read = [("gmail.get_message", Effect::Read)];
    let send = [("gmail.send_message", Effect::Send)];
    let count = |tools: &[(&str, Effect)], caveats: Vec<Caveat>| warnings(&grant(tools, caveats)).len();
    let label = || {
        Caveat::Resource(ResourceBound {
            resource: ident("label"),
            ids: vec!["a".to_owned()],
            shown: Vec::new(),
            nested: false,
        })
    };
    let to = |text: &str| Caveat::Recipients(vec![text.parse().unwrap()]);
    assert_eq!(count(&read, vec![label(), Caveat::Calls(1)]), 0);
    assert_eq!(count(&read, vec![label()]), 1);
    assert_eq!(count(&read, Vec::new()), 2);
    assert_eq!(count(&send, vec![to("a@b.cd"), Caveat::Calls(1)]), 0);
    assert_eq!(count(&send, vec![to("*"), Caveat::Calls(1)]), 1);
    assert_eq!(count(&send, vec![Caveat::Calls(1)]), 1);
    let mut endless = grant(&send, vec![to("a@b.cd"), Caveat::Calls(1)]);
    endless.expires_at_ms = None;
    assert_eq!(warnings(&endless).len(), 1);
}

#[test]
fn grants_share_a_tool_by_agent_and_secret() {
    let read = [("gmail.get_message", Effect::Read)];
    let both = [("gmail.send_message", Effect::Send), ("gmail.get_message", Effect::Read)];
    let one = grant(&read, Vec::new());
    let get = "gmail.get_message".parse().unwrap();
    assert!(one.shares(&grant(&both, Vec::new()), &get));
    assert!(!one.shares(&grant(&both, Vec::new()), &"gmail.send_message".parse().unwrap()));
    assert!(!one.shares(&grant(&both[..1], Vec::new()), &get));
    let other = |change: fn(&mut Grant)| {
        let mut other = grant(&both, Vec::new());
        change(&mut other);
        !one.shares(&other, &get)
    };
    assert!(other(|grant| grant.agent = "bot".parse().unwrap()));
    assert!(other(|grant| grant.secret = "gmail/work".parse().unwrap()));
}
