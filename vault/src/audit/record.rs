//! How one event is written: a versioned protobuf message with one encoding only.
//!
//! The bytes are the leaf of the tree, so an event must have exactly one encoding: what decodes but does not encode
//! back to the same bytes (unknown fields, another order, defaults spelled out) is refused.

use claviger_domain::effect::Effect;
use claviger_domain::event::{Actor, Ending, Event, Kind};
use claviger_domain::id::{BootId, CallId, GrantId, HandleId, Ref, UseId};
use claviger_domain::refusal::Class;
use prost::Message;

use super::tree::Hash;

/// The longest encoding of an event, in bytes. Every real event is far below; one that is not is refused, so that
/// the room an intent reserves always suffices for its outcome.
pub const MAX_RECORD: usize = 4096;

const VERSION: u32 = 1;

/// The bytes are not the encoding of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a record of this version: {0}")]
pub struct BadRecord(&'static str);

/// An event and the commitment to its sealed detail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// What happened.
    pub event: Event,
    /// SHA-256 of the sealed detail in the sidecar; `None` where there never was one. The sealed bytes hold a random
    /// salt, so the hash says nothing about the detail.
    pub detail: Option<Hash>,
}

#[derive(Clone, PartialEq, Message)]
struct Wire {
    #[prost(uint32, tag = "1")]
    version: u32,
    #[prost(uint32, tag = "2")]
    kind: u32,
    #[prost(bytes = "vec", tag = "3")]
    reference: Vec<u8>,
    #[prost(uint64, tag = "4")]
    at_ms: u64,
    #[prost(bytes = "vec", tag = "5")]
    boot: Vec<u8>,
    #[prost(oneof = "WireActor", tags = "6, 7, 8, 9, 10")]
    actor: Option<WireActor>,
    #[prost(string, optional, tag = "11")]
    agent: Option<String>,
    #[prost(string, optional, tag = "12")]
    adapter: Option<String>,
    #[prost(string, optional, tag = "13")]
    secret: Option<String>,
    #[prost(uint32, optional, tag = "14")]
    secret_version: Option<u32>,
    #[prost(bytes = "vec", optional, tag = "15")]
    grant: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "16")]
    handle: Option<Vec<u8>>,
    #[prost(bytes = "vec", repeated, tag = "17")]
    ancestors: Vec<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "18")]
    call: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "19")]
    use_id: Option<Vec<u8>>,
    #[prost(string, optional, tag = "20")]
    tool: Option<String>,
    #[prost(string, optional, tag = "21")]
    step: Option<String>,
    #[prost(uint32, tag = "22")]
    effect: u32,
    #[prost(bool, tag = "23")]
    taints: bool,
    #[prost(uint32, optional, tag = "24")]
    status: Option<u32>,
    #[prost(uint64, optional, tag = "25")]
    bytes: Option<u64>,
    #[prost(uint64, optional, tag = "26")]
    micros: Option<u64>,
    #[prost(uint32, tag = "27")]
    ending: u32,
    #[prost(uint32, tag = "28")]
    class: u32,
    #[prost(string, optional, tag = "29")]
    field: Option<String>,
    #[prost(uint64, optional, tag = "30")]
    count: Option<u64>,
    #[prost(bytes = "vec", optional, tag = "31")]
    digest: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "32")]
    detail: Option<Vec<u8>>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum WireActor {
    #[prost(bool, tag = "6")]
    Vault(bool),
    #[prost(uint32, tag = "7")]
    Admin(u32),
    #[prost(string, tag = "8")]
    Agent(String),
    #[prost(string, tag = "9")]
    Adapter(String),
    #[prost(uint32, tag = "10")]
    Stranger(u32),
}

/// The one encoding of the event.
///
/// # Errors
/// [`BadRecord`] where it would be longer than [`MAX_RECORD`].
pub fn encode(event: &Event, detail: Option<Hash>) -> Result<Vec<u8>, BadRecord> {
    let bytes = to_wire(event, detail).encode_to_vec();
    if bytes.len() > MAX_RECORD { Err(BadRecord("too long")) } else { Ok(bytes) }
}

/// The event of these bytes.
///
/// # Errors
/// [`BadRecord`] for whatever [`encode`] does not make.
pub fn decode(bytes: &[u8]) -> Result<Record, BadRecord> {
    if bytes.len() > MAX_RECORD {
        return Err(BadRecord("too long"));
    }
    let wire = Wire::decode(bytes).map_err(|_| BadRecord("not a message"))?;
    let record = from_wire(wire)?;
    if to_wire(&record.event, record.detail).encode_to_vec() != bytes {
        return Err(BadRecord("not in its one form"));
    }
    Ok(record)
}

// Destructured without `..`: a new field of the event must find its place here before this compiles.
fn to_wire(event: &Event, detail: Option<Hash>) -> Wire {
    let Event {
        kind,
        reference,
        at_ms,
        boot,
        actor,
        agent,
        adapter,
        secret,
        secret_version,
        grant,
        handle,
        ancestors,
        call,
        use_id,
        tool,
        step,
        effect,
        taints,
        status,
        bytes,
        micros,
        ending,
        class,
        field,
        count,
        digest,
    } = event;
    Wire {
        version: VERSION,
        kind: kind_code(*kind),
        reference: reference.as_bytes().to_vec(),
        at_ms: *at_ms,
        boot: boot.as_bytes().to_vec(),
        actor: Some(match actor {
            Actor::Vault => WireActor::Vault(true),
            Actor::Admin(uid) => WireActor::Admin(*uid),
            Actor::Agent(name) => WireActor::Agent(name.to_string()),
            Actor::Adapter(name) => WireActor::Adapter(name.to_string()),
            Actor::Stranger(uid) => WireActor::Stranger(*uid),
        }),
        agent: agent.as_ref().map(ToString::to_string),
        adapter: adapter.as_ref().map(ToString::to_string),
        secret: secret.as_ref().map(ToString::to_string),
        secret_version: *secret_version,
        grant: grant.map(|id| id.as_bytes().to_vec()),
        handle: handle.map(|id| id.as_bytes().to_vec()),
        ancestors: ancestors.iter().map(|id| id.as_bytes().to_vec()).collect(),
        call: call.map(|id| id.as_bytes().to_vec()),
        use_id: use_id.map(|id| id.as_bytes().to_vec()),
        tool: tool.as_ref().map(ToString::to_string),
        step: step.clone(),
        effect: effect.map_or(0, effect_code),
        taints: *taints,
        status: status.map(u32::from),
        bytes: *bytes,
        micros: *micros,
        ending: ending.map_or(0, ending_code),
        class: class.map_or(0, class_code),
        field: field.clone(),
        count: *count,
        digest: digest.map(|digest| digest.to_vec()),
        detail: detail.map(|hash| hash.to_vec()),
    }
}

fn from_wire(wire: Wire) -> Result<Record, BadRecord> {
    if wire.version != VERSION {
        return Err(BadRecord("another version"));
    }
    let kind = Kind::ALL.into_iter().find(|kind| kind_code(*kind) == wire.kind).ok_or(BadRecord("kind"))?;
    let actor = match wire.actor.ok_or(BadRecord("actor"))? {
        WireActor::Vault(_) => Actor::Vault,
        WireActor::Admin(uid) => Actor::Admin(uid),
        WireActor::Agent(name) => Actor::Agent(name.parse().map_err(|_| BadRecord("actor"))?),
        WireActor::Adapter(name) => Actor::Adapter(name.parse().map_err(|_| BadRecord("actor"))?),
        WireActor::Stranger(uid) => Actor::Stranger(uid),
    };
    let reference = Ref::from_slice(&wire.reference).ok_or(BadRecord("reference"))?;
    let boot = BootId::from_slice(&wire.boot).ok_or(BadRecord("boot"))?;
    let mut event = Event::new(kind, reference, wire.at_ms, boot, actor);
    event.agent = parsed(wire.agent, "agent")?;
    event.adapter = parsed(wire.adapter, "adapter")?;
    event.secret = parsed(wire.secret, "secret")?;
    event.secret_version = wire.secret_version;
    event.grant = id(wire.grant, GrantId::from_slice, "grant")?;
    event.handle = id(wire.handle, HandleId::from_slice, "handle")?;
    event.ancestors = wire
        .ancestors
        .iter()
        .map(|bytes| HandleId::from_slice(bytes).ok_or(BadRecord("ancestors")))
        .collect::<Result<_, _>>()?;
    event.call = id(wire.call, CallId::from_slice, "call")?;
    event.use_id = id(wire.use_id, UseId::from_slice, "use")?;
    event.tool = parsed(wire.tool, "tool")?;
    event.step = wire.step;
    event.effect = coded(Effect::ALL, effect_code, wire.effect, "effect")?;
    event.taints = wire.taints;
    event.status = wire.status.map(u16::try_from).transpose().map_err(|_| BadRecord("status"))?;
    event.bytes = wire.bytes;
    event.micros = wire.micros;
    event.ending = coded(Ending::ALL, ending_code, wire.ending, "ending")?;
    event.class = coded(Class::ALL, class_code, wire.class, "class")?;
    event.field = wire.field;
    event.count = wire.count;
    event.digest = hash(wire.digest, "digest")?;
    Ok(Record { event, detail: hash(wire.detail, "detail")? })
}

fn parsed<T: std::str::FromStr>(text: Option<String>, what: &'static str) -> Result<Option<T>, BadRecord> {
    text.map(|text| text.parse()).transpose().map_err(|_| BadRecord(what))
}

fn id<T>(
    bytes: Option<Vec<u8>>,
    make: fn(&[u8]) -> Option<T>,
    what: &'static str,
) -> Result<Option<T>, BadRecord> {
    bytes.map(|bytes| make(&bytes).ok_or(BadRecord(what))).transpose()
}

fn hash(bytes: Option<Vec<u8>>, what: &'static str) -> Result<Option<Hash>, BadRecord> {
    bytes.map(|bytes| bytes.try_into().map_err(|_| BadRecord(what))).transpose()
}

fn coded<T: Copy, const N: usize>(
    all: [T; N],
    code: fn(T) -> u32,
    number: u32,
    what: &'static str,
) -> Result<Option<T>, BadRecord> {
    if number == 0 {
        return Ok(None);
    }
    all.into_iter().find(|item| code(*item) == number).map(Some).ok_or(BadRecord(what))
}

// Numbers on disk. Never changed, never used again; 0 is "none".

fn kind_code(kind: Kind) -> u32 {
    match kind {
        Kind::Started => 1,
        Kind::Unsealed => 2,
        Kind::Sealed => 3,
        Kind::Stopped => 4,
        Kind::Minted => 5,
        Kind::Intent => 6,
        Kind::Outcome => 7,
        Kind::Refused => 8,
        Kind::Echo => 9,
        Kind::AgentAdded => 10,
        Kind::AgentRemoved => 11,
        Kind::Frozen => 12,
        Kind::Thawed => 13,
        Kind::AdapterAdded => 14,
        Kind::AdapterRemoved => 15,
        Kind::SecretAdded => 16,
        Kind::SecretRotated => 17,
        Kind::SecretRetired => 18,
        Kind::SecretRemoved => 19,
        Kind::NeedsLogin => 20,
        Kind::GrantAdded => 21,
        Kind::GrantRevoked => 22,
        Kind::Viewed => 23,
        Kind::ClockReset => 24,
        Kind::Coalesced => 25,
        Kind::Narrowed => 26,
        Kind::Released => 27,
        Kind::GrantChanged => 28,
        Kind::ApprovalAsked => 29,
        Kind::Approved => 30,
        Kind::ApprovalDenied => 31,
        Kind::Asked => 32,
        Kind::Tainted => 33,
        Kind::Untainted => 34,
        Kind::Flagged => 35,
        Kind::Alert => 36,
        Kind::DecoyAdded => 37,
        Kind::DecoyRemoved => 38,
        Kind::TrustChanged => 39,
        Kind::Finished => 40,
        Kind::Reloaded => 41,
    }
}

fn effect_code(effect: Effect) -> u32 {
    match effect {
        Effect::Read => 1,
        Effect::Write => 2,
        Effect::Send => 3,
        Effect::Delete => 4,
    }
}

fn ending_code(ending: Ending) -> u32 {
    match ending {
        Ending::Released => 1,
        Ending::Withheld => 2,
        Ending::NotSent => 3,
        Ending::Unknown => 4,
    }
}

fn class_code(class: Class) -> u32 {
    match class {
        Class::BadArguments => 1,
        Class::BadPresentation => 2,
        Class::Stale => 3,
        Class::NotGranted => 4,
        Class::OutOfScope => 5,
        Class::RateLimited => 6,
        Class::Revoked => 7,
        Class::Frozen => 8,
        Class::BadCapability => 9,
        Class::BadStep => 10,
        Class::ToolChanged => 11,
        Class::NeedsLogin => 12,
        Class::Upstream => 13,
        Class::Withheld => 14,
        Class::Unknown => 15,
        Class::Sealed => 16,
        Class::Unavailable => 17,
        Class::Busy => 18,
        Class::Pending => 19,
        Class::Denied => 20,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

    use proptest::prelude::*;

    use super::*;

    fn full() -> Event {
        let mut event = Event::new(
            Kind::Outcome,
            Ref::from_bytes([1; 8]),
            1_790_000_000_123,
            BootId::from_bytes([2; 16]),
            Actor::Adapter("gmail".parse().unwrap()),
        );
        event.agent = Some("openclaw".parse().unwrap());
        event.adapter = Some("gmail".parse().unwrap());
        event.secret = Some("gmail/me".parse().unwrap());
        event.secret_version = Some(3);
        event.grant = Some(GrantId::from_bytes([3; 8]));
        event.handle = Some(HandleId::from_bytes([4; 16]));
        event.ancestors = vec![HandleId::from_bytes([5; 16]), HandleId::from_bytes([6; 16])];
        event.call = Some(CallId::from_bytes([7; 8]));
        event.use_id = Some(UseId::from_bytes([8; 8]));
        event.tool = Some("gmail.send_message".parse().unwrap());
        event.step = Some("send".to_owned());
        event.effect = Some(Effect::Send);
        event.taints = true;
        event.status = Some(200);
        event.bytes = Some(0);
        event.micros = Some(12_345);
        event.ending = Some(Ending::Released);
        event.class = Some(Class::Busy);
        event.field = Some(String::new());
        event.count = Some(u64::MAX);
        event.digest = Some([9; 32]);
        event
    }

    #[test]
    fn what_is_written_is_read() {
        let bytes = encode(&full(), Some([10; 32])).unwrap();
        assert_eq!(decode(&bytes).unwrap(), Record { event: full(), detail: Some([10; 32]) });
        for actor in [Actor::Vault, Actor::Admin(0), Actor::Agent("a".parse().unwrap()), Actor::Stranger(9)] {
            for kind in Kind::ALL {
                let event =
                    Event::new(kind, Ref::from_bytes([0; 8]), 0, BootId::from_bytes([0; 16]), actor.clone());
                let bytes = encode(&event, None).unwrap();
                assert_eq!(decode(&bytes).unwrap(), Record { event, detail: None });
            }
        }
        for class in Class::ALL {
            let mut event = full();
            event.class = Some(class);
            assert_eq!(decode(&encode(&event, None).unwrap()).unwrap().event, event);
        }
    }

    #[test]
    fn codes_are_unique() {
        let distinct = |codes: Vec<u32>| {
            let count = codes.len();
            let set: std::collections::HashSet<u32> = codes.into_iter().collect();
            set.len() == count && !set.contains(&0)
        };
        assert!(distinct(Kind::ALL.into_iter().map(kind_code).collect()));
        assert!(distinct(Class::ALL.into_iter().map(class_code).collect()));
        assert!(distinct(Effect::ALL.into_iter().map(effect_code).collect()));
        assert!(distinct(Ending::ALL.into_iter().map(ending_code).collect()));
    }

    #[test]
    fn another_form_of_the_same_event_is_refused() {
        let bytes = encode(&full(), None).unwrap();
        let mut unknown_field = bytes.clone();
        unknown_field.extend([0xf8, 0x07, 0x01]);
        let mut twice = bytes.clone();
        twice.extend([0x08, 0x01]);
        let mut spelled_default = encode(&full(), Some([0; 32])).unwrap();
        spelled_default.extend([0xb0, 0x01, 0x00]);
        for bad in
            [unknown_field, twice, spelled_default, Vec::new(), bytes[..bytes.len() - 1].to_vec(), vec![0xff]]
        {
            assert!(decode(&bad).is_err(), "{bad:02x?} was taken");
        }
    }

    #[test]
    fn an_event_that_would_not_fit_the_reserved_room_is_refused() {
        let mut event = full();
        event.field = Some("x".repeat(MAX_RECORD));
        assert!(encode(&event, None).is_err());
    }

    proptest! {
        #[test]
        fn garbage_never_panics_and_never_has_two_forms(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(record) = decode(&bytes) {
                prop_assert_eq!(encode(&record.event, record.detail).unwrap(), bytes);
            }
        }

        #[test]
        fn a_flipped_bit_is_another_record_or_none(at in any::<usize>(), bit in 0_u8..8) {
            let mut bytes = encode(&full(), Some([10; 32])).unwrap();
            let at = at % bytes.len();
            bytes[at] ^= 1 << bit;
            if let Ok(record) = decode(&bytes) {
                prop_assert_ne!(record, Record { event: full(), detail: Some([10; 32]) });
            }
        }
    }
}
