//! What waits for a person, as a session asks for it and collects it.

use std::sync::{Arc, PoisonError};

use claviger_proto::v1;

use super::files::Prepared;
use super::task::{Task, Verdict};
use super::{CallOptions, Session};
use crate::error::ClientError;
use crate::grants::Handle;
use crate::outcome::CallOutcome;
use crate::waiting::{ApprovalId, Ask, Collected, State, Waited};

/// How many tasks a session works under at a time.
const TASKS: usize = 16;

impl Session {
    /// How it stands with something that waits for a person. Does nothing else.
    ///
    /// # Errors
    /// Refused, where this agent asked for no such thing; a vault that does not answer.
    pub async fn collect(&self, id: ApprovalId) -> Result<Collected, ClientError> {
        Collected::read(self.vault.collect(id.to_string()).await?)
    }

    /// Asks the owner: for a task, a grant or an answer. Nothing changes until they agree.
    ///
    /// # Errors
    /// [`ClientError::NoSuchHandle`] as for [`Session::narrow`]; no tool of that name; refused; a vault that does not answer.
    pub async fn ask(&self, ask: Ask) -> Result<(ApprovalId, u64), ClientError> {
        let Ask { purpose, mut handle, secret, mut tools, bounds, seconds } = ask;
        if !handle.is_empty() {
            self.may_name(&handle)?;
        }
        if secret.is_empty() {
            let grants = self.grants();
            let mut names = Vec::new();
            for name in &tools {
                let (tool, by) = grants.tool(name)?;
                if handle.is_empty() {
                    by.id().clone_into(&mut handle);
                }
                names.push(tool.name.as_str().to_owned());
            }
            tools = names;
        }
        let request = v1::AskRequest {
            purpose,
            handle,
            secret,
            tools,
            caveats: bounds.into_caveats(),
            expires_in_seconds: seconds,
        };
        let v1::AskResponse { id, expires_at_ms } = self.vault.ask(request).await?;
        let id = ApprovalId::parse(&id).ok_or(ClientError::BadAnswer("an approval's id is not one"))?;
        Ok((id, expires_at_ms))
    }

    /// What became of something that waited for a person: a call that they agreed to is made now, with exactly the
    /// arguments that they saw; by a task that they agreed to, this session works from now on. One that was opened for
    /// certain handles does neither by any other than those and what was made of them.
    ///
    /// # Errors
    /// As for [`Session::collect`] and [`Session::call_with`]; the call's handle is gone, or not this session's.
    pub async fn result(&self, id: ApprovalId, options: &CallOptions) -> Result<Waited, ClientError> {
        let collected = self.collect(id).await?;
        if collected.state != State::Approved {
            return Ok(Waited::Told(collected));
        }
        let Some((tool, arguments)) = &collected.call else {
            if !collected.handle.is_empty() {
                self.work_by(&collected.handle).await?;
            }
            return Ok(Waited::Told(collected));
        };
        // Opened for this: the handle may be a child, and the vault may have restarted since.
        let grants = self.vault.open_handle(&collected.handle).await?;
        if grants.frozen() {
            return Ok(Waited::Ran(CallOutcome::Refused(crate::outcome::Refusal::frozen())));
        }
        let handle = grants.handles().iter().find(|handle| handle.id() == collected.handle);
        let handle = handle.ok_or(ClientError::HandleGone)?;
        self.may_use(handle)?;
        let call = self.prepare_agreed(&grants, tool, arguments).await?;
        let outcome = self.run(&grants, tool, handle, &call, Some(id.0), options).await?;
        Ok(Waited::Ran(outcome))
    }

    /// Opens the handle of a task, and works by it where it can. A grant's own handle is among the granted ones anyway.
    async fn work_by(&self, id: &str) -> Result<(), ClientError> {
        self.refresh().await?;
        if self.grants().handles().iter().any(|handle| handle.id() == id) {
            return Ok(());
        }
        let opened = Arc::new(self.vault.open_handle(id).await?);
        let mut tasks = self.tasks.write().unwrap_or_else(PoisonError::into_inner);
        tasks.retain(|task| !task.is_of(id));
        if opened.handles().iter().any(|handle| handle.id() == id && self.may_use(handle).is_ok()) {
            tasks.insert(0, Task::new(opened));
            tasks.truncate(TASKS);
        }
        Ok(())
    }

    /// A handle that came of an approval is as good as the one that was asked under: itself, or its parent.
    fn may_use(&self, handle: &Handle) -> Result<(), ClientError> {
        self.may_name(handle.id())
            .or_else(|no| handle.parent().map_or(Err(no), |parent| self.may_name(parent)))
    }

    /// Calls a tool by the handle of a task, where one is open for it. `None` where none is, or the task does not go that
    /// far: then what is granted anyway decides, which may be to ask the owner.
    ///
    /// That it does not go that far is the adapter's word. A second handle is presented on that word for a read only: an
    /// adapter that has done what it says was refused would do anything else twice. What is no read stays refused, and the
    /// next call goes by what is granted anyway: where the calls of the task are used up, any; where it does not reach so
    /// far, the same one made again.
    pub(super) async fn call_by_task(
        &self,
        mcp_name: &str,
        call: &Prepared,
        options: &CallOptions,
    ) -> Result<Option<CallOutcome>, ClientError> {
        let now_ms = self.clock.now_ms();
        let arguments = &call.arguments;
        let tasks: Vec<Arc<Task>> = self.tasks.read().unwrap_or_else(PoisonError::into_inner).clone();
        for task in tasks.iter().filter(|task| task.takes(mcp_name, arguments, now_ms)) {
            let refusal = match self.call_once(task.grants(), mcp_name, call, options).await? {
                CallOutcome::Refused(refusal) => refusal,
                outcome => return Ok(Some(outcome)),
            };
            match task.learn(&refusal, mcp_name, arguments, now_ms) {
                Verdict::GoesOn => return Ok(Some(CallOutcome::Refused(refusal))),
                Verdict::Beyond => {}
                Verdict::Over => self.stop_working_by(task),
            }
            let restarted = refusal.is_stale() && {
                // The vault's own word: it is another run, and has not looked at what was made for the last one.
                self.refresh().await?;
                !self.grants().is_of_the_run_of(task.grants())
            };
            if !task.reads(mcp_name) && !restarted {
                return Ok(Some(CallOutcome::Refused(refusal.beyond_task())));
            }
        }
        Ok(None)
    }

    fn stop_working_by(&self, task: &Arc<Task>) {
        self.tasks.write().unwrap_or_else(PoisonError::into_inner).retain(|other| !Arc::ptr_eq(task, other));
    }
}
