//! Links: an address that leads elsewhere is found whatever stands around it.

use std::sync::LazyLock;

use claviger_domain::host::HostPattern;
use claviger_domain::links::check;

/// The hosts that are allowed.
static LISTED: LazyLock<Vec<HostPattern>> = LazyLock::new(|| {
    ["good.org", "*.below.example", "xn--bcher-kva.example"].map(|text| text.parse().expect("a host")).into()
});

/// Any text: what is allowed with fewer hosts is allowed with more, an address that is not listed shows in it wherever it
/// stands, and whatever a browser would open is found.
///
/// # Panics
/// Where that does not hold.
pub fn links(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (none, some) = (check(text, &[]), check(text, &LISTED));
    assert!(none.is_err() || some.is_ok(), "a longer list allows less");
    if let Err(found) = &some {
        assert!(found.chars().count() <= 100, "what is shown of it is short");
    }
    // A browser's own reading, word by word.
    for word in text.split_whitespace() {
        let Ok(url) = url::Url::parse(word) else { continue };
        let Some(host) = url.host_str() else { continue };
        // A name with a comma in it, say, is none that anybody could register; what follows the comma is read on its own.
        let host = host.strip_suffix('.').unwrap_or(host);
        if !host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b)) {
            continue;
        }
        let listed = LISTED.iter().any(|pattern| pattern.matches(host));
        assert!(some.is_err() || listed, "{host:?} is not listed, and passes");
    }
    // What stands around an address cannot hide it.
    let middle = (0..=text.len() / 2).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let (before, after) = text.split_at(middle);
    for evil in ["https://evil.example/", "HTTP://evil.example", "//evil.example/x"] {
        let whole = format!("{before} {evil} {after}");
        assert!(check(&whole, &LISTED).is_err(), "{evil} passes in {whole:?}");
    }
    if some.is_ok() {
        let whole = format!("{text} https://good.org/ {text}");
        assert!(check(&whole, &LISTED).is_ok(), "twice what passes, with what is listed between");
    }
}
