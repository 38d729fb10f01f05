//! What is printed of a bound could be typed again, and means the same.

use clap::Parser;
use claviger_proto::v1::argument_bound::Bound;
use claviger_proto::v1::*;
use proptest::prelude::*;

use super::super::caveat::{BoundArgs, text};

#[derive(Debug, Parser)]
#[command(no_binary_name = true)]
struct Line {
    #[command(flatten)]
    bounds: BoundArgs,
}

/// Words of a line as a shell reads them: single quotes, backslashes outside of them, a comment to the end.
fn shell(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            '#' if word.is_none() => break,
            ' ' => words.extend(word.take()),
            '\'' => word.get_or_insert_default().extend(chars.by_ref().take_while(|c| *c != '\'')),
            '\\' => word.get_or_insert_default().extend(chars.next()),
            c => {
                assert!(
                    !"$`\"&|;<>()*?[]{}!~\n".contains(c),
                    "a shell would do something about {c:?} in {line}"
                );
                word.get_or_insert_default().push(c);
            }
        }
    }
    words.extend(word);
    words
}

fn typed(line: &str) -> Vec<caveat::Kind> {
    let parsed = Line::try_parse_from(shell(line)).unwrap_or_else(|error| panic!("{line}: {error}"));
    let caveats = parsed.bounds.into_caveats().unwrap_or_else(|_| panic!("{line}"));
    caveats.into_iter().filter_map(|caveat| caveat.kind).collect()
}

fn again(kind: caveat::Kind) -> Result<(), TestCaseError> {
    let line = text(&Caveat { kind: Some(kind.clone()) });
    prop_assert_eq!(typed(&line), vec![kind], "{}", line);
    Ok(())
}

/// A value without a comma, which parts values, and without white space around it.
fn word() -> impl Strategy<Value = String> {
    prop_oneof!["[a-zA-Z0-9]{1,6}", "[-a-z'\"$`#*?!&|;<>(){}~\\\\=@.]{1,8}", "[a-z]{1,3} [^\\p{C}\\s,]{1,3}",]
        .prop_filter("parts", |word| !word.contains(',') && word.trim() == word)
}

fn words() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(word(), 1..4)
}

fn hosts() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec("(\\*\\.)?[a-z]{1,5}\\.(org|com)", 1..3)
}

fn bound() -> impl Strategy<Value = Bound> {
    let list = |patterns| Patterns { patterns };
    prop_oneof![
        words().prop_map(move |all| Bound::EachIn(list(all))),
        words().prop_map(move |all| Bound::OneOf(list(all))),
        (-1_000_000_i64..1_000_000).prop_map(Bound::Max),
        Just(Bound::Absent(true)),
        any::<u64>().prop_map(Bound::MaxLength),
        any::<u64>().prop_map(Bound::MinLength),
        (hosts(), any::<bool>()).prop_map(|(hosts, query)| Bound::Hosts(Hosts { hosts, query })),
    ]
}

fn resource() -> impl Strategy<Value = Resource> {
    let name = prop::sample::select(vec!["label", "folder", "calendar", "repository", "file", "board"]);
    (name, words(), any::<bool>()).prop_map(|(name, values, nested)| Resource {
        name: name.to_owned(),
        values,
        shown: Vec::new(),
        nested: nested && name == "folder",
    })
}

fn kind() -> impl Strategy<Value = caveat::Kind> {
    use caveat::Kind;
    let moment = 1_u64..4_000_000_000_000;
    let zone = prop::sample::select(vec!["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires"]);
    let days = prop::sample::subsequence(vec![1_u32, 2, 3, 4, 5, 6, 7], 0..7);
    let hours = (zone, days, 0_u32..1440, 0_u32..=1440).prop_filter("a span", |(_, _, from, to)| from != to);
    let within =
        prop::sample::select(vec![("2026-01-31", ""), ("", "2026-02-01"), ("2026-01-31", "2026-02-01")]);
    let paths = prop::collection::vec(prop::sample::select(vec!["", "a", "a b/c", "x'y/$z", "-a/#b"]), 1..3);
    let role = prop::sample::select(vec!["sender", "owner", "attendee"]);
    prop_oneof![
        (1_u32..1_000_000, 1_u64..300_000_000)
            .prop_map(|(count, per_seconds)| Kind::Rate(Rate { count, per_seconds })),
        (1_u64..).prop_map(Kind::Calls),
        (1_u64..).prop_map(Kind::BytesADay),
        words().prop_map(|patterns| Kind::Recipients(Patterns { patterns })),
        resource().prop_map(Kind::Resource),
        moment.prop_map(Kind::NotBeforeMs),
        hours.prop_map(|(zone, days, from_minute, to_minute)| Kind::Hours(Hours {
            zone: zone.to_owned(),
            days,
            from_minute,
            to_minute
        })),
        (role, words()).prop_map(|(role, patterns)| Kind::People(People { role: role.to_owned(), patterns })),
        within.prop_map(|(after, before)| Kind::Within(Within {
            after: after.to_owned(),
            before: before.to_owned()
        })),
        paths.prop_map(|all| Kind::Paths(Paths { prefixes: all.into_iter().map(str::to_owned).collect() })),
        Just(Kind::MadeByAgent(true)),
        prop_oneof![Just(Vec::new()), hosts()].prop_map(|hosts| Kind::Links(Hosts { hosts, query: false })),
        bound().prop_map(|bound| Kind::Argument(ArgumentBound {
            argument: "some_arg".to_owned(),
            bound: Some(bound)
        })),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn what_is_printed_could_be_typed(kind in kind()) {
        again(kind)?;
    }
}

#[test]
fn what_is_pinned_is_typed_by_its_id_and_told_by_its_name() {
    let pinned = |nested| Resource {
        name: "folder".to_owned(),
        values: vec!["1a".to_owned(), "2b".to_owned()],
        shown: vec!["Work; rm -rf /".to_owned(), "Home".to_owned()],
        nested,
    };
    let line = text(&Caveat { kind: Some(caveat::Kind::Resource(pinned(true))) });
    assert_eq!(line, "--folder id:1a --folder id:2b --nested  # Work; rm -rf /, Home");
    let expected =
        Resource { values: vec!["id:1a".to_owned(), "id:2b".to_owned()], shown: Vec::new(), ..pinned(true) };
    assert_eq!(typed(&line), [caveat::Kind::Resource(expected)]);
    let check = |kind: caveat::Kind, expected: &str| assert_eq!(text(&Caveat { kind: Some(kind) }), expected);
    check(caveat::Kind::ExpiresAtMs(1_800_000_000_000), "--expires 2027-01-15T08:00:00Z");
    let tools = Tools { names: vec!["gmail.get_message".to_owned(), "gmail.send_message".to_owned()] };
    check(caveat::Kind::Tools(tools), "--tool gmail.get_message --tool gmail.send_message");
    check(caveat::Kind::BytesADay(10_000_000), "--bytes-a-day 10MB");
    check(
        caveat::Kind::Recipients(Patterns { patterns: vec!["*@example.com".into()] }),
        "--recipients '*@example.com'",
    );
}
