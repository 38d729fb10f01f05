//! The times of events: a day (`date`), or a moment (`dateTime`).

use serde_json::{Map, Value, json};

use crate::clock::parse_rfc3339;
use crate::google_error as refuse;
use crate::wire::Reply;

/// When an event begins or ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Time {
    /// A day, `YYYY-MM-DD`.
    Day(String),
    /// A moment as it was written, and its time zone.
    Moment(String, Option<String>),
}

impl Time {
    /// A seed's time: a day or a moment.
    pub(super) fn of(text: &str) -> Self {
        if text.len() == 10 { Self::Day(text.to_owned()) } else { Self::Moment(text.to_owned(), None) }
    }

    /// Reads `{"date"}` or `{"dateTime", "timeZone"}`; 400 for both, neither, or what is none.
    pub(super) fn read(value: &Value) -> Result<Self, Reply> {
        let wrong = || refuse::error(400, "INVALID_ARGUMENT", "invalid", "Invalid start or end time.");
        let map: &Map<String, Value> = value.as_object().ok_or_else(wrong)?;
        if map.keys().any(|key| !["date", "dateTime", "timeZone"].contains(&key.as_str())) {
            return Err(wrong());
        }
        let text = |name: &str| match map.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(wrong()),
        };
        match (text("date")?, text("dateTime")?, text("timeZone")?) {
            (Some(day), None, _) if day.parse::<jiff::civil::Date>().is_ok() && day.len() == 10 => {
                Ok(Self::Day(day))
            }
            // Google wants an offset, unless a time zone is named.
            (None, Some(at), zone) if at.parse::<jiff::Timestamp>().is_ok() || zone.is_some() => {
                parse_rfc3339(&at).ok_or_else(wrong)?;
                if let Some(zone) = &zone {
                    jiff::tz::TimeZone::get(zone).map_err(|_| wrong())?;
                }
                Ok(Self::Moment(at, zone))
            }
            _ => Err(wrong()),
        }
    }

    /// Milliseconds since 1970; a day begins at midnight in UTC.
    pub(super) fn ms(&self) -> i64 {
        match self {
            Self::Day(day) => parse_rfc3339(&format!("{day}T00:00:00Z")).unwrap_or(0),
            Self::Moment(at, _) => parse_rfc3339(at).unwrap_or(0),
        }
    }

    /// Whether it is a whole day.
    pub(super) fn is_day(&self) -> bool {
        matches!(self, Self::Day(_))
    }

    pub(super) fn json(&self) -> Value {
        match self {
            Self::Day(day) => json!({ "date": day }),
            Self::Moment(at, None) => json!({ "dateTime": at, "timeZone": "UTC" }),
            Self::Moment(at, Some(zone)) => json!({ "dateTime": at, "timeZone": zone }),
        }
    }
}
