//! Carrying a plan out: first the encrypted copy, then secrets, then grants, then the file. Each step is whole, and a run
//! that was cut off is gone on with by running it again: nothing is taken away before it is safe elsewhere.

use std::path::{Path, PathBuf};

use claviger_proto::v1::{AddSecretRequest, PlanRequest};

use super::super::client::{Admin, Named, Session, explained};
use super::super::client_install::{Held, write_new};
use super::super::failure::Failure;
use super::super::{entry, secret};
use super::copies;
use super::journal::Journal;
use super::plan::Plan;
use super::show::{Backup, Done};
use crate::keys::parcel::{Opener, recipients, seal};
use crate::keys::wrap::WorkFactor;

/// What the encrypted copy's name ends in.
const END: &str = ".before-claviger";
/// How many such copies there are of one file, at most.
const MOST: u32 = 1000;

/// Does what the plan says.
pub(super) async fn run(
    session: &mut Session<'_>,
    admin: &mut Admin,
    plan: &Plan,
    file: Option<&Held>,
    passphrase_stdin: bool,
) -> Result<Done, Failure> {
    let held = file.filter(|_| plan.text.is_some());
    let backup = match held {
        Some(held) => Some(back_up(session, held, passphrase_stdin)?),
        None => None,
    };
    if let Some(file) = file {
        plan.journal.write(file.path())?;
    }
    let mut stored = Vec::new();
    for (name, value) in &plan.adds {
        let request = AddSecretRequest { name: name.clone(), value: Some(value.message()) };
        if let Err(status) = admin.add_secret(request).await {
            let failure = explained(admin, status, &[Named::Service(secret::service(name))]).await;
            return Err(cut_off(failure.at(name), &stored));
        }
        stored.push(name.as_str());
    }
    grant(admin, plan).await.map_err(|failure| cut_off(failure, &stored))?;
    if let (Some(held), Some(text)) = (held, &plan.text) {
        held.write(text).map_err(|failure| cut_off(failure, &stored))?;
    }
    if let Some(file) = file {
        Journal::remove(file.path());
    }
    let leftovers = copies::leftovers(session.world, plan, held.map(Held::path));
    Ok(Done { backup, leftovers })
}

/// A failure in the middle: what was done, and that it can be gone on with.
fn cut_off(failure: Failure, stored: &[&str]) -> Failure {
    let done = match stored {
        [] => "nothing was stored; the file is as it was".to_owned(),
        stored => format!("stored already: {}; the file is as it was", stored.join(", ")),
    };
    failure.hint(done).hint("run it again: it goes on where it stopped")
}

async fn grant(admin: &mut Admin, plan: &Plan) -> Result<(), Failure> {
    if plan.grants.is_empty() {
        return Ok(());
    }
    let request = PlanRequest { grants: plan.grants.clone(), ..PlanRequest::default() };
    let planned = admin.plan(request.clone()).await?.into_inner();
    if planned.changes.iter().any(|change| matches!(change.kind.as_str(), "add" | "change")) {
        admin.plan(PlanRequest { apply: true, digest: planned.digest, ..request }).await?;
    }
    Ok(())
}

/// Keeps an encrypted copy of the file as it is beside it: for the vault's own recipients, where they are known and have
/// a key; else under a passphrase.
fn back_up(session: &mut Session<'_>, held: &Held, passphrase_stdin: bool) -> Result<Backup, Failure> {
    let own = if session.socket.is_some() { None } else { session.home().ok() };
    let known = own.map(|home| recipients(&home.join("keys"))).unwrap_or_default();
    let (opener, opens) = if known.is_empty() {
        session.world.note("The file as it is is kept encrypted, under a passphrase of your choice.");
        let passphrase = entry::new_passphrase(session.world, passphrase_stdin)?;
        (Opener::Passphrase(passphrase), "age -d FILE, and the passphrase".to_owned())
    } else {
        let names: Vec<_> = known.iter().map(|(name, _)| name.as_str()).collect();
        let opens = format!("age -d -i IDENTITY FILE, with the vault's {} identity", names.join(" or "));
        (Opener::Recipients(known.into_iter().map(|(_, key)| key).collect()), opens)
    };
    let sealed = seal(held.text().as_bytes(), &opener, WorkFactor::PRODUCTION).map_err(|fault| {
        Failure::new(format!("no encrypted copy could be made: {fault}")).hint("nothing was changed")
    })?;
    for number in 0..MOST {
        let path = copy_name(held.path(), number);
        match write_new(&path, &sealed) {
            Ok(()) => return Ok(Backup { path: path.display().to_string(), opens }),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => {
                return Err(Failure::new(format!("{} cannot be written: {error}", path.display()))
                    .hint("nothing was changed"));
            }
        }
    }
    Err(Failure::new("there are too many encrypted copies of this file")
        .hint("remove old ones; nothing was changed"))
}

fn copy_name(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(END);
    if number > 0 {
        name.push(format!("-{number}"));
    }
    name.push(".age");
    name.into()
}
