//! Turning pages.
//!
//! Where a bound drops elements of a list, the upstream's own pages tell of what was dropped: one is shorter, one is empty
//! and yet not the last, and there are more of them. So the vault turns them itself. It asks the upstream for page after
//! page until as many elements within the bounds are there as the caller asked for, and one more, or until the list ends.
//! What is left over waits under the mark of the next page. There is such a mark if and only if one more element was found.
//!
//! How far it looks has an end ([`REACH`] pages of the upstream's, and the call's looks). There the list ends without a
//! mark, as if nothing came after: what lies behind so many elements out of scope is not found by that search, and narrower
//! terms find it. What is released is the list and its mark alone: whatever else the upstream says of a list (how many
//! there are, an etag) may speak of what was dropped.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use claviger_domain::arg::{ArgKind, ArgValue, Arguments};
use claviger_domain::capability::Minting;
use claviger_domain::id::Ref;
use claviger_domain::name::Ident;
use claviger_domain::pointer::Pointer;
use claviger_domain::refusal::{Class, Denial};
use claviger_domain::render::{Filling, render};
use claviger_domain::step::{Paging, Step};
use claviger_domain::tool::{Service, Tool};
use serde_json::Value;

use super::elements::element_looks;
use super::errand::{Errand, Judged};
use super::pages::{self, Onward, Page};
use super::perform::veil;
use super::send::Read;
use super::usage::{Begun, MAX_ANSWER};
use super::{Broker, lock};
use crate::port::Answer;

/// How many pages of the upstream's one page may be put together from. With the greatest number of elements that an
/// argument may ask for on each (25 mails, 100 files or events), a search sees past some 190 mails or 800 files out of scope,
/// within the minute that its capability lives.
const REACH: u32 = 8;

/// How many elements a page has where the catalog names no argument that says so.
const ELEMENTS: usize = 50;

/// The greatest number of elements that a page has, or that an upstream is asked for.
const MOST: i64 = 1000;

/// How far the reading of a list has come.
struct Reading {
    /// Within the bounds, in the upstream's order.
    found: Vec<Value>,
    /// Not yet looked at, and as they came: they say themselves that they are within, as far as they do.
    waiting: VecDeque<Value>,
    /// Where the upstream goes on; `None` where it does not.
    token: Option<String>,
    /// How many elements the upstream is asked for on each page, by which argument.
    size: Option<(Ident, i64)>,
    /// How many elements the caller gets.
    wanted: usize,
    /// How many more pages may be asked for.
    left: u32,
}

impl Reading {
    fn of(errand: &Errand, tool: &Tool, paging: &Paging) -> Self {
        let token = errand.page.as_ref().and_then(|page| page.onward.token.clone());
        let declared = paging.size.as_ref().and_then(|name| Some((name, &tool.args.get(name)?.kind)));
        let size = match declared {
            // As many as it may be asked for, whatever the caller asked for: how far a search sees is no argument.
            Some((name, ArgKind::Integer { max, .. })) => Some((name.clone(), (*max).clamp(1, MOST))),
            _ => None,
        };
        let wanted = match size.as_ref().map(|(name, max)| (errand.args.get(name), *max)) {
            Some((Some(ArgValue::Integer(wanted)), _)) => (*wanted).clamp(0, MOST),
            Some((_, max)) => max,
            None => -1,
        };
        let wanted = usize::try_from(wanted).unwrap_or(ELEMENTS);
        Self { found: Vec::new(), waiting: VecDeque::new(), token, size, wanted, left: REACH }
    }

    /// What the upstream is given to go on: its own token; or, where it counts its pages, the number of the page that begins
    /// with the next element. What is kept of such a list is how many elements came before: pages may be of another size
    /// the next time.
    fn page(&mut self, paging: &Paging) -> Option<String> {
        if !paging.numbered {
            return self.token.clone();
        }
        let before: u64 = self.token.as_ref()?.parse().ok()?;
        let (_, size) = self.size.as_mut()?;
        while *size > 1 && !before.is_multiple_of(size.unsigned_abs()) {
            *size /= 2;
        }
        Some((before / size.unsigned_abs().max(1) + 1).to_string())
    }

    /// Asks for half as many from now on; `false` where that cannot be.
    fn shrink(&mut self) -> bool {
        match &mut self.size {
            Some((_, size)) if *size > 1 => {
                *size /= 2;
                true
            }
            _ => false,
        }
    }

    /// Takes in a page of the upstream's that was judged.
    ///
    /// `came` is how many elements it had before it was judged.
    fn take_in(&mut self, paging: &Paging, list: &Pointer, mut page: Value, came: usize) {
        self.token = match paging.take.get_mut(&mut page).map(Value::take) {
            _ if paging.numbered => self.counted(came),
            // Another page under the same token would be this one again.
            Some(Value::String(next)) if !next.is_empty() && next.len() <= pages::LONGEST => {
                Some(next).filter(|next| self.token.as_ref() != Some(next))
            }
            _ => None,
        };
        if let Some(Value::Array(items)) = list.get_mut(&mut page).map(Value::take) {
            self.waiting.extend(items);
        }
    }

    /// Where a list with counted pages goes on. One that is empty is behind the last; one that is not full may still be
    /// followed by others, where the upstream leaves out what may not be seen.
    fn counted(&self, came: usize) -> Option<String> {
        let (_, size) = self.size.as_ref().filter(|_| came > 0)?;
        let before: u64 = self.token.as_ref().map_or(Some(0), |before| before.parse().ok())?;
        before.checked_add(size.unsigned_abs()).map(|next| next.to_string())
    }

    /// How many of those found make a page: as many as are wanted, and no longer an answer than an upstream's may be.
    fn fit(&self) -> usize {
        let mut bytes = 0;
        let fits = |item: &&Value| {
            bytes += item.to_string().len();
            bytes <= MAX_ANSWER
        };
        let fit = self.found.iter().take(self.wanted).take_while(fits).count();
        // One alone never is: it came in an answer.
        fit.max(self.wanted.min(1))
    }

    /// What is released of it, and where it goes on: there is such a place only where one more element was found.
    fn close(mut self, list: &Pointer) -> Judged {
        let fit = self.fit();
        let onward = if self.found.len() > fit {
            let mut rest = self.found.split_off(fit);
            rest.extend(self.waiting);
            Some(Onward { rest: Value::Array(rest).to_string(), token: self.token })
        } else {
            None
        };
        let mut json = Value::Null;
        list.put(&mut json, Value::Array(self.found));
        Judged { onward, ..Judged::of(json) }
    }
}

impl Broker {
    /// The page that the arguments name. What bounded the first page bounds the next: its parameters are taken over, and
    /// checked against today's scope.
    pub(super) fn turn_page(
        &self,
        minted: &Minting,
        tool: &Tool,
        step: &Step,
        args: &Arguments,
        params: &mut BTreeMap<Ident, String>,
    ) -> Result<Option<Page>, Denial> {
        if step.page.is_none() {
            return Ok(None);
        }
        let mark =
            tool.args.iter().find(|(_, arg)| arg.kind == ArgKind::Page).and_then(|(name, _)| args.get(name));
        let Some(ArgValue::Text(mark)) = mark else { return Ok(None) };
        let page = lock(&self.pages).find(&minted.agent, minted.handle, mark, &tool.name, &step.name);
        let denial = |fix: &str| Denial::new(Class::OutOfScope).field("page").fix(fix);
        let page = page.ok_or_else(|| denial("the page is gone; search again from the first"))?;
        if page.terms != terms(tool, args) {
            return Err(denial(
                "the page belongs to a search with other arguments; give the same ones again",
            ));
        }
        for (name, value) in &page.params {
            if params.get(name).is_some_and(|given| given != value) {
                return Err(denial("the page belongs to another list"));
            }
        }
        params.clone_from(&page.params);
        Ok(Some(page))
    }

    /// Reads one page of a list whose elements a bound may drop, out of as many of the upstream's as it takes.
    pub(super) async fn read_list(
        self: &Arc<Self>,
        errand: &Errand,
        service: &Service,
        tool: &Tool,
        step: &Step,
        list: &Pointer,
    ) -> Result<Read, Denial> {
        let paging = step.page.as_ref().ok_or_else(|| Denial::new(Class::ToolChanged))?;
        let mut reading = Reading::of(errand, tool, paging);
        let rest = errand.page.as_ref().map(|page| page.onward.rest.as_str()).filter(|rest| !rest.is_empty());
        let (begun, answer) = match rest {
            Some(rest) => (self.begin_kept(errand).await?, waited(rest)),
            None => self.ask_page(errand, tool, step, &mut reading, step.name.as_str()).await?,
        };
        let opened = match rest {
            Some(_) => still_within(errand, step, &answer, &mut reading),
            None => self.judge_page(errand, step, list, &answer, &mut reading),
        };
        let judged = match opened {
            Ok(()) => self.fill(errand, service, tool, step, list, reading).await,
            Err(denial) => Err(denial),
        };
        let judged = match judged {
            Ok(judged) => self.probe(errand, service, step, |probe| probe.again).await.map(|()| judged),
            refused => refused,
        };
        Ok(Read { begun, answer, judged })
    }

    /// Looks at what waits, and asks for more, until enough is found.
    async fn fill(
        self: &Arc<Self>,
        errand: &Errand,
        service: &Service,
        tool: &Tool,
        step: &Step,
        list: &Pointer,
        mut reading: Reading,
    ) -> Result<Judged, Denial> {
        let looks = element_looks(&errand.scope, step)?;
        let word = format!("more {}", step.name);
        let enough = reading.wanted + 1;
        loop {
            let Reading { waiting, found, .. } = &mut reading;
            let seeing = self.look_at_each(errand, service, &looks, waiting, found, enough).await?;
            let done = reading.found.len() >= enough || reading.token.is_none() || reading.left == 0;
            if done || !seeing || !lock(&errand.live).spend_look() {
                return Ok(reading.close(list));
            }
            let (begun, answer) = self.ask_page(errand, tool, step, &mut reading, &word).await?;
            let taken = self.judge_page(errand, step, list, &answer, &mut reading);
            self.conclude(begun, &answer, taken.map(|()| Judged::default())).await?;
        }
    }

    /// Asks the upstream for the page where the reading has come to. Of a page too long to be taken, half is asked for: how
    /// long it is may be the doing of what is out of scope.
    async fn ask_page(
        self: &Arc<Self>,
        errand: &Errand,
        tool: &Tool,
        step: &Step,
        reading: &mut Reading,
        word: &str,
    ) -> Result<(Begun, Answer), Denial> {
        let mut purpose = errand.purpose.clone();
        purpose.about.step = Some(word.to_owned());
        loop {
            reading.left = reading.left.saturating_sub(1);
            let page = step.page.as_ref().and_then(|paging| reading.page(paging));
            let args = match &reading.size {
                Some((name, size)) => errand.args.asking_for(name, *size),
                None => errand.args.clone(),
            };
            let filling = Filling { args: &args, params: &errand.params, page_token: page.as_deref() };
            let request = render(step, filling)?;
            self.bytes_out(&purpose, request.body.len()).await?;
            match self.perform(&errand.secret, &tool.scope, &purpose, request).await {
                Err(denial) if is_too_long(&denial) && reading.left > 0 && reading.shrink() => {}
                performed => return performed.map_err(|denial| veil(errand, step, denial)),
            }
        }
    }

    fn judge_page(
        &self,
        errand: &Errand,
        step: &Step,
        list: &Pointer,
        answer: &Answer,
        reading: &mut Reading,
    ) -> Result<(), Denial> {
        let judged = self.judge(errand, step, answer).map_err(|denial| veil(errand, step, denial))?;
        if let (Some(paging), Some(page)) = (&step.page, judged.json) {
            reading.take_in(paging, list, page, judged.came);
        }
        Ok(())
    }

    /// The use of what waited here: nothing is sent for it, but it is released like an answer, and recorded like one.
    async fn begin_kept(&self, errand: &Errand) -> Result<Begun, Denial> {
        let leased = self.read().lease(&errand.secret);
        let (secret, _lease) = leased
            .ok_or_else(|| Denial::new(Class::Revoked).field("secret").fix("the secret was removed"))?;
        self.begin(&errand.purpose, &secret, 0).await
    }

    /// Puts a mark where the list goes on, in place of whatever the upstream has there.
    pub(super) fn keep_page(
        &self,
        errand: &Errand,
        tool: &Tool,
        step: &Step,
        value: &mut Value,
        onward: Option<Onward>,
    ) {
        let Some(paging) = &step.page else { return };
        let taken = match paging.take.get_mut(value).map(Value::take) {
            Some(Value::String(token)) if !token.is_empty() && token.len() <= pages::LONGEST => {
                Some(Onward { rest: String::new(), token: Some(token) })
            }
            _ => None,
        };
        let Some(onward) = onward.or(taken) else { return };
        let about = &errand.purpose.about;
        let (Some(agent), Some(handle)) = (&about.agent, about.handle) else { return };
        let mark = format!("page_{}", Ref::from_bytes(self.random()).to_string().trim_start_matches("ref_"));
        paging.take.put(value, Value::String(mark.clone()));
        let page = Page {
            tool: tool.name.clone(),
            step: step.name.clone(),
            params: errand.params.clone(),
            terms: terms(tool, &errand.args),
            onward,
        };
        // Whoever takes away changes the state first and forgets the pages then: none is left behind.
        let state = self.read();
        let frozen = state.agents.get(agent).is_none_or(|entry| entry.record.frozen.is_some());
        if state.unsealed && !frozen && state.handles.contains(handle) {
            lock(&self.pages).keep(agent, handle, mark, page);
        }
    }
}

/// What waited here is judged by today's scope.
fn still_within(errand: &Errand, step: &Step, answer: &Answer, reading: &mut Reading) -> Result<(), Denial> {
    let waited: Vec<Value> = serde_json::from_slice(&answer.body)
        .map_err(|_| Denial::new(Class::Unavailable).field("page").fix("search again from the first"))?;
    reading.waiting.extend(errand.scope.still_within(step, waited)?);
    Ok(())
}

/// What waited, as the answer that it is a part of.
fn waited(rest: &str) -> Answer {
    Answer { status: 200, headers: Vec::new(), body: Bytes::copy_from_slice(rest.as_bytes()) }
}

fn is_too_long(denial: &Denial) -> bool {
    denial.class == Class::Upstream && denial.field.as_deref() == Some("answer")
}

/// A digest of all arguments but the page's mark: a page belongs to the list it was a page of.
fn terms(tool: &Tool, args: &Arguments) -> [u8; 32] {
    let mut bytes = Vec::new();
    let mut add = |text: &str| {
        bytes.extend_from_slice(&text.len().to_be_bytes());
        bytes.extend_from_slice(text.as_bytes());
    };
    let is_page = |name: &Ident| tool.args.get(name).is_some_and(|arg| arg.kind == ArgKind::Page);
    for (name, value) in args.iter().filter(|(name, _)| !is_page(name)) {
        let texts = value.texts();
        add(name.as_str());
        add(&texts.len().to_string());
        texts.iter().for_each(|text| add(text));
    }
    *claviger_canonical::Digest::of(&bytes).as_bytes()
}
