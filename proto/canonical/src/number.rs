//! Numbers that have exactly one form.
//!
//! RFC 8785 writes every number as ECMAScript would write the nearest double, so `9007199254740993` and
//! `9007199254740992` become the same bytes. An identifier or an amount must not change on its way, so here a number
//! is either an integer that a double holds exactly, or a double that is no integer. Nothing is ever rounded.

use std::fmt;

/// The largest magnitude of an integer that a double holds without a neighbour falling onto it: 2^53 − 1
/// (ECMAScript's `Number.MAX_SAFE_INTEGER`, RFC 8785 section 3.2.2.3 and RFC 7493 section 2.2).
pub const MAX_SAFE_INTEGER: i64 = (1 << 53) - 1;

/// Says whether an integer lies within ±(2^53 − 1).
#[must_use]
pub fn is_safe(integer: i64) -> bool {
    (-MAX_SAFE_INTEGER..=MAX_SAFE_INTEGER).contains(&integer)
}

/// A finite double with a fractional part: never NaN, infinite, −0, or equal to an integer.
///
/// Keeping integral doubles out means that no value can be both a `Fraction` and an integer, so equal values have
/// equal forms. Equality and hashing go by the bits, which is sound because −0 and NaN cannot occur.
#[derive(Clone, Copy)]
pub struct Fraction(f64);

impl Fraction {
    /// Takes a double; returns `None` if it is not finite or has no fractional part.
    #[must_use]
    pub fn new(number: f64) -> Option<Self> {
        (number.is_finite() && number.fract() != 0.0).then_some(Self(number))
    }

    /// Returns the double.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }

    /// Returns the shortest text that reads back as the same double, in ECMAScript's form.
    #[must_use]
    pub fn to_text(self) -> String {
        ecmascript(self.0)
    }
}

impl PartialEq for Fraction {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_bits() == other.0.to_bits()
    }
}

impl Eq for Fraction {}

impl std::hash::Hash for Fraction {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.to_bits().hash(state);
    }
}

/// Shows that there is a fraction, not which: arguments do not belong in logs.
impl fmt::Debug for Fraction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fraction(..)")
    }
}

/// Writes a finite double as ECMAScript's `Number::toString` does (ECMA-262, radix 10; RFC 8785 section 3.2.2.3).
///
/// The layout: plain decimal from 10^−6 up to 10^21, otherwise scientific with an explicit sign.
fn ecmascript(number: f64) -> String {
    if number == 0.0 {
        return "0".to_owned();
    }
    let scientific = shortest(number.abs());
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let digits: String = mantissa.chars().filter(|c| *c != '.').collect();
    // The names k and n are those of the standard: `digits` are k long, the value is 0.digits × 10^n.
    let k = i32::try_from(digits.len()).unwrap_or(i32::MAX);
    let n = exponent.parse::<i32>().unwrap_or(0).saturating_add(1);
    let zeros = |count: i32| "0".repeat(usize::try_from(count).unwrap_or(0));

    let mut text = String::with_capacity(26);
    if number < 0.0 {
        text.push('-');
    }
    if (k..=21).contains(&n) {
        text.push_str(&digits);
        text.push_str(&zeros(n - k));
    } else if (1..=21).contains(&n) {
        let (whole, part) = digits.split_at(usize::try_from(n).unwrap_or(0));
        text.push_str(whole);
        text.push('.');
        text.push_str(part);
    } else if (-5..=0).contains(&n) {
        text.push_str("0.");
        text.push_str(&zeros(-n));
        text.push_str(&digits);
    } else {
        let (first, rest) = digits.split_at(1);
        text.push_str(first);
        if !rest.is_empty() {
            text.push('.');
            text.push_str(rest);
        }
        text.push_str(if n > 0 { "e+" } else { "e-" });
        text.push_str(&(n - 1).abs().to_string());
    }
    text
}

/// Returns the shortest digits that read back as `number`, in scientific form.
///
/// Rust's `{:e}` finds how many digits that takes. Where two candidates are equally near, Rust takes the upper one and
/// ECMAScript the even one (`1424953923781206.25` ends in `.2`). Rounding to that many digits breaks ties to even, but
/// beside a power of two, where doubles lie closer on one side, its result may read back as the neighbour.
fn shortest(number: f64) -> String {
    let shortest = format!("{number:e}");
    let digits = shortest.bytes().take_while(|byte| *byte != b'e').filter(u8::is_ascii_digit).count();
    let even = format!("{number:.*e}", digits.saturating_sub(1));
    if even.parse() == Ok(number) { even } else { shortest }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_are_equal_bit_by_bit() {
        let hash = |fraction: &Fraction| {
            use std::hash::{DefaultHasher, Hash, Hasher};
            let mut hasher = DefaultHasher::new();
            fraction.hash(&mut hasher);
            hasher.finish()
        };
        let (half, quarter) = (Fraction::new(0.5), Fraction::new(0.25));
        assert!(half.is_some() && half == Fraction::new(0.5) && half != quarter);
        assert_ne!(half.as_ref().map(hash), quarter.as_ref().map(hash));
    }

    fn check(bits: u64, expected: &str) {
        assert_eq!(ecmascript(f64::from_bits(bits)), expected, "{bits:016x}");
    }

    /// The number samples of RFC 8785 appendix B that are numbers in JSON.
    #[test]
    fn rfc_8785_appendix_b() {
        check(0x0000_0000_0000_0000, "0");
        check(0x8000_0000_0000_0000, "0");
        check(0x0000_0000_0000_0001, "5e-324");
        check(0x8000_0000_0000_0001, "-5e-324");
        check(0x7fef_ffff_ffff_ffff, "1.7976931348623157e+308");
        check(0xffef_ffff_ffff_ffff, "-1.7976931348623157e+308");
        check(0x4340_0000_0000_0000, "9007199254740992");
        check(0xc340_0000_0000_0000, "-9007199254740992");
        check(0x4430_0000_0000_0000, "295147905179352830000");
        check(0x44b5_2d02_c7e1_4af5, "9.999999999999997e+22");
        check(0x44b5_2d02_c7e1_4af6, "1e+23");
        check(0x44b5_2d02_c7e1_4af7, "1.0000000000000001e+23");
        check(0x444b_1ae4_d6e2_ef4e, "999999999999999700000");
        check(0x444b_1ae4_d6e2_ef4f, "999999999999999900000");
        check(0x444b_1ae4_d6e2_ef50, "1e+21");
        check(0x3eb0_c6f7_a0b5_ed8c, "9.999999999999997e-7");
        check(0x3eb0_c6f7_a0b5_ed8d, "0.000001");
        check(0x41b3_de43_5555_5553, "333333333.3333332");
        check(0x41b3_de43_5555_5554, "333333333.33333325");
        check(0x41b3_de43_5555_5555, "333333333.3333333");
        check(0x41b3_de43_5555_5556, "333333333.3333334");
        check(0x41b3_de43_5555_5557, "333333333.33333343");
        check(0xbecb_f647_612f_3696, "-0.0000033333333333333333");
        check(0x4314_3ff3_c1cb_0959, "1424953923781206.2");
    }

    /// Ties between two shortest forms, both ways, as V8 writes them; and a power of two whose nearest 16 digits
    /// would read back as its neighbour.
    #[test]
    #[allow(clippy::excessive_precision, reason = "the digits that decide the tie are the point")]
    fn ties_go_to_the_even_digit() {
        for (number, expected) in [
            (1_424_953_923_781_206.25, "1424953923781206.2"),
            (1_424_953_923_781_206.75, "1424953923781206.8"),
            (1_125_899_906_842_625.25, "1125899906842625.2"),
            (1_125_899_906_842_625.75, "1125899906842625.8"),
            (-1_125_899_906_842_625.25, "-1125899906842625.2"),
            (2f64.powi(-44), "5.684341886080802e-14"),
            (2f64.powi(-1017), "7.120236347223045e-307"),
            (2f64.powi(-17), "0.00000762939453125"),
        ] {
            assert_eq!(ecmascript(number), expected);
        }
    }

    #[test]
    fn a_fraction_is_finite_and_not_integral() {
        let refused = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, -0.0, 1.0, -1.0, 1000.0, 1e21, 1e300];
        for number in refused {
            assert!(Fraction::new(number).is_none(), "{number}");
        }
        for number in [0.5, -0.5, 5e-324, 0.1, 4_503_599_627_370_495.5] {
            assert_eq!(Fraction::new(number).map(Fraction::get), Some(number));
        }
    }

    #[test]
    fn safe_integers_end_at_two_to_the_53_minus_1() {
        for (integer, expected) in [
            (0, true),
            (9_007_199_254_740_991, true),
            (-9_007_199_254_740_991, true),
            (9_007_199_254_740_992, false),
            (-9_007_199_254_740_992, false),
            (i64::MAX, false),
            (i64::MIN, false),
        ] {
            assert_eq!(is_safe(integer), expected, "{integer}");
        }
    }

    #[test]
    fn debug_shows_no_value() {
        assert_eq!(format!("{:?}", Fraction::new(0.5)), "Some(Fraction(..))");
    }
}
