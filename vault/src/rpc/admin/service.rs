//! The calls of `AdminService`, each a thin layer over the broker.

use claviger_domain::refusal::Class;
use claviger_proto::v1;
use claviger_proto::v1::admin_service_server::AdminService;
use tonic::{Request, Response, Status};

use super::Admins;
use crate::rpc::convert::{answer, approvals, ask, policy, watch};
use crate::rpc::status::{failed, told};

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl AdminService for Admins {
    async fn status(&self, request: Request<v1::StatusRequest>) -> Answer<v1::StatusResponse> {
        Self::admin(&request)?;
        let v1::StatusRequest {} = request.into_inner();
        Ok(Response::new(self.state()))
    }

    async fn unseal(&self, request: Request<v1::UnsealRequest>) -> Answer<v1::UnsealResponse> {
        let actor = Self::admin(&request)?;
        let key = ask::key(request.into_inner()).map_err(failed)?;
        let _counted =
            self.gate.enter().map_err(|_| told(Class::Busy, "the vault is about to stop", "try again"))?;
        self.keeper.unseal(actor, key).await?;
        Ok(Response::new(v1::UnsealResponse {}))
    }

    async fn seal(&self, request: Request<v1::SealRequest>) -> Answer<v1::SealResponse> {
        // Not counted as inside: sealing waits for whoever is.
        let actor = self.enter(&request)?.actor;
        let v1::SealRequest {} = request.into_inner();
        self.keeper.seal(actor).await?;
        Ok(Response::new(v1::SealResponse {}))
    }

    async fn list_services(
        &self,
        request: Request<v1::ListServicesRequest>,
    ) -> Answer<v1::ListServicesResponse> {
        let _inside = self.enter(&request)?;
        let v1::ListServicesRequest {} = request.into_inner();
        let catalog = self.broker.catalog();
        let services = catalog.services.values();
        let services = services.map(|service| answer::service(service, self.broker.service_tools(service)));
        Ok(Response::new(v1::ListServicesResponse { services: services.collect() }))
    }

    async fn add_agent(&self, request: Request<v1::AddAgentRequest>) -> Answer<v1::Agent> {
        let inside = self.enter(&request)?;
        let (name, uid, opaque, vault_only) =
            ask::add_agent(request.into_inner(), &self.users).map_err(failed)?;
        let added = self
            .whole(inside, |broker, actor| async move {
                broker.add_agent(actor, name, uid, opaque, vault_only).await
            })
            .await;
        Ok(Response::new(self.agent(added?)))
    }

    async fn list_agents(&self, request: Request<v1::ListAgentsRequest>) -> Answer<v1::ListAgentsResponse> {
        let _inside = self.enter(&request)?;
        let v1::ListAgentsRequest {} = request.into_inner();
        let agents = self.broker.agents().into_iter().map(|agent| self.agent(agent)).collect();
        Ok(Response::new(v1::ListAgentsResponse { agents }))
    }

    async fn remove_agent(
        &self,
        request: Request<v1::RemoveAgentRequest>,
    ) -> Answer<v1::RemoveAgentResponse> {
        let inside = self.enter(&request)?;
        let v1::RemoveAgentRequest { name } = request.into_inner();
        let name = ask::agent(&name).map_err(failed)?;
        let revoked_grants = self
            .whole(inside, |broker, actor| async move { broker.remove_agent(actor, &name).await })
            .await?;
        Ok(Response::new(v1::RemoveAgentResponse { revoked_grants }))
    }

    async fn freeze(&self, request: Request<v1::FreezeRequest>) -> Answer<v1::Agent> {
        let inside = self.enter(&request)?;
        let (name, why) = ask::freeze(request.into_inner()).map_err(failed)?;
        let frozen = self
            .whole(inside, |broker, actor| async move { broker.freeze(actor, &name, &why).await })
            .await?;
        Ok(Response::new(self.agent(frozen)))
    }

    async fn thaw(&self, request: Request<v1::ThawRequest>) -> Answer<v1::Agent> {
        let inside = self.enter(&request)?;
        let v1::ThawRequest { name } = request.into_inner();
        let name = ask::agent(&name).map_err(failed)?;
        let thawed =
            self.whole(inside, |broker, actor| async move { broker.thaw(actor, &name).await }).await?;
        Ok(Response::new(self.agent(thawed)))
    }

    async fn add_adapter(&self, request: Request<v1::AddAdapterRequest>) -> Answer<v1::Adapter> {
        let inside = self.enter(&request)?;
        let (name, uid, endpoint) = ask::add_adapter(request.into_inner(), &self.users).map_err(failed)?;
        let added =
            self.whole(inside, |broker, actor| async move {
                broker.add_adapter(actor, name, uid, endpoint).await
            })
            .await?;
        Ok(Response::new(self.adapter(added)))
    }

    async fn list_adapters(
        &self,
        request: Request<v1::ListAdaptersRequest>,
    ) -> Answer<v1::ListAdaptersResponse> {
        let _inside = self.enter(&request)?;
        let v1::ListAdaptersRequest {} = request.into_inner();
        let adapters = self.broker.adapters().into_iter().map(|adapter| self.adapter(adapter)).collect();
        Ok(Response::new(v1::ListAdaptersResponse { adapters }))
    }

    async fn remove_adapter(
        &self,
        request: Request<v1::RemoveAdapterRequest>,
    ) -> Answer<v1::RemoveAdapterResponse> {
        let inside = self.enter(&request)?;
        let v1::RemoveAdapterRequest { name } = request.into_inner();
        let name = ask::adapter(&name).map_err(failed)?;
        self.whole(inside, |broker, actor| async move { broker.remove_adapter(actor, &name).await }).await?;
        Ok(Response::new(v1::RemoveAdapterResponse {}))
    }

    async fn begin_connect(
        &self,
        request: Request<v1::BeginConnectRequest>,
    ) -> Answer<v1::BeginConnectResponse> {
        let inside = self.enter(&request)?;
        let wanted = ask::begin_connect(request.into_inner()).map_err(failed)?;
        let begun = self
            .whole(inside, |broker, actor| async move { broker.begin_connect(actor, wanted).await })
            .await?;
        let crate::broker::view::ConnectBegun { session, authorize_url } = begun;
        Ok(Response::new(v1::BeginConnectResponse { session, authorize_url }))
    }

    async fn finish_connect(
        &self,
        request: Request<v1::FinishConnectRequest>,
    ) -> Answer<v1::FinishConnectResponse> {
        let inside = self.enter(&request)?;
        let (session, code, state) = ask::finish_connect(request.into_inner()).map_err(failed)?;
        let connected = self
            .whole(inside, |broker, actor| async move {
                broker.finish_connect(actor, &session, code, &state).await
            })
            .await;
        Ok(Response::new(answer::connected(connected?)))
    }

    async fn add_secret(&self, request: Request<v1::AddSecretRequest>) -> Answer<v1::Secret> {
        let inside = self.enter(&request)?;
        let (name, value) = ask::add_secret(request.into_inner(), self.auth()).map_err(failed)?;
        let added = self
            .whole(inside, |broker, actor| async move { broker.add_secret(actor, name, value).await })
            .await?;
        Ok(Response::new(answer::secret(added)))
    }

    async fn list_secrets(
        &self,
        request: Request<v1::ListSecretsRequest>,
    ) -> Answer<v1::ListSecretsResponse> {
        let _inside = self.enter(&request)?;
        let v1::ListSecretsRequest {} = request.into_inner();
        let secrets = self.broker.secrets().map_err(failed)?;
        Ok(Response::new(v1::ListSecretsResponse {
            secrets: secrets.into_iter().map(answer::secret).collect(),
        }))
    }

    async fn show_secret(&self, request: Request<v1::ShowSecretRequest>) -> Answer<v1::Secret> {
        let _inside = self.enter(&request)?;
        let v1::ShowSecretRequest { name } = request.into_inner();
        let name = ask::secret(&name).map_err(failed)?;
        Ok(Response::new(answer::secret(self.broker.secret(&name).map_err(failed)?)))
    }

    async fn rotate_secret(
        &self,
        request: Request<v1::RotateSecretRequest>,
    ) -> Answer<v1::RotateSecretResponse> {
        let inside = self.enter(&request)?;
        let (name, value) = ask::rotate_secret(request.into_inner(), self.auth()).map_err(failed)?;
        let rotated = self
            .whole(inside, |broker, actor| async move { broker.rotate_secret(actor, &name, value).await })
            .await?;
        let (secret, old_version_upstream) = rotated;
        Ok(Response::new(v1::RotateSecretResponse {
            secret: Some(answer::secret(secret)),
            old_version_upstream,
        }))
    }

    async fn remove_secret(
        &self,
        request: Request<v1::RemoveSecretRequest>,
    ) -> Answer<v1::RemoveSecretResponse> {
        let inside = self.enter(&request)?;
        let (name, revoke_upstream) = ask::remove_secret(request.into_inner()).map_err(failed)?;
        let removed = self
            .whole(inside, |broker, actor| async move {
                broker.remove_secret(actor, &name, revoke_upstream).await
            })
            .await;
        let (upstream, revoked_grants) = removed?;
        Ok(Response::new(v1::RemoveSecretResponse { upstream, revoked_grants }))
    }

    async fn add_grant(&self, request: Request<v1::AddGrantRequest>) -> Answer<v1::Grant> {
        let inside = self.enter(&request)?;
        let wanted = ask::grant(request.into_inner()).map_err(failed)?;
        let granted =
            self.whole(inside, |broker, actor| async move { broker.add_grant(actor, wanted).await }).await?;
        Ok(Response::new(answer::grant(granted)))
    }

    async fn list_grants(&self, request: Request<v1::ListGrantsRequest>) -> Answer<v1::ListGrantsResponse> {
        let _inside = self.enter(&request)?;
        let (agent, all) = ask::list_grants(request.into_inner()).map_err(failed)?;
        let grants = self.broker.grants(agent.as_ref(), all).map_err(failed)?;
        Ok(Response::new(v1::ListGrantsResponse { grants: grants.into_iter().map(answer::grant).collect() }))
    }

    async fn show_grant(&self, request: Request<v1::ShowGrantRequest>) -> Answer<v1::Grant> {
        let _inside = self.enter(&request)?;
        let v1::ShowGrantRequest { id } = request.into_inner();
        let id = self.grant_id(&id)?;
        Ok(Response::new(answer::grant(self.broker.grant(id).map_err(failed)?)))
    }

    async fn revoke(&self, request: Request<v1::RevokeRequest>) -> Answer<v1::Grant> {
        let inside = self.enter(&request)?;
        let v1::RevokeRequest { id } = request.into_inner();
        let what = ask::grant_or_handle(&id).map_err(failed)?;
        let revoked = self.whole(inside, |broker, actor| async move {
            match what {
                ask::GrantOrHandle::Grant(id) => broker.revoke(actor, id).await,
                ask::GrantOrHandle::Handle(id) => broker.revoke_handle(actor, id).await,
            }
        });
        Ok(Response::new(answer::grant(revoked.await?)))
    }

    async fn can(&self, request: Request<v1::CanRequest>) -> Answer<v1::CanResponse> {
        let _inside = self.enter(&request)?;
        let asked = policy::can(request.into_inner()).map_err(failed)?;
        let verdict = self.broker.can(&asked).map_err(failed)?;
        Ok(Response::new(policy::verdict(verdict)))
    }

    async fn plan(&self, request: Request<v1::PlanRequest>) -> Answer<v1::PlanResponse> {
        let inside = self.enter(&request)?;
        let asked = policy::plan(request.into_inner()).map_err(failed)?;
        let planned =
            self.whole(inside, |broker, actor| async move { broker.plan(actor, asked).await }).await?;
        Ok(Response::new(policy::planned(planned)))
    }

    async fn suggest(&self, request: Request<v1::SuggestRequest>) -> Answer<v1::SuggestResponse> {
        let _inside = self.enter(&request)?;
        let v1::SuggestRequest { agent, since_ms } = request.into_inner();
        let agent = ask::agent(&agent).map_err(failed)?;
        let suggested = self.broker.suggest(&agent, since_ms).await.map_err(failed)?;
        Ok(Response::new(policy::suggested(suggested)))
    }

    async fn simulate(&self, request: Request<v1::SimulateRequest>) -> Answer<v1::SimulateResponse> {
        let inside = self.enter(&request)?;
        let (grants, agent, since_ms) = policy::simulate(request.into_inner()).map_err(failed)?;
        let simulated =
            self.whole(inside, |broker, actor| async move {
                broker.simulate(actor, grants, agent, since_ms).await
            })
            .await?;
        Ok(Response::new(policy::simulated(simulated)))
    }

    async fn read_log(&self, request: Request<v1::ReadLogRequest>) -> Answer<v1::ReadLogResponse> {
        let inside = self.enter(&request)?;
        let wanted = ask::log(request.into_inner()).map_err(failed)?;
        let events =
            self.whole(inside, |broker, actor| async move { broker.log(actor, wanted).await }).await?;
        Ok(Response::new(v1::ReadLogResponse { events: events.into_iter().map(answer::event).collect() }))
    }

    async fn why(&self, request: Request<v1::WhyRequest>) -> Answer<v1::WhyResponse> {
        let inside = self.enter(&request)?;
        let reference = ask::reference(request.into_inner()).map_err(failed)?;
        let explained =
            self.whole(inside, |broker, actor| async move { broker.why(actor, reference).await }).await?;
        Ok(Response::new(answer::explained(explained)))
    }

    async fn checkpoint(&self, request: Request<v1::CheckpointRequest>) -> Answer<v1::CheckpointResponse> {
        let _inside = self.enter(&request)?;
        let v1::CheckpointRequest {} = request.into_inner();
        let (note, key) = self.keeper.checkpoint().await?;
        Ok(Response::new(v1::CheckpointResponse { note, key }))
    }

    async fn reset_clock(&self, request: Request<v1::ResetClockRequest>) -> Answer<v1::ResetClockResponse> {
        let inside = self.enter(&request)?;
        let v1::ResetClockRequest {} = request.into_inner();
        let now_ms =
            self.whole(inside, |broker, actor| async move { broker.reset_clock(actor).await }).await?;
        Ok(Response::new(v1::ResetClockResponse { now_ms }))
    }

    async fn forget_known(&self, request: Request<v1::ForgetKnownRequest>) -> Answer<v1::Grant> {
        let inside = self.enter(&request)?;
        let v1::ForgetKnownRequest { grant, value } = request.into_inner();
        let id = self.grant_id(&grant)?;
        let value = (!value.is_empty()).then_some(value);
        let grant = self
            .whole(inside, |broker, actor| async move { broker.forget_known(actor, id, value).await })
            .await?;
        Ok(Response::new(answer::grant(grant)))
    }

    async fn list_approvals(
        &self,
        request: Request<v1::ListApprovalsRequest>,
    ) -> Answer<v1::ListApprovalsResponse> {
        let _inside = self.enter(&request)?;
        let (agent, all) = approvals::list(request.into_inner()).map_err(failed)?;
        let found = self.broker.approvals(agent.as_ref(), all).await.map_err(failed)?;
        let found = found.into_iter().map(approvals::approval).collect();
        Ok(Response::new(v1::ListApprovalsResponse { approvals: found }))
    }

    async fn show_approval(&self, request: Request<v1::ShowApprovalRequest>) -> Answer<v1::Approval> {
        let inside = self.enter(&request)?;
        let v1::ShowApprovalRequest { id } = request.into_inner();
        let id = approvals::id(&id).map_err(failed)?;
        let shown =
            self.whole(inside, |broker, actor| async move { broker.show_approval(actor, id).await }).await?;
        Ok(Response::new(approvals::approval(shown)))
    }

    async fn decide(&self, request: Request<v1::DecideRequest>) -> Answer<v1::Approval> {
        let inside = self.enter(&request)?;
        let (id, yes, answer) = approvals::decision(request.into_inner()).map_err(failed)?;
        let decided = self
            .whole(inside, move |broker, actor| async move { broker.decide(actor, id, yes, answer).await })
            .await?;
        Ok(Response::new(approvals::approval(decided)))
    }

    async fn untaint(&self, request: Request<v1::UntaintRequest>) -> Answer<v1::Agent> {
        let inside = self.enter(&request)?;
        let v1::UntaintRequest { name } = request.into_inner();
        let name = ask::agent(&name).map_err(failed)?;
        let untainted =
            self.whole(inside, |broker, actor| async move { broker.untaint(actor, &name).await }).await?;
        Ok(Response::new(self.agent(untainted)))
    }

    async fn show_agent(&self, request: Request<v1::ShowAgentRequest>) -> Answer<v1::Agent> {
        let _inside = self.enter(&request)?;
        let v1::ShowAgentRequest { name } = request.into_inner();
        let name = ask::agent(&name).map_err(failed)?;
        Ok(Response::new(self.agent(self.broker.show_agent(&name).map_err(failed)?)))
    }

    async fn trust_authors(&self, request: Request<v1::TrustAuthorsRequest>) -> Answer<v1::Secret> {
        let inside = self.enter(&request)?;
        let v1::TrustAuthorsRequest { secret, patterns } = request.into_inner();
        let name = ask::secret(&secret).map_err(failed)?;
        let changed = self
            .whole(inside, |broker, actor| async move { broker.trust_authors(actor, &name, patterns).await })
            .await?;
        Ok(Response::new(answer::secret(changed)))
    }

    async fn add_decoy(&self, request: Request<v1::AddDecoyRequest>) -> Answer<v1::Decoy> {
        let inside = self.enter(&request)?;
        let (kind, note) = watch::add_decoy(request.into_inner()).map_err(failed)?;
        let added = self
            .whole(inside, |broker, actor| async move { broker.add_decoy(actor, kind, &note).await })
            .await?;
        Ok(Response::new(watch::decoy(added)))
    }

    async fn list_decoys(&self, request: Request<v1::ListDecoysRequest>) -> Answer<v1::ListDecoysResponse> {
        let _inside = self.enter(&request)?;
        let v1::ListDecoysRequest {} = request.into_inner();
        let decoys = self.broker.decoys().map_err(failed)?;
        Ok(Response::new(v1::ListDecoysResponse { decoys: decoys.into_iter().map(watch::decoy).collect() }))
    }

    async fn remove_decoy(
        &self,
        request: Request<v1::RemoveDecoyRequest>,
    ) -> Answer<v1::RemoveDecoyResponse> {
        let inside = self.enter(&request)?;
        let v1::RemoveDecoyRequest { id } = request.into_inner();
        let id = watch::decoy_id(&id).map_err(failed)?;
        self.whole(inside, |broker, actor| async move { broker.remove_decoy(actor, id).await }).await?;
        Ok(Response::new(v1::RemoveDecoyResponse {}))
    }
}
