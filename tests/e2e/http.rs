//! `claviger-agent mcp --http`: the tools on a port of this machine, for one user, and for no page in a browser.

use claviger_tests::world::port::Port;
use claviger_tests::world::raw::dial_port_as;
use claviger_tests::world::users::Who;
use claviger_tests::world::{World, note};
use serde_json::json;
use tokio::net::TcpStream;

/// The names in an answer to `tools/list`.
fn names(answer: &str) -> Vec<String> {
    let result = Port::result(answer).unwrap_or_else(|| panic!("no result: {answer}"));
    let tools = result["tools"].as_array().unwrap();
    tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn tools_are_listed_and_called_over_http() {
    let world = World::ready().await;
    let port = world.port().await;
    let listed = port.send(&port.request("tools/list", json!({}))).await;
    assert!(names(&listed).contains(&"gmail_search_messages".to_owned()), "{listed}");
    let params = json!({"name": "gmail_search_messages", "arguments": {}});
    let answer = port.send(&port.request("tools/call", params)).await;
    let result = Port::result(&answer).unwrap_or_else(|| panic!("no result: {answer}"));
    assert_ne!(result["isError"], true, "{answer}");
    assert!(result["structuredContent"].is_object(), "{answer}");
    // The same program over standard input and output sees the same tools.
    let host = world.host(rmcp::model::ProtocolVersion::V_2025_11_25).await;
    let mut granted = names(&listed);
    granted.retain(|name| !name.starts_with("claviger_"));
    granted.sort();
    assert_eq!(granted, host.names().await);
    assert!(port.stop().await.success());
}

/// A page whose own name was made to mean 127.0.0.1, and one that simply tries.
#[tokio::test]
async fn no_page_in_a_browser_reaches_it() {
    let world = World::ready().await;
    let port = world.port().await;
    let good = port.request("tools/list", json!({}));
    let host = format!("Host: {}\r\n", port.authority());
    let number = port.authority().rsplit(':').next().unwrap().to_owned();
    for hostile in [
        format!("Host: evil.example:{number}\r\n"),
        format!("Host: 127.0.0.1.nip.io:{number}\r\n"),
        format!("Host: localhost.evil.example:{number}\r\n"),
        format!("{host}Host: evil.example\r\n"),
        format!("Host: evil.example\r\n{host}"),
        String::new(),
        format!("{host}Origin: null\r\n"),
        format!("{host}Origin: http://evil.example\r\n"),
        format!("{host}Origin: https://{}\r\n", port.authority()),
        format!("{host}Origin: http://localhost:1\r\n"),
        format!("{host}Origin: http://{}@evil.example\r\n", port.authority()),
        format!("{host}Sec-Fetch-Site: same-origin\r\n"),
    ] {
        let answer = port.send(&good.replace(&host, &hostile)).await;
        assert!(answer.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{hostile}: {answer}");
        assert!(!answer.to_lowercase().contains("access-control"), "{answer}");
    }
    let absolute = good.replace("POST /mcp", "POST http://evil.example/mcp");
    assert!(port.send(&absolute).await.starts_with("HTTP/1.1 403 Forbidden\r\n"));
    assert!(!names(&port.send(&good).await).is_empty());
}

/// A port has no owner, as a socket in a directory has; so each connection's is looked up.
#[tokio::test]
async fn no_other_user_reaches_it() {
    let Some(world) = World::multi_user().await else { return };
    let port = world.port().await;
    let good = port.request("tools/list", json!({}));
    let agent = world.users.uid(Who::Agent);
    let dial = |uid| dial_port_as(port.authority(), uid).unwrap();
    assert!(!names(&port.over(dial(agent), &good).await).is_empty());
    for who in [Who::Stranger, Who::Other, Who::Admin, Who::Vault, Who::Gmail] {
        assert_eq!(port.over(dial(world.users.uid(who)), &good).await, "", "{who:?}");
    }
    assert_eq!(port.over(dial(0), &good).await, "", "root has to become that user");
    // They take nobody's place: those that are kept open are not kept by the server.
    let crowd: Vec<TcpStream> = (0..200).map(|_| dial(world.users.uid(Who::Stranger))).collect();
    assert!(!names(&port.over(dial(agent), &good).await).is_empty());
    drop(crowd);
    let log = std::fs::read_to_string(world.base().join("logs/port.log")).unwrap();
    let lines = log.lines().filter(|line| line.contains("a connection of another user was closed")).count();
    assert!((2..12).contains(&lines), "a crowd does not fill the log: {log}");
    note("each of six users was sent away");
}

#[tokio::test]
async fn only_a_free_port_of_this_machine_is_served() {
    let world = World::single_user().await;
    let port = world.port().await;
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:8808", "[::ffff:127.0.0.1]:0"] {
        let ran = world.agent(&["mcp", "--http", address]).await;
        assert_eq!(ran.code, 2, "{address}");
        assert!(ran.all().contains("only a loopback address is served"), "{}", ran.all());
    }
    let ran = world.agent(&["mcp", "--http", "localhost:0"]).await;
    assert_eq!(ran.code, 2);
    assert!(ran.all().contains("an address and a port is wanted"), "{}", ran.all());
    let ran = world.agent(&["mcp", "--http", port.authority()]).await;
    assert_eq!(ran.code, 1);
    assert!(ran.all().contains("is taken: another process listens there"), "{}", ran.all());
}
