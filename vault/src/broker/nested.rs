//! What a call's bounds speak of without naming it: what lies below a folder, and what the agent itself made.
//!
//! Both are found when the call is minted and hold for that capability alone. A folder that is moved away meanwhile stays
//! in scope for at most its minute; the object itself is looked at when it is used, as ever.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use claviger_domain::arg::{Arguments, parse_id};
use claviger_domain::capability::PROBES;
use claviger_domain::name::Ident;
use claviger_domain::refusal::{Class, Denial};
use claviger_domain::scope::{Found, Scope};
use claviger_domain::tool::Nested;
use futures_util::future::join_all;
use serde_json::Value;

use super::Broker;
use super::look::Looker;
use super::mint::Calling;

/// How many folders below its roots one bound may come to. Those that are found first count, breadth first. A bound that
/// allows is narrowed by it; one that forbids cannot be kept to, and then nothing is in scope.
const FOLDERS: usize = 200;

/// How deep they may lie.
const LEVELS: usize = 16;

/// How many are listed at once.
const AT_ONCE: usize = 8;

/// What was found below one id.
struct Below {
    ids: BTreeSet<String>,
    /// Whether that is all there is.
    complete: bool,
}

impl Broker {
    /// Finds what the call's bounds speak of, and settles them with it.
    ///
    /// # Errors
    /// Class `out-of-scope` where an argument names something else after all; what the upstream did, where it cannot be
    /// found out.
    pub(super) async fn find(self: &Arc<Self>, calling: &Calling<'_>) -> Result<(Found, Scope), Denial> {
        let grant = &calling.presented.grant.grant;
        let mut found = Found::default();
        if calling.scope.is_made() {
            found.made = self.made_ids(&grant.agent, &grant.secret);
        }
        let (allowed, forbidden) = (calling.scope.roots(), calling.scope.forbidden_roots());
        if !allowed.is_empty() || !forbidden.is_empty() {
            let _flight = self.flights.begin(&grant.agent)?;
            // What is forbidden is looked for apart: what is allowed must not use up its requests.
            for (resource, roots) in forbidden {
                let all = self.list_all(calling, &resource, roots).await?;
                let whole = all.into_iter().filter(|(_, below)| below.complete);
                found.forbidden.insert(resource, whole.map(|(root, below)| (root, below.ids)).collect());
            }
            for (resource, roots) in allowed {
                let all = self.list_all(calling, &resource, roots).await?;
                found
                    .below
                    .insert(resource, all.into_iter().map(|(root, below)| (root, below.ids)).collect());
            }
        }
        let scope = calling.scope.settle(&found, calling.tool, calling.args)?;
        Ok((found, scope))
    }

    /// What lies below each of these, found in a task of the vault's own.
    async fn list_all(
        self: &Arc<Self>,
        calling: &Calling<'_>,
        resource: &Ident,
        roots: BTreeSet<String>,
    ) -> Result<BTreeMap<String, Below>, Denial> {
        // What is listed is the vault's to choose: an argument of that name would beat its parameter.
        let looker = Looker { args: Arguments::default(), ..Looker::of(calling) };
        let (broker, name) = (Arc::clone(self), resource.clone());
        let task = self.tasks.spawn(async move { broker.below(&looker, &name, roots).await });
        task.await.unwrap_or_else(|_| Err(Denial::new(Class::Unavailable)))
    }

    /// What lies below each of these, and whether that is all.
    async fn below(
        self: &Arc<Self>,
        looker: &Looker,
        resource: &Ident,
        roots: BTreeSet<String>,
    ) -> Result<BTreeMap<String, Below>, Denial> {
        let catalog = self.catalog();
        let service = catalog.service(&looker.service).ok_or_else(|| Denial::new(Class::ToolChanged))?;
        let nested = service.resources.get(resource).and_then(|resource| resource.nested.as_ref());
        let Some(nested) = nested else {
            return Err(Denial::new(Class::OutOfScope)
                .field(resource.as_str())
                .fix("the service does not say what lies below"));
        };
        let requests = AtomicU32::new(PROBES);
        let mut children: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut known = roots.clone();
        let mut level: Vec<String> = roots.iter().cloned().collect();
        // Those of which not all children are known.
        let mut partial: BTreeSet<String> = BTreeSet::new();
        for _ in 0..LEVELS {
            let mut next = Vec::new();
            for batch in level.chunks(AT_ONCE) {
                let lists = batch.iter().map(|id| self.list_below(looker, nested, id, &requests));
                for (id, list) in batch.iter().zip(join_all(lists).await) {
                    let (list, complete) = list?;
                    for child in &list {
                        if known.len() < FOLDERS + roots.len() && known.insert(child.clone()) {
                            next.push(child.clone());
                        }
                    }
                    let (kept, left): (Vec<_>, Vec<_>) =
                        list.into_iter().partition(|child| known.contains(child));
                    if !complete || !left.is_empty() {
                        partial.insert(id.clone());
                    }
                    children.insert(id.clone(), kept);
                }
            }
            level = next;
        }
        // Too deep to be listed.
        partial.extend(level);
        let below = |root: &String| {
            let mut found = BTreeSet::new();
            let mut open = vec![root];
            while let Some(id) = open.pop() {
                for child in children.get(id).into_iter().flatten() {
                    if found.insert(child.clone()) {
                        open.push(child);
                    }
                }
            }
            let complete = !partial.contains(root) && found.is_disjoint(&partial);
            Below { ids: found, complete }
        };
        Ok(roots.iter().map(|root| (root.clone(), below(root))).collect())
    }

    /// What lies directly below one, all pages of it, as long as requests are left; and whether that is all of it. Of what
    /// cannot be listed nothing is known: it may be gone, and it may be somebody who hides it.
    async fn list_below(
        self: &Arc<Self>,
        looker: &Looker,
        nested: &Nested,
        id: &str,
        requests: &AtomicU32,
    ) -> Result<(Vec<String>, bool), Denial> {
        let gone = || Denial::new(Class::ToolChanged);
        let catalog = self.catalog();
        let service = catalog.service(&looker.service).ok_or_else(gone)?;
        let step = service.steps.get(&nested.step).ok_or_else(gone)?;
        let params = BTreeMap::from([(nested.param.clone(), id.to_owned())]);
        let word = format!("probe {}", step.name);
        let mut found = Vec::new();
        let mut complete = true;
        let mut token: Option<String> = None;
        loop {
            let take = |left: u32| left.checked_sub(1);
            if requests.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take).is_err() {
                return Ok((found, false));
            }
            let answer = self.read_object(looker, step, &word, &params, token.as_deref(), &|_| Ok(())).await;
            let answer = match answer {
                Err(denial) if denial.class == Class::OutOfScope => return Ok((found, false)),
                answer => answer?,
            };
            let list = nested.list.select(&answer).first().and_then(|list| list.as_array());
            // An answer without a list is none of which all is known, though some upstreams leave an empty one out: what
            // is forbidden below must not become allowed by half an answer.
            complete &= list.is_some();
            for item in list.into_iter().flatten() {
                let id = nested.id.select(item).first().and_then(|id| id.as_str()).map(str::to_owned);
                match id.filter(|id| parse_id(id).is_ok()) {
                    Some(id) => found.push(id),
                    None => complete = false,
                }
            }
            let next = step.page.as_ref().and_then(|page| page.take.select(&answer).first().copied());
            match next {
                None | Some(Value::Null) => return Ok((found, complete)),
                Some(Value::String(next)) if token.as_ref() != Some(next) => token = Some(next.clone()),
                // No page, or the same one again: what follows is not known.
                Some(_) => return Ok((found, false)),
            }
        }
    }
}
