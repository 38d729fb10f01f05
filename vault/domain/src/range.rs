//! Parts of a whole: which bytes an answer brings (RFC 9110 section 14), and how far an upload that was cut has come.

/// Which bytes an answer brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Where they begin in the whole.
    pub offset: u64,
    /// How many they are, if the upstream said so.
    pub length: Option<u64>,
    /// How long the whole is, if the upstream said so.
    pub total: Option<u64>,
}

/// What an upstream said of the bytes it is about to bring.
#[derive(Debug, Clone, Copy)]
pub struct Told<'a> {
    /// Its status.
    pub status: u16,
    /// The length of its body, if it announced one.
    pub length: Option<u64>,
    /// Its `Content-Range`, each line of it.
    pub ranges: &'a [&'a str],
}

/// Whether an answer brings the bytes that were asked for, from `offset` on to the end.
///
/// # Errors
/// What is wrong with it, in words of our own.
pub fn judge(offset: u64, told: Told<'_>) -> Result<Extent, &'static str> {
    if offset == 0 {
        return match (told.status, told.ranges) {
            (200, []) => Ok(Extent { offset: 0, length: told.length, total: told.length }),
            (200, _) => Err("it names a part, though the whole was asked for"),
            _ => Err("it is not the whole that was asked for"),
        };
    }
    let (206, [range]) = (told.status, told.ranges) else {
        return Err("it is not the part that was asked for");
    };
    let (first, last, total) = content_range(range).ok_or("its Content-Range is not one range of bytes")?;
    if first != offset || last < first || total.is_some_and(|total| last.checked_add(1) != Some(total)) {
        return Err("its Content-Range is not what was asked for");
    }
    let length = last - first + 1;
    if told.length.is_some_and(|told| told != length) {
        return Err("its length and its Content-Range do not agree");
    }
    Ok(Extent { offset, length: Some(length), total })
}

/// `bytes FIRST-LAST/TOTAL`, where the total may be `*` (RFC 9110 section 14.4).
fn content_range(text: &str) -> Option<(u64, u64, Option<u64>)> {
    let (range, total) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let total = if total == "*" { None } else { Some(number(total)?) };
    Some((number(first)?, number(last)?, total))
}

/// How many bytes of an upload of `size` bytes an upstream has kept, by the `Range` of its 308: none says none.
///
/// # Errors
/// What is wrong with it, in words of our own.
pub fn kept(size: u64, ranges: &[&str]) -> Result<u64, &'static str> {
    let last = match ranges {
        [] => return Ok(0),
        [range] => range.trim().strip_prefix("bytes=0-").and_then(number),
        _ => None,
    };
    match last.and_then(|last| last.checked_add(1)) {
        // All of it would be an upload that is done, and not one that goes on.
        Some(kept) if kept < size => Ok(kept),
        _ => Err("its Range is not a beginning of the upload"),
    }
}

/// Digits alone: no sign, no space.
fn number(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]
    use super::*;
    use proptest::prelude::*;

    fn check(offset: u64, status: u16, length: Option<u64>, ranges: &[&str]) -> Result<Extent, &'static str> {
        judge(offset, Told { status, length, ranges })
    }

    #[test]
    fn the_whole_and_the_rest() {
        let whole = |length| Ok(Extent { offset: 0, length, total: length });
        assert_eq!(check(0, 200, Some(10), &[]), whole(Some(10)));
        assert_eq!(check(0, 200, None, &[]), whole(None));
        let rest = Extent { offset: 4, length: Some(6), total: Some(10) };
        assert_eq!(check(4, 206, Some(6), &["bytes 4-9/10"]), Ok(rest));
        assert_eq!(check(4, 206, None, &["bytes 4-9/10"]), Ok(rest));
        assert_eq!(check(4, 206, Some(6), &["bytes 4-9/*"]), Ok(Extent { total: None, ..rest }));
    }

    #[test]
    fn a_range_that_lies_is_refused() {
        // Asked for the whole.
        for (status, ranges) in
            [(206, &["bytes 0-9/10"][..]), (206, &[]), (204, &[]), (200, &["bytes 0-9/10"])]
        {
            assert!(check(0, status, Some(10), ranges).is_err(), "{status} {ranges:?}");
        }
        // Asked from byte 4 on.
        for (status, length, ranges) in [
            (200, Some(10), &[][..]),
            (200, Some(6), &["bytes 4-9/10"]),
            (206, Some(6), &[]),
            (206, Some(6), &["bytes 4-9/10", "bytes 4-9/10"]),
            (206, Some(6), &["bytes 3-8/10"]),
            (206, Some(6), &["bytes 5-10/11"]),
            (206, Some(5), &["bytes 4-9/10"]),
            (206, Some(7), &["bytes 4-9/10"]),
            // A part of the rest would look like all of it.
            (206, Some(5), &["bytes 4-8/10"]),
            (206, Some(6), &["bytes 4-9/9"]),
            (206, None, &["bytes 4-3/4"]),
            (206, None, &["bytes 4-/10"]),
            (206, None, &["bytes */10"]),
            (206, None, &["bytes 4-9"]),
            (206, None, &["bytes=4-9/10"]),
            (206, None, &["items 4-9/10"]),
            (206, None, &["bytes +4-9/10"]),
            (206, None, &["bytes 4-18446744073709551615/10"]),
            (206, None, &["bytes 4-18446744073709551616/*"]),
            (206, None, &["bytes 4-18446744073709551615/18446744073709551616"]),
            (206, None, &["bytes 4-9, 4-9/10"]),
        ] {
            assert!(check(4, status, length, ranges).is_err(), "{status} {length:?} {ranges:?}");
        }
    }

    #[test]
    fn what_an_upload_has_come_to() {
        assert_eq!(kept(10, &[]), Ok(0));
        assert_eq!(kept(10, &["bytes=0-0"]), Ok(1));
        assert_eq!(kept(10, &["bytes=0-8"]), Ok(9));
        for ranges in [
            &["bytes=0-9"][..],
            &["bytes=0-18446744073709551615"],
            &["bytes=1-8"],
            &["bytes=0-"],
            &["bytes 0-8"],
            &["0-8"],
            &["bytes=0-4,6-8"],
            &["bytes=0-1", "bytes=0-1"],
            &[""],
        ] {
            assert!(kept(10, ranges).is_err(), "{ranges:?}");
        }
    }

    proptest! {
        /// Whatever is said, what is let through begins where it was asked for and never goes beyond the whole.
        #[test]
        fn nothing_else_passes(offset in 0u64..9, status in 199u16..208, length in prop::option::of(0u64..12),
            (first, last, total) in (0u64..12, 0u64..12, 0u64..14), named in any::<bool>()) {
            let text = format!("bytes {first}-{last}/{total}");
            let ranges = [text.as_str()];
            let told = Told { status, length, ranges: if named { &ranges } else { &[] } };
            if let Ok(extent) = judge(offset, told) {
                prop_assert_eq!(extent.offset, offset);
                prop_assert_eq!(status, if offset == 0 { 200 } else { 206 });
                if let (Some(length), Some(total)) = (extent.length, extent.total) {
                    prop_assert_eq!(offset + length, total);
                }
                prop_assert!(length.is_none() || extent.length == length);
            }
        }
    }
}
