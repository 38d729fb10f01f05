#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use claviger_canonical::{Canonical, Digest, Value};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::address::Address;
use crate::codec::attachment::Attachment;
use crate::codec::rfc5322::render;

const KIND: &str = "application/pdf";

fn to() -> Vec<Address> {
    vec!["a@example.org".parse().unwrap()]
}

fn content(size: usize) -> Vec<u8> {
    (0..size).map(|at| (at * 131 + at / 251) as u8).collect()
}

fn named(name: &str, size: usize, sha256: [u8; 32]) -> Upload {
    let hash: String = sha256.iter().map(|byte| format!("{byte:02x}")).collect();
    let whole = json!({ "file": { "name": name, "sha256": hash, "size": size } });
    let whole = Canonical::from_json(&whole).unwrap();
    let Value::Object(members) = whole.value() else { panic!() };
    Upload::parse(members.get("file").unwrap(), u64::MAX).unwrap()
}

fn file(content: &[u8]) -> Upload {
    named("a.pdf", content.len(), *Digest::of(content).as_bytes())
}

fn around(mail: &Mail<'_>, file: &Upload) -> Around {
    Around::new(mail, file, &MediaType::parse(KIND).unwrap()).unwrap()
}

/// The whole mail, its file coming in pieces of these sizes, over and over.
fn whole(around: &Around, content: &[u8], pieces: &[usize]) -> Vec<u8> {
    let (mut out, mut lines, mut rest) = (around.before().to_vec(), Lines::default(), content);
    for size in pieces.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, after) = rest.split_at((*size).min(rest.len()));
        let full = lines.push(piece);
        assert!(full.len() <= (piece.len() / 57 + 1) * 78, "it makes more of it than lines");
        assert!(lines.held.len() < 57, "it holds a line");
        out.extend(full);
        rest = after;
    }
    out.extend(lines.finish());
    out.extend(around.after());
    out
}

/// The boundary, and the mail with another in its place.
fn unbound(mail: &[u8]) -> (String, String) {
    let text = String::from_utf8(mail.to_vec()).unwrap();
    let boundary = text.split("boundary=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    (boundary.clone(), text.replace(&boundary, "B"))
}

/// The one wall that all others lean on: it is the mail that [`render`] writes of the same attachment.
fn is_the_mail(mail: &Mail<'_>, content: &[u8], pieces: &[usize]) {
    let around = around(mail, &file(content));
    let sent = whole(&around, content, pieces);
    assert_eq!(sent.len() as u64, around.length(), "{} bytes", content.len());
    let attachments = [Attachment::new("a.pdf", KIND, content.to_vec()).unwrap()];
    let held = render(&Mail { attachments: &attachments, ..*mail }).unwrap();
    let (boundary, sent) = unbound(&sent);
    assert_eq!(sent, unbound(&held).1);
    // And read on its own: what stands between the file's headers and the end is the file.
    let (_, rest) =
        sent.split_once("filename=\"a.pdf\"\r\nContent-Transfer-Encoding: base64\r\n\r\n").unwrap();
    let lines = rest.strip_suffix("--B--\r\n").unwrap();
    assert!(lines.split("\r\n").all(|line| line.len() <= 76) && !lines.contains(&boundary));
    assert!(lines.ends_with("\r\n"));
    assert!(STANDARD.decode(lines.replace("\r\n", "")).unwrap() == content);
}

#[test]
fn a_file_in_pieces_is_the_attachment_it_would_be() {
    let to = to();
    let mail = Mail { to: &to, subject: "Grüße", body: "On Friday.\n", ..Mail::default() };
    let sizes = [0, 1, 2, 3, 55, 56, 57, 58, 59, 75, 76, 77, 113, 114, 115, 171, 1000];
    for size in sizes.into_iter().chain([65_535, 65_536, 65_537, 65_550]) {
        for pieces in [&[1_000_000][..], &[65_536], &[57], &[56, 1, 58, 3]] {
            is_the_mail(&mail, &content(size), pieces);
        }
    }
    for size in 0..200 {
        is_the_mail(&mail, &content(size), &[1]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn pieces_make_no_difference(
        size in 0usize..150_000,
        pieces in prop::collection::vec(1usize..70_000, 1..6),
        body in "\\PC{0,200}",
    ) {
        let to = to();
        is_the_mail(&Mail { to: &to, body: &body, ..Mail::default() }, &content(size), &pieces);
    }
}

#[test]
fn the_boundary_is_of_the_arguments() {
    let to = to();
    let mail = Mail { to: &to, body: "One", ..Mail::default() };
    let boundary = |mail: &Mail<'_>, file: &Upload, kind: &str| {
        unbound(Around::new(mail, file, &MediaType::parse(kind).unwrap()).unwrap().before()).0
    };
    let one = named("a.pdf", 10, [1; 32]);
    let same = boundary(&mail, &one, KIND);
    assert_eq!(boundary(&mail, &one, KIND), same);
    let others = [
        boundary(&Mail { body: "Two", ..mail }, &one, KIND),
        boundary(&mail, &named("b.pdf", 10, [1; 32]), KIND),
        boundary(&mail, &named("a.pdf", 11, [1; 32]), KIND),
        boundary(&mail, &named("a.pdf", 10, [2; 32]), KIND),
        boundary(&mail, &one, "application/zip"),
    ];
    assert!(others.iter().all(|other| *other != same), "{others:?}");
    // A file that has it in it is base64 like any other.
    let hostile = format!("\r\n--{same}--\r\nBcc: eve@example.org\r\n").into_bytes();
    is_the_mail(&mail, &hostile, &[7]);
}

#[test]
fn the_walls_of_a_mail_stand_around_a_file_too() {
    let (to, file, kind) = (to(), named("a.pdf", 10, [1; 32]), MediaType::parse(KIND).unwrap());
    let new = |mail: &Mail<'_>| Around::new(mail, &file, &kind).map(drop);
    assert_eq!(new(&Mail { to: &to, ..Mail::default() }), Ok(()));
    assert_eq!(new(&Mail::default()), Err(MailError::NoRecipient));
    let subject = "a\r\nBcc: eve@example.org";
    assert_eq!(new(&Mail { to: &to, subject, ..Mail::default() }), Err(MailError::Subject));
    let references = "<a@b>\r\nBcc: eve@example.org";
    assert_eq!(new(&Mail { to: &to, references, ..Mail::default() }), Err(MailError::Reference));
    // What else is in the mail stays in it, before the file.
    let attachments = [Attachment::new("first.txt", "text/plain", b"hi".to_vec()).unwrap()];
    let two = around(&Mail { to: &to, attachments: &attachments, ..Mail::default() }, &file);
    let before = String::from_utf8(two.before().to_vec()).unwrap();
    assert!(before.find("first.txt").unwrap() < before.find("a.pdf").unwrap());
    // A name that no line could hold is in pieces, as that of any attachment.
    let long = named(&format!("{}.pdf", "ü".repeat(60)), 10, [1; 32]);
    let before =
        String::from_utf8(around(&Mail { to: &to, ..Mail::default() }, &long).before().to_vec()).unwrap();
    assert!(before.is_ascii() && before.contains("filename*0*=UTF-8''%C3%BC"));
}
