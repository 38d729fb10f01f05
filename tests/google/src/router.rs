//! Which handler a request goes to.

use http::Method;
use serde_json::Value;

use crate::fields::Fields;
use crate::wire::{Answer, Call, Reply};
use crate::world::World;
use crate::{calendar, drive, gmail, google_error as refuse, oauth, people, token_endpoint};

const ABOUT: &str = "<!doctype html><title>stand-in-google</title><h1>This is not Google</h1><p>This is \
    <code>stand-in-google</code>, a server for tests and demonstrations. It answers some of the paths of Google's \
    OAuth, Gmail v1, Drive v3, Calendar v3 and People v1 from invented data in memory, and forgets it all when it ends.</p>\n";

/// Answers a request.
pub(crate) fn answer(world: &mut World, call: &Call) -> Reply {
    let result = route(world, call);
    match result {
        Ok(reply) | Err(reply) => reply,
    }
}

fn route(world: &mut World, call: &Call) -> Answer {
    let segments = call.segments.as_ref().ok_or_else(|| refuse::not_found("Not Found"))?;
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    match segments.as_slice() {
        [] if call.method == Method::GET => {
            Ok(Reply::new(200, ABOUT).with("content-type", "text/html; charset=utf-8"))
        }
        ["o", "oauth2", "v2", "auth"] => oauth::authorize(world, call),
        ["token"] => token_endpoint::token(world, call),
        ["revoke"] => token_endpoint::revoke(world, call),
        ["oauth2", "v3", "userinfo"] => oauth::userinfo(world, call),
        ["gmail", "v1", "users", rest @ ..] => {
            // `fields` is checked before the handler runs: a refused request must have no effect.
            let fields = call.query.get("fields").map(Fields::parse).transpose()?;
            let reply = gmail::route(world, call, rest)?;
            Ok(match fields {
                Some(fields) => project(&fields, reply),
                None => reply,
            })
        }
        ["upload", "gmail", "v1", "users", rest @ ..] => gmail::route_upload(world, call, rest),
        ["batch"] | ["batch", "gmail", "v1"] => gmail::route_batch(world, call),
        ["drive", "v3", "about"] => drive::route_about(world, call),
        ["drive", "v3", "files", rest @ ..] => drive::route(world, call, rest),
        ["calendar", "v3", rest @ ..] => calendar::route(world, call, rest),
        ["v1", rest @ ..] => people::route(world, call, rest),
        ["upload", "drive", "v3", "files", rest @ ..] => drive::route_upload(world, call, rest),
        _ => Err(refuse::not_found("Not Found")),
    }
}

fn project(fields: &Fields, reply: Reply) -> Reply {
    match serde_json::from_slice::<Value>(&reply.body) {
        Ok(value) => Reply::json(reply.status, &fields.project(&value)),
        Err(_) => reply,
    }
}
