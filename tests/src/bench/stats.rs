//! Medians, and how far rounds lie apart.

/// The median; 0 of nothing.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => 0.0,
        even if even % 2 == 0 => (sorted[middle - 1] + sorted[middle]) / 2.0,
        _ => sorted[middle],
    }
}

/// One figure over all rounds: the median of the rounds' values, and the smallest and the largest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Figure {
    /// The median.
    pub(crate) median: f64,
    /// The smallest.
    pub(crate) min: f64,
    /// The largest.
    pub(crate) max: f64,
}

impl Figure {
    /// Of the rounds' values.
    pub(crate) fn of(rounds: &[f64]) -> Self {
        let min = rounds.iter().copied().fold(f64::INFINITY, f64::min);
        let max = rounds.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let some = |value: f64| if value.is_finite() { value } else { 0.0 };
        Self { median: median(rounds), min: some(min), max: some(max) }
    }

    /// Of the rounds' ratios: each round's value by the same round's floor.
    pub(crate) fn ratio(rounds: &[f64], floor: &[f64]) -> Self {
        Self::combined(rounds, floor, |value, floor| value / floor)
    }

    /// Of what `join` makes of each round's two values.
    pub(crate) fn combined(first: &[f64], second: &[f64], join: impl Fn(f64, f64) -> f64) -> Self {
        Self::of(&Self::each(first, second, join))
    }

    /// What `join` makes of each round's two values.
    pub(crate) fn each(first: &[f64], second: &[f64], join: impl Fn(f64, f64) -> f64) -> Vec<f64> {
        first.iter().zip(second).map(|(first, second)| join(*first, *second)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        for (values, expected) in [(&[][..], 0.0), (&[3.0], 3.0), (&[4.0, 1.0], 2.5), (&[9.0, 1.0, 5.0], 5.0)]
        {
            assert!((median(values) - expected).abs() < 1e-9, "{values:?}");
        }
    }

    #[test]
    fn a_ratio_is_taken_within_each_round() {
        // The machine was twice as slow in the second round: the ratio is the same in both.
        let ratio = Figure::ratio(&[30.0, 60.0], &[20.0, 40.0]);
        assert_eq!(ratio, Figure { median: 1.5, min: 1.5, max: 1.5 });
        assert_eq!(Figure::of(&[]), Figure { median: 0.0, min: 0.0, max: 0.0 });
    }
}
