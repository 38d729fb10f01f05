//! Plays a thief for the demo: somebody with a socket of their own and a copied handle id, but not its proof key.
//!
//! It opens its own session, so it knows this run of the vault, and then presents the stolen handle straight to the
//! adapter, with a proof made of the only key it can make up.

use std::io::Write as _;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail};
use claviger_canonical::presentation::META_KEY;
use claviger_canonical::{Canonical, Claim, Presentation, ProofKey};
use claviger_proto::connect::{Server, connect, connect_stream};
use claviger_proto::v1::OpenRequest;
use claviger_proto::v1::agent_service_client::AgentServiceClient;
use rmcp::ServiceExt as _;
use rmcp::model::{CallToolRequest, CallToolRequestParams, ClientRequest, RequestMetaObject, ServerResult};
use rmcp::service::PeerRequestOptions;
use serde_json::{Value, json};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut next = |what: &str| {
        arguments.next().with_context(|| {
            format!("usage: thief AGENT_SOCKET ADAPTER_SOCKET HANDLE TOOL; {what} is missing")
        })
    };
    let (agent, adapter) = (PathBuf::from(next("AGENT_SOCKET")?), PathBuf::from(next("ADAPTER_SOCKET")?));
    let (handle, tool) = (next("HANDLE")?, next("TOOL")?);

    let channel = connect(&agent, Server::OwnerOfDirectory).await?;
    let opened = AgentServiceClient::new(channel).open(OpenRequest::default()).await?.into_inner();
    let arguments = json!({});
    let canonical = Canonical::from_json(&arguments)?;
    #[allow(clippy::disallowed_methods, reason = "a thief has no clock but the machine's")]
    let claim = Claim {
        handle: bytes_of(&handle)?,
        tool: tool.parse()?,
        digest: canonical.digest(),
        issued_at_ms: u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?,
        nonce: random()?,
        replica: opened.replica.as_slice().try_into()?,
        boot: opened.boot.as_slice().try_into()?,
        approval: None,
    };
    let presentation = Presentation::sign(&ProofKey::new(random()?), claim);

    let stream = connect_stream(&adapter, Server::OwnerOfDirectory).await?;
    let (reader, writer) = stream.into_split();
    let client = ().serve((reader, writer)).await?;
    let mut params = CallToolRequestParams::new(tool);
    params.arguments = Some(serde_json::Map::new());
    let mut meta = RequestMetaObject::default();
    meta.insert(META_KEY.to_owned(), Value::from(presentation.into_text()));
    let request = ClientRequest::CallToolRequest(CallToolRequest::new(params));
    let options = PeerRequestOptions::no_options().with_meta(meta);
    let answer = client.send_request_with_option(request, options).await?.await_response().await?;
    let ServerResult::CallToolResult(result) = answer else {
        bail!("the adapter did not answer a tool call")
    };
    let text = result
        .content
        .iter()
        .filter_map(|part| part.as_text().map(|text| text.text.clone()))
        .collect::<Vec<_>>();
    writeln!(std::io::stdout(), "{}", text.join("\n"))?;
    if result.is_error == Some(true) { Ok(()) } else { bail!("the stolen handle was worth something") }
}

fn bytes_of(handle: &str) -> anyhow::Result<[u8; 16]> {
    let digits = handle.strip_prefix("hdl_").context("a handle begins with hdl_")?;
    let number = u128::from_str_radix(digits, 16).context("a handle is hexadecimal")?;
    Ok(number.to_be_bytes())
}

fn random<const N: usize>() -> anyhow::Result<[u8; N]> {
    let mut bytes = [0; N];
    ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut bytes)
        .ok()
        .context("no randomness")?;
    Ok(bytes)
}
