//! Answers and bodies that come piece by piece, over real TLS.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::sync::mpsc;

use super::server::Reply;
use super::*;
use crate::port::{Head, Inbound, Outflow, PIECE, Pieces, Streaming};

fn streaming(request: Outbound) -> Streaming {
    Streaming { request, outflow: None, in_pieces: true, resumes: false }
}

async fn open(server: &Server, request: Streaming) -> Result<Inbound, UpstreamFault> {
    egress().stream(&name("mail/me"), &pin(server), request).await
}

async fn pieces(server: &Server) -> (Head, Box<dyn Pieces>) {
    match open(server, streaming(get(server))).await.unwrap() {
        Inbound::Pieces(head, pieces) => (head, pieces),
        Inbound::Whole(answer) => panic!("{answer:?}"),
    }
}

/// All that is passed on, and how it ends.
async fn read(mut pieces: Box<dyn Pieces>) -> (Vec<u8>, Result<(), UpstreamFault>) {
    let mut all = Vec::new();
    loop {
        match pieces.next().await {
            Ok(None) => return (all, Ok(())),
            Ok(Some(piece)) => {
                assert!(piece.len() <= PIECE);
                all.extend_from_slice(&piece);
            }
            Err(fault) => {
                assert_eq!(pieces.next().await.err(), Some(fault.clone()), "and nothing after it");
                return (all, Err(fault));
            }
        }
    }
}

fn chunked(pieces: &[&[u8]]) -> Vec<u8> {
    let mut answer = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
        answer.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        answer.extend_from_slice(piece);
        answer.extend_from_slice(b"\r\n");
    }
    answer.extend_from_slice(b"0\r\n\r\n");
    answer
}

fn filler(length: usize) -> Vec<u8> {
    (0..length).map(|at| b'0' + (at % 10) as u8).collect()
}

#[tokio::test]
async fn a_long_answer_comes_in_pieces() {
    let body = filler(5 * PIECE + 3);
    let mut answer =
        format!("HTTP/1.1 206 X\r\nContent-Range: bytes 4-9/10\r\ncontent-length: {}\r\n\r\n", body.len())
            .into_bytes();
    answer.extend_from_slice(&body);
    let server = Server::always(answer).await;
    let (head, pieces) = pieces(&server).await;
    assert_eq!((head.status, head.length), (206, Some(body.len() as u64)));
    assert!(head.headers.contains(&("content-range".to_owned(), b"bytes 4-9/10".to_vec())));
    assert_eq!(read(pieces).await, (body, Ok(())));
}

/// Nothing of a secret leaves, whatever the borders of the pieces, and wherever in the stream it stands.
#[tokio::test]
async fn a_secret_across_pieces_is_found_before_any_of_it_leaves() {
    let spelled: String = CANARY.bytes().map(|byte| format!("\\u{byte:04x}")).collect();
    let quoted: String = CANARY.bytes().map(|byte| format!("%{byte:02X}")).collect();
    for secret in [CANARY.to_owned(), STANDARD.encode(CANARY), spelled, quoted] {
        for before in [0, 1, PIECE - 3, PIECE, 2 * PIECE - 5, 3 * PIECE - 1] {
            let all = [filler(before), secret.clone().into_bytes(), filler(2 * PIECE)].concat();
            for size in [1000, PIECE, 100_000] {
                let parts: Vec<&[u8]> = all.chunks(size).collect();
                let server = Server::always(chunked(&parts)).await;
                let (_, pieces) = pieces(&server).await;
                let (passed, ended) = read(pieces).await;
                assert_eq!(ended, Err(UpstreamFault::Echo), "{before} {size}");
                assert!(passed.len() <= before, "{} of {before}: a part of it left", passed.len());
                assert_eq!(passed, all[..passed.len()]);
            }
        }
    }
    // One byte at a time, and one that never ends its last escape.
    let all = [filler(10), CANARY.as_bytes().to_vec()].concat();
    let parts: Vec<&[u8]> = all.chunks(1).collect();
    let server = Server::always(chunked(&parts)).await;
    let (_, pieces) = pieces(&server).await;
    assert_eq!(read(pieces).await, (Vec::new(), Err(UpstreamFault::Echo)));
}

#[tokio::test]
async fn a_secret_in_a_header_or_in_a_refusal_is_withheld() {
    for answer in [
        format!("HTTP/1.1 200 OK\r\nx: {CANARY}\r\ncontent-length: 0\r\n\r\n"),
        format!("HTTP/1.1 404 X\r\ncontent-length: {}\r\n\r\n{CANARY}", CANARY.len()),
    ] {
        let server = Server::always(answer).await;
        assert_eq!(open(&server, streaming(get(&server))).await.err(), Some(UpstreamFault::Echo));
    }
}

#[tokio::test]
async fn what_is_no_success_comes_whole_and_within_its_limit() {
    let server = Server::always("HTTP/1.1 404 X\r\ncontent-length: 2\r\n\r\nno").await;
    let Ok(Inbound::Whole(answer)) = open(&server, streaming(get(&server))).await else { panic!() };
    assert_eq!((answer.status, &answer.body[..]), (404, &b"no"[..]));
    let server =
        Server::always(format!("HTTP/1.1 500 X\r\ncontent-length: 100\r\n\r\n{}", "x".repeat(100))).await;
    let request = Outbound { max_answer: 99, ..get(&server) };
    assert!(matches!(open(&server, streaming(request)).await, Err(UpstreamFault::Answer(_))));
    // Redirects are none but a 308 of an upload.
    for (resumes, status) in [(false, 302), (false, 308), (true, 302), (true, 307), (true, 308)] {
        let server = Server::always(format!(
            "HTTP/1.1 {status} X\r\nrange: bytes=0-5\r\nlocation: /x\r\ncontent-length: 0\r\n\r\n"
        ))
        .await;
        let request = Streaming { resumes, in_pieces: false, ..streaming(get(&server)) };
        match open(&server, request).await {
            Ok(Inbound::Whole(answer)) => assert_eq!((resumes, answer.status), (true, 308)),
            Err(fault) => {
                assert_eq!(fault, UpstreamFault::Redirect(status));
                assert!(!(resumes && status == 308));
            }
            Ok(Inbound::Pieces(..)) => panic!("{status}"),
        }
    }
}

#[tokio::test]
async fn an_answer_that_ends_early_or_is_encoded_is_not_taken_for_whole() {
    for answer in [
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nshort",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nshort\r\n",
    ] {
        let server = Server::start(move |_| Reply::SendAndClose(answer.into())).await;
        let (_, pieces) = pieces(&server).await;
        assert!(matches!(read(pieces).await, (passed, Err(UpstreamFault::Broken(_))) if passed.is_empty()));
    }
    for headers in ["content-encoding: gzip\r\n", "content-length: 5\r\ncontent-length: 6\r\n"] {
        let server =
            Server::always(format!("HTTP/1.1 200 OK\r\n{headers}content-length: 5\r\n\r\nhello")).await;
        assert!(open(&server, streaming(get(&server))).await.is_err(), "{headers}");
    }
}

#[tokio::test]
async fn silence_can_be_told_from_slowness() {
    let server = Server::start(|_| {
        Reply::SendAndHang(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\nslow".to_vec())
    })
    .await;
    let (_, mut pieces) = pieces(&server).await;
    // Bytes came, and none may leave: whoever waits knows that something moves.
    assert_eq!(pieces.next().await, Ok(Some(Bytes::new())));
    let silent = tokio::time::timeout(std::time::Duration::from_millis(50), pieces.next()).await;
    assert!(silent.is_err());
}

fn put(server: &Server, length: u64) -> (Streaming, mpsc::Sender<Bytes>) {
    let (sender, pieces) = mpsc::channel(1);
    let request = Outbound { method: Method::PUT, ..get(server) };
    let outflow = Some(Outflow { length, pieces });
    (Streaming { request, outflow, in_pieces: false, resumes: true }, sender)
}

#[tokio::test]
async fn a_body_goes_out_with_its_length_and_nothing_else() {
    let server = Server::always("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ndone").await;
    let (request, sender) = put(&server, 200_000);
    let body = filler(200_000);
    let sending = async {
        for piece in body.chunks(PIECE) {
            sender.send(Bytes::copy_from_slice(piece)).await.unwrap();
        }
        drop(sender);
    };
    let (answer, ()) = tokio::join!(open(&server, request), sending);
    let Ok(Inbound::Whole(answer)) = answer else { panic!() };
    assert_eq!(&answer.body[..], b"done");
    let request = server.requests().remove(0);
    let (head, sent) = request.split_once("\r\n\r\n").unwrap();
    assert!(
        head.contains("content-length: 200000\r\n") || head.ends_with("content-length: 200000"),
        "{head}"
    );
    assert!(!head.contains("transfer-encoding"));
    assert_eq!(sent.as_bytes(), body);
    // An empty one says so: an upstream is asked so how far an upload has come.
    let request = Outbound { method: Method::PUT, ..get(&server) };
    let request = Streaming { outflow: None, in_pieces: false, ..streaming(request) };
    assert!(open(&server, request).await.is_ok());
    assert!(server.requests().remove(1).contains("content-length: 0"));
}

#[tokio::test]
async fn a_body_that_is_cut_never_ends_as_if_it_were_whole() {
    // Too few: the connection closes.
    let server = Server::always("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let (request, sender) = put(&server, 100_000);
    let sending = async {
        sender.send(Bytes::from(filler(PIECE))).await.unwrap();
        drop(sender);
    };
    let closed = std::sync::Arc::clone(&server.closed);
    let closed = closed.notified();
    let (answer, ()) = tokio::join!(open(&server, request), sending);
    assert!(matches!(answer.err(), Some(UpstreamFault::Broken(_))));
    closed.await;
    assert!(server.requests().is_empty(), "no whole request came");
    // Too many: as bad.
    let (request, sender) = put(&server, 10);
    let sending = async {
        let _ = sender.send(Bytes::from(filler(11))).await;
    };
    let (answer, ()) = tokio::join!(open(&server, request), sending);
    assert!(answer.is_err());
    assert!(server.requests().is_empty());
    // And a body beside the pieces is refused before anything is sent.
    let (request, _sender) = put(&server, 10);
    let request = Streaming { request: Outbound { body: "x".into(), ..request.request }, ..request };
    assert!(open(&server, request).await.err().unwrap().nothing_sent());
}

#[tokio::test]
async fn an_answer_that_comes_before_the_body_s_end_is_taken() {
    let server = Server::hasty("HTTP/1.1 403 X\r\ncontent-length: 2\r\n\r\nno").await;
    let (request, sender) = put(&server, 1_000_000);
    sender.send(Bytes::from(filler(PIECE))).await.unwrap();
    let Ok(Inbound::Whole(answer)) = open(&server, request).await else { panic!() };
    assert_eq!(answer.status, 403);
    drop(sender);
}
