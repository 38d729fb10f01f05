//! What an outsider finds after a kill: at the service, in the store, in the audit log.

use std::collections::BTreeMap;
use std::sync::Arc;

use claviger_agent::{ApprovalId, CallOutcome, Session, State};
use claviger_proto::v1::{
    ListAgentsRequest, ListGrantsRequest, Oauth2Value, OpenRequest, RotateSecretRequest, SecretValue,
    ShowGrantRequest, ShowSecretRequest, secret_value,
};
use serde_json::{Value, json};

use super::ledger::{Answer, Fate, Frost, Ledger, now_ms};
use super::load::call;
use super::{DOOR, FILES, MAIL, Scene, uses};
use crate::world::users::Who;

/// How long what was agreed to lives at least, in milliseconds.
const AGREED_MS: u64 = 9 * 60_000;

/// Looks at everything but the audit log. Returns what must not be.
pub async fn all(scene: &mut Scene) -> Vec<String> {
    let mut troubles = Vec::new();
    store(scene, &mut troubles).await;
    secrets(scene, &mut troubles).await;
    service(scene, &mut troubles);
    wishes(scene, &mut troubles).await;
    troubles
}

/// Mails and files: what was told as done is there once, nothing is there twice, and what was told as not done is not.
fn service(scene: &mut Scene, troubles: &mut Vec<String>) {
    let mut there: BTreeMap<String, usize> = BTreeMap::new();
    for sent in scene.world.google.outbox() {
        *there.entry(sent.subject).or_default() += 1;
    }
    for path in scene.world.google.files() {
        if let Some(name) = path.strip_prefix("Agent/")
            && scene.seeded.iter().all(|seeded| seeded != name)
        {
            *there.entry(name.to_owned()).or_default() += 1;
        }
    }
    let things = scene.ledger.things();
    for (name, count) in &there {
        // A person who has agreed is asked anew where something has changed since, as by a rotation: each yes is for one.
        let most = match name.starts_with("asked-") {
            true => agreed(scene, name),
            false => 1,
        };
        if *count > most {
            troubles.push(format!("{name} is at the service {count} times; told {:?}", things.get(name)));
        }
        match things.get(name) {
            None => troubles.push(format!("{name} is at the service, and nobody asked for it")),
            // Refused until a person agreed; that is counted above.
            Some(answer) if answer.denies() && !name.starts_with("asked-") => {
                troubles.push(format!("{name} is at the service, and was refused: {answer:?}"));
            }
            Some(_) => {}
        }
    }
    for (name, answer) in things.iter() {
        if *answer == Answer::Done && !there.contains_key(name) {
            troubles.push(format!("{name} was told as done, and is not at the service"));
        }
    }
    let counted = there.keys().filter(|name| name.starts_with("counted-")).count() as u64;
    if counted > scene.calls {
        troubles.push(format!("{counted} calls were made under a grant of {}", scene.calls));
    }
    scene.made = there.values().sum::<usize>() as u64;
}

/// How many calls of that name a person has agreed to that were then tried.
fn agreed(scene: &Scene, name: &str) -> usize {
    let wishes = scene.ledger.wishes();
    let tried = |wish: &&super::ledger::Wish| wish.agreed_ms.is_some() && wish.collected > 0;
    wishes.values().filter(tried).filter(|wish| wish.subject.as_deref() == Some(name)).count()
}

/// Grants, agents, counters and versions as the vault has them after it was killed.
async fn store(scene: &mut Scene, troubles: &mut Vec<String>) {
    let mut admin = scene.world.admin_client(Who::Admin).await.unwrap();
    let asked = ListGrantsRequest { agent: DOOR.into(), all: true };
    let listed = admin.list_grants(asked).await.unwrap().into_inner().grants;
    let agents = admin.list_agents(ListAgentsRequest {}).await.unwrap().into_inner().agents;
    let mut revoked = Vec::new();
    {
        let mut book = scene.ledger.book();
        for (id, (handle, fate)) in &mut book.grants {
            let state =
                listed.iter().find(|grant| grant.id == *id).map_or("gone", |grant| grant.state.as_str());
            match (&fate, state) {
                (Fate::Active, "active") => {}
                (Fate::Revoked(_), "revoked") => revoked.push(handle.clone()),
                (Fate::Perhaps, "active") => *fate = Fate::Active,
                // What is so by now will stay so.
                (Fate::Perhaps, "revoked") => {
                    revoked.push(handle.clone());
                    *fate = Fate::Revoked(now_ms());
                }
                (fate, state) => troubles.push(format!("grant {id} should be {fate:?}, and is {state}")),
            }
        }
        for grant in listed {
            // Made, and the answer was lost.
            book.grants.entry(grant.id).or_insert((grant.handle, Fate::Active));
        }
        let frozen = agents.iter().find(|agent| agent.name == DOOR).is_some_and(|agent| agent.frozen);
        book.frost = Some(match (book.frost.unwrap_or(Frost::Thawed), frozen) {
            (Frost::Thawed, true) | (Frost::Frozen(_), false) => {
                troubles.push(format!("the agent should be {:?}; frozen: {frozen}", book.frost));
                Frost::Perhaps
            }
            (Frost::Perhaps, true) => Frost::Frozen(now_ms()),
            (Frost::Perhaps, false) => Frost::Thawed,
            (frost, _) => frost,
        });
    }
    // The last ones are enough: those before were looked at before.
    let handles: Vec<String> = revoked.into_iter().rev().take(5).collect();
    if !handles.is_empty() {
        let mut agent = scene.world.agent_client(DOOR, Who::Other).await.unwrap();
        match agent.open(OpenRequest { handles: handles.clone() }).await {
            Ok(opened) if opened.get_ref().handles.is_empty() => {}
            Ok(opened) => troubles.push(format!("a revoked handle opens: {:?}", opened.into_inner().handles)),
            Err(status) if claviger_proto::refusal::from_status(&status).is_some() => {}
            Err(status) => troubles.push(format!("opening revoked handles: {status:?}")),
        }
    }
    let counted =
        admin.show_grant(ShowGrantRequest { id: scene.counted.clone() }).await.unwrap().into_inner();
    let is_done =
        |(name, answer): &(&String, &Answer)| name.starts_with("counted-") && **answer == Answer::Done;
    let done = scene.ledger.things().iter().filter(is_done).count() as u64;
    if counted.calls_made < done || counted.calls_made > scene.calls {
        troubles.push(format!("{} calls counted, {done} done, {} granted", counted.calls_made, scene.calls));
    }
    let shown = admin.show_secret(ShowSecretRequest { name: MAIL.into() }).await.unwrap().into_inner();
    let mut book = scene.ledger.book();
    if shown.version < book.version || (shown.version > book.version && !book.rotating) {
        troubles.push(format!("version {} was told, and is {}", book.version, shown.version));
    }
    book.version = shown.version;
}

/// Both secrets still work, the old tokens of rotations that were told being dead.
async fn secrets(scene: &mut Scene, troubles: &mut Vec<String>) {
    let replaced = {
        let mut book = scene.ledger.book();
        // Of one that was begun nobody knows which token is in use.
        if std::mem::take(&mut book.rotating) { Vec::new() } else { std::mem::take(&mut book.replaced) }
    };
    for token in replaced {
        let _ = scene.world.google.revoke(&token);
    }
    let main = Arc::clone(&scene.sessions.main);
    for (secret, scopes, tool, args) in [
        (MAIL, &["gmail.modify", "gmail.send"], "gmail_list_labels", json!({})),
        (FILES, &["drive", "drive.readonly"], "drive_search_files", json!({})),
    ] {
        let mut found = answer(&main, tool, &args).await;
        if found == Answer::Refused("needs-login".into()) {
            // The newest refresh token died with the vault, before it was durable: so nothing that came with it may
            // have been used.
            let reuses = scene.world.google.reuses();
            if reuses.last() != Some(&false) || reuses.len() != scene.reuses + 1 {
                troubles.push(format!("{secret} needs a login: {reuses:?}, {} before", scene.reuses));
            }
            scene.lost_renewals += 1;
            login(scene, secret, scopes).await;
            found = answer(&main, tool, &args).await;
        }
        scene.reuses = scene.world.google.reuses().len();
        if found != Answer::Done {
            troubles.push(format!("{tool} does not work after the restart: {found:?}"));
        }
    }
}

async fn login(scene: &Scene, secret: &str, scopes: &[&str]) {
    let google = &scene.world.google;
    let token = google.direct_refresh_token(scopes);
    let value = Oauth2Value {
        client_id: google.client_id().to_owned(),
        client_secret: google.client_secret().to_owned(),
        refresh_token: token.clone(),
    };
    let value = SecretValue { kind: Some(secret_value::Kind::Oauth2(value)) };
    let mut admin = scene.world.admin_client(Who::Admin).await.unwrap();
    let request = RotateSecretRequest { name: secret.to_owned(), value: Some(value) };
    let rotated = admin.rotate_secret(request).await.unwrap().into_inner();
    if secret == MAIL {
        let mut book = scene.ledger.book();
        book.token = token;
        book.version = rotated.secret.map_or(0, |secret| secret.version);
    }
}

async fn answer(session: &Session, tool: &str, args: &Value) -> Answer {
    // What serves it may still be starting.
    for _ in 0..300 {
        let outcome = call(session, tool, args.clone()).await;
        match &outcome {
            Ok(CallOutcome::Answered(_)) => return Answer::of(&outcome),
            Ok(CallOutcome::Refused(refusal)) if !matches!(refusal.class(), "busy" | "unavailable") => {
                return Answer::of(&outcome);
            }
            _ => super::pause(20).await,
        }
    }
    Answer::Broken
}

/// What was agreed to, and was not yet tried, waits to be tried.
async fn wishes(scene: &Scene, troubles: &mut Vec<String>) {
    let open: Vec<(String, u64)> = scene
        .ledger
        .wishes()
        .iter()
        .filter(|(_, wish)| wish.collected == 0 && !wish.over)
        .filter_map(|(id, wish)| Some((id.clone(), wish.agreed_ms?)))
        .collect();
    for (id, agreed) in open {
        let Some(parsed) = ApprovalId::parse(&id) else { continue };
        match scene.sessions.main.collect(parsed).await {
            Ok(told) if told.state == State::Approved => {}
            Ok(_) if now_ms() > agreed + AGREED_MS => {}
            other => troubles.push(format!("{id} was agreed to, and then: {other:?}")),
        }
    }
}

/// The whole audit log, verified, beside all that the service has seen. `ended`: nothing is under way.
pub async fn audit(scene: &mut Scene, ended: bool) -> Vec<String> {
    let mut lines = Vec::new();
    // The outcome of a read is written with the next group, which comes within a moment.
    for _ in 0..50 {
        let ran = scene.world.offline(&["audit", "export"]).await;
        if ran.code != 0 {
            return vec![format!("the audit log does not verify: {}{}", ran.out, ran.err)];
        }
        lines = ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>();
        let count = |kind: &str| lines.iter().filter(|line| line["kind"] == kind).count();
        if !ended || count("intent") == count("outcome") {
            break;
        }
        super::pause(50).await;
    }
    scene.requests.extend(scene.world.google.take_log());
    let (compared, mut troubles) =
        uses::compare(&scene.forms, &scene.requests, &lines, &scene.ledger.book(), ended);
    scene.compared = compared;
    troubles.extend(rated(scene, &lines));
    if !troubles.is_empty() {
        scene.audit = lines;
    }
    troubles
}

/// Calls under the grant that has so many an hour, whatever was killed between them.
fn rated(scene: &Scene, lines: &[Value]) -> Option<String> {
    let of = |line: &&Value| line["kind"] == "minted" && line["grant"] == scene.rated.as_str();
    let times: Vec<u64> = lines.iter().filter(of).filter_map(|line| line["at_ms"].as_u64()).collect();
    let span_ms = times.last()?.saturating_sub(*times.first()?);
    let most = scene.rate + span_ms * scene.rate / 3_600_000 + 1;
    (times.len() as u64 > most)
        .then(|| format!("{} calls in {span_ms} ms under a grant of {} an hour", times.len(), scene.rate))
}

/// What was said of everything that these lines speak of, for whoever looks for the cause.
#[must_use]
pub fn told(ledger: &Ledger) -> String {
    let things = ledger.things();
    things.iter().map(|(name, answer)| format!("{name}: {answer:?}\n")).collect()
}
