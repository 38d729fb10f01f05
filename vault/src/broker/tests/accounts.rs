//! Two accounts of one service: what is granted or forbidden of one says nothing of the other.

use claviger_canonical::{Canonical, Claim, Presentation, ProofKey};
use claviger_domain::caveat::Caveat;
use claviger_domain::grant::{Approve, Grant};
use claviger_domain::refusal::{Class, Refusal};
use serde_json::{Value, json};

use super::world::{ADMIN, World, adapter, agent, ask, class, oauth, secret, within};
use crate::broker::view::{GrantAsk, Minted, Sent};
use crate::port::{Clock, Entropy};

const GET: &str = "gmail.get_message";

/// With a second account.
async fn world() -> World {
    let world = World::new().await;
    world.broker.add_secret(ADMIN, secret("gmail/work"), oauth("refresh-0")).await.unwrap();
    world
}

async fn grant(world: &World, account: &str, caveats: Vec<Caveat>, deny: bool) -> Grant {
    let mut asked = ask("ann", &[GET], caveats);
    asked.secret = secret(account);
    if deny {
        (asked.deny, asked.approve) = (true, Approve::Default);
    }
    world.broker.add_grant(ADMIN, asked).await.unwrap().grant
}

/// Mints by the root handle of that grant; the handle may no longer be offered.
async fn mint(world: &World, grant: &Grant, args: &Value) -> Result<Minted, Refusal> {
    let arguments = Canonical::from_json(args).unwrap();
    let mut nonce = [0; 12];
    world.entropy.fill(&mut nonce);
    let opened = world.broker.open(&agent("ann")).unwrap();
    let key = world.broker.proof_key(grant.root, &agent("ann")).unwrap();
    let claim = Claim {
        handle: *grant.root.as_bytes(),
        tool: GET.parse().unwrap(),
        digest: arguments.digest(),
        issued_at_ms: world.clock.wall_ms(),
        nonce,
        replica: *opened.replica.as_bytes(),
        boot: *opened.boot.as_bytes(),
        approval: None,
    };
    let text = Presentation::sign(&ProofKey::new(*key), claim).into_text();
    world.broker.mint(&adapter("gmail"), &text, arguments.bytes()).await
}

async fn get(world: &World, grant: &Grant, id: &str) -> Result<Sent, Refusal> {
    let minted = mint(world, grant, &json!({"message_id": id})).await?;
    world.send(&minted, "get", &[]).await
}

/// A model that has a tool twice is told for which account each is.
#[tokio::test]
async fn a_tool_says_whose_it_is_where_its_account_is_not_the_usual_one() {
    let world = world().await;
    for account in ["gmail/me", "gmail/work"] {
        grant(&world, account, vec![], false).await;
    }
    let opened = world.broker.open(&agent("ann")).unwrap();
    let tools = opened.handles.iter().flat_map(|handle| &handle.tools);
    let mut told: Vec<(&str, &str)> =
        tools.map(|tool| (tool.mcp_name.as_str(), tool.summary.as_str())).collect();
    told.sort_unstable();
    let [(usual, plain), (other, named)] = told[..] else { panic!("{told:?}") };
    assert_eq!((usual, other), ("gmail_get_message", "gmail_work_get_message"));
    assert_eq!(named, format!("{plain} (account work)"));
}

#[tokio::test]
async fn what_is_forbidden_of_one_is_not_of_the_other() {
    let world = world().await;
    let home = grant(&world, "gmail/me", vec![], false).await;
    let work = grant(&world, "gmail/work", vec![], false).await;
    get(&world, &home, "m1").await.unwrap();
    get(&world, &work, "m1").await.unwrap();
    grant(&world, "gmail/work", vec![], true).await;
    get(&world, &home, "m1").await.unwrap();
    assert_eq!(class(get(&world, &work, "m1").await), Class::NotGranted);
}

#[tokio::test]
async fn objects_forbidden_in_one_are_not_in_the_other() {
    let world = world().await;
    let home = grant(&world, "gmail/me", vec![], false).await;
    let work = grant(&world, "gmail/work", vec![], false).await;
    grant(&world, "gmail/work", vec![within("label", &["INBOX"])], true).await;
    // `m1` is in the inbox, `m2` is not.
    get(&world, &home, "m1").await.unwrap();
    get(&world, &work, "m2").await.unwrap();
    assert_eq!(class(get(&world, &work, "m1").await), Class::OutOfScope);
}

#[tokio::test]
async fn each_use_is_of_its_own_account() {
    let world = world().await;
    let home = grant(&world, "gmail/me", vec![], false).await;
    let work = grant(&world, "gmail/work", vec![Caveat::Calls(1)], false).await;
    get(&world, &work, "m1").await.unwrap();
    // The other account's grant does not stand in for one that is used up.
    assert_eq!(class(get(&world, &work, "m1").await), Class::RateLimited);
    get(&world, &home, "m1").await.unwrap();
    let used: Vec<String> = world.upstream.calls().into_iter().map(|call| call.secret).collect();
    assert_eq!(used, ["gmail/work", "gmail/me"]);
}

/// What was revoked, what is over, and what stands on another account does not stand on this one.
#[tokio::test]
async fn a_secret_counts_the_grants_that_stand_on_it() {
    let world = world().await;
    for _ in 0..2 {
        grant(&world, "gmail/me", vec![], false).await;
    }
    for _ in 0..3 {
        let gone = grant(&world, "gmail/me", vec![], false).await;
        world.broker.revoke(ADMIN, gone.id).await.unwrap();
    }
    for _ in 0..4 {
        grant(&world, "gmail/work", vec![], false).await;
    }
    let short = GrantAsk { expires_in_s: Some(1), ..ask("ann", &[GET], vec![]) };
    world.broker.add_grant(ADMIN, short).await.unwrap();
    let counted = || {
        ["gmail/me", "gmail/work", "drive/me"].map(|name| world.broker.secret(&secret(name)).unwrap().grants)
    };
    assert_eq!(counted(), [3, 4, 0]);
    world.clock.advance(1000);
    assert_eq!(counted(), [2, 4, 0]);
}
