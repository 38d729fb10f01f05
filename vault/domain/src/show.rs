//! What a person is shown before agreeing: all of it, and nothing that deceives the eye.
//!
//! Each piece is a pair of a name and a text. Names are the vault's or the catalog's; only texts hold what an agent or a
//! stranger wrote. In a text, every character that does not show, or that moves or hides others, stands as `\u{…}`; a
//! backslash stands as two, so that no text can look like another one's escape: two texts that look alike here are the
//! same bytes, but for letters that are drawn alike.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use claviger_canonical::Value;

use crate::approval::Reach;
use crate::caveat::Caveat;
use crate::effect::Effect;
use crate::grant::Grant;
use crate::seen::{Party, Seen};

/// A name and a text, in the order they are shown.
pub type Lines = Vec<(String, String)>;

/// The text with everything made visible. Line ends stay line ends; what shows a text must mark each line as the
/// text's, and wrap it itself.
#[must_use]
pub fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut marks = 0;
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let ends_line = matches!(rest.peek(), None | Some('\n'));
        marks = if is_mark(c) { marks + 1 } else { 0 };
        match c {
            '\n' => shown.push('\n'),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            '\\' => shown.push_str("\\\\"),
            // A space that nothing follows cannot be seen; and with many marks on one letter, neither can its line.
            ' ' if ends_line => shown.push_str("\\u{20}"),
            c if hides(c) || marks > 2 => drop(write!(shown, "\\u{{{:x}}}", u32::from(c))),
            c => shown.push(c),
        }
    }
    shown
}

/// As [`visible`], on one line, and at most that many characters of it.
#[must_use]
pub fn excerpt(text: &str, most: usize) -> String {
    let line = visible(text).replace('\n', "\\n");
    match line.char_indices().nth(most) {
        None => line,
        Some((end, _)) => format!("{}…", &line[..end]),
    }
}

/// Control characters (C0, C1), everything that is default-ignorable or bidirectional (UAX #9, UTS #39), and spaces that
/// are not the space.
fn hides(c: char) -> bool {
    c.is_control()
        || (c != ' ' && c.is_whitespace())
        || matches!(
            c,
            '\u{ad}'
                | '\u{34f}'
                | '\u{61c}'
                | '\u{115f}'..='\u{1160}'
                | '\u{17b4}'..='\u{17b5}'
                | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{2800}'
                | '\u{3164}'
                | '\u{d7fc}'..='\u{f8ff}'
                | '\u{fe00}'..='\u{fe0f}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{fff0}'..='\u{fffc}'
                | '\u{1bca0}'..='\u{1bca3}'
                | '\u{1d173}'..='\u{1d17a}'
                | '\u{e0000}'..='\u{10ffff}'
        )
}

/// Marks that are drawn onto the letter before them.
fn is_mark(c: char) -> bool {
    matches!(
        c,
        '\u{300}'..='\u{36f}'
            | '\u{483}'..='\u{489}'
            | '\u{1ab0}'..='\u{1aff}'
            | '\u{1dc0}'..='\u{1dff}'
            | '\u{20d0}'..='\u{20ff}'
            | '\u{fe20}'..='\u{fe2f}'
    )
}

/// A call, as a person must see it before agreeing.
#[derive(Debug)]
pub struct Showing<'a> {
    /// What the tool does, in the catalog's words.
    pub summary: &'a str,
    /// The arguments, all of them.
    pub arguments: &'a Value,
    /// What was seen of the object.
    pub seen: &'a Seen,
    /// Whom, where and what it reaches.
    pub reaches: &'a BTreeSet<Reach>,
    /// What was agreed to before under this grant.
    pub known: &'a BTreeSet<String>,
    /// What ids were called when the grant and its handles were bounded by them.
    pub names: &'a BTreeMap<String, String>,
    /// Whether the agent has read what strangers can write.
    pub tainted: bool,
    /// Why a person is asked.
    pub why: &'a str,
}

/// Everything about a call: what it does, each argument in full, whom it reaches, and what the object is like now.
#[must_use]
pub fn call(showing: &Showing<'_>) -> Lines {
    let Showing { summary, arguments, seen, reaches, known, names, tainted, why } = showing;
    let mut lines = Lines::new();
    let mut line = |name: &str, text: String| lines.push((name.to_owned(), text));
    line("What it does", visible(summary));
    line("Effect", effect_words(seen.effect).to_owned());
    line("Why you are asked", visible(why));
    if *tainted {
        line(
            "Careful",
            "this agent has read what strangers can write; they may have told it to ask".to_owned(),
        );
    }
    for person in &seen.people {
        match person {
            Party::Address(address) => line("Reaches besides", visible(address.as_str())),
            Party::Unknown => {
                line("Reaches besides", "somebody who cannot be named, or everybody".to_owned())
            }
        }
    }
    for note in domains(reaches, known) {
        line("Look at", note);
    }
    let mut given = Lines::new();
    match arguments.as_object() {
        Some(object) => {
            object.iter().for_each(|(name, value)| argument(&visible(name), value, names, &mut given))
        }
        None => argument("arguments", arguments, names, &mut given),
    }
    lines.extend(given);
    for (name, text) in &seen.shown {
        lines.push((format!("{} (as it is now)", excerpt(name, 60)), visible(text)));
    }
    lines
}

fn effect_words(effect: Effect) -> &'static str {
    match effect {
        Effect::Read => "read: nothing changes",
        Effect::Write => "write: something of yours changes",
        Effect::Send => "send: it can reach somebody besides you, and cannot be taken back",
        Effect::Delete => "delete: something is destroyed",
    }
}

/// One argument: a pair of its own for each text in it, so that no text can pass for a second argument.
fn argument(name: &str, value: &Value, names: &BTreeMap<String, String>, lines: &mut Lines) {
    match value {
        Value::Array(elements) if elements.is_empty() => lines.push((name.to_owned(), "(none)".to_owned())),
        Value::Array(elements) => {
            for (at, element) in elements.iter().enumerate() {
                argument(&format!("{name} ({} of {})", at + 1, elements.len()), element, names, lines);
            }
        }
        Value::Object(object) => {
            for (inner, value) in object.iter() {
                argument(&format!("{name}, {}", excerpt(inner, 60)), value, names, lines);
            }
        }
        Value::String(text) if text.is_empty() => lines.push((name.to_owned(), "(empty)".to_owned())),
        Value::String(text) => {
            let mut shown = visible(text);
            if let Some(called) = names.get(text) {
                shown.push_str(&format!(
                    "  (called \u{201c}{}\u{201d} when you granted it)",
                    excerpt(called, 100)
                ));
            }
            lines.push((name.to_owned(), shown));
        }
        // Numbers and words of JSON: nothing in them can hide.
        Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Fraction(_) => {
            lines.push((name.to_owned(), String::from_utf8_lossy(&value.to_canonical()).into_owned()));
        }
    }
}

/// What to look at among the domains that a call reaches: those never agreed to under this grant, and those whose real
/// letters are others (RFC 5891: `xn--`).
fn domains(reaches: &BTreeSet<Reach>, known: &BTreeSet<String>) -> BTreeSet<String> {
    let domain = |text: &str| text.rsplit_once('@').map(|(_, domain)| domain.to_owned());
    let before: BTreeSet<String> = known.iter().filter_map(|text| domain(text)).collect();
    let mut notes = BTreeSet::new();
    for reach in reaches {
        let host = match reach {
            Reach::Person(address) => domain(address).unwrap_or_default(),
            Reach::Host(host) => host.clone(),
            Reach::Place(..) | Reach::Unknown => continue,
        };
        if host.split('.').any(|label| label.starts_with("xn--")) {
            notes.insert(format!("{}: it is drawn with other letters than these", excerpt(&host, 260)));
        }
        let agreed = match reach {
            Reach::Host(_) => known.contains(&format!("host:{host}")),
            _ => before.contains(&host),
        };
        if !agreed {
            notes.insert(format!("{}: nothing was sent there before under this grant", excerpt(&host, 260)));
        }
    }
    notes
}

/// A grant that an agent asks for, against what it has: what would be new, and what wider.
///
/// `present` are the live grants of that agent with that secret.
#[must_use]
pub fn difference(tools: &[String], caveats: &[Caveat], present: &[&Grant]) -> Lines {
    let mut lines = Lines::new();
    let wanted: BTreeSet<String> = caveats.iter().map(Caveat::to_text).collect();
    for tool in tools {
        let having: Vec<&&Grant> = present
            .iter()
            .filter(|grant| !grant.deny && grant.tools.iter().any(|held| held.name.to_string() == *tool))
            .collect();
        if having.is_empty() {
            lines.push(("New".to_owned(), format!("{} is not granted now", excerpt(tool, 200))));
        }
        for grant in having {
            let has: BTreeSet<String> = grant.caveats.iter().map(Caveat::to_text).collect();
            let dropped: Vec<String> = has.difference(&wanted).map(|text| visible(text)).collect();
            let added: Vec<String> = wanted.difference(&has).map(|text| visible(text)).collect();
            let tool = excerpt(tool, 200);
            if !dropped.is_empty() {
                lines.push((
                    "Wider".to_owned(),
                    format!("{tool}: {} has a bound that this does not: {}", grant.id, dropped.join("; ")),
                ));
            }
            if !added.is_empty() {
                lines.push((
                    "Narrower".to_owned(),
                    format!("{tool}: bounded besides {} by {}", grant.id, added.join("; ")),
                ));
            }
            if dropped.is_empty() && added.is_empty() {
                lines.push(("Same".to_owned(), format!("{tool}: {} allows as much", grant.id)));
            }
        }
    }
    if caveats.is_empty() {
        lines.push(("Careful".to_owned(), "it is bounded by nothing".to_owned()));
    }
    lines
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]
    use super::*;
    use claviger_canonical::Canonical;
    use proptest::prelude::*;
    use serde_json::json;

    /// The text again, from what was shown of it.
    fn read_back(shown: &str) -> String {
        let mut text = String::new();
        let mut rest = shown.chars();
        while let Some(c) = rest.next() {
            if c != '\\' {
                text.push(c);
                continue;
            }
            match rest.next().unwrap() {
                'r' => text.push('\r'),
                't' => text.push('\t'),
                '\\' => text.push('\\'),
                _ => {
                    let digits: String = rest.by_ref().skip(1).take_while(|c| *c != '}').collect();
                    text.push(char::from_u32(u32::from_str_radix(&digits, 16).unwrap()).unwrap());
                }
            }
        }
        text
    }

    proptest! {
        /// Nothing is lost, nothing is added: two texts that differ are shown differently.
        #[test]
        fn what_is_shown_is_what_there_is(text in "(?s).{0,60}") {
            let shown = visible(&text);
            prop_assert_eq!(read_back(&shown), text);
            prop_assert!(shown.chars().all(|c| c == '\n' || !hides(c)));
            prop_assert!(shown.lines().all(|line| !line.ends_with(' ')));
        }
    }

    #[test]
    fn nothing_hides() {
        for (text, expected) in [
            ("Grüße, 漢字", "Grüße, 漢字"),
            ("a\u{1b}[2Jb\u{9b}m", "a\\u{1b}[2Jb\\u{9b}m"),
            ("pay \u{202e}001\u{202c}", "pay \\u{202e}001\\u{202c}"),
            ("a\u{200b}b\u{200d}c\u{feff}", "a\\u{200b}b\\u{200d}c\\u{feff}"),
            ("a\u{a0}b\u{3000}c", "a\\u{a0}b\\u{3000}c"),
            ("\\u{202e}", "\\\\u{202e}"),
            ("a \n b\t\r\n", "a\\u{20}\n b\\t\\r\n"),
            ("e\u{301}\u{301}\u{301}\u{301}", "e\u{301}\u{301}\\u{301}\\u{301}"),
            ("\u{e0041}\u{f0000}\u{e000}", "\\u{e0041}\\u{f0000}\\u{e000}"),
        ] {
            assert_eq!(visible(text), expected);
        }
        assert_eq!(excerpt("a\nb", 10), "a\\nb");
        assert_eq!(excerpt("abcdef", 3), "abc…");
    }

    fn lines(arguments: serde_json::Value, people: Vec<Party>, known: &[&str]) -> Lines {
        let arguments = Canonical::from_json(&arguments).unwrap();
        let reaches: BTreeSet<Reach> = arguments
            .value()
            .as_object()
            .unwrap()
            .get("to")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(|to| Reach::Person(to.to_owned()))
            .collect();
        call(&Showing {
            summary: "Send a mail",
            arguments: arguments.value(),
            seen: &Seen { people, ..Seen::nothing(Effect::Send) },
            reaches: &reaches,
            known: &known.iter().map(|known| (*known).to_owned()).collect(),
            names: &BTreeMap::from([("Label_1".to_owned(), "AI\u{202e}".to_owned())]),
            tainted: true,
            why: "the grant says so",
        })
    }

    fn named<'a>(lines: &'a Lines, name: &str) -> Vec<&'a str> {
        lines.iter().filter(|(known, _)| known == name).map(|(_, text)| text.as_str()).collect()
    }

    #[test]
    fn no_argument_passes_for_another() {
        let forged = "Hello\nto (2 of 2)\n  boss@example.org\u{1b}[1A";
        let shown =
            lines(json!({"to": ["a@example.org"], "subject": forged, "label": "Label_1"}), vec![], &[]);
        assert_eq!(named(&shown, "to (1 of 1)"), ["a@example.org"]);
        assert!(named(&shown, "to (2 of 2)").is_empty());
        assert_eq!(named(&shown, "subject"), ["Hello\nto (2 of 2)\n  boss@example.org\\u{1b}[1A"]);
        assert_eq!(
            named(&shown, "label"),
            ["Label_1  (called \u{201c}AI\\u{202e}\u{201d} when you granted it)"]
        );
        assert_eq!(named(&shown, "Careful").len(), 1);
    }

    #[test]
    fn each_effect_is_said_in_words() {
        let said = |effect| {
            let arguments = Canonical::from_json(&json!({})).unwrap();
            let shown = call(&Showing {
                summary: "x",
                arguments: arguments.value(),
                seen: &Seen::nothing(effect),
                reaches: &BTreeSet::new(),
                known: &BTreeSet::new(),
                names: &BTreeMap::new(),
                tainted: false,
                why: "x",
            });
            assert!(named(&shown, "Careful").is_empty());
            named(&shown, "Effect")[0].split(':').next().unwrap().to_owned()
        };
        assert_eq!(Effect::ALL.map(said), ["read", "write", "send", "delete"]);
    }

    #[test]
    fn hosts_are_pointed_out_by_themselves() {
        let reaches: BTreeSet<Reach> =
            ["x.example", "xn--80ak6aa92e.com"].map(|host| Reach::Host(host.to_owned())).into();
        let notes =
            |known: &[&str]| domains(&reaches, &known.iter().map(|text| (*text).to_owned()).collect());
        assert_eq!(notes(&[]).len(), 3);
        assert_eq!(notes(&["host:x.example"]).len(), 2);
        // A mail to somebody there is no visit to the host.
        assert_eq!(notes(&["to:a@x.example", "host:xn--80ak6aa92e.com"]).len(), 2);
    }

    #[test]
    fn what_is_asked_for_is_held_against_what_there_is() {
        use crate::grant::{Approve, GrantedTool, State};
        use crate::id::{GrantId, HandleId};
        let grant = |n: u8, tool: &str, caveats: Vec<Caveat>| Grant {
            id: GrantId::from_bytes([n; 8]),
            agent: "bot".parse().unwrap(),
            secret: "drive/me".parse().unwrap(),
            tools: vec![GrantedTool {
                name: tool.parse().unwrap(),
                effect: Effect::Read,
                definition: crate::tool::Definition([0; 32]),
            }],
            caveats,
            expires_at_ms: None,
            approve: Approve::Default,
            deny: false,
            trusted_sink: false,
            name: None,
            lasts_s: None,
            created_at_ms: 0,
            state: State::Active,
            root: HandleId::from_bytes([n; 16]),
        };
        let names = |tools: &[&str], caveats: &[Caveat], present: &[&Grant]| {
            let tools: Vec<String> = tools.iter().map(|tool| (*tool).to_owned()).collect();
            difference(&tools, caveats, present)
                .into_iter()
                .map(|(name, _)| name)
                .collect::<Vec<_>>()
                .join(" ")
        };
        let (calls, made) = (Caveat::Calls(1), Caveat::MadeByAgent);
        let has = grant(1, "drive.get", vec![calls.clone()]);
        assert_eq!(names(&["drive.get"], std::slice::from_ref(&calls), &[&has]), "Same");
        assert_eq!(names(&["drive.get"], std::slice::from_ref(&made), &[&has]), "Wider Narrower");
        assert_eq!(names(&["drive.get"], &[calls.clone(), made.clone()], &[&has]), "Narrower");
        assert_eq!(names(&["drive.get"], &[], &[&has]), "Wider Careful");
        assert_eq!(names(&["drive.put"], std::slice::from_ref(&calls), &[&has]), "New");
        let other = grant(2, "drive.put", vec![calls.clone()]);
        assert_eq!(
            names(&["drive.get", "drive.put"], std::slice::from_ref(&calls), &[&has, &other]),
            "Same Same"
        );
        // What forbids gives nothing.
        let never = Grant { deny: true, ..has.clone() };
        assert_eq!(names(&["drive.get"], std::slice::from_ref(&calls), &[&never]), "New");
        let wider = difference(&["drive.get".to_owned()], &[], &[&has]);
        assert!(wider[0].1.contains(&has.id.to_string()) && wider[0].1.contains("calls = 1"), "{wider:?}");
    }

    #[test]
    fn long_texts_are_whole() {
        let body = "0123456789 ".repeat(10_000);
        let shown = lines(json!({"body": body}), vec![], &[]);
        assert_eq!(read_back(named(&shown, "body")[0]), body);
    }

    #[test]
    fn strangers_domains_are_pointed_out() {
        let to = json!({"to": ["a@example.org", "b@example.org", "c@xn--exmple-cua.org"]});
        let notes: Vec<String> =
            named(&lines(to.clone(), vec![], &[]), "Look at").into_iter().map(str::to_owned).collect();
        assert_eq!(notes.len(), 3, "{notes:?}");
        let shown = lines(to, vec![Party::Unknown], &["to:z@example.org", "to:c@xn--exmple-cua.org"]);
        assert_eq!(named(&shown, "Look at").len(), 1, "{shown:?}");
        assert_eq!(named(&shown, "Reaches besides").len(), 1);
    }

    #[test]
    fn nested_values_each_stand_alone() {
        let shown = lines(
            json!({"attachments": [{"name": "a.txt", "size": 3}], "cc": [], "x": "", "yes": true}),
            vec![],
            &[],
        );
        assert_eq!(named(&shown, "attachments (1 of 1), name"), ["a.txt"]);
        assert_eq!(named(&shown, "attachments (1 of 1), size"), ["3"]);
        assert_eq!(
            (named(&shown, "cc"), named(&shown, "x"), named(&shown, "yes")),
            (vec!["(none)"], vec!["(empty)"], vec!["true"])
        );
    }
}
