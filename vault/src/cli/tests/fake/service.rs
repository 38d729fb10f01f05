//! What it answers to each call.

use claviger_proto::v1::admin_service_server::AdminService;
use claviger_proto::v1::*;
use tonic::{Request, Response, Status};

use super::Kept;
use super::Vault;
use super::samples::{agent, approval, decoy, event, grant, secret};

type Answer<A> = Result<Response<A>, Status>;

#[tonic::async_trait]
impl AdminService for Vault {
    async fn status(&self, request: Request<StatusRequest>) -> Answer<StatusResponse> {
        let answer = StatusResponse {
            version: "0.1.0".into(),
            vault: "vlt_1".into(),
            single_user: true,
            key_memory: "locked".into(),
            recipients: vec!["daily".into(), "recovery".into()],
            audit_records: 12,
            alerts: 3,
            newest_alerts: vec![RecentAlert {
                at_ms: 1_800_000_000_000 - 60_000,
                what: "decoy-used".into(),
                agent: "openclaw".into(),
                reference: "ref_0123456789abcdef".into(),
            }],
            ..StatusResponse::default()
        };
        self.answer("status", &request, answer)
    }

    async fn unseal(&self, request: Request<UnsealRequest>) -> Answer<UnsealResponse> {
        self.answer("unseal", &request, UnsealResponse {})
    }

    async fn seal(&self, request: Request<SealRequest>) -> Answer<SealResponse> {
        self.answer("seal", &request, SealResponse {})
    }

    async fn list_services(&self, request: Request<ListServicesRequest>) -> Answer<ListServicesResponse> {
        self.answer("list_services", &request, ListServicesResponse { services: self.stock.services.clone() })
    }

    async fn add_agent(&self, request: Request<AddAgentRequest>) -> Answer<Agent> {
        let answer = agent(&request.get_ref().name);
        self.answer("add_agent", &request, answer)
    }

    async fn list_agents(&self, request: Request<ListAgentsRequest>) -> Answer<ListAgentsResponse> {
        self.answer("list_agents", &request, ListAgentsResponse { agents: self.stock.agents.clone() })
    }

    async fn remove_agent(&self, request: Request<RemoveAgentRequest>) -> Answer<RemoveAgentResponse> {
        self.answer("remove_agent", &request, RemoveAgentResponse { revoked_grants: 2 })
    }

    async fn freeze(&self, request: Request<FreezeRequest>) -> Answer<Agent> {
        let answer = Agent { frozen: true, ..agent(&request.get_ref().name) };
        self.answer("freeze", &request, answer)
    }

    async fn thaw(&self, request: Request<ThawRequest>) -> Answer<Agent> {
        let answer = agent(&request.get_ref().name);
        self.answer("thaw", &request, answer)
    }

    async fn add_adapter(&self, request: Request<AddAdapterRequest>) -> Answer<Adapter> {
        let answer = Adapter { name: request.get_ref().name.clone(), ..Adapter::default() };
        self.answer("add_adapter", &request, answer)
    }

    async fn list_adapters(&self, request: Request<ListAdaptersRequest>) -> Answer<ListAdaptersResponse> {
        let adapters = vec![Adapter { name: "gmail".into(), ..Adapter::default() }];
        self.answer("list_adapters", &request, ListAdaptersResponse { adapters })
    }

    async fn remove_adapter(&self, request: Request<RemoveAdapterRequest>) -> Answer<RemoveAdapterResponse> {
        self.answer("remove_adapter", &request, RemoveAdapterResponse {})
    }

    async fn begin_connect(&self, request: Request<BeginConnectRequest>) -> Answer<BeginConnectResponse> {
        let asked = request.get_ref();
        let mut address: url::Url = "https://accounts.example/auth".parse().unwrap();
        if asked.secret == "gmail/deny" {
            address.set_path("/deny");
        }
        address
            .query_pairs_mut()
            .append_pair("redirect_uri", &asked.redirect_uri)
            .append_pair("state", "st4te");
        let mut authorize_url = address.to_string();
        if asked.secret == "gmail/plain" {
            authorize_url = authorize_url.replace("https://", "http://");
        }
        self.answer("begin_connect", &request, BeginConnectResponse { session: "s1".into(), authorize_url })
    }

    async fn finish_connect(&self, request: Request<FinishConnectRequest>) -> Answer<FinishConnectResponse> {
        let answer = FinishConnectResponse {
            secret: Some(secret("gmail/me")),
            missing_scopes: vec!["gmail.send".into()],
            crippled_tools: vec!["gmail.send_message".into()],
        };
        self.answer("finish_connect", &request, answer)
    }

    async fn add_secret(&self, request: Request<AddSecretRequest>) -> Answer<Secret> {
        let answer = secret(&request.get_ref().name);
        let answered = self.answer("add_secret", &request, answer.clone())?;
        if let Some(kept) = &self.stock.kept {
            kept.lock().unwrap().secrets.push(answer);
        }
        Ok(answered)
    }

    async fn list_secrets(&self, request: Request<ListSecretsRequest>) -> Answer<ListSecretsResponse> {
        let secrets = match &self.stock.kept {
            Some(kept) => kept.lock().unwrap().secrets.clone(),
            None => vec![secret("gmail/me"), Secret { needs_login: true, ..secret("drive/me") }],
        };
        self.answer("list_secrets", &request, ListSecretsResponse { secrets })
    }

    async fn show_secret(&self, request: Request<ShowSecretRequest>) -> Answer<Secret> {
        let answer = secret(&request.get_ref().name);
        self.answer("show_secret", &request, answer)
    }

    async fn rotate_secret(&self, request: Request<RotateSecretRequest>) -> Answer<RotateSecretResponse> {
        let secret = Secret { version: 2, ..secret(&request.get_ref().name) };
        let answer = RotateSecretResponse { secret: Some(secret), old_version_upstream: "revoked".into() };
        self.answer("rotate_secret", &request, answer)
    }

    async fn remove_secret(&self, request: Request<RemoveSecretRequest>) -> Answer<RemoveSecretResponse> {
        self.answer(
            "remove_secret",
            &request,
            RemoveSecretResponse { upstream: "not asked".into(), revoked_grants: 1 },
        )
    }

    async fn add_grant(&self, request: Request<AddGrantRequest>) -> Answer<Grant> {
        self.answer("add_grant", &request, grant())
    }

    async fn list_grants(&self, request: Request<ListGrantsRequest>) -> Answer<ListGrantsResponse> {
        self.answer("list_grants", &request, ListGrantsResponse { grants: vec![grant()] })
    }

    async fn show_grant(&self, request: Request<ShowGrantRequest>) -> Answer<Grant> {
        self.answer("show_grant", &request, grant())
    }

    async fn revoke(&self, request: Request<RevokeRequest>) -> Answer<Grant> {
        self.answer("revoke", &request, Grant { state: "revoked".into(), ..grant() })
    }

    async fn read_log(&self, request: Request<ReadLogRequest>) -> Answer<ReadLogResponse> {
        self.answer("read_log", &request, ReadLogResponse { events: vec![event()] })
    }

    async fn why(&self, request: Request<WhyRequest>) -> Answer<WhyResponse> {
        let answer = WhyResponse { event: Some(event()), grant: Some(grant()), call: vec![event(), event()] };
        self.answer("why", &request, answer)
    }

    async fn checkpoint(&self, request: Request<CheckpointRequest>) -> Answer<CheckpointResponse> {
        let answer = CheckpointResponse {
            note: "claviger/vlt_1\n12\nroot\n\n— sig\n".into(),
            key: "claviger+1+k".into(),
        };
        self.answer("checkpoint", &request, answer)
    }

    async fn reset_clock(&self, request: Request<ResetClockRequest>) -> Answer<ResetClockResponse> {
        self.answer("reset_clock", &request, ResetClockResponse { now_ms: 1_800_000_000_000 })
    }

    async fn forget_known(&self, request: Request<ForgetKnownRequest>) -> Answer<Grant> {
        self.answer("forget_known", &request, grant())
    }

    async fn list_approvals(&self, request: Request<ListApprovalsRequest>) -> Answer<ListApprovalsResponse> {
        let approvals = vec![approval("call"), Approval { state: "denied".into(), ..approval("task") }];
        self.answer("list_approvals", &request, ListApprovalsResponse { approvals })
    }

    async fn show_approval(&self, request: Request<ShowApprovalRequest>) -> Answer<Approval> {
        let kind = if request.get_ref().id.ends_with('0') { "question" } else { "call" };
        self.answer("show_approval", &request, approval(kind))
    }

    async fn decide(&self, request: Request<DecideRequest>) -> Answer<Approval> {
        let state = if request.get_ref().yes { "approved" } else { "denied" };
        self.answer("decide", &request, Approval { state: state.into(), ..approval("call") })
    }

    async fn untaint(&self, request: Request<UntaintRequest>) -> Answer<Agent> {
        let answer = Agent { inputs: "vault".into(), ..agent(&request.get_ref().name) };
        self.answer("untaint", &request, answer)
    }

    async fn show_agent(&self, request: Request<ShowAgentRequest>) -> Answer<Agent> {
        let source = TaintSource {
            at_ms: 1_800_000_000_000 - 60_000,
            tool: "gmail.get_message".into(),
            secret: "gmail/me".into(),
            reference: "ref_0123456789abcdef".into(),
        };
        let answer = Agent {
            inputs: "vault".into(),
            tainted: true,
            tainted_at_ms: source.at_ms,
            taint: vec![source],
            ..agent(&request.get_ref().name)
        };
        self.answer("show_agent", &request, answer)
    }

    async fn trust_authors(&self, request: Request<TrustAuthorsRequest>) -> Answer<Secret> {
        let asked = request.get_ref();
        let answer = Secret { trusted_authors: asked.patterns.clone(), ..secret(&asked.secret) };
        self.answer("trust_authors", &request, answer)
    }

    async fn add_decoy(&self, request: Request<AddDecoyRequest>) -> Answer<Decoy> {
        self.answer("add_decoy", &request, decoy())
    }

    async fn list_decoys(&self, request: Request<ListDecoysRequest>) -> Answer<ListDecoysResponse> {
        self.answer("list_decoys", &request, ListDecoysResponse { decoys: vec![decoy()] })
    }

    async fn remove_decoy(&self, request: Request<RemoveDecoyRequest>) -> Answer<RemoveDecoyResponse> {
        self.answer("remove_decoy", &request, RemoveDecoyResponse {})
    }

    async fn can(&self, request: Request<CanRequest>) -> Answer<CanResponse> {
        let answer = CanResponse {
            answer: "no".into(),
            objections: vec![Objection {
                grant: "gr_0011223344556677".into(),
                class: "out-of-scope".into(),
                field: "to".into(),
                caveat: "recipients = *@example.com".into(),
                value: "a@b.cd".into(),
                fix: "add a@b.cd to the recipients of a new grant".into(),
            }],
            ..CanResponse::default()
        };
        self.answer("can", &request, answer)
    }

    async fn plan(&self, request: Request<PlanRequest>) -> Answer<PlanResponse> {
        let applied = request.get_ref().apply;
        if let Some(kept) = &self.stock.kept {
            let answer = planned(&mut kept.lock().unwrap(), request.get_ref());
            return self.answer("plan", &request, answer);
        }
        let tests = request.get_ref().tests.iter().map(|test| TestResult {
            test: Some(test.clone()),
            holds: test.expect == "no",
            got: Some(CanResponse { answer: "no".into(), ..CanResponse::default() }),
        });
        let answer = PlanResponse {
            changes: vec![Change {
                kind: "change".into(),
                grant: "gr_0011223344556677".into(),
                name: "mail".into(),
                before: vec!["rate = 60/1h".into()],
                after: vec!["rate = 30/1h".into()],
                sentence: "openclaw may read".into(),
                ..Change::default()
            }],
            tests: tests.collect(),
            digest: "d1".into(),
            applied,
        };
        self.answer("plan", &request, answer)
    }

    async fn suggest(&self, request: Request<SuggestRequest>) -> Answer<SuggestResponse> {
        let answer = SuggestResponse {
            grants: vec![AddGrantRequest {
                agent: "openclaw".into(),
                secret: "gmail/me".into(),
                tools: vec!["gmail.send_message".into()],
                caveats: vec![
                    Caveat { kind: Some(caveat::Kind::Rate(Rate { count: 3, per_seconds: 3600 })) },
                    Caveat {
                        kind: Some(caveat::Kind::Recipients(Patterns { patterns: vec!["a@b.cd".into()] })),
                    },
                ],
                expires_in_seconds: 2_592_000,
                ..AddGrantRequest::default()
            }],
            calls: vec![3],
            unused: vec![Unused {
                grant: "gr_0011223344556677".into(),
                tools: vec!["gmail.get_message".into()],
                whole: true,
            }],
            looked_at: 3,
            forgotten: 0,
        };
        self.answer("suggest", &request, answer)
    }

    async fn simulate(&self, request: Request<SimulateRequest>) -> Answer<SimulateResponse> {
        self.answer("simulate", &request, SimulateResponse { same: 4, ..SimulateResponse::default() })
    }
}

/// What a vault says to a list of grants with names, and keeps of it.
fn planned(kept: &mut Kept, request: &PlanRequest) -> PlanResponse {
    let change = |wanted: &AddGrantRequest| {
        let there =
            kept.grants.iter().find(|grant| (&grant.agent, &grant.name) == (&wanted.agent, &wanted.name));
        let kind = match there {
            None => "add",
            Some(there) if there == wanted => "keep",
            Some(_) => "change",
        };
        let sentence = format!("{} may {} with {}.", wanted.agent, wanted.tools.join(", "), wanted.secret);
        Change { kind: kind.into(), name: wanted.name.clone(), sentence, ..Change::default() }
    };
    let changes = request.grants.iter().map(change).collect();
    if request.apply {
        for wanted in &request.grants {
            kept.grants.retain(|grant| (&grant.agent, &grant.name) != (&wanted.agent, &wanted.name));
            kept.grants.push(wanted.clone());
        }
    }
    PlanResponse { changes, digest: "d1".into(), applied: request.apply, ..PlanResponse::default() }
}
