//! Records of taint, decoys and alerts.

use prost::Message;

/// What tainted an agent.
#[derive(Clone, PartialEq, Eq, Message)]
pub(in super::super) struct TaintRecord {
    #[prost(uint64, tag = "1")]
    pub(in super::super) at_ms: u64,
    #[prost(string, tag = "2")]
    pub(in super::super) tool: String,
    #[prost(string, tag = "3")]
    pub(in super::super) secret: String,
    #[prost(string, tag = "4")]
    pub(in super::super) reference: String,
}

/// A decoy.
#[derive(Clone, PartialEq, Eq, Message)]
pub(in super::super) struct DecoyRecord {
    #[prost(bytes = "vec", tag = "1")]
    pub(in super::super) id: Vec<u8>,
    /// `handle` or `credential`.
    #[prost(string, tag = "2")]
    pub(in super::super) kind: String,
    /// What is planted. No secret of anybody's.
    #[prost(string, tag = "3")]
    pub(in super::super) value: String,
    #[prost(string, tag = "4")]
    pub(in super::super) note: String,
    #[prost(uint64, tag = "5")]
    pub(in super::super) created_at_ms: u64,
    #[prost(uint32, tag = "6")]
    pub(in super::super) used: u32,
}

/// What is usual for an agent.
#[derive(Clone, PartialEq, Eq, Message)]
pub(in super::super) struct HabitsRecord {
    #[prost(message, repeated, tag = "1")]
    pub(in super::super) hours: Vec<HourRecord>,
    #[prost(message, repeated, tag = "2")]
    pub(in super::super) used: Vec<UsedRecord>,
    #[prost(message, repeated, tag = "3")]
    pub(in super::super) wrote: Vec<WroteRecord>,
}

/// How many calls there were in an hour, counted since 1970.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(in super::super) struct HourRecord {
    #[prost(uint64, tag = "1")]
    pub(in super::super) hour: u64,
    #[prost(uint64, tag = "2")]
    pub(in super::super) calls: u64,
}

/// Which tools were used under a grant.
#[derive(Clone, PartialEq, Eq, Message)]
pub(in super::super) struct UsedRecord {
    #[prost(bytes = "vec", tag = "1")]
    pub(in super::super) grant: Vec<u8>,
    #[prost(string, repeated, tag = "2")]
    pub(in super::super) tools: Vec<String>,
}

/// To whom was written with a secret.
#[derive(Clone, PartialEq, Eq, Message)]
pub(in super::super) struct WroteRecord {
    #[prost(string, tag = "1")]
    pub(in super::super) secret: String,
    #[prost(string, repeated, tag = "2")]
    pub(in super::super) addresses: Vec<String>,
}

/// The newest alerts, newest first.
#[derive(Clone, PartialEq, Eq, Message)]
pub(in super::super) struct RecentRecord {
    #[prost(message, repeated, tag = "1")]
    pub(in super::super) alerts: Vec<RecentAlert>,
}

/// One alert, as the status tells it.
#[derive(Clone, PartialEq, Eq, Message)]
pub(in super::super) struct RecentAlert {
    #[prost(uint64, tag = "1")]
    pub(in super::super) at_ms: u64,
    #[prost(string, tag = "2")]
    pub(in super::super) what: String,
    #[prost(string, tag = "3")]
    pub(in super::super) agent: String,
    #[prost(string, tag = "4")]
    pub(in super::super) reference: String,
}
