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

/// How many folders below its roots one bound may come to. Those that are found first count, breadth first.
const FOLDERS: usize = 200;

/// How deep they may lie.
const LEVELS: usize = 16;

/// How many are listed at once.
const AT_ONCE: usize = 8;

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
        let roots = calling.scope.roots();
        if !roots.is_empty() {
            let _flight = self.flights.begin(&grant.agent)?;
            for (resource, roots) in roots {
                // What is listed is the vault's to choose: an argument of that name would beat its parameter.
                let looker = Looker { args: Arguments::default(), ..Looker::of(calling) };
                let broker = Arc::clone(self);
                let name = resource.clone();
                let task = self.tasks.spawn(async move { broker.below(&looker, &name, roots).await });
                let below = task.await.unwrap_or_else(|_| Err(Denial::new(Class::Unavailable)))?;
                found.below.insert(resource, below);
            }
        }
        let scope = calling.scope.settle(&found, calling.tool, calling.args)?;
        Ok((found, scope))
    }

    /// All that lies below each of these.
    async fn below(
        self: &Arc<Self>,
        looker: &Looker,
        resource: &Ident,
        roots: BTreeSet<String>,
    ) -> Result<BTreeMap<String, BTreeSet<String>>, Denial> {
        let service = self.catalog.service(&looker.service).ok_or_else(|| Denial::new(Class::ToolChanged))?;
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
        for _ in 0..LEVELS {
            let mut next = Vec::new();
            for batch in level.chunks(AT_ONCE) {
                let lists = batch.iter().map(|id| self.list_below(looker, nested, id, &requests));
                for (id, list) in batch.iter().zip(join_all(lists).await) {
                    let list = list?;
                    for child in &list {
                        if known.len() < FOLDERS + roots.len() && known.insert(child.clone()) {
                            next.push(child.clone());
                        }
                    }
                    children.insert(id.clone(), list.into_iter().filter(|id| known.contains(id)).collect());
                }
            }
            level = next;
        }
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
            found
        };
        Ok(roots.iter().map(|root| (root.clone(), below(root))).collect())
    }

    /// What lies directly below one, all pages of it, as long as requests are left. Nothing lies below what is not there.
    async fn list_below(
        self: &Arc<Self>,
        looker: &Looker,
        nested: &Nested,
        id: &str,
        requests: &AtomicU32,
    ) -> Result<Vec<String>, Denial> {
        let gone = || Denial::new(Class::ToolChanged);
        let service = self.catalog.service(&looker.service).ok_or_else(gone)?;
        let step = service.steps.get(&nested.step).ok_or_else(gone)?;
        let params = BTreeMap::from([(nested.param.clone(), id.to_owned())]);
        let word = format!("probe {}", step.name);
        let mut found = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let take = |left: u32| left.checked_sub(1);
            if requests.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take).is_err() {
                return Ok(found);
            }
            let answer = self.read_object(looker, step, &word, &params, token.as_deref(), &|_| Ok(())).await;
            let answer = match answer {
                Err(denial) if denial.class == Class::OutOfScope => return Ok(found),
                answer => answer?,
            };
            let items = nested.list.select(&answer).into_iter().filter_map(Value::as_array).flatten();
            let ids = items.filter_map(|item| nested.id.select(item).first()?.as_str());
            found.extend(ids.filter(|id| parse_id(id).is_ok()).map(str::to_owned));
            let next = step.page.as_ref().and_then(|page| page.take.select(&answer).first()?.as_str());
            match next.map(str::to_owned) {
                Some(next) if token.as_ref() != Some(&next) => token = Some(next),
                _ => return Ok(found),
            }
        }
    }
}
