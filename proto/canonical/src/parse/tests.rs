//! Tables for the strict parser: what is read, what is refused, and where.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

use super::*;

/// Parses under the limits of arguments and shows the canonical form, or the fault with its offset.
fn check(input: impl AsRef<[u8]>, expected: Result<&str, (ErrorKind, usize)>) {
    let input = input.as_ref();
    let shown = String::from_utf8_lossy(&input[..input.len().min(80)]).into_owned();
    let got = parse(input, &Limits::ARGUMENTS)
        .map(|value| String::from_utf8(value.to_canonical()).unwrap())
        .map_err(|fault| (fault.kind(), fault.offset()));
    assert_eq!(got, expected.map(str::to_owned), "{shown}");
}

fn refused(input: impl AsRef<[u8]>, kind: ErrorKind, offset: usize) {
    check(input, Err((kind, offset)));
}

#[test]
fn plain_values() {
    check("null", Ok("null"));
    check(" true\r\n", Ok("true"));
    check("\tfalse", Ok("false"));
    check("\"\"", Ok("\"\""));
    check("[ ]", Ok("[]"));
    check("{ }", Ok("{}"));
    check("[ 1 , [ 2 ] , { \"a\" : 3 } ]", Ok(r#"[1,[2],{"a":3}]"#));
    check(r#"{"b":1,"a":{"d":2,"c":3}}"#, Ok(r#"{"a":{"c":3,"d":2},"b":1}"#));
}

/// The example of RFC 8785 section 3.2.2, but for the numbers, which we accept in canonical form only.
#[test]
fn rfc_8785_section_3_2_2() {
    check(
        r#"{
            "numbers": [333333333.3333333, 4.5, 0.002, 1e-27],
            "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
            "literals": [null, true, false]
        }"#,
        Ok("{\"literals\":[null,true,false],\"numbers\":[333333333.3333333,4.5,0.002,1e-27],\
            \"string\":\"€$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}"),
    );
    for number in ["333333333.33333329", "1E30", "4.50", "2e-3", "0.000000000000000000000000001"] {
        refused(number, ErrorKind::NonCanonicalNumber, 0);
    }
}

/// The sorting example of RFC 8785 section 3.2.3: the emoji comes before U+FB33.
#[test]
fn rfc_8785_section_3_2_3() {
    check(
        r#"{"\u20ac":"Euro Sign","\r":"Carriage Return","\ufb33":"Hebrew Letter Dalet With Dagesh","1":"One",
           "\ud83d\ude00":"Emoji: Grinning Face","\u0080":"Control","\u00f6":"Latin Small Letter O With Diaeresis"}"#,
        Ok("{\"\\r\":\"Carriage Return\",\"1\":\"One\",\"\u{80}\":\"Control\",\
            \"\u{f6}\":\"Latin Small Letter O With Diaeresis\",\"\u{20ac}\":\"Euro Sign\",\
            \"\u{1f600}\":\"Emoji: Grinning Face\",\"\u{fb33}\":\"Hebrew Letter Dalet With Dagesh\"}"),
    );
}

#[test]
fn integers_at_the_borders() {
    for text in ["0", "1", "-1", "9007199254740991", "-9007199254740991"] {
        check(text, Ok(text));
    }
    for text in [
        "9007199254740992",
        "-9007199254740992",
        "9007199254740993",
        "9223372036854775807",
        "9223372036854775808",
        "-9223372036854775808",
        "18446744073709551616",
        "100000000000000000000000",
    ] {
        refused(text, ErrorKind::IntegerOutOfRange, 0);
    }
    refused("1".repeat(200_000), ErrorKind::IntegerOutOfRange, 0);
    refused(format!("[0,{}]", "9".repeat(400)), ErrorKind::IntegerOutOfRange, 3);
}

#[test]
fn a_number_has_one_form() {
    for text in
        ["0.5", "-0.5", "1e-7", "1.5e-7", "0.000001", "5e-324", "1424953923781206.2", "4503599627370495.5"]
    {
        check(text, Ok(text));
    }
    check("-0.0000033333333333333333", Ok("-0.0000033333333333333333"));
    for text in [
        "-0",
        "-0.0",
        "0.0",
        "0e0",
        "1.0",
        "1e3",
        "1E3",
        "1e+3",
        "10e-1",
        "0.50",
        "5e-1",
        "1E-7",
        "1e-07",
        "0.0000001",
        "1e21",
        "1e+21",
        "1e400",
        "-1e400",
        "1e-400",
        "9007199254740992.0",
        "9007199254740993.5",
        "0.1000000000000000000001",
        "0.10000000000000001",
        "0.1e0",
    ] {
        refused(text, ErrorKind::NonCanonicalNumber, 0);
    }
    refused(format!("0.{}", "3".repeat(100_000)), ErrorKind::NonCanonicalNumber, 0);
}

#[test]
fn fractions_only_where_allowed() {
    let limits = Limits { fractions: false, ..Limits::ARGUMENTS };
    for text in ["0.5", "1.0", "1e3"] {
        assert_eq!(
            parse(text.as_bytes(), &limits).unwrap_err().kind(),
            ErrorKind::FractionNotAllowed,
            "{text}"
        );
    }
    assert_eq!(parse(b"5", &limits), Ok(Value::Integer(5)));
}

#[test]
fn malformed_numbers() {
    for text in ["-", "01", "00", "-01", "1.", "1.e3", "1e", "1e+", "1e-", "-a", "0123.4"] {
        refused(text, ErrorKind::MalformedNumber, 0);
    }
    for text in ["+1", ".5", "NaN", "Infinity", "'1'"] {
        refused(text, ErrorKind::UnexpectedByte, 0);
    }
    refused("-Infinity", ErrorKind::MalformedNumber, 0);
    refused("0x10", ErrorKind::TrailingBytes, 1);
    refused("1_000", ErrorKind::TrailingBytes, 1);
}

#[test]
fn structure() {
    refused("", ErrorKind::UnexpectedEnd, 0);
    refused("  ", ErrorKind::UnexpectedEnd, 2);
    refused("nul", ErrorKind::UnexpectedEnd, 3);
    refused("nulL", ErrorKind::UnexpectedByte, 3);
    refused("True", ErrorKind::UnexpectedByte, 0);
    refused("undefined", ErrorKind::UnexpectedByte, 0);
    refused("[", ErrorKind::UnexpectedEnd, 1);
    refused("[1", ErrorKind::UnexpectedEnd, 2);
    refused("[1,", ErrorKind::UnexpectedEnd, 3);
    refused("[1,]", ErrorKind::UnexpectedByte, 3);
    refused("[,1]", ErrorKind::UnexpectedByte, 1);
    refused("[1 2]", ErrorKind::UnexpectedByte, 3);
    refused("[1}", ErrorKind::UnexpectedByte, 2);
    refused("{", ErrorKind::UnexpectedEnd, 1);
    refused("{a:1}", ErrorKind::UnexpectedByte, 1);
    refused("{1:1}", ErrorKind::UnexpectedByte, 1);
    refused(r#"{"a"}"#, ErrorKind::UnexpectedByte, 4);
    refused(r#"{"a":}"#, ErrorKind::UnexpectedByte, 5);
    refused(r#"{"a":1,}"#, ErrorKind::UnexpectedByte, 7);
    refused(r#"{"a":1"#, ErrorKind::UnexpectedEnd, 6);
    refused("1 /* no */", ErrorKind::TrailingBytes, 2);
    refused("// no\n1", ErrorKind::UnexpectedByte, 0);
    refused("{}{}", ErrorKind::TrailingBytes, 2);
    refused("{}\0", ErrorKind::TrailingBytes, 2);
    refused("\u{b}1", ErrorKind::UnexpectedByte, 0);
    refused("\u{a0}1", ErrorKind::UnexpectedByte, 0);
}

#[test]
fn strings_and_escapes() {
    check(r#""\u0000\u0001\u001F""#, Ok(r#""\u0000\u0001\u001f""#));
    check(r#""\u0008\u0009\u000a\u000c\u000d""#, Ok(r#""\b\t\n\f\r""#));
    check(r#""\b\t\n\f\r\"\\\/""#, Ok(r#""\b\t\n\f\r\"\\/""#));
    check(r#""\u007f\uFFFF\uD83D\uDE00""#, Ok("\"\u{7f}\u{ffff}😀\""));
    check("\"\u{7f}\u{feff}é😀\"", Ok("\"\u{7f}\u{feff}é😀\""));
    for code in 0..0x20u8 {
        refused([b'"', code, b'"'], ErrorKind::ControlCharacter, 1);
    }
    for text in [
        r#""\x41""#,
        r#""\'""#,
        r#""\U0041""#,
        r#""\0""#,
        r#""\u004g""#,
        r#""\u+041""#,
        r#""\u12""#,
        "\"\\u1é\"",
    ] {
        refused(text, ErrorKind::BadEscape, 1);
    }
    refused("\"abc", ErrorKind::UnexpectedEnd, 4);
    refused("\"abc\\", ErrorKind::UnexpectedEnd, 5);
    refused("\"\\\u{e9}\"", ErrorKind::BadEscape, 1);
    refused("\"\\u12", ErrorKind::BadEscape, 1);
}

#[test]
fn lone_surrogates() {
    for text in [
        r#""\ud800""#,
        r#""\udc00""#,
        r#""\udfff\ud800""#,
        r#""\ud800\ud800""#,
        r#""\ud800x""#,
        r#""\ud800\n""#,
        r#""\ud800\u0041""#,
    ] {
        refused(text, ErrorKind::LoneSurrogate, 1);
    }
    refused(r#""\ud800\uzzzz""#, ErrorKind::BadEscape, 7);
}

#[test]
fn bytes_that_are_not_utf_8() {
    refused(b"\"\xff\"", ErrorKind::InvalidUtf8, 1);
    refused(b"\"\xc0\x80\"", ErrorKind::InvalidUtf8, 1); // overlong NUL
    refused(b"\"\xed\xa0\x80\"", ErrorKind::InvalidUtf8, 1); // a surrogate in UTF-8's clothes
    refused(b"\"\xf4\x90\x80\x80\"", ErrorKind::InvalidUtf8, 1); // beyond U+10FFFF
    refused(b"{}\x80", ErrorKind::InvalidUtf8, 2);
    refused(b"\xef\xbb\xbf{}", ErrorKind::ByteOrderMark, 0);
    refused(b"\xff\xfe{\0}\0", ErrorKind::InvalidUtf8, 0); // UTF-16
}

#[test]
fn duplicate_keys_whatever_their_escapes() {
    refused(r#"{"a":1,"a":1}"#, ErrorKind::DuplicateKey, 7);
    refused(r#"{"a":1,"\u0061":2}"#, ErrorKind::DuplicateKey, 7);
    refused(r#"{"/":1,"b":2,"\/":2}"#, ErrorKind::DuplicateKey, 13);
    refused(r#"{"\n":1,"\u000A":2}"#, ErrorKind::DuplicateKey, 8);
    refused(r#"{"😀":1,"\uD83D\ude00":2}"#, ErrorKind::DuplicateKey, 10);
    refused(r#"{"":1,"":2}"#, ErrorKind::DuplicateKey, 6);
    refused(r#"[{"x":{"k":1,"k":2}}]"#, ErrorKind::DuplicateKey, 13);
    check(r#"{"a":{"a":{"a":1}}}"#, Ok(r#"{"a":{"a":{"a":1}}}"#));
    check(r#"{"a":1,"A":2}"#, Ok(r#"{"A":2,"a":1}"#));
}

#[test]
fn depth() {
    let arrays = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    check(arrays(32), Ok(&arrays(32)));
    refused(arrays(33), ErrorKind::TooDeep, 32);
    let objects = |depth: usize| format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth));
    check(objects(32), Ok(&objects(32)));
    refused(objects(33), ErrorKind::TooDeep, 160);
    refused("[".repeat(200_000), ErrorKind::TooDeep, 32);
    refused(r#"[{"a":"#.repeat(40_000), ErrorKind::TooDeep, 96);
    // The depth counts what is open, not what there is.
    let wide = format!("[{}[]]", "[],".repeat(80_000));
    check(&wide, Ok(&wide));
    let flat = Limits { depth: 0, ..Limits::ARGUMENTS };
    assert_eq!(parse(b"1", &flat), Ok(Value::Integer(1)));
    assert_eq!(parse(b"[]", &flat), Err(ParseError::new(ErrorKind::TooDeep, 0)));
    // The deepest limit there is does not exhaust the stack of a test thread.
    let deepest = Limits { depth: u8::MAX, ..Limits::ARGUMENTS };
    assert!(parse(arrays(255).as_bytes(), &deepest).is_ok());
    assert_eq!(parse(arrays(256).as_bytes(), &deepest).unwrap_err().kind(), ErrorKind::TooDeep);
}

#[test]
fn size() {
    let text = |bytes: usize| format!("\"{}\"", "x".repeat(bytes - 2));
    check(text(262_144), Ok(&text(262_144)));
    refused(text(262_145), ErrorKind::TooLarge, 262_144);
    refused(" ".repeat(262_145), ErrorKind::TooLarge, 262_144);
    // The size is looked at before anything else.
    refused(vec![0xff; 10_000_000], ErrorKind::TooLarge, 262_144);
}

#[test]
fn many_keys_in_the_worst_order() {
    let mut members: Vec<String> = (0..20_000).map(|n| format!("\"{n:05}\":1")).collect();
    members.reverse();
    let value = parse(format!("{{{}}}", members.join(",")).as_bytes(), &Limits::ARGUMENTS).unwrap();
    members.reverse();
    assert_eq!(value.to_canonical(), format!("{{{}}}", members.join(",")).into_bytes());
}

#[test]
fn a_fault_says_what_and_where_but_not_the_content() {
    let fault = parse(b"{\"canary\":1,\"canary\":2}", &Limits::ARGUMENTS).unwrap_err();
    assert_eq!(fault.to_string(), "duplicate key at byte 12");
    assert!(!format!("{fault:?}").contains("canary"));
}

#[test]
fn what_stands_between_members_and_elements_is_not_left_out() {
    for (text, at) in [
        (r#"{"a" 1}"#, 5),
        (r#"{"a"1}"#, 4),
        (r#"{"a","b":1}"#, 4),
        (r#"{"a":1 "b":2}"#, 7),
        (r#"{"a":1"b":2}"#, 6),
        (r#"{"a":1:"b":2}"#, 6),
        ("[1 2]", 3),
        (r#"["a""b"]"#, 4),
    ] {
        refused(text, ErrorKind::UnexpectedByte, at);
    }
}
