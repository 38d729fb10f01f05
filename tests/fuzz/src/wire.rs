//! The gRPC edge: bytes as each request of the three services, and what becomes of it before the broker is asked.

use claviger_canonical::{Canonical, Presentation};
use claviger_domain::tool::Auth;
use claviger_proto::v1;
use claviger_vault::rpc::convert::{approvals, ask, policy, watch};
use claviger_vault::rpc::peer::Users;
use prost::Message;

/// The most items of any list that a conversion lets through.
const MOST: usize = 1000;

/// Any bytes as each kind of request, the kind being the first byte: decoded or refused, encoded again to the same
/// message; then converted or refused, and never to more than the bounds that conversions have.
///
/// # Panics
/// Where that does not hold.
pub fn wire(data: &[u8]) {
    let Some((kind, bytes)) = data.split_first() else { return };
    agents(*kind, bytes);
    adapters(*kind, bytes);
    admins(*kind, bytes);
}

/// The message of these bytes, if they are one.
fn message<M: Message + Default + Clone + PartialEq>(bytes: &[u8]) -> Option<M> {
    let message = M::decode(bytes).ok()?;
    let again = message.encode_to_vec();
    assert!(M::decode(again.as_slice()).as_ref() == Ok(&message), "the same message, encoded again");
    assert_eq!(message.encoded_len(), again.len());
    Some(message)
}

fn agents(kind: u8, bytes: &[u8]) {
    match kind {
        0 => {
            if let Some(v1::OpenRequest { handles }) = message(bytes) {
                let read = ask::handles(&handles);
                assert!(read.is_err() || handles.len() <= MOST);
            }
        }
        1 => {
            if let Some(request) = message::<v1::NarrowRequest>(bytes)
                && let Ok((_, caveats, label)) = ask::narrow(request)
            {
                assert!(caveats.len() <= MOST && label.len() <= 2048);
                assert!(!label.chars().any(char::is_control));
            }
        }
        2 => drop(message(bytes).map(|v1::ReleaseRequest { handle }| ask::handle(&handle))),
        3 => drop(message(bytes).map(approvals::own)),
        4 => {
            if let Some(request) = message::<v1::AskRequest>(bytes)
                && let Ok(wish) = approvals::wish(request)
            {
                assert!(wish.tools.len() <= MOST && wish.caveats.len() <= MOST);
            }
        }
        5 => drop(message::<v1::WatchRequest>(bytes)),
        _ => {}
    }
}

fn adapters(kind: u8, bytes: &[u8]) {
    match kind {
        16 => drop(message::<v1::ListToolsRequest>(bytes)),
        17 => {
            if let Some(v1::MintRequest { presentation, arguments }) = message(bytes) {
                drop(Presentation::parse(&presentation));
                drop(Canonical::from_bytes(&arguments));
            }
        }
        18 => drop(message::<v1::SendRequest>(bytes)),
        19 => drop(message::<v1::UploadFrame>(bytes)),
        20 => drop(message::<v1::FetchRequest>(bytes)),
        21 => drop(message::<v1::PutFrame>(bytes)),
        _ => {}
    }
}

fn admins(kind: u8, bytes: &[u8]) {
    let users = || Users { own: 990, overflow: 65_534, admins: vec![0] };
    let auth = |_: &_| Some(Auth::Header { name: "x-api-key".to_owned() });
    match kind {
        32 => drop(message(bytes).map(ask::key)),
        33 => {
            if let Some(request) = message::<v1::AddAgentRequest>(bytes)
                && let Ok((_, uid, ..)) = ask::add_agent(request, &users())
            {
                assert!(!matches!(uid, Some(0 | 990 | 65_534 | u32::MAX)));
            }
        }
        34 => {
            if let Some(request) = message::<v1::AddAdapterRequest>(bytes)
                && let Ok((_, uid, endpoint)) = ask::add_adapter(request, &users())
            {
                assert!(!matches!(uid, Some(0 | 990 | 65_534 | u32::MAX)));
                assert!(endpoint.is_none_or(|path| path.starts_with('/') && path.len() <= 107));
            }
        }
        35 => drop(message(bytes).map(ask::freeze)),
        36 => drop(message(bytes).map(ask::remove_secret)),
        37 => {
            if let Some(request) = message::<v1::AddGrantRequest>(bytes)
                && let Ok(grant) = ask::grant(request)
            {
                assert!(
                    grant.tools.len() <= MOST && grant.caveats.len() <= MOST && grant.effects.len() <= MOST
                );
                assert!(grant.expires_in_s.is_none_or(|life| (1..=100 * 365 * 86_400).contains(&life)));
                assert!(grant.name.is_none_or(|name| (1..=60).contains(&name.chars().count())));
            }
        }
        38 => drop(message(bytes).map(ask::list_grants)),
        39 => drop(message(bytes).map(|v1::RevokeRequest { id }| ask::grant_or_handle(&id))),
        40 => drop(message(bytes).map(ask::reference)),
        41 => {
            if let Some(request) = message::<v1::ReadLogRequest>(bytes)
                && let Ok(asked) = ask::log(request)
            {
                assert!((1..=10_000).contains(&asked.limit));
            }
        }
        42 => drop(message(bytes).map(ask::begin_connect)),
        43 => drop(message(bytes).map(ask::finish_connect)),
        44 => drop(message(bytes).map(|request| ask::add_secret(request, auth))),
        45 => drop(message(bytes).map(|request| ask::rotate_secret(request, auth))),
        46 => drop(message(bytes).map(approvals::list)),
        47 => drop(message(bytes).map(approvals::decision)),
        48 => drop(message(bytes).map(|v1::ShowApprovalRequest { id }| approvals::id(&id))),
        49 => drop(message(bytes).map(policy::can)),
        50 => {
            if let Some(request) = message::<v1::PlanRequest>(bytes)
                && let Ok(asked) = policy::plan(request)
            {
                assert!(asked.grants.len() <= MOST && asked.tests.len() <= MOST);
            }
        }
        51 => drop(message(bytes).map(policy::simulate)),
        52 => drop(message(bytes).map(watch::add_decoy)),
        53 => drop(message(bytes).map(|v1::RemoveDecoyRequest { id }| watch::decoy_id(&id))),
        54 => drop(message(bytes).map(|v1::SuggestRequest { agent, .. }| ask::agent(&agent))),
        55 => drop(message(bytes).map(|v1::TrustAuthorsRequest { secret, .. }| ask::secret(&secret))),
        56 => drop(message::<v1::ForgetKnownRequest>(bytes)),
        57 => drop(message(bytes).map(|v1::AddAdapterRequest { name, .. }| ask::adapter(&name))),
        _ => {}
    }
}
