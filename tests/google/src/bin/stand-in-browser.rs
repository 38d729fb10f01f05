//! Does what an owner's browser does in a login: opens the provider's page, agrees, and follows the way back.
//!
//! The stand-in gives consent at once, so one request and one redirect are the whole login.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use clap::Parser;
use http::{Request, header};
use http_body_util::Empty;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

/// Opens a login's address at the stand-in and follows it back to this machine.
#[derive(Debug, Parser)]
#[command(name = "stand-in-browser", version)]
struct Options {
    /// The stand-in's certificate (PEM)
    #[arg(long, value_name = "FILE")]
    ca: PathBuf,
    /// The address that `claviger connect` shows
    url: String,
    /// Print where the login leads instead of going there, as one copies it on a machine without a browser
    #[arg(long)]
    print: bool,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Options { ca, url, print } = Options::parse();
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(&ca).with_context(|| format!("cannot read {}", ca.display()))?)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let https = hyper_rustls::HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_http1()
        .build();
    let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build(https);
    let answer = client.request(Request::get(&url).body(Empty::new())?).await?;
    let Some(back) = answer.headers().get(header::LOCATION) else {
        bail!("the provider answered {} and sent nobody back", answer.status());
    };
    let back = back.to_str()?.to_owned();
    if print {
        use std::io::Write as _;
        writeln!(std::io::stdout(), "{back}")?;
        return Ok(());
    }
    if !back.starts_with("http://127.0.0.1:") {
        bail!("the provider sends the browser to another machine");
    }
    let answer = client.request(Request::get(&back).body(Empty::new())?).await?;
    if !answer.status().is_success() {
        bail!("the login's end answered {}", answer.status());
    }
    Ok(())
}
