//! Requests to the upstream that go around the vault.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::Value;

use super::World;

/// Posts to an https address whose authority has that certificate; returns the status and the JSON of the answer (null
/// where it is none).
pub async fn post(ca_pem: &str, url: &str, kind: &str, body: String) -> (u16, Value) {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca_pem.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let https =
        hyper_rustls::HttpsConnectorBuilder::new().with_tls_config(tls).https_only().enable_http1().build();
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build(https);
    let request = http::Request::post(url).header("content-type", kind).body(Full::from(body)).unwrap();
    let answer = client.request(request).await.unwrap();
    let status = answer.status().as_u16();
    let bytes = answer.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
}

impl World {
    /// Whether the stand-in still takes a refresh token from whoever holds it. Where refresh tokens rotate, asking with a
    /// dead one revokes its whole family.
    pub async fn takes_refresh_token(&self, token: &str) -> bool {
        let form = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "refresh_token")
            .append_pair("refresh_token", token)
            .append_pair("client_id", self.google.client_id())
            .append_pair("client_secret", self.google.client_secret())
            .finish();
        let url = format!("{}/token", self.google.origin());
        let (status, answer) =
            post(self.google.ca_pem(), &url, "application/x-www-form-urlencoded", form).await;
        assert!(status == 200 || answer["error"] == "invalid_grant", "{status} {answer}");
        status == 200
    }
}
