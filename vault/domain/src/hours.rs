//! Hours of the day, in a place.

/// When calls may be made: on these days of the week, from this minute to that, in this time zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hours {
    /// IANA name, such as `Europe/Berlin`.
    pub zone: String,
    /// 1 Monday to 7 Sunday; empty for every day.
    pub days: Vec<u8>,
    /// Minutes after midnight, inclusive.
    pub from: u16,
    /// Minutes after midnight, exclusive; before `from` for a span over midnight.
    pub to: u16,
}

/// No such hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadHours {
    /// No such time zone.
    #[error("there is no such time zone; use an IANA name such as Europe/Berlin")]
    Zone,
    /// A day is not 1 to 7.
    #[error("a day of the week is mon to sun")]
    Day,
    /// A time is not 00:00 to 24:00, or the span is empty.
    #[error("a span of hours runs from one time of the day to another")]
    Span,
}

impl Hours {
    /// Hours of these days in that zone.
    ///
    /// # Errors
    /// [`BadHours`].
    pub fn new(zone: &str, mut days: Vec<u8>, from: u16, to: u16) -> Result<Self, BadHours> {
        if zone.is_empty() {
            return Err(BadHours::Zone);
        }
        if days.iter().any(|day| !(1..=7).contains(day)) {
            return Err(BadHours::Day);
        }
        if from >= 24 * 60 || to > 24 * 60 || from == to {
            return Err(BadHours::Span);
        }
        days.sort_unstable();
        days.dedup();
        Ok(Self { zone: zone.to_owned(), days, from, to })
    }
}
