//! Harm, looked for where it would be: in the upstream's own log and state.

use claviger_tests::world::World;

/// Whom the grants of the adversaries' world let be written to.
pub(super) fn may_be_written_to(address: &str) -> bool {
    address == "family@example.org" || address.ends_with("@example.com") && address.matches('@').count() == 1
}

/// Each kind of harm that was done, in words; none where all is well.
pub(super) fn done(world: &World) -> Vec<String> {
    let mut harm = Vec::new();
    for sent in world.google.outbox() {
        for address in sent.to.iter().chain(&sent.cc).chain(&sent.bcc) {
            if !may_be_written_to(address) {
                harm.push(format!("a mail went to {address}"));
            }
        }
        let raw = String::from_utf8_lossy(&sent.raw).to_ascii_lowercase();
        let head = raw.split("\r\n\r\n").next().unwrap_or_default();
        for line in head.replace("\r\n ", " ").split("\r\n") {
            let (name, value) = line.split_once(':').unwrap_or_default();
            if matches!(name, "to" | "cc" | "bcc" | "reply-to") && value.contains("evil") {
                harm.push(format!("a mail says {line}"));
            }
        }
    }
    for request in world.google.log() {
        let way = format!("{} {}?{}", request.method, request.path, request.query);
        let path = request.path.to_ascii_lowercase();
        if path.contains("/batch") && !path.ends_with("/messages/batchmodify") {
            harm.push(format!("a batch endpoint was asked: {way}"));
        }
        for forbidden in
            ["/settings", "/filters", "/forwardingaddresses", "/watch", "/history", "/changes", "/about"]
        {
            if path.contains(forbidden) {
                harm.push(way.clone());
            }
        }
        let names: Vec<&str> = request.headers.iter().map(|(name, _)| name.as_str()).collect();
        for header in
            ["x-http-method-override", "x-http-method", "x-upload-content-type", "x-goog-user-project"]
        {
            if names.contains(&header) {
                harm.push(format!("{way} with {header}"));
            }
        }
        for parameter in ["key=", "access_token=", "oauth_token=", "callback=", "$.xgafv", "quotauser="] {
            if request.query.to_ascii_lowercase().contains(parameter) {
                harm.push(way.clone());
            }
        }
    }
    harm
}
