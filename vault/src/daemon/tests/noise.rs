//! Garbage, oversize and crowds: whoever makes noise disturbs nobody else.

use std::io::{Read as _, Write as _};

use super::*;

/// What a connection answers until it is closed, or until it has been silent for a while.
fn answer(mut stream: StdStream) -> (Vec<u8>, bool) {
    stream.set_read_timeout(Some(std::time::Duration::from_secs(20))).unwrap();
    let mut answer = Vec::new();
    let closed = stream.read_to_end(&mut answer).map_or_else(
        |fault| !matches!(fault.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut),
        |_| true,
    );
    (answer, closed)
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A frame's head (RFC 9113, 4.1): length, kind, flags, stream.
fn frame(length: u32, kind: u8, flags: u8, stream: u32) -> Vec<u8> {
    let mut head = length.to_be_bytes()[1..].to_vec();
    head.extend([kind, flags]);
    head.extend(stream.to_be_bytes());
    head
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_disturbs_nobody_else() {
    let home = Home::new();
    let daemon = home.start(home.unlock()).await;
    let mut admin = home.admin().await;
    add_peers(&mut admin).await;
    until("the sockets are there", || home.answers("agents/bot.sock")).await;
    until("the sockets are there", || home.answers("adapters/gmail.sock")).await;
    let mut bot = home.agent("bot").await;
    bot.open(v1::OpenRequest::default()).await.unwrap();

    let settings = [PREFACE, &frame(0, 4, 0, 0)].concat();
    let noises: Vec<(&str, Vec<u8>)> = vec![
        ("zeros", vec![0; 4096]),
        ("http/1", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec()),
        ("tls", [&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3][..], &[7; 512]].concat()),
        ("a frame of 16 MiB", [settings.clone(), frame(0xff_ffff, 0, 0, 1), vec![0; 1024]].concat()),
        ("data before headers", [settings.clone(), frame(4, 0, 1, 1), vec![1; 4]].concat()),
        ("broken hpack", [settings.clone(), frame(8, 1, 5, 1), vec![0xff; 8]].concat()),
        ("a window of zero", [settings.clone(), frame(4, 8, 0, 0), vec![0; 4]].concat()),
        ("a push", [settings, frame(4, 5, 4, 1), vec![0, 0, 0, 2]].concat()),
    ];
    for socket in ["admin.sock", "agents/bot.sock", "adapters/gmail.sock"] {
        for (what, noise) in &noises {
            let mut stream = home.raw(socket);
            // The vault may hang up in the middle.
            let _ = stream.write_all(noise);
            let (answer, closed) = tokio::task::spawn_blocking(|| answer(stream)).await.unwrap();
            assert!(closed, "{what} on {socket} left the connection open");
            assert!(!answer.windows(4).any(|window| window == b"HTTP"), "{what} on {socket} was answered");
            bot.open(v1::OpenRequest::default()).await.unwrap();
            admin.status(v1::StatusRequest {}).await.unwrap();
        }
    }
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_are_too_long_are_refused_and_change_nothing() {
    let home = Home::new();
    let daemon = home.start(home.unlock()).await;
    let mut admin = home.admin().await;
    add_peers(&mut admin).await;
    let why = "x".repeat(5 << 20);
    let refused = admin.freeze(v1::FreezeRequest { name: "bot".into(), why }).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::OutOfRange, "{refused:?}");
    assert!(!admin.list_agents(v1::ListAgentsRequest {}).await.unwrap().into_inner().agents[0].frozen);

    until("the socket is there", || home.answers("adapters/gmail.sock")).await;
    let channel = home.channel("adapters/gmail.sock").await;
    let mut gmail = v1::adapter_service_client::AdapterServiceClient::new(channel);
    let arguments = vec![b' '; 600 << 10];
    let refused = gmail.mint(v1::MintRequest { presentation: String::new(), arguments }).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::OutOfRange, "{refused:?}");
    assert!(!gmail.list_tools(v1::ListToolsRequest {}).await.unwrap().into_inner().tools.is_empty());
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_of_one_agent_keeps_no_other_out() {
    let home = Home::new();
    let daemon = home.start(home.unlock()).await;
    let mut admin = home.admin().await;
    add_peers(&mut admin).await;
    until("the sockets are there", || home.answers("agents/other.sock")).await;
    until("the sockets are there", || home.answers("agents/bot.sock")).await;
    // Each says hello and then nothing.
    let crowd: Vec<StdStream> = (0..200)
        .filter_map(|_| {
            let mut stream = home.raw("agents/bot.sock");
            stream.write_all(PREFACE).ok().map(|()| stream)
        })
        .collect();
    home.agent("other").await.open(v1::OpenRequest::default()).await.unwrap();
    admin.status(v1::StatusRequest {}).await.unwrap();
    let mut admin_again = home.admin().await;
    admin_again.status(v1::StatusRequest {}).await.unwrap();
    drop(crowd);
    daemon.stop().await;
}
