//! Names that an owner writes become the ids that a grant pins: by one look at the upstream, under an admin's command.

use std::collections::BTreeMap;
use std::sync::Arc;

use claviger_domain::arg::{Arguments, parse_pinned};
use claviger_domain::caveat::{Caveat, ResourceBound};
use claviger_domain::effect::Effect;
use claviger_domain::event::{Actor, Detail, Ending};
use claviger_domain::name::{Ident, SecretName};
use claviger_domain::refusal::{Class, Denial};
use claviger_domain::render::{Filling, render};
use claviger_domain::reserved::Reserved;
use claviger_domain::scope::id;
use claviger_domain::step::Segment;
use claviger_domain::tool::{Resource, Service};
use serde_json::Value;

use super::error::AdminError;
use super::peers::near;
use super::usage::{Purposeful, Sending};
use super::{Broker, json};

impl Broker {
    /// The same caveats, with every resource's names replaced by ids. `id:X` is taken as the id X.
    pub(super) async fn resolve_caveats(
        self: &Arc<Self>,
        admin: Actor,
        secret: &SecretName,
        service: &Service,
        caveats: &[Caveat],
    ) -> Result<Vec<Caveat>, AdminError> {
        let mut resolved = Vec::with_capacity(caveats.len());
        for caveat in caveats {
            resolved.push(match caveat {
                Caveat::Resource(bound) => {
                    Caveat::Resource(self.resolve(admin.clone(), secret, service, bound).await?)
                }
                other => other.clone(),
            });
        }
        Ok(resolved)
    }

    async fn resolve(
        self: &Arc<Self>,
        admin: Actor,
        secret: &SecretName,
        service: &Service,
        bound: &ResourceBound,
    ) -> Result<ResourceBound, AdminError> {
        // Files may be named by their ids in any service that can check them.
        let resource = service.resources.get(&bound.resource);
        if resource.is_none() && bound.resource.as_str() != Reserved::File.as_str() {
            let others = near(&service.resources);
            let hint = match others.as_slice() {
                [] => format!("`claviger services {}` shows what its tools can be bounded by", service.id),
                some => format!("its tools can be bounded by {}", some.join(", ")),
            };
            return Err(AdminError::invalid(format!("{} has no {}", service.id, bound.resource), hint));
        }
        if bound.nested && resource.is_none_or(|resource| resource.nested.is_none()) {
            return Err(AdminError::invalid(
                format!("nothing lies below a {} of {}", bound.resource, service.id),
                "leave out that it is nested",
            ));
        }
        let mut pinned = ResourceBound {
            resource: bound.resource.clone(),
            ids: Vec::new(),
            shown: Vec::new(),
            nested: bound.nested,
        };
        for asked in &bound.ids {
            let (id, shown) = match asked.strip_prefix("id:") {
                Some(id) => {
                    let id = parse_pinned(id).map_err(|why| {
                        AdminError::invalid(format!("what follows id: {why}"), "copy the id from the service")
                    })?;
                    (id.clone(), id)
                }
                None => {
                    let kind = bound.resource.to_string();
                    let resource = resource.ok_or_else(|| {
                        AdminError::invalid(
                            format!("a {kind} of {} is named by its id alone", service.id),
                            "write it as id:…",
                        )
                    })?;
                    let found = self.look_up_name(admin.clone(), secret, service, (&kind, resource), asked);
                    (found.await?, asked.clone())
                }
            };
            if !pinned.ids.contains(&id) {
                pinned.ids.push(id);
                pinned.shown.push(shown);
            }
        }
        if pinned.ids.is_empty() {
            return Err(AdminError::invalid(
                format!("{} names nothing, so it would allow nothing", bound.resource),
                "name at least one",
            ));
        }
        Ok(pinned)
    }

    /// The one id of that exact name.
    async fn look_up_name(
        self: &Arc<Self>,
        admin: Actor,
        secret: &SecretName,
        service: &Service,
        (kind, resource): (&str, &Resource),
        name: &str,
    ) -> Result<String, AdminError> {
        let answer = self
            .list_candidates(admin, secret, service, resource, name)
            .await
            .map_err(AdminError::from_denial)?;
        let mut found = Vec::new();
        let mut names = Vec::new();
        // An upstream that is asked for one by its name answers with that one.
        let listed = resource.list.select(&answer).into_iter().flat_map(|found| match found {
            Value::Array(items) => items.iter().collect(),
            Value::Object(_) => vec![found],
            _ => Vec::new(),
        });
        for item in listed {
            let known = resource.name.select(item).first().and_then(|value| value.as_str());
            let id = resource.id.select(item).first().and_then(|value| id(value));
            let (Some(known), Some(id)) = (known, id) else { continue };
            if known == name && parse_pinned(&id).is_ok() {
                found.push(id);
            }
            names.push(known.to_owned());
        }
        match found.as_slice() {
            [only] => Ok(only.clone()),
            [] => Err(AdminError::Invalid {
                why: format!("the service has no {kind} called {name}"),
                hints: vec![there_are(&names)],
            }),
            several => Err(AdminError::Invalid {
                why: format!("{} are called {name}", several.len()),
                hints: several.iter().map(|id| format!("say which: id:{id}")).collect(),
            }),
        }
    }

    async fn list_candidates(
        self: &Arc<Self>,
        admin: Actor,
        secret: &SecretName,
        service: &Service,
        resource: &Resource,
        name: &str,
    ) -> Result<Value, Denial> {
        let gone = || Denial::new(Class::Unavailable).field("secret");
        let step = service.steps.get(&resource.step).ok_or_else(gone)?;
        let nothing = claviger_canonical::Value::Object(claviger_canonical::Object::new());
        let args = Arguments::parse(&BTreeMap::new(), &nothing)?;
        let key: Ident = "name".parse().map_err(|_| gone())?;
        let params = BTreeMap::from([(key, name.to_owned())]);
        let request = render(step, Filling { args: &args, params: &params, page_token: None })?;
        let (entry, _lease, credential, purpose) = loop {
            let leased = self.read().lease(secret);
            let (entry, lease) = leased.ok_or_else(gone)?;
            let purpose = Purposeful {
                actor: admin.clone(),
                about: self.about_secret(&entry, &format!("resolve {}", step.name)),
                effect: Effect::Read,
                ancestors: Vec::new(),
                digest: None,
                taints: false,
            };
            if let Some(credential) = self.credential(&entry, &step.scope, &purpose).await? {
                break (entry, lease, credential, purpose);
            }
        };
        let begun = self.begin(&purpose, &entry, 0).await?;
        let sending = Sending {
            secret: &entry,
            pin: &entry.pin,
            origin: entry.pin.origins.first().cloned().ok_or_else(gone)?,
            request,
            inject: credential.inject,
            watch: credential.watch,
            answers_with_secrets: false,
        };
        let (begun, answer) = self.send_begun(begun, &purpose, sending).await?;
        self.end(begun, Ending::Released, Some(answer.status), answer.body.len(), Detail::default()).await?;
        // Where the name stands in the path, that there is none is told so.
        if answer.status == 404 && !step.path.iter().all(|part| matches!(part, Segment::Literal(_))) {
            return Ok(Value::Null);
        }
        if answer.status != 200 {
            return Err(Denial::new(Class::Upstream).fix(format!("the upstream answered {}", answer.status)));
        }
        let value = json::parse(&answer.body).ok_or_else(|| {
            Denial::new(Class::Upstream).fix("the upstream did not answer with JSON of bearable size")
        })?;
        step.named(value)
    }
}

/// What an owner could have meant. Some services list only what has the very name; then nothing else is known.
fn there_are(names: &[String]) -> String {
    const MOST: usize = 50;
    match names.len() {
        0 => "names are exact; or give its id, as id:…".to_owned(),
        1..=MOST => format!("there are: {}", names.join(", ")),
        more => format!(
            "there are {more}, among them: {}",
            names.iter().take(MOST).cloned().collect::<Vec<_>>().join(", ")
        ),
    }
}
