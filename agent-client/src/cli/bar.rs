//! A bar that shows how far a transfer is, to whoever looks at a terminal.

use indicatif::{ProgressBar, ProgressStyle};
use rmcp::model::ProgressNotificationParam;
use tokio::sync::mpsc;

/// How many reports may wait.
const WAITING: usize = 16;
/// What it shows where the size is known, and where it is not.
const KNOWN: &str = "{bytes} of {total_bytes} {wide_bar} {bytes_per_sec}, {eta} left";
const UNKNOWN: &str = "{bytes}, {bytes_per_sec}";

/// Shows what it is told, on standard error.
pub(super) struct Bar {
    reports: Option<mpsc::Receiver<ProgressNotificationParam>>,
}

/// Where reports go, and the bar that shows them; none of both where nobody looks.
pub(super) fn watch(watched: bool) -> (Option<mpsc::Sender<ProgressNotificationParam>>, Bar) {
    if !watched {
        return (None, Bar { reports: None });
    }
    let (sender, reports) = mpsc::channel(WAITING);
    (Some(sender), Bar { reports: Some(reports) })
}

impl Bar {
    /// Shows reports while `work` is under way. There is no bar before the first, and none is left behind.
    pub(super) async fn during<T>(self, work: impl Future<Output = T>) -> T {
        let Some(mut reports) = self.reports else { return work.await };
        tokio::pin!(work);
        let mut bar: Option<ProgressBar> = None;
        let done = loop {
            tokio::select! {
                done = &mut work => break done,
                Some(report) = reports.recv() => show(bar.get_or_insert_with(|| begin(&report)), &report),
            }
        };
        if let Some(bar) = bar {
            bar.finish_and_clear();
        }
        done
    }
}

fn begin(report: &ProgressNotificationParam) -> ProgressBar {
    let bar = report.total.map_or_else(ProgressBar::no_length, |total| ProgressBar::new(whole(total)));
    let template = if report.total.is_some() { KNOWN } else { UNKNOWN };
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        // The templates above are sound; the plain bar is for the type only.
        Err(_) => bar,
    }
}

fn show(bar: &ProgressBar, report: &ProgressNotificationParam) {
    bar.set_position(whole(report.progress));
}

/// A count as it was before it became a report.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is shown to people")]
fn whole(count: f64) -> u64 {
    count as u64
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]
    use super::*;

    #[test]
    fn the_templates_are_sound() {
        for template in [KNOWN, UNKNOWN] {
            ProgressStyle::with_template(template).unwrap();
        }
    }

    #[tokio::test]
    async fn nobody_looks_and_nothing_is_asked_for() {
        let (sender, bar) = watch(false);
        assert!(sender.is_none());
        assert_eq!(bar.during(async { 7 }).await, 7);
    }
}
