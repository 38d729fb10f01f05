//! Operations one after another, and many at once.
#![allow(clippy::disallowed_methods, reason = "a bench is there to read the real clock")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::stats;

/// Does `count` operations one after another; returns how long each took, in microseconds.
///
/// # Errors
/// The first operation that failed.
pub(crate) async fn serial<F: Future<Output = anyhow::Result<()>>>(
    count: usize,
    operation: impl Fn(usize) -> F,
) -> anyhow::Result<Vec<f64>> {
    let mut micros = Vec::with_capacity(count);
    for number in 0..count {
        let began = Instant::now();
        operation(number).await?;
        micros.push(elapsed(began));
    }
    Ok(micros)
}

/// The median of [`serial`], after a few operations that do not count.
///
/// # Errors
/// As there.
pub(crate) async fn p50<F: Future<Output = anyhow::Result<()>>>(
    count: usize,
    operation: impl Fn(usize) -> F,
) -> anyhow::Result<f64> {
    let warm = count / 10;
    let micros = serial(count, operation).await?;
    Ok(stats::median(&micros[warm..]))
}

/// Does `count` operations by `callers` at once; returns operations a second.
///
/// # Errors
/// The first operation that failed.
pub(crate) async fn throughput<F>(
    callers: usize,
    count: usize,
    operation: impl Fn(usize) -> F + Send + Sync + 'static,
) -> anyhow::Result<f64>
where
    F: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    let next = Arc::new(AtomicUsize::new(0));
    let operation = Arc::new(operation);
    let began = Instant::now();
    let mut tasks = Vec::new();
    for _ in 0..callers {
        let (next, operation) = (Arc::clone(&next), Arc::clone(&operation));
        tasks.push(tokio::spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return anyhow::Ok(());
                }
                operation(number).await?;
            }
        }));
    }
    for task in tasks {
        task.await??;
    }
    Ok(count as f64 / (elapsed(began) / 1e6))
}

/// How long that is ago, in microseconds.
pub(crate) fn elapsed(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e6
}

/// Now.
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Waits.
pub(crate) async fn pause(time: Duration) {
    tokio::time::sleep(time).await;
}
