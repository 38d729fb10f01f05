//! Google's error bodies.

use serde_json::json;

use crate::wire::Reply;

/// An error in the shape all Google APIs share: `{"error": {code, message, errors, status}}`.
pub(crate) fn error(code: u16, status: &str, reason: &str, message: &str) -> Reply {
    Reply::json(
        code,
        &json!({ "error": {
            "code": code,
            "message": message,
            "errors": [{ "message": message, "domain": "global", "reason": reason }],
            "status": status,
        }}),
    )
}

/// 400 for what cannot be understood.
pub(crate) fn bad_request(message: &str) -> Reply {
    error(400, "INVALID_ARGUMENT", "badRequest", message)
}

/// 400 for a value out of the allowed ones.
pub(crate) fn invalid_argument(message: &str) -> Reply {
    error(400, "INVALID_ARGUMENT", "invalidArgument", message)
}

/// 404.
pub(crate) fn not_found(message: &str) -> Reply {
    error(404, "NOT_FOUND", "notFound", message)
}

/// 403 for other reasons than the token's scopes.
pub(crate) fn forbidden(reason: &str, message: &str) -> Reply {
    error(403, "PERMISSION_DENIED", reason, message)
}

/// 401: no bearer, or one that is unknown, expired or revoked. RFC 6750 section 3.
pub(crate) fn unauthenticated() -> Reply {
    let message = "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or \
                   other valid authentication credential.";
    Reply::json(
        401,
        &json!({ "error": {
            "code": 401,
            "message": message,
            "errors": [{
                "message": "Invalid Credentials", "domain": "global", "reason": "authError",
                "location": "Authorization", "locationType": "header",
            }],
            "status": "UNAUTHENTICATED",
        }}),
    )
    .with("www-authenticate", "Bearer realm=\"https://accounts.google.com/\", error=\"invalid_token\"")
}

/// 403: the bearer is good, but has none of the scopes the method accepts. RFC 6750 section 3.1.
pub(crate) fn insufficient_scope(method: &str, accepted: &[&str]) -> Reply {
    let service = match method.split('.').next() {
        Some("gmail") => "gmail.googleapis.com",
        Some("calendar") => "calendar-json.googleapis.com",
        Some("people") => "people.googleapis.com",
        _ => "drive.googleapis.com",
    };
    let scopes: Vec<String> = accepted.iter().map(|scope| crate::scopes::full(scope)).collect();
    Reply::json(
        403,
        &json!({ "error": {
            "code": 403,
            "message": "Request had insufficient authentication scopes.",
            "errors": [{
                "message": "Insufficient Permission", "domain": "global", "reason": "insufficientPermissions",
            }],
            "status": "PERMISSION_DENIED",
            "details": [{
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": "ACCESS_TOKEN_SCOPE_INSUFFICIENT",
                "domain": "googleapis.com",
                "metadata": { "method": method, "service": service },
            }],
        }}),
    )
    .with(
        "www-authenticate",
        &format!(
            "Bearer realm=\"https://accounts.google.com/\", error=\"insufficient_scope\", scope=\"{}\"",
            scopes.join(" ")
        ),
    )
}

/// An OAuth error of RFC 6749 section 5.2: `{"error", "error_description"}`.
pub(crate) fn oauth(code: u16, error: &str, description: &str) -> Reply {
    let reply = Reply::json(code, &json!({ "error": error, "error_description": description }))
        .with("cache-control", "no-store")
        .with("pragma", "no-cache");
    if code == 401 { reply.with("www-authenticate", "Basic realm=\"stand-in\"") } else { reply }
}
