//! Holds the checked-in code to the `.proto` files. `CLAVIGER_REGENERATE=1` writes it anew instead.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

use std::fs;
use std::path::Path;

const FILES: [&str; 5] = [
    "claviger/v1/common.proto",
    "claviger/v1/agent.proto",
    "claviger/v1/bulk.proto",
    "claviger/v1/adapter.proto",
    "claviger/v1/admin.proto",
];

/// Messages that carry a secret or what an agent says: no derived `Debug`, but the one of `src/silent.rs`.
const SILENT: [&str; 17] = [
    "OpenHandle",
    "MintRequest",
    "MintResponse",
    "SendRequest",
    "SendResponse",
    "Header",
    "UnsealRequest",
    "UnsealRequest.key",
    "BeginConnectRequest",
    "BeginConnectResponse",
    "FinishConnectRequest",
    "SecretValue",
    "SecretValue.kind",
    "HeaderValue",
    "BasicValue",
    "Oauth2Value",
    "DetailLine",
];

#[test]
fn generated_code_matches_the_proto_files() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let out = tempfile::tempdir().unwrap();
    let descriptors = protox::compile(FILES, [root]).expect("the .proto files compile");
    let mut builder = tonic_prost_build::configure()
        .out_dir(out.path())
        .build_transport(false)
        .bytes(".claviger.v1.SendResponse.body");
    builder = builder.skip_debug(SILENT.map(|message| format!(".claviger.v1.{message}")));
    builder.compile_fds(descriptors).expect("code is generated");
    let fresh = fs::read_to_string(out.path().join("claviger.v1.rs")).unwrap();
    let kept = root.join("src/generated/claviger.v1.rs");
    #[allow(clippy::disallowed_methods, reason = "how `cargo xtask generate` asks this test to write")]
    if std::env::var_os("CLAVIGER_REGENERATE").is_some() {
        fs::write(&kept, fresh).unwrap();
        return;
    }
    assert!(
        fs::read_to_string(&kept).unwrap() == fresh,
        "the generated code is not what the .proto files give: run `cargo xtask generate`"
    );
}
