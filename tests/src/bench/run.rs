//! The measuring itself: one round after another, each with every block.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use claviger_proto::connect::{Server, connect};
use claviger_proto::v1::adapter_service_client::AdapterServiceClient;
use tempfile::TempDir;
use tokio::process::Command;
use tonic::transport::Channel;

use super::load::{elapsed, now, p50, pause, serial, throughput};
use super::machine;
use super::options::Options;
use super::program::{Program, beside};
use super::report::{Facts, Memory, Report, Rounds};
use super::upstream::{Direct, Upstream};
use super::vault::Vault;
use super::{disk, echo, stats};

/// How many callers ask at once.
const CALLERS: usize = 16;
const MANY: usize = 64;
/// How many capabilities one vault lets an adapter hold, less some: those of the last minute all count.
const HELD: usize = 15_000;
const LIFE: Duration = Duration::from_secs(61);
/// How many durable writes are timed in one block.
const SYNCS: usize = 60;

/// One vault and how many capabilities its adapter may hold still.
struct Bench {
    vault: Vault,
    minted: usize,
}

impl Bench {
    /// Room for that many mints more; waits until the old ones are over, where there is none.
    async fn room(&mut self, count: usize) {
        if self.minted + count > HELD {
            pause(LIFE).await;
            self.minted = 0;
        }
        self.minted += count;
    }

    async fn mint_p50(&mut self, count: usize) -> anyhow::Result<f64> {
        self.room(count).await;
        let signed = &self.vault.sign(count)?;
        p50(count, |number| async move { signed.mint(number).await.map(drop) }).await
    }

    async fn mint_throughput(&mut self, callers: usize, count: usize) -> anyhow::Result<f64> {
        self.room(count).await;
        let signed = Arc::new(self.vault.sign(count)?);
        throughput(callers, count, move |number| {
            let signed = Arc::clone(&signed);
            async move { signed.mint(number).await.map(drop) }
        })
        .await
    }

    /// The medians of mint, of send, and of both together.
    async fn both_p50(&mut self, count: usize) -> anyhow::Result<[f64; 3]> {
        self.room(count).await;
        let signed = self.vault.sign(count)?;
        let (mut mints, mut sends, mut both) = (Vec::new(), Vec::new(), Vec::new());
        for number in 0..count {
            let began = now();
            let capability = signed.mint(number).await?;
            let minted = elapsed(began);
            signed.send(capability).await?;
            let sent = elapsed(began);
            if number >= count / 10 {
                mints.push(minted);
                sends.push(sent - minted);
                both.push(sent);
            }
        }
        Ok([stats::median(&mints), stats::median(&sends), stats::median(&both)])
    }

    async fn both_throughput(&mut self, callers: usize, count: usize) -> anyhow::Result<f64> {
        self.room(count).await;
        let signed = Arc::new(self.vault.sign(count)?);
        throughput(callers, count, move |number| {
            let signed = Arc::clone(&signed);
            async move { signed.both(number).await }
        })
        .await
    }
}

/// Measures, and prints.
///
/// # Errors
/// Whatever kept it from measuring.
pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let on_disk = place(&options)?;
    let in_memory = memory()?;
    let sockets = tempfile::Builder::new().prefix("clvb").tempdir()?;
    let say = |what: &str| eprintln!("bench: {what}");

    say("starting the echo, the upstream and two vaults");
    let echo_socket = sockets.path().join("echo");
    let mut command = Command::new(beside("claviger-bench")?);
    command.arg("echo").arg(&echo_socket);
    let _echo = Program::start(&mut command)?;
    let echo = reach(&echo_socket).await?;
    let upstream = Upstream::start(options.http1).await?;
    let direct = Direct::new(&upstream)?;
    let homes = on_disk.path();
    let disk_audit = homes.join("audit");
    let first = Vault::start(&homes.join("d"), &disk_audit, &sockets.path().join("d"), &upstream).await?;
    let second =
        Vault::start(&homes.join("m"), &in_memory.path().join("audit"), &sockets.path().join("m"), &upstream)
            .await?;
    // Let both settle: what a start leaves to do is not idleness.
    pause(Duration::from_millis(500)).await;
    let vault_mb = machine::resident_mb(first.process());
    let adapter = first.adapter().await?;
    let agent = first.agent().await?;
    pause(Duration::from_millis(500)).await;
    let mut memory = Memory {
        vault_idle: vault_mb,
        adapter_idle: machine::resident_mb(adapter.id),
        agent_idle: machine::resident_mb(agent.id),
        vault_after: None,
    };
    drop(agent);
    let mut disk = Bench { vault: first, minted: 0 };
    let mut tmpfs = Bench { vault: second, minted: 0 };

    let mut rounds = Rounds::default();
    // The first round warms up caches, pools and tokens, and does not count.
    for round in 0..=options.rounds {
        say(&format!("round {round} of {}", options.rounds));
        let one = one_round(&options, &echo, &direct, &mut disk, &mut tmpfs).await?;
        if round > 0 {
            rounds.push(one);
        }
    }
    memory.vault_after = machine::resident_mb(disk.vault.process());
    let facts = Facts {
        cores: machine::cores(),
        kernel: machine::kernel(),
        filesystem: machine::filesystem(&disk.vault.audit),
        memory_filesystem: machine::filesystem(&tmpfs.vault.audit),
        http: if options.http1 { "HTTP/1.1" } else { "HTTP/2" },
        debug: cfg!(debug_assertions),
        rounds: options.rounds,
        serial: options.serial,
        parallel: options.parallel,
    };
    let report = Report { facts, memory, rounds };
    println!("{}", if options.json { report.json() } else { report.table() });
    Ok(())
}

/// Every block once: what is compared stands side by side.
async fn one_round(
    options: &Options,
    echo: &AdapterServiceClient<Channel>,
    direct: &Direct,
    disk: &mut Bench,
    tmpfs: &mut Bench,
) -> anyhow::Result<Vec<(&'static str, f64)>> {
    let (one, many) = (options.serial, options.parallel);
    let mut values = Vec::new();
    let mut note = |name: &'static str, value: f64| values.push((name, value));

    note("echo.p50", p50(one, |_| echo::once(echo.clone())).await?);
    note("mint.tmpfs.p50", tmpfs.mint_p50(one).await?);
    note("mint.disk.p50", disk.mint_p50(one).await?);
    let floor = echo.clone();
    note("echo.16", throughput(CALLERS, many * 4, move |_| echo::once(floor.clone())).await?);
    note("mint.tmpfs.16", tmpfs.mint_throughput(CALLERS, many).await?);
    note("mint.disk.16", disk.mint_throughput(CALLERS, many).await?);

    note("direct.p50", p50(one, |_| direct.clone().once()).await?);
    let [mint, send, both] = tmpfs.both_p50(one).await?;
    note("both.tmpfs.mint", mint);
    note("both.tmpfs.send", send);
    note("both.tmpfs.p50", both);
    note("both.tmpfs.use", stats::median(&tmpfs.vault.uses(one / 2).await?));
    // Before and after what waits for the same disk.
    let before = sync(disk).await?;
    let [mint, send, both] = disk.both_p50(one).await?;
    note("fsync", f64::midpoint(before, sync(disk).await?));
    note("both.disk.mint", mint);
    note("both.disk.send", send);
    note("both.disk.p50", both);
    note("both.disk.use", stats::median(&disk.vault.uses(one / 2).await?));

    for (callers, names) in [
        (CALLERS, ["direct.16", "both.tmpfs.16", "both.disk.16"]),
        (MANY, ["direct.64", "both.tmpfs.64", "both.disk.64"]),
    ] {
        let client = direct.clone();
        note(names[0], throughput(callers, many, move |_| client.clone().once()).await?);
        note(names[1], tmpfs.both_throughput(callers, many).await?);
        note(names[2], disk.both_throughput(callers, many).await?);
    }
    let appender = Arc::new(disk::Appender::new(&disk.vault.audit)?);
    let client = direct.clone();
    let least = move |_| {
        let (client, appender) = (client.clone(), Arc::clone(&appender));
        async move {
            appender.append().await?;
            client.once().await
        }
    };
    note("least.disk.64", throughput(MANY, many * 4, least).await?);
    disk.room(one / 2).await;
    let calls = serial(one / 2, |_| disk.vault.call()).await?;
    note("call.disk.p50", stats::median(&calls));
    Ok(values)
}

/// What a durable write costs where the log is.
async fn sync(bench: &Bench) -> anyhow::Result<f64> {
    let dir = bench.vault.audit.clone();
    tokio::task::spawn_blocking(move || disk::fdatasync(&dir, SYNCS)).await?
}

async fn reach(socket: &Path) -> anyhow::Result<AdapterServiceClient<Channel>> {
    for _ in 0..200 {
        if let Ok(channel) = connect(socket, Server::OwnerOfDirectory).await {
            return Ok(AdapterServiceClient::new(channel));
        }
        pause(Duration::from_millis(25)).await;
    }
    anyhow::bail!("the echo does not serve")
}

/// A directory on a disk.
fn place(options: &Options) -> anyhow::Result<TempDir> {
    let dir: PathBuf = match &options.dir {
        Some(dir) => dir.clone(),
        None => std::env::current_exe()?.parent().context("this program has no directory")?.to_owned(),
    };
    Ok(tempfile::Builder::new().prefix("clvb").tempdir_in(dir)?)
}

/// A directory in memory.
fn memory() -> anyhow::Result<TempDir> {
    let shared = Path::new("/dev/shm");
    anyhow::ensure!(machine::filesystem(shared) == "tmpfs", "there is no tmpfs at /dev/shm to compare with");
    Ok(tempfile::Builder::new().prefix("clvb").tempdir_in(shared)?)
}
