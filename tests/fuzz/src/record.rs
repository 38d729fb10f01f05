//! Records of the log: one encoding for each event.

use claviger_vault::audit::record::{MAX_RECORD, decode, encode};

/// Any bytes as a record: what is accepted is exactly what is written again.
///
/// # Panics
/// Where that does not hold.
pub fn record(data: &[u8]) {
    let Ok(record) = decode(data) else { return };
    assert!(data.len() <= MAX_RECORD);
    let again = encode(&record.event, record.detail).expect("what was read is not too long");
    assert_eq!(again, data, "two encodings of one event");
    assert!(decode(&again).as_ref() == Ok(&record));
}
