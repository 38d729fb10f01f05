// The strict half of OAuth: what Google refuses and the emulator lets pass.
//
// The whole dance, without a browser:
//   1. GET  /o/oauth2/v2/auth?response_type=code&client_id=…&redirect_uri=…&scope=…&state=…&code_challenge=…
//           &code_challenge_method=S256&access_type=offline
//      answers with a consent page: one form for each seeded user.
//   2. POST /o/oauth2/v2/auth/callback, form-encoded, with the hidden fields of that form: email, redirect_uri,
//      scope, state, nonce, client_id, code_challenge, code_challenge_method, access_type.
//      This is the user's click; a test posts it itself. It answers 302 to redirect_uri?code=…&state=….
//   3. POST /oauth2/token (Google's own path, /token, works as well), form-encoded: grant_type=authorization_code,
//      code, redirect_uri, client_id, client_secret, code_verifier.

import { fullScope } from './methods.mjs';

const ALIASES = { '/token': '/oauth2/token', '/revoke': '/oauth2/revoke' };

/** Google's path for an endpoint, as the emulator calls it. */
export function emulatorPath(path) {
  return ALIASES[path] ?? path;
}

/** Splits a scope string and writes each in full. */
export function splitScopes(text) {
  return text.split(/\s+/).filter(Boolean).map(fullScope);
}

/**
 * @param {{forward: (request: Request) => Promise<Response>, store: object, gs: object, ledger: object,
 *   lifetime: number}} parts `lifetime` of an access token in seconds
 * @returns {Record<string, (request: Request, url: URL) => Promise<Response>>} by verb and path
 */
export function oauthRoutes({ forward, store, gs, ledger, lifetime }) {
  // Authorization codes for which a refresh token was asked (`access_type=offline`); the emulator gives one to all.
  const offline = new Set();

  // A fault of an authorization request, or null.
  const fault = (fields) => {
    const client = gs.oauthClients.findOneBy('client_id', fields.get('client_id') ?? '');
    if (!client) return 'invalid_client';
    if (!client.redirect_uris.includes(fields.get('redirect_uri'))) return 'redirect_uri_mismatch';
    if (!/^[A-Za-z0-9_-]{43}$/.test(fields.get('code_challenge') ?? '')) return 'invalid_request';
    if (fields.get('code_challenge_method') !== 'S256') return 'invalid_request';
    if (splitScopes(fields.get('scope') ?? '').length === 0) return 'invalid_scope';
    return null;
  };

  const authorize = async (request, url) => {
    const wrong = fault(url.searchParams);
    if (wrong) return oauthError(400, wrong);
    if (url.searchParams.get('response_type') !== 'code') return oauthError(400, 'unsupported_response_type');
    const page = await forward(request);
    if (!page.ok || url.searchParams.get('access_type') !== 'offline') return page;
    const hidden = '<input type="hidden" name="access_type" value="offline"/><button type="submit"';
    return new Response((await page.text()).replaceAll('<button type="submit"', hidden), {
      status: page.status,
      headers: { 'content-type': 'text/html; charset=utf-8' },
    });
  };

  const callback = async (request) => {
    const text = await request.text();
    const form = new URLSearchParams(text);
    const wrong = fault(form) ?? (gs.users.findOneBy('email', form.get('email') ?? '') ? null : 'access_denied');
    if (wrong) return oauthError(400, wrong);
    const answer = await forward(withBody(request, text));
    const code = new URL(answer.headers.get('location')).searchParams.get('code');
    if (form.get('access_type') === 'offline') offline.add(code);
    return answer;
  };

  const token = async (request) => {
    const text = await request.text();
    const form = new URLSearchParams(text);
    const refreshing = form.get('grant_type') === 'refresh_token';
    const known = ledger.refreshTokens.get(form.get('refresh_token'));
    const narrowed = refreshing && form.has('scope') ? splitScopes(form.get('scope')) : null;
    if (narrowed && known) {
      const held = splitScopes(known.scope);
      if (narrowed.length === 0 || !narrowed.every((scope) => held.includes(scope))) {
        return oauthError(400, 'invalid_scope');
      }
    }
    const pending = store.getData('google.oauth.pendingCodes')?.get(form.get('code'));
    if (!refreshing && pending) {
      if (pending.redirectUri !== form.get('redirect_uri')) return oauthError(400, 'redirect_uri_mismatch');
      if (pending.clientId !== form.get('client_id')) return oauthError(400, 'invalid_grant');
    }

    const answer = await forward(withBody(request, text));
    if (!answer.ok) return answer;
    const body = await answer.json();
    const scopes = narrowed ?? splitScopes(body.scope);
    if (!refreshing && !offline.delete(form.get('code'))) {
      ledger.refreshTokens.delete(body.refresh_token);
      delete body.refresh_token;
    }
    if (!scopes.includes('openid')) delete body.id_token;
    const refresh = refreshing ? form.get('refresh_token') : (body.refresh_token ?? null);
    ledger.record(body.access_token, { scopes, lifetime, refresh });
    return Response.json({ ...body, expires_in: lifetime, scope: scopes.join(' ') }, { headers: NO_STORE });
  };

  const revoke = async (request, url) => {
    const form = new URLSearchParams(await request.text());
    const known = ledger.revoke(form.get('token') ?? url.searchParams.get('token') ?? '');
    return known ? Response.json({}) : oauthError(400, 'invalid_token');
  };

  return {
    'GET /o/oauth2/v2/auth': authorize,
    'POST /o/oauth2/v2/auth/callback': callback,
    'POST /oauth2/token': token,
    'POST /oauth2/revoke': revoke,
    'GET /.well-known/openid-configuration': (request) => forward(request),
    'GET /oauth2/v3/certs': (request) => forward(request),
  };
}

const NO_STORE = { 'cache-control': 'no-store' };

function oauthError(status, error) {
  return Response.json({ error, error_description: error.replaceAll('_', ' ') }, { status, headers: NO_STORE });
}

/** The same request once more, its body having been read. */
export function withBody(request, text) {
  return new Request(request.url, { method: request.method, headers: request.headers, body: text });
}
