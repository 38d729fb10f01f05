//! What every call answers while the vault is sealed, and to the wrong peer.

use tonic::Request;
use tonic::client::Grpc;
use tonic_prost::ProstCodec;

use super::*;

/// Every method of the wire, as its generated code names it, so that no new one is forgotten.
fn methods(service: &str) -> Vec<String> {
    let generated = include_str!("../../../../proto/src/generated/claviger.v1.rs");
    let prefix = format!("\"/claviger.v1.{service}/");
    let mut found: Vec<String> = generated
        .split(&prefix)
        .skip(1)
        .map(|rest| format!("/claviger.v1.{service}/{}", rest.split('"').next().unwrap()))
        .collect();
    found.sort();
    found.dedup();
    let declared = match service {
        "AdminService" => include_str!("../../../../proto/claviger/v1/admin.proto"),
        "AgentService" => include_str!("../../../../proto/claviger/v1/agent.proto"),
        _ => include_str!("../../../../proto/claviger/v1/adapter.proto"),
    };
    assert_eq!(found.len(), declared.matches("\n  rpc ").count());
    found
}

/// Calls a method with an empty message.
async fn call(channel: &Channel, method: &str) -> Result<(), Status> {
    let mut client = Grpc::new(channel.clone());
    client.ready().await.unwrap();
    let codec = ProstCodec::<(), ()>::default();
    client.unary(Request::new(()), method.parse().unwrap(), codec).await.map(|_| ())
}

#[tokio::test(flavor = "multi_thread")]
async fn sealed_means_sealed() {
    let home = Home::new();
    let daemon = home.start(home.unlock()).await;
    add_peers(&mut home.admin().await).await;
    daemon.stop().await;

    let daemon = home.start(None).await;
    let (admin, agent, adapter) = (
        home.channel("admin.sock").await,
        home.channel("agents/bot.sock").await,
        home.channel("adapters/gmail.sock").await,
    );
    for method in methods("AdminService") {
        let answer = call(&admin, &method).await;
        match method.rsplit('/').next().unwrap() {
            "Status" => assert!(answer.is_ok()),
            "Unseal" => assert_eq!(class(&answer.unwrap_err()), "bad-arguments"),
            _ => assert_eq!(class(&answer.unwrap_err()), "sealed", "{method}"),
        }
    }
    for (channel, service) in [(&agent, "AgentService"), (&adapter, "AdapterService")] {
        for method in methods(service) {
            assert_eq!(class(&call(channel, &method).await.unwrap_err()), "sealed", "{method}");
        }
    }
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_serves_its_own_role_only() {
    let home = Home::new();
    let daemon = home.start(home.unlock()).await;
    add_peers(&mut home.admin().await).await;
    let sockets = [
        ("admin.sock", "AdminService"),
        ("agents/bot.sock", "AgentService"),
        ("adapters/gmail.sock", "AdapterService"),
    ];
    for (socket, own) in sockets {
        let channel = home.channel(socket).await;
        for (_, service) in sockets {
            for method in methods(service) {
                if service == own {
                    continue;
                }
                let code = call(&channel, &method).await.unwrap_err().code();
                assert_eq!(code, tonic::Code::Unimplemented, "{method} on {socket}");
            }
        }
    }
    daemon.stop().await;
}

/// An upload says first what it is of; and what it is of is checked like a send.
#[tokio::test(flavor = "multi_thread")]
async fn an_upload_begins_at_its_beginning() {
    use claviger_proto::v1::adapter_service_client::AdapterServiceClient;
    use v1::upload_frame::Frame;
    let home = Home::new();
    let daemon = home.start(home.unlock()).await;
    add_peers(&mut home.admin().await).await;
    let mut adapter = AdapterServiceClient::new(home.channel("adapters/gmail.sock").await);
    let begin = || Frame::Begin(v1::SendRequest { capability: vec![1; 32], ..Default::default() });
    for (frames, expected) in [
        (vec![], "bad-arguments"),
        (vec![None], "bad-arguments"),
        (vec![Some(Frame::Piece(vec![1; 10])), Some(begin())], "bad-arguments"),
        (vec![Some(begin()), Some(Frame::Piece(vec![1; 10]))], "bad-capability"),
    ] {
        let frames = frames.into_iter().map(|frame| v1::UploadFrame { frame });
        let refused = adapter.upload(futures_util::stream::iter(frames.collect::<Vec<_>>())).await;
        assert_eq!(class(&refused.unwrap_err()), expected);
    }
    let request = v1::SendRequest { capability: vec![1; 32], ..Default::default() };
    assert_eq!(class(&adapter.download(request).await.unwrap_err()), "bad-capability");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn admins_are_told_what_is_wrong() {
    let home = Home::new();
    let daemon = home.start(home.unlock()).await;
    let mut admin = home.admin().await;
    add_peers(&mut admin).await;
    let missing =
        admin.freeze(v1::FreezeRequest { name: "bto".into(), why: String::new() }).await.unwrap_err();
    assert_eq!(class(&missing), "out-of-scope");
    let bad = admin.freeze(v1::FreezeRequest { name: "../x".into(), why: String::new() }).await.unwrap_err();
    assert_eq!(class(&bad), "bad-arguments");
    let told = from_status(&bad).unwrap();
    assert!(!told.message.is_empty() && !told.hints.is_empty());
    let taken =
        admin.add_agent(v1::AddAgentRequest { name: "bot".into(), ..Default::default() }).await.unwrap_err();
    assert_eq!(class(&taken), "bad-arguments");
    let none = admin.revoke(v1::RevokeRequest { id: format!("hdl_{}", "0".repeat(32)) }).await.unwrap_err();
    assert_eq!(class(&none), "out-of-scope");

    let frozen = admin.freeze(v1::FreezeRequest { name: "bot".into(), why: "odd".into() }).await.unwrap();
    let frozen = frozen.into_inner();
    assert!(frozen.frozen && frozen.frozen_why == "odd");
    assert_eq!(frozen.socket, home.socket("agents/bot.sock").to_string_lossy());
    let status = admin.status(v1::StatusRequest {}).await.unwrap().into_inner();
    assert!(!status.sealed && status.single_user && status.agents == 2 && status.adapters == 1);
    assert_eq!(status.recipients, ["daily", "recovery"]);
    assert!(!status.key_memory.is_empty() && status.audit_records >= 4);
    assert!(status.warnings.iter().any(|line| line.contains("does not isolate")), "{:?}", status.warnings);
    let services = admin.list_services(v1::ListServicesRequest {}).await.unwrap().into_inner().services;
    assert!(services.iter().any(|service| service.id == "gmail" && !service.tools.is_empty()));
    let log = admin.read_log(v1::ReadLogRequest::default()).await.unwrap().into_inner().events;
    assert!(log.iter().any(|event| event.kind == "frozen" && event.actor.starts_with("admin uid")));

    let signed = admin.checkpoint(v1::CheckpointRequest {}).await.unwrap().into_inner();
    let verifier = crate::audit::checkpoint::Verifier::parse(&signed.key).unwrap();
    assert!(verifier.checkpoint(&signed.note).unwrap().store_revision.is_some());
    daemon.stop().await;
}
