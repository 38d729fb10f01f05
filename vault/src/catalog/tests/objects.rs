//! The catalog's words for objects: people, days, looks, what lies below, and steps that adapters do themselves.

use claviger_domain::step::{LookedUp, ParamSource};
use claviger_domain::tool::Service;
use serde_json::json;

use super::service;
use super::wire::ident;

const BASE: &str = r#"
id = "x"
title = "X"
origin = "https://x.example"
auth = { kind = "bearer" }
[step.facts]
method = "GET"
path = "/things/{thing}"
query = { mark = "{mark}" }
[step.below]
method = "GET"
path = "/boxes/{box_id}/boxes"
[step.part]
method = "GET"
path = "/parts/{part}"
[resource.box]
summary = "boxes"
resolve = { step = "facts", list = "/a", match = "/n", take = "/i" }
nested = { step = "below", list = "/boxes", take = "/id", arg = "box_id" }
[resource.file]
summary = "files"
resolve = { step = "facts", list = "/a", match = "/n", take = "/i" }

[tool.t]
summary = "T"
effect = "write"
args.thing = { type = "id", required = true, summary = "" }
args.mark = { type = "line", summary = "" }
args.things = { type = "ids", summary = "" }
args.to = { type = "addresses", summary = "" }
[[tool.t.look]]
name = "thing"
step = "facts"
people = ["/guests/*/mail"]
except = ["/owner"]
private = { at = "/shared", is = false }
sends_if = ["/guests"]
pin = ["/etag"]
show = { Title = "/title" }
etag = "/etag"
[[tool.t.step]]
name = "s"
method = "PUT"
path = "/things/{thing}"
body = { codec = "json", fields = { raw = "{raw}", to = "{who}" } }
if_match = "thing"
makes = { id = "/id" }
refuse = [{ at = "/kind", is = "shortcut" }]
param.raw = { from = "look", look = "thing", at = "/raw" }
param.who = { from = "look", look = "thing", at = "/guests/*/mail", as = "addresses" }
check.box = { probe = "part", at = "/box", each = "things", as = "part" }
check.sender = { response = "/headers/*[name=From]/value" }
check.attendee = { probe = "facts", at = "/guests/*/mail" }
check.date = { response = "/start" }
check.file = { arg = "thing" }
check.made = { arg = "thing" }

[tool.list]
summary = "L"
effect = "read"
[[tool.list.step]]
name = "l"
method = "GET"
path = "/things"
fields = ["things"]
refuse = [{ elements = "/things", at = "/kind", is = "shortcut" }]
check.box = { elements = "/things", at = "/box", nonempty = true }
check.owner = { elements = "/things", at = "/owners/*/mail" }
"#;

const LOCAL: &str = r#"
id = "files"
title = "Files"
auth = { kind = "none" }
[tool.read]
summary = "R"
effect = "read"
args.path = { type = "path", required = true, summary = "" }
args.page = { type = "url", summary = "" }
[[tool.read.step]]
name = "open"
local = true
check.path = { arg = "path" }
"#;

fn parsed(text: &str) -> Service {
    service::parse(text).unwrap()
}

fn refused(base: &str, from: &str, to: &str, wanted: &str) {
    assert!(base.contains(from), "{from}");
    let faults = service::parse(&base.replacen(from, to, 1)).expect_err(to);
    assert!(faults.iter().any(|fault| fault.contains(wanted)), "{to}: {faults:?}");
}

#[test]
fn what_is_written_is_what_is_understood() {
    let service = parsed(BASE);
    let tool = &service.tools[&ident("t")];
    let look = tool.look(&ident("thing")).unwrap();
    assert_eq!(look.step, ident("facts"));
    assert_eq!(look.people, ["/guests/*/mail".parse().unwrap()]);
    assert_eq!(look.private.as_ref().unwrap().is, json!(false));
    assert_eq!(look.show["Title"], "/title".parse().unwrap());
    assert!(tool.sees_people());
    let step = &tool.steps[0];
    assert_eq!(step.if_match, Some(ident("thing")));
    assert_eq!(step.makes, Some("/id".parse().unwrap()));
    assert_eq!(step.refuse[0].is, json!("shortcut"));
    assert!(matches!(&step.params[&ident("raw")], ParamSource::Look { kind: LookedUp::Text, .. }));
    assert!(matches!(&step.params[&ident("who")], ParamSource::Look { kind: LookedUp::Addresses, .. }));
    let each = step.check("box").unwrap().probe.as_ref().unwrap().each.as_ref().unwrap();
    assert_eq!((&each.arg, &each.param), (&ident("things"), &ident("part")));
    for bound in ["box", "sender", "attendee", "date", "file", "made"] {
        assert!(tool.checks(bound).is_ok(), "{bound}");
    }
    assert!(tool.checks("owner").is_err());
    assert!(tool.checks("path").is_err());
    let list = &service.tools[&ident("list")].steps[0];
    assert!(list.check("box").unwrap().elements.as_ref().unwrap().nonempty);
    assert!(!list.check("owner").unwrap().elements.as_ref().unwrap().nonempty);
    assert_eq!(list.refuse[0].elements, Some("/things".parse().unwrap()));
    let nested = service.resources[&ident("box")].nested.as_ref().unwrap();
    assert_eq!((&nested.step, &nested.param), (&ident("below"), &ident("box_id")));
}

#[test]
fn a_definition_changes_with_every_word_of_a_look() {
    let get = |text: &str| parsed(text).tools[&ident("t")].definition;
    for (from, to) in [
        ("people = [\"/guests/*/mail\"]", "people = []"),
        ("is = false", "is = true"),
        ("pin = [\"/etag\"]", "pin = []"),
        ("if_match = \"thing\"\n", ""),
        ("makes = { id = \"/id\" }\n", ""),
        ("refuse = [{ at = \"/kind\", is = \"shortcut\" }]\n", ""),
        ("take = \"/id\", arg", "take = \"/idd\", arg"),
        ("/headers/*[name=From]/value", "/headers/*[name=Sender]/value"),
    ] {
        assert!(BASE.contains(from), "{from}");
        assert_ne!(get(BASE), get(&BASE.replacen(from, to, 1)), "{from}");
    }
}

#[test]
fn faults_of_looks_are_told_with_their_place() {
    for (from, to, wanted) in [
        ("step = \"facts\"\npeople", "step = \"fax\"\npeople", "tool.t.look.thing: no step fax"),
        ("args.mark = { type = \"line\", summary = \"\" }\n", "", "needs mark, which is no argument"),
        ("required = true, ", "", "may be left out"),
        (
            "args.thing = { type = \"id\", required = true",
            "args.thing = { type = \"ids\", required = true",
            "a list",
        ),
        ("[step.facts]\nmethod = \"GET\"", "[step.facts]\nmethod = \"DELETE\"", "changes nothing"),
        ("people = [", "people = [\"guests\", ", "tool.t.look.thing.people"),
        ("at = \"/shared\"", "at = \"/*/shared\"", "without a star"),
        ("is = false", "is = 3", "true or false"),
        ("etag = \"/etag\"\n[[", "[[", "no look thing with an etag"),
        ("if_match = \"thing\"", "if_match = \"other\"", "no look other"),
        ("look = \"thing\", at = \"/raw\"", "look = \"other\", at = \"/raw\"", "no look other"),
        ("at = \"/raw\"", "at = \"/raw/*\"", "without a star"),
        ("as = \"addresses\"", "as = \"people\"", "text, addresses or json"),
        (
            "etag = \"/etag\"\n[[tool.t.step]]",
            "etag = \"/etag\"\nwhen = \"nothing\"\n[[tool.t.step]]",
            "no argument nothing",
        ),
        (
            "[[tool.t.step]]",
            "[[tool.t.look]]\nname = \"thing\"\nstep = \"facts\"\n[[tool.t.step]]",
            "two looks",
        ),
        ("show = {", "colour = {", "unknown field"),
    ] {
        refused(BASE, from, to, wanted);
    }
    // A look that is made only where its argument is given needs no more.
    let when = BASE.replacen("required = true, ", "", 1).replacen(
        "etag = \"/etag\"\n[[",
        "etag = \"/etag\"\nwhen = \"thing\"\n[[",
        1,
    );
    assert!(service::parse(&when).is_ok(), "{:?}", service::parse(&when));
}

#[test]
fn faults_of_checks_are_told_with_their_place() {
    for (from, to, wanted) in [
        (
            "check.sender = { response = \"/headers/*[name=From]/value\" }",
            "check.sender = { arg = \"thing\" }",
            "what the upstream says",
        ),
        (
            "check.date = { response = \"/start\" }",
            "check.date = { arg = \"thing\" }",
            "what the upstream says",
        ),
        ("check.file = { arg = \"thing\" }", "check.file = { arg = \"mark\" }", "wrong type"),
        ("check.file = { arg = \"thing\" }", "check.path = { arg = \"thing\" }", "wrong type"),
        ("check.file = { arg = \"thing\" }", "check.path = { response = \"/p\" }", "type path"),
        ("check.file = { arg = \"thing\" }", "check.files = { arg = \"thing\" }", "no resource files"),
        ("each = \"things\", as = \"part\"", "each = \"things\"", "each names"),
        ("each = \"things\", as = \"part\"", "each = \"thing\", as = \"part\"", "wrong type"),
        ("each = \"things\", as = \"part\"", "each = \"things\", as = \"other\"", "takes no other"),
        (
            "check.file = { arg = \"thing\" }",
            "check.file = { arg = \"thing\", nonempty = true }",
            "nonempty goes",
        ),
        (
            "check.file = { arg = \"thing\" }",
            "check.file = { arg = \"thing\", again = true }",
            "without a probe",
        ),
        ("makes = { id = \"/id\" }", "makes = { id = \"/ids/*\" }", "without a star"),
        (
            "elements = \"/things\", at = \"/kind\"",
            "elements = \"/a/things\", at = \"/kind\"",
            "top of the answer",
        ),
        ("arg = \"box_id\"", "arg = \"box\"", "takes box and nothing else"),
        ("step = \"below\"", "step = \"under\"", "no step under"),
        ("[resource.file]", "[resource.sender]", "built in"),
        ("[resource.file]", "[resource.made]", "built in"),
        ("method = \"PUT\"\n", "", "method is"),
        ("path = \"/things/{thing}\"\nbody", "body", "begins with a slash"),
        ("origin = \"https://x.example\"\n", "", "origin: only"),
    ] {
        refused(BASE, from, to, wanted);
    }
}

#[test]
fn a_local_step_is_words_alone() {
    let service = parsed(LOCAL);
    assert!(service.pin.origins.is_empty());
    let tool = &service.tools[&ident("read")];
    assert!(tool.steps[0].local);
    assert!(tool.checks("path").is_ok());
    for (from, to, wanted) in [
        ("local = true\n", "local = true\nmethod = \"GET\"\n", "nothing of a request"),
        ("local = true\n", "local = true\nscope = [\"a\"]\n", "nothing of a request"),
        (
            "check.path = { arg = \"path\" }",
            "check.file = { response = \"/id\" }",
            "local step has no answer",
        ),
        ("kind = \"none\"", "kind = \"bearer\"", "of kind none"),
        ("local = true\n", "method = \"GET\"\npath = \"/x\"\n", "origin: only"),
        ("[tool.read]", "[step.s]\nlocal = true\n[tool.read]", "only a tool's step"),
    ] {
        refused(LOCAL, from, to, wanted);
    }
}
