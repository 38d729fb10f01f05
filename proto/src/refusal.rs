//! A refusal as it travels in a gRPC status.

use prost::Message;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Code, Status};

use crate::REFUSAL_KEY;
use crate::v1::Refusal;

/// Puts a refusal into a status. The status's own message is the class, which tells no more.
#[must_use]
pub fn to_status(code: Code, refusal: &Refusal) -> Status {
    let mut metadata = MetadataMap::new();
    metadata.insert_bin(REFUSAL_KEY, MetadataValue::from_bytes(&refusal.encode_to_vec()));
    Status::with_metadata(code, refusal.class.clone(), metadata)
}

/// The refusal that a status carries, if it is one of ours.
#[must_use]
pub fn from_status(status: &Status) -> Option<Refusal> {
    let bytes = status.metadata().get_bin(REFUSAL_KEY)?.to_bytes().ok()?;
    Refusal::decode(bytes).ok()
}
