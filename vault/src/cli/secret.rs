//! `claviger secret`: values go in, and never come back out.

use clap::{Args, Subcommand, ValueEnum};
use claviger_proto::v1::secret_value::Kind;
use claviger_proto::v1::{
    AddSecretRequest, BasicValue, HeaderValue, ListSecretsRequest, Oauth2Value, RemoveSecretRequest,
    RotateSecretRequest, Secret, SecretValue, ShowSecretRequest,
};
use serde_json::json;

use super::client::{Named, Session, explained};
use super::entry::{into_message, value};
use super::failure::Failure;
use super::json;
use super::page::{Page, Tone};
use super::report::Report;
use super::time::moment;
use super::world::World;

/// `claviger secret …`.
#[derive(Debug, Subcommand)]
pub(super) enum SecretCommand {
    /// Put in a secret; its value is asked for. For OAuth accounts use `claviger connect`.
    Add(AddArgs),
    /// List secrets.
    Ls,
    /// Describe a secret: everything but its value.
    Show(NameArgs),
    /// Make a new version current; the old one is retired when its uses have ended.
    Rotate(RotateArgs),
    /// Remove a secret, and revoke the grants for it.
    Rm(RemoveArgs),
}

/// Arguments of `secret add`.
#[derive(Debug, Args)]
pub(super) struct AddArgs {
    /// SERVICE/NAME, such as github/me.
    name: String,
    /// What kind of credential it is.
    #[arg(long, value_enum)]
    kind: KindWord,
    #[command(flatten)]
    parts: Parts,
}

/// Arguments of `secret rotate`.
#[derive(Debug, Args)]
pub(super) struct RotateArgs {
    /// The secret.
    name: String,
    /// Enter a new value for an oauth2 secret too, instead of renewing it at the provider.
    #[arg(long)]
    enter: bool,
    #[command(flatten)]
    parts: Parts,
}

/// What of a credential is no secret, and where the secret part comes from.
#[derive(Debug, Args)]
struct Parts {
    /// The name of the header (kind header).
    #[arg(long, value_name = "X")]
    header_name: Option<String>,
    /// The user (kind basic).
    #[arg(long, value_name = "U")]
    user: Option<String>,
    /// The OAuth client's id (kind oauth2).
    #[arg(long, value_name = "ID")]
    client_id: Option<String>,
    /// Read the value from stdin; for oauth2 two lines, client secret and refresh token.
    #[arg(long)]
    stdin: bool,
}

/// A secret's name.
#[derive(Debug, Args)]
pub(super) struct NameArgs {
    /// The secret.
    name: String,
}

/// Arguments of `secret rm`.
#[derive(Debug, Args)]
pub(super) struct RemoveArgs {
    /// The secret.
    name: String,
    /// Revoke it at the service too. Google then ends all access of that client to the account.
    #[arg(long)]
    revoke_upstream: bool,
}

/// A kind of credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum KindWord {
    /// A token, sent as `Authorization: Bearer`.
    Bearer,
    /// A value in a header of its own.
    Header,
    /// User and password.
    Basic,
    /// An OAuth client with a refresh token that you already have.
    Oauth2,
}

/// Runs `claviger secret …`.
pub(super) async fn run(session: &mut Session<'_>, command: SecretCommand) -> Result<Report, Failure> {
    match command {
        SecretCommand::Add(args) => add(session, args).await,
        SecretCommand::Ls => list(session).await,
        SecretCommand::Show(args) => show(session, args).await,
        SecretCommand::Rotate(args) => rotate(session, args).await,
        SecretCommand::Rm(args) => remove(session, args).await,
    }
}

async fn add(session: &mut Session<'_>, args: AddArgs) -> Result<Report, Failure> {
    let AddArgs { name, kind, parts } = args;
    let missing = |what: &str, flag: &str| {
        Failure::usage(format!("this kind needs {what}")).hint(format!("give {flag}"))
    };
    match kind {
        KindWord::Header if parts.header_name.is_none() => {
            return Err(missing("the name of its header", "--header-name X"));
        }
        KindWord::Basic if parts.user.is_none() => return Err(missing("a user", "--user U")),
        KindWord::Oauth2 if parts.client_id.is_none() => {
            return Err(missing("the OAuth client's id", "--client-id ID, or use `claviger connect`"));
        }
        _ => {}
    }
    parts.check(kind)?;
    // Nobody should be asked for a value that then has nowhere to go.
    let mut admin = session.admin().await?;
    let value = parts.ask(session.world, kind)?;
    let request = AddSecretRequest { name: name.clone(), value: Some(value) };
    let secret = match admin.add_secret(request).await {
        Ok(response) => response.into_inner(),
        Err(status) => return Err(explained(&mut admin, status, &[Named::Service(service(&name))]).await),
    };
    let mut page = session.page();
    page.line(format!("secret {} is stored, version {}", secret.name, secret.version));
    page.fields(&[("may go to", secret.origins.join("\n"))]);
    page.line(format!("next: claviger grant add AGENT {} --read", secret.name));
    Ok(Report::new(json::secret(&secret), page))
}

impl Parts {
    /// Refuses what does not belong to that kind.
    fn check(&self, kind: KindWord) -> Result<(), Failure> {
        let stray = [
            ("--header-name", self.header_name.is_some() && kind != KindWord::Header),
            ("--user", self.user.is_some() && kind != KindWord::Basic),
            ("--client-id", self.client_id.is_some() && kind != KindWord::Oauth2),
        ];
        match stray.iter().find(|(_, stray)| *stray) {
            None => Ok(()),
            Some((flag, _)) => {
                Err(Failure::usage(format!("{flag} means nothing for this kind")).hint("leave it out"))
            }
        }
    }

    /// Asks for what is secret, and puts it together with what is not. What is left out stays as it is.
    fn ask(self, world: &mut World, kind: KindWord) -> Result<SecretValue, Failure> {
        let Parts { header_name, user, client_id, stdin } = self;
        let kind = match kind {
            KindWord::Bearer => Kind::Bearer(into_message(&value(world, "token", stdin)?)),
            KindWord::Header => Kind::Header(HeaderValue {
                name: header_name.unwrap_or_default(),
                value: into_message(&value(world, "header's value", stdin)?),
            }),
            KindWord::Basic => Kind::Basic(BasicValue {
                user: user.unwrap_or_default(),
                password: into_message(&value(world, "password", stdin)?),
            }),
            KindWord::Oauth2 => Kind::Oauth2(Oauth2Value {
                client_id: client_id.unwrap_or_default(),
                client_secret: into_message(&value(world, "client secret", stdin)?),
                refresh_token: into_message(&value(world, "refresh token", stdin)?),
            }),
        };
        Ok(SecretValue { kind: Some(kind) })
    }
}

async fn list(session: &mut Session<'_>) -> Result<Report, Failure> {
    let secrets = session.admin().await?.list_secrets(ListSecretsRequest {}).await?.into_inner().secrets;
    let now_ms = session.world.now_ms;
    let row = |secret: &Secret| {
        vec![
            secret.name.clone(),
            secret.kind.clone(),
            secret.version.to_string(),
            secret.email.clone(),
            if secret.needs_login { "needs login" } else { "ok" }.to_owned(),
            secret.grants.to_string(),
            super::time::relative(secret.rotated_at_ms.max(secret.created_at_ms), now_ms),
        ]
    };
    let mut page = session.page();
    let rows: Vec<_> = secrets.iter().map(row).collect();
    page.table(
        &["name", "kind", "version", "account", "state", "grants", "entered"],
        &rows,
        "no secrets; `claviger connect SERVICE/NAME --for read` or `claviger secret add` puts one in",
    );
    for secret in secrets.iter().filter(|secret| secret.needs_login) {
        page.toned(Tone::Alarm, needs_login(&secret.name));
    }
    Ok(Report::new(json!({ "secrets": secrets.iter().map(json::secret).collect::<Vec<_>>() }), page))
}

async fn show(session: &mut Session<'_>, args: NameArgs) -> Result<Report, Failure> {
    let NameArgs { name } = args;
    let mut admin = session.admin().await?;
    let secret = match admin.show_secret(ShowSecretRequest { name: name.clone() }).await {
        Ok(response) => response.into_inner(),
        Err(status) => return Err(explained(&mut admin, status, &[Named::Secret(&name)]).await),
    };
    let mut page = session.page();
    describe(&mut page, &secret, session.world.now_ms);
    Ok(Report::new(json::secret(&secret), page))
}

async fn rotate(session: &mut Session<'_>, args: RotateArgs) -> Result<Report, Failure> {
    let RotateArgs { name, enter, parts } = args;
    let mut admin = session.admin().await?;
    let secret = match admin.show_secret(ShowSecretRequest { name: name.clone() }).await {
        Ok(response) => response.into_inner(),
        Err(status) => return Err(explained(&mut admin, status, &[Named::Secret(&name)]).await),
    };
    let kind = KindWord::from_str(&secret.kind, false).map_err(|_| {
        Failure::new(format!("this version cannot rotate a secret of kind {}", secret.kind))
            .hint("use the `claviger` that belongs to the vault that runs")
    })?;
    parts.check(kind)?;
    // The provider renews what it issued; anything else, only its owner can make anew.
    let renew = kind == KindWord::Oauth2 && !enter && parts.client_id.is_none();
    if renew && parts.stdin {
        return Err(Failure::usage("an oauth2 secret is renewed at its provider, without a value")
            .hint("leave out --stdin, or add --enter to hand in a new one"));
    }
    let value = if renew { None } else { Some(parts.ask(session.world, kind)?) };
    let rotated = admin.rotate_secret(RotateSecretRequest { name, value }).await?.into_inner();
    let secret = rotated.secret.unwrap_or_default();
    let mut page = session.page();
    page.line(format!("secret {} has version {} now", secret.name, secret.version));
    page.fields(&[("old version upstream", rotated.old_version_upstream.clone())]);
    let json =
        json!({ "secret": json::secret(&secret), "old_version_upstream": rotated.old_version_upstream });
    Ok(Report::new(json, page))
}

async fn remove(session: &mut Session<'_>, args: RemoveArgs) -> Result<Report, Failure> {
    let RemoveArgs { name, revoke_upstream } = args;
    let mut admin = session.admin().await?;
    let removed = match admin.remove_secret(RemoveSecretRequest { name: name.clone(), revoke_upstream }).await
    {
        Ok(response) => response.into_inner(),
        Err(status) => return Err(explained(&mut admin, status, &[Named::Secret(&name)]).await),
    };
    let mut page = session.page();
    page.line(format!("secret {name} is removed; {} grants were revoked", removed.revoked_grants));
    page.fields(&[("upstream", removed.upstream.clone())]);
    if !revoke_upstream {
        page.line("the service still takes it, if somebody else has it: revoke it there too");
    }
    let json =
        json!({ "removed": name, "upstream": removed.upstream, "revoked_grants": removed.revoked_grants });
    Ok(Report::new(json, page))
}

/// Everything about a secret that may be known.
pub(super) fn describe(page: &mut Page, secret: &Secret, now_ms: u64) {
    let versions: Vec<_> = secret
        .versions
        .iter()
        .map(|version| {
            format!("{} {}, {}", version.number, version.state, moment(version.created_at_ms, now_ms))
        })
        .collect();
    page.fields(&[
        ("secret", secret.name.clone()),
        ("kind", secret.kind.clone()),
        ("account", secret.email.clone()),
        ("subject", secret.subject.clone()),
        ("may go to", secret.origins.join("\n")),
        ("tokens from", secret.token_endpoint.clone()),
        ("scopes", secret.scopes.join("\n")),
        ("serves", secret.serves.join("\n")),
        ("cannot serve", secret.cannot_serve.join("\n")),
        ("tool names", if secret.default { "short" } else { "with the account's name" }.to_owned()),
        ("private", if secret.private { "yes: it may go to this network" } else { "" }.to_owned()),
        ("made", moment(secret.created_at_ms, now_ms)),
        ("rotated", moment(secret.rotated_at_ms, now_ms)),
        ("versions", versions.join("\n")),
        ("grants", secret.grants.to_string()),
    ]);
    if secret.needs_login {
        page.toned(Tone::Alarm, needs_login(&secret.name));
    }
}

fn needs_login(name: &str) -> String {
    format!(
        "warning: the service no longer takes {name}: `claviger connect {name} --renew --for …` signs in again"
    )
}

/// The service of `SERVICE/NAME`.
pub(super) fn service(name: &str) -> &str {
    name.split_once('/').map_or(name, |(service, _)| service)
}
