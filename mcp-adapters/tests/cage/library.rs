//! The cage as the program that holds it sees it.

use std::path::PathBuf;

use claviger_mcp::wrap::cage::{CageError, Ended, Plan, Scratch, WallKind, check, start};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::rig::{HOSTILE, PYTHON, Rig};

fn plan(command: &str, args: &[&str]) -> Plan {
    Plan {
        args: args.iter().map(|arg| (*arg).to_owned()).collect(),
        stage: Some(PathBuf::from(env!("CARGO_BIN_EXE_claviger-mcp"))),
        ..Plan::new(command)
    }
}

#[tokio::test]
async fn the_listener_is_the_way_out() {
    let script = "import socket\ns=socket.create_connection(('127.0.0.1',4433)); s.sendall(b'ask'); print(s.recv(9).decode())";
    let mut caged = start(&Plan { port: 4433, ..plan(PYTHON, &["-c", script]) }).await.unwrap();
    assert!(caged.walls.iter().all(|wall| wall.holds), "{:?}", caged.walls);
    let listener = tokio::net::TcpListener::from_std(caged.listener.take().unwrap()).unwrap();
    let (mut stream, from) = listener.accept().await.unwrap();
    assert!(from.ip().is_loopback());
    let mut asked = [0; 3];
    stream.read_exact(&mut asked).await.unwrap();
    stream.write_all(b"answer").await.unwrap();
    let mut said = String::new();
    caged.stdout.take().unwrap().read_to_string(&mut said).await.unwrap();
    assert_eq!((&asked, said.as_str()), (b"ask", "answer\n"));
    assert_eq!(caged.wait().await, Ended::Code(0));
}

#[tokio::test]
async fn two_cages_have_the_same_port() {
    let one = start(&plan("/bin/cat", &[])).await.unwrap();
    let two = start(&plan("/bin/cat", &[])).await.unwrap();
    assert!(one.listener.is_some() && two.listener.is_some());
}

#[tokio::test]
async fn it_is_killed_and_says_so() {
    let mut caged = start(&plan("/bin/cat", &[])).await.unwrap();
    caged.kill();
    assert_eq!(caged.wait().await, Ended::Killed);
    assert_eq!(caged.wait().await, Ended::Killed, "asked again, it says the same");
    let mut caged = start(&plan("/bin/sh", &["-c", "read line; exit 9"])).await.unwrap();
    caged.stdin.take();
    assert_eq!(caged.stderr.take().unwrap().next().await.unwrap(), None);
    assert_eq!(caged.wait().await, Ended::Code(9));
}

#[tokio::test]
async fn dropped_it_is_gone() {
    let caged = start(&plan("/bin/sh", &["-c", "sleep 600 & sleep 600"])).await.unwrap();
    let mut stdout = {
        let mut caged = caged;
        caged.stdout.take().unwrap()
    };
    // The end of its output: the last that had it open is gone.
    let mut rest = Vec::new();
    stdout.read_to_end(&mut rest).await.unwrap();
}

#[tokio::test]
async fn memory_beyond_the_limit_ends_it() {
    let mut small = plan(PYTHON, &["-c", HOSTILE, "eat_apart", "60", "3"]);
    small.limits.memory = 100 << 20;
    let mut caged = start(&small).await.unwrap();
    assert_eq!(caged.wait().await, Ended::Memory);
}

#[tokio::test]
async fn error_lines_are_bounded() {
    let mut caged =
        start(&plan("/bin/sh", &["-c", "head -c 1000000 /dev/zero >&2; echo end >&2"])).await.unwrap();
    let line = caged.stderr.take().unwrap().next().await.unwrap().unwrap();
    assert_eq!((line.bytes.len(), line.cut), (4096, 1_000_003 - 4096));
}

/// A scratch directory stays; the next cage with it finds what the last one left, and only there.
#[tokio::test]
async fn a_scratch_directory_stays() {
    let rig = Rig::new(None);
    let scratch = rig.own_directory("kept");
    let with = |args: &[&str]| Plan { scratch: Scratch::Directory(scratch.clone()), ..plan("/bin/sh", args) };
    let mut caged = start(&with(&["-c", "echo kept > file; echo gone > /tmp/file; ln -s /etc/shadow link"]))
        .await
        .unwrap();
    assert_eq!(caged.wait().await, Ended::Code(0));
    let mut caged = start(&with(&["-c", "cat file; cat /tmp/file link || echo none"])).await.unwrap();
    let mut said = String::new();
    caged.stdout.take().unwrap().read_to_string(&mut said).await.unwrap();
    assert_eq!(said, "kept\nnone\n");
}

#[tokio::test]
async fn what_cannot_be_is_told() {
    let found = check(Some(env!("CARGO_BIN_EXE_claviger-mcp").into())).await.unwrap();
    assert_eq!(found.iter().filter(|wall| wall.holds).count(), 16);
    assert!(found.iter().any(|wall| wall.kind == WallKind::Files && wall.why.contains("Landlock")));
    let none = start(&plan("no-such-program", &[])).await;
    assert!(matches!(none, Err(CageError::Plan(_))), "{none:?}");
    // A stage that is none ends without a word.
    let silent = start(&Plan { stage: Some("/bin/true".into()), ..plan("/bin/cat", &[]) }).await;
    assert!(matches!(silent, Err(CageError::Silent | CageError::Io(_))), "{silent:?}");
}
