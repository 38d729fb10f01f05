//! Hosts, as bounds on URLs name them.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// A host that a URL may point to: `example.org`, or `*.example.org` for all strictly below it.
///
/// ASCII only, in lower case; a name in another script stands in its `xn--` form (RFC 3492).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostPattern(String);

/// The text is no host and no pattern of hosts. It never repeats the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a host is a DNS name such as example.org, or *.example.org for all below it, in lower case")]
pub struct BadHost;

impl HostPattern {
    /// Whether this host is one of those meant. A dot at the end and ASCII case do not count; letters of other scripts
    /// are compared in their `xn--` form.
    #[must_use]
    pub fn matches(&self, host: &str) -> bool {
        ascii(host).is_some_and(|host| self.matches_ascii(&host))
    }

    /// The same for a host that [`ascii`] made.
    pub(crate) fn matches_ascii(&self, host: &str) -> bool {
        match self.0.strip_prefix("*.") {
            None => self.0 == host,
            Some(above) => host
                .strip_suffix(above)
                .and_then(|below| below.strip_suffix('.'))
                .is_some_and(|below| !below.is_empty()),
        }
    }
}

impl FromStr for HostPattern {
    type Err = BadHost;

    fn from_str(text: &str) -> Result<Self, BadHost> {
        let name = text.strip_prefix("*.").unwrap_or(text);
        let label = |label: &str| {
            !label.is_empty()
                && label.len() <= 63
                && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        // A last label that begins with a digit is how addresses are written, in one form or another.
        let named =
            name.rsplit('.').next().is_some_and(|last| last.starts_with(|c: char| c.is_ascii_lowercase()));
        if name.len() <= 253 && name.contains('.') && name.split('.').all(label) && named {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadHost)
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A host in the form that bounds name it: ASCII, lower case, labels of other scripts as `xn--`; `None` where it is no
/// such name, or where readers could disagree on what it is: then it equals nothing.
pub(crate) fn ascii(host: &str) -> Option<Cow<'_, str>> {
    let host = host.strip_suffix('.').unwrap_or(host);
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.' | b'_');
    if host.bytes().all(plain) {
        return (!host.split('.').any(str::is_empty)).then_some(Cow::Borrowed(host));
    }
    let mut labels = Vec::new();
    for label in host.split('.') {
        labels.push(if label.is_ascii() { label.to_ascii_lowercase() } else { other_script(label)? });
    }
    let whole = labels.join(".");
    (whole.bytes().all(plain) && labels.iter().all(|label| !label.is_empty())).then_some(Cow::Owned(whole))
}

/// A label of one script as `xn--`. What is refused here is what the two generations of IDNA read differently, what
/// needs a normal form first, and what mixes scripts: none of these ever equals a host that somebody listed.
fn other_script(label: &str) -> Option<String> {
    // At least one letter of the answer for each here, behind `xn--`, and the whole at most 63 (RFC 1035 section 2.3.4).
    // What is longer is not worked out, which takes the square of its length.
    let lower: Vec<char> = label.chars().flat_map(char::to_lowercase).take(60).collect();
    if lower.len() == 60 {
        return None;
    }
    let mut script = None;
    for c in &lower {
        // Digits and hyphens belong to every script.
        if c.is_ascii_digit() || *c == '-' {
            continue;
        }
        let found = Script::of(*c)?;
        if script.is_some_and(|script| script != found) {
            return None;
        }
        script = Some(found);
    }
    punycode(&lower).map(|text| format!("xn--{text}")).filter(|label| label.len() <= 63)
}

/// Coarse scripts: enough to see that two are mixed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Script {
    Latin,
    Greek,
    Cyrillic,
    Hebrew,
    Arabic,
    EastAsian,
}

impl Script {
    /// The script of a letter that stands for itself in a host; `None` for all else, which is then never equal.
    fn of(c: char) -> Option<Self> {
        Some(match c {
            // Not ß: the older IDNA reads it as ss. Not ς, below: it reads it as σ. Not the dotless or dotted i's kin.
            'a'..='z' | 'à'..='ö' | 'ø'..='ÿ' | 'ā'..='į' | 'ĵ'..='ľ' | 'ł'..='ň' | 'ŋ'..='ž' => {
                Script::Latin
            }
            'ά'..='ώ' if c != 'ς' => Script::Greek,
            'а'..='џ' => Script::Cyrillic,
            'א'..='ת' => Script::Hebrew,
            'ء'..='غ' | 'ف'..='ي' => Script::Arabic,
            '一'..='鿿' | 'ぁ'..='ゖ' | 'ァ'..='ヺ' | '가'..='힣' => Script::EastAsian,
            _ => return None,
        })
    }
}

/// RFC 3492 section 6.3, with the parameters of section 5.
fn punycode(label: &[char]) -> Option<String> {
    const BASE: u32 = 36;
    const T_MIN: u32 = 1;
    const T_MAX: u32 = 26;
    const DIGITS: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    let mut out: String = label.iter().filter(|c| c.is_ascii()).collect();
    let basic = u32::try_from(out.len()).ok()?;
    let total = u32::try_from(label.len()).ok()?;
    if basic > 0 {
        out.push('-');
    }
    let digit = |d: u32| DIGITS.get(usize::try_from(d).ok()?).map(|b| char::from(*b));
    let (mut n, mut delta, mut bias, mut handled) = (128_u32, 0_u32, 72_u32, basic);
    while handled < total {
        let next = label.iter().map(|c| u32::from(*c)).filter(|c| *c >= n).min()?;
        delta = delta.checked_add((next - n).checked_mul(handled + 1)?)?;
        n = next;
        for c in label.iter().map(|c| u32::from(*c)) {
            if c < n {
                delta = delta.checked_add(1)?;
            }
            if c != n {
                continue;
            }
            let mut q = delta;
            let mut k = BASE;
            loop {
                let t = k.saturating_sub(bias).clamp(T_MIN, T_MAX);
                if q < t {
                    break;
                }
                out.push(digit(t + (q - t) % (BASE - t))?);
                q = (q - t) / (BASE - t);
                k += BASE;
            }
            out.push(digit(q)?);
            // Section 6.1.
            let mut rest = if handled == basic { delta / 700 } else { delta / 2 };
            rest += rest / (handled + 1);
            let mut steps = 0;
            while rest > ((BASE - T_MIN) * T_MAX) / 2 {
                rest /= BASE - T_MIN;
                steps += BASE;
            }
            bias = steps + (BASE - T_MIN + 1) * rest / (rest + 38);
            delta = 0;
            handled += 1;
        }
        delta = delta.checked_add(1)?;
        n += 1;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]
    use super::*;

    #[test]
    fn patterns() {
        for good in ["example.org", "*.example.org", "a-b.co.uk", "xn--bcher-kva.example", "3com.com"] {
            assert_eq!(good.parse::<HostPattern>().unwrap().to_string(), good);
        }
        for bad in [
            "",
            "*",
            "*.",
            "org",
            "*.org",
            "Example.org",
            "example.org.",
            ".example.org",
            "a..b",
            "**.example.org",
            "a.*.org",
            "exa*.org",
            "example.org:80",
            "https://example.org",
            "example.org/",
            "me@example.org",
            "127.0.0.1",
            "a.0x7f",
            "[::1]",
            "bücher.example",
            "-a.org",
            "a_b.org",
            "example.org\n",
        ] {
            assert_eq!(bad.parse::<HostPattern>(), Err(BadHost), "{bad:?}");
        }
    }

    #[test]
    fn a_pattern_is_as_long_as_a_name_may_be() {
        let pattern = |text: String| text.parse::<HostPattern>().is_ok();
        assert!(pattern(format!("{}.org", "a".repeat(63))) && !pattern(format!("{}.org", "a".repeat(64))));
        let long = |length: usize| {
            let labels = format!("{0}.{0}.{0}.", "a".repeat(62));
            format!("{labels}{}", "a".repeat(length - labels.len()))
        };
        assert!(pattern(long(250)) && !pattern(long(254)));
        let longest = format!("{0}.{0}.{0}.{1}", "a".repeat(63), "b".repeat(61));
        assert!(pattern(longest.clone()) && !pattern(format!("{longest}b")));
        // Nothing below is not below, however the host was come by.
        assert!(!"*.example.org".parse::<HostPattern>().unwrap().matches_ascii(".example.org"));
    }

    /// The right sides were computed by another program.
    #[test]
    fn other_scripts_have_their_ascii_form() {
        let form = |host: &str| ascii(host).map(std::borrow::Cow::into_owned);
        for (label, expected) in [
            ("ü", "tda"),
            ("aü", "a-eha"),
            ("éa", "a-9fa"),
            ("zzé", "zz-cja"),
            ("ünü", "n-dhab"),
            ("bü-1", "b-1-hoa"),
            ("üüüüüüüüüü", "tdaaaaaaaaaa"),
            ("münchen-ost", "mnchen-ost-9db"),
            ("ąćęłńóśźż", "kda9ag6e8jma6nxjsa"),
            ("ελλάδα", "hxakic4aa"),
            ("παράδειγμα", "hxajbheg2az3al"),
            ("שלום", "9dbne9b"),
            ("дрова", "80adf4bj"),
            ("почемужеонинеговорятпорусски", "b1abfaaepdrnnbgefbadotcwatmq2g4l"),
            ("日本語", "wgv71a119e"),
            ("ドメイン名例", "eckwd4c7cu47r2wf"),
            ("한국인터넷", "3e0bx5eku0am2irhf"),
            ("中国互联网络信息中心", "fiqa61au8b7zsevnm8ak20mc4a87e"),
            ("他们为什么不说中文", "ihqwcrb4cv8a8dqg056pqjye"),
            // At the edges of the loop of section 6.1.
            ("穠吅嬴铃莶", "5pr00o791ahjitov"),
            ("氚魏貐当", "u2t67zkmzolm"),
        ] {
            assert_eq!(form(&format!("{label}.Example")), Some(format!("xn--{expected}.example")), "{label}");
        }
        let long = |length: usize| format!("{}ü", "a".repeat(length));
        assert_eq!(form(&long(55)).map(|label| label.len()), Some(63));
        assert_eq!(
            (form(&long(56)), form(&long(58)), form(&long(59)), form(&long(5_000))),
            (None, None, None, None)
        );
        for none in [
            "ς.org",
            "λόγος.org",
            "ß.org",
            "ı.org",
            "aλ.org",
            "bü_1.org",
            "a b",
            "a..b",
            "a.",
            "",
            ".",
            "a!b",
            "A!b",
            "A..b",
        ] {
            assert_eq!(form(none), (none == "a.").then(|| "a".to_owned()), "{none:?}");
        }
    }

    #[test]
    fn a_star_is_strictly_below() {
        for (pattern, host, expected) in [
            ("example.org", "example.org", true),
            ("example.org", "EXAMPLE.org.", true),
            ("example.org", "example.org..", false),
            ("example.org", "www.example.org", false),
            ("example.org", "notexample.org", false),
            ("*.example.org", "example.org", false),
            ("*.example.org", ".example.org", false),
            ("*.example.org", "a.example.org", true),
            ("*.example.org", "a.b.example.org", true),
            ("*.example.org", "notexample.org", false),
            ("*.example.org", "example.org.evil.com", false),
            ("*.example.org", "a..example.org", false),
            ("xn--bcher-kva.example", "bücher.example", true),
            ("xn--bcher-kva.example", "BÜCHER.example", true),
            ("xn--bcher-kva.example", "bu\u{308}cher.example", false),
            ("xn--strae-oqa.example", "straße.example", false),
            ("xn--e1afmkfd.xn--p1ai", "пример.рф", true),
            ("xn--fiqs8s.example", "中国.example", true),
            ("xn--mgbh0fb.example", "مثال.example", true),
            ("paypal.com", "pаypal.com", false),
            ("xn--pypal-4ve.com", "pаypal.com", false),
            ("xn--80ak6aa92e.com", "аррӏе.com", false),
            ("example.org", "example\u{3002}org", false),
            ("example.org", "ｅxample.org", false),
            ("", "", false),
        ] {
            let matched = pattern.parse::<HostPattern>().is_ok_and(|pattern| pattern.matches(host));
            assert_eq!(matched, expected, "{pattern} on {host}");
        }
    }
}
