//! Runs a stand-in for Google with the demo's account until it is interrupted.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use stand_in_google::{Config, Seed, StandIn};
use tokio::signal::unix::{SignalKind, signal};

/// A stand-in for Google's OAuth, Gmail and Drive, for demonstrations. Not Google; holds invented data only.
#[derive(Debug, Parser)]
#[command(name = "stand-in-google", version)]
struct Options {
    /// TCP port on 127.0.0.1; 0 takes a free one
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Where to write the certificate (PEM) that clients must trust
    #[arg(long, value_name = "FILE")]
    ca_out: PathBuf,
    /// Where to write origin, client and ids as JSON; written last, when the server is ready
    #[arg(long, value_name = "FILE")]
    info_out: PathBuf,
    /// Replace the refresh token at each refresh; reuse of an old one revokes all
    #[arg(long)]
    rotate_refresh: bool,
    /// How long access tokens live
    #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
    token_lifetime: u64,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    // Signals are taken before anything is announced, so that an early one still ends the program cleanly.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let google = StandIn::start(Config {
        port: options.port,
        seed: Seed::demo(),
        token_lifetime: Duration::from_secs(options.token_lifetime),
        rotate_refresh: options.rotate_refresh,
        control: true,
        ..Config::default()
    })
    .await?;
    write(&options.ca_out, google.ca_pem())?;
    write(&options.info_out, &serde_json::to_string_pretty(&google.info())?)?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    google.shutdown().await;
    Ok(())
}

/// Writes beside the file and renames, so that nobody who waits for the file reads half of it.
fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    std::fs::write(&beside, text).with_context(|| format!("cannot write {}", beside.display()))?;
    std::fs::rename(&beside, path).with_context(|| format!("cannot write {}", path.display()))
}
