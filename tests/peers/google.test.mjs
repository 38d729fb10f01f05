// Proves that the stand-in for Google refuses what Google refuses.
//
// `strict` runs a test twice: through the wrapper, where it has to hold, and against the bare emulator with the same
// seed, where it has to fail. A check that the wrapper does not need, or a test that proves nothing, shows at once.

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { request as httpsRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { parse } from 'yaml';

import { parseDriveQuery } from './google/drive-query.mjs';
import { applyMask, parseMask } from './google/field-mask.mjs';
import { parseGmailQuery } from './google/gmail-query.mjs';
import { findMethod } from './google/methods.mjs';
import { strictGoogle } from './google/strict.mjs';

const here = (name) => fileURLToPath(new URL(name, import.meta.url));
const SEED = readFileSync(here('seed.yaml'), 'utf8');
const BASE = 'https://127.0.0.1:1';
const CLIENT = { client_id: 'claviger-test.apps.googleusercontent.com', client_secret: 'stand-in-client-secret' };
const OTHER_CLIENT = { client_id: 'other.apps.googleusercontent.com', client_secret: 'other-secret' };
const REDIRECT = 'http://127.0.0.1:8765/oauth/callback';
const VERIFIER = 'v'.repeat(64);
const GMAIL = '/gmail/v1/users/me';

// One stand-in with a clock of its own, seen through one of its two doors.
function open(door) {
  const clock = { now: Date.UTC(2026, 10, 10) };
  const seed = parse(SEED);
  seed.oauth_clients.push({ ...OTHER_CLIENT, redirect_uris: [REDIRECT] });
  const google = strictGoogle({ seed, baseUrl: BASE, now: () => clock.now });
  const call = (path, init) => google[door](new Request(BASE + path, init));
  const form = (path, fields) => call(path, { method: 'POST', body: new URLSearchParams(fields) });
  return {
    clock,
    form,
    call,
    ids: google.ids,
    // The tests' own endpoints exist on the strict door only; the tokens they make work at both.
    async mint(scopes, more) {
      const body = JSON.stringify({ scopes, ...more });
      const answer = await google.fetch(new Request(`${BASE}/stand-in/token`, { method: 'POST', body }));
      assert.equal(answer.status, 200);
      return answer.json();
    },
    as(token) {
      return (path, method = 'GET', json) =>
        call(path, {
          method,
          headers: { authorization: `Bearer ${token}`, ...(json ? { 'content-type': 'application/json' } : {}) },
          body: json && JSON.stringify(json),
        });
    },
    refresh: (token, more) => form('/oauth2/token', { grant_type: 'refresh_token', refresh_token: token, ...CLIENT, ...more }),
    log: async () => (await google.fetch(new Request(`${BASE}/stand-in/log`))).json(),
  };
}

function strict(name, body) {
  test(name, async () => {
    await body(open('fetch'));
    await assert.rejects(body(open('stock')), assert.AssertionError, `the bare emulator passes "${name}" as well`);
  });
}

const plain = (name, body) => test(name, () => body(open('fetch')));

const authorization = (change) => ({
  response_type: 'code',
  client_id: CLIENT.client_id,
  redirect_uri: REDIRECT,
  scope: 'openid email gmail.readonly gmail.send'.replaceAll('gmail.', 'https://www.googleapis.com/auth/gmail.'),
  state: 'state-1',
  code_challenge: createHash('sha256').update(VERIFIER).digest('base64url'),
  code_challenge_method: 'S256',
  access_type: 'offline',
  ...change,
});
const without = (fields, name) => Object.fromEntries(Object.entries(fields).filter(([key]) => key !== name));
const consent = (google, fields) => google.form('/o/oauth2/v2/auth/callback', { email: 'owner@example.com', ...fields });

async function dance(google, change) {
  const answer = await consent(google, authorization(change));
  assert.equal(answer.status, 302);
  const code = new URL(answer.headers.get('location')).searchParams.get('code');
  const exchange = (more) =>
    google.form('/oauth2/token', {
      grant_type: 'authorization_code', code, redirect_uri: REDIRECT, code_verifier: VERIFIER, ...CLIENT, ...more,
    });
  return exchange;
}

// Bearers ------------------------------------------------------------------------------------------------------------

plain('an unknown bearer, or none, is 401', async (google) => {
  assert.equal((await google.as('google_guess')(`${GMAIL}/messages`)).status, 401);
  const none = await google.call(`${GMAIL}/messages`);
  assert.equal(none.status, 401);
  assert.match(none.headers.get('www-authenticate'), /invalid_token/);
});

strict('a token without the scheme Bearer is 401', async (google) => {
  const { access_token: token } = await google.mint(['gmail.readonly']);
  for (const authorization of [token, `token ${token}`]) {
    assert.equal((await google.call(`${GMAIL}/messages`, { headers: { authorization } })).status, 401);
  }
});

strict('an expired token is 401 from that second on', async (google) => {
  const { access_token: token } = await google.mint(['gmail.readonly'], { expires_in: 60 });
  google.clock.now += 59_999;
  assert.equal((await google.as(token)(`${GMAIL}/messages`)).status, 200);
  google.clock.now += 1;
  assert.equal((await google.as(token)(`${GMAIL}/messages`)).status, 401);
});

// Scopes -------------------------------------------------------------------------------------------------------------

const SCOPES = [
  ['GET', `${GMAIL}/messages`, 'gmail.send'],
  ['GET', `${GMAIL}/messages/msg_ai_meeting`, 'gmail.labels'],
  ['GET', `${GMAIL}/messages/msg_ai_invoice/attachments/ATTACHMENT`, 'gmail.metadata'],
  ['POST', `${GMAIL}/messages/send`, 'gmail.readonly'],
  ['POST', `${GMAIL}/messages/msg_ai_meeting/modify`, 'gmail.readonly'],
  ['POST', `${GMAIL}/messages/msg_ai_meeting/trash`, 'gmail.readonly'],
  ['DELETE', `${GMAIL}/messages/msg_ai_meeting`, 'gmail.modify'],
  ['POST', `${GMAIL}/drafts`, 'gmail.send'],
  ['GET', `${GMAIL}/drafts`, 'gmail.send'],
  ['GET', `${GMAIL}/labels`, 'gmail.send'],
  ['POST', `${GMAIL}/labels`, 'gmail.readonly'],
  ['GET', `${GMAIL}/threads`, 'gmail.compose'],
  ['GET', `${GMAIL}/history?startHistoryId=1`, 'gmail.compose'],
  ['GET', '/drive/v3/files', 'gmail.modify'],
  ['GET', '/drive/v3/files/fil_notes', 'calendar'],
  ['GET', '/drive/v3/files/fil_notes?alt=media', 'drive.metadata.readonly'],
  ['POST', '/drive/v3/files', 'drive.readonly'],
  ['PATCH', '/drive/v3/files/fil_notes', 'drive.readonly'],
  ['POST', '/upload/drive/v3/files?uploadType=multipart', 'drive.metadata'],
  ['GET', '/calendar/v3/users/me/calendarList', 'calendar.events'],
  ['GET', '/calendar/v3/calendars/primary/events', 'calendar.freebusy'],
  ['POST', '/calendar/v3/calendars/primary/events', 'calendar.events.readonly'],
  ['DELETE', '/calendar/v3/calendars/primary/events/evt_dentist', 'calendar.readonly'],
  ['POST', '/calendar/v3/freeBusy', 'calendar.events.readonly'],
  ['GET', '/oauth2/v2/userinfo', 'gmail.readonly'],
];
for (const [verb, path, scope] of SCOPES) {
  strict(`${verb} ${path} with ${scope} is 403`, async (google) => {
    const { access_token: token } = await google.mint([scope]);
    const target = path.replace('ATTACHMENT', google.ids.attachments[0].id);
    const answer = await google.as(token)(target, verb, verb === 'POST' || verb === 'PATCH' ? {} : undefined);
    assert.equal(answer.status, 403);
    assert.match(answer.headers.get('www-authenticate'), /insufficient_scope/);
  });
}

plain('a scope that is accepted opens its method', async (google) => {
  const open = async (scope, path) => (await google.as((await google.mint([scope])).access_token)(path)).status;
  assert.equal(await open('gmail.metadata', `${GMAIL}/messages`), 200);
  assert.equal(await open('https://mail.google.com/', `${GMAIL}/messages`), 200);
  assert.equal(await open('drive.readonly', '/drive/v3/files/fil_notes?alt=media'), 200);
  assert.equal(await open('calendar.events.owned.readonly', '/calendar/v3/calendars/primary/events'), 200);
  assert.equal(await open('email', '/v1/userinfo'), 200);
});

plain('a path that is in no table is 404, whatever the token', async (google) => {
  const { access_token: token } = await google.mint(['drive', 'gmail.modify']);
  assert.equal((await google.as(token)('/drive/v3/files/fil_notes', 'PUT', {})).status, 404);
  assert.equal((await google.as(token)('/_emulate/fonts/geist-sans.woff2')).status, 404);
  assert.equal((await google.as(token)('/drive/v3/files/')).status, 404);
  assert.equal(findMethod('POST', '/gmail/v1/users/me/drafts/send').method, 'gmail.users.drafts.send');
});

strict('gmail.metadata forbids q, and bodies', async (google) => {
  const read = google.as((await google.mint(['gmail.metadata'])).access_token);
  const status = async (path) => (await read(GMAIL + path)).status;
  assert.equal(await status('/messages/msg_ai_meeting?format=metadata'), 200);
  assert.equal(await status('/messages/msg_ai_meeting?format=minimal'), 200);
  for (const path of ['/messages?q=x', '/threads?q=x', '/messages/msg_ai_meeting', '/threads/thr_meeting']) {
    assert.equal(await status(path), 403, path);
  }
  assert.equal(await status('/messages/msg_ai_meeting?format=raw'), 403);
  const wide = google.as((await google.mint(['gmail.metadata', 'gmail.readonly'])).access_token);
  assert.equal((await wide(`${GMAIL}/messages/msg_ai_meeting`)).status, 403, 'a wider scope besides does not help');
});

// OAuth --------------------------------------------------------------------------------------------------------------

plain('the whole dance ends in tokens that work', async (google) => {
  const fields = authorization();
  const page = await google.call(`/o/oauth2/v2/auth?${new URLSearchParams(fields)}`);
  assert.equal(page.status, 200);
  const html = await page.text();
  for (const name of ['email', 'client_id', 'code_challenge', 'access_type']) assert.match(html, new RegExp(`name="${name}"`));
  const exchange = await dance(google);
  const tokens = await (await exchange()).json();
  assert.deepEqual(Object.keys(tokens).sort(), ['access_token', 'expires_in', 'id_token', 'refresh_token', 'scope', 'token_type']);
  assert.equal((await google.as(tokens.access_token)(`${GMAIL}/messages`)).status, 200);
  const again = await exchange();
  assert.equal(again.status, 400);
  assert.equal((await again.json()).error, 'invalid_grant');
  const refreshed = await (await google.refresh(tokens.refresh_token)).json();
  assert.equal((await google.as(refreshed.access_token)(`${GMAIL}/messages`)).status, 200);
});

strict('an authorization without PKCE S256 is refused', async (google) => {
  for (const fields of [
    without(authorization(), 'code_challenge'),
    without(authorization(), 'code_challenge_method'),
    authorization({ code_challenge_method: 'plain' }),
  ]) {
    assert.equal((await google.call(`/o/oauth2/v2/auth?${new URLSearchParams(fields)}`)).status, 400);
  }
});

strict('a consent without PKCE S256 is refused', async (google) => {
  assert.equal((await consent(google, without(authorization(), 'code_challenge'))).status, 400);
  assert.equal((await consent(google, authorization({ code_challenge_method: 'plain' }))).status, 400);
});

plain('a code without its verifier, or with another, is worth nothing', async (google) => {
  for (const code_verifier of ['', 'w'.repeat(64)]) {
    const exchange = await dance(google);
    assert.equal((await exchange({ code_verifier })).status, 400);
  }
});

strict('redirects are compared exactly', async (google) => {
  for (const redirect_uri of [`${REDIRECT}/`, `${REDIRECT}?x=1`, `${REDIRECT}#f`]) {
    const fields = authorization({ redirect_uri });
    assert.equal((await google.call(`/o/oauth2/v2/auth?${new URLSearchParams(fields)}`)).status, 400, redirect_uri);
  }
});

strict('a consent for a redirect that is not registered is refused', async (google) => {
  assert.equal((await consent(google, authorization({ redirect_uri: 'http://127.0.0.1:9/steal' }))).status, 400);
});

strict('a code belongs to the redirect that it was made for', async (google) => {
  const exchange = await dance(google);
  assert.equal((await exchange({ redirect_uri: 'http://127.0.0.1:9/other' })).status, 400);
});

strict('a code belongs to the client that it was made for', async (google) => {
  const exchange = await dance(google);
  assert.equal((await exchange(OTHER_CLIENT)).status, 400);
});

strict('an authorization needs response_type=code and a scope', async (google) => {
  for (const fields of [authorization({ response_type: 'token' }), authorization({ scope: ' ' })]) {
    assert.equal((await google.call(`/o/oauth2/v2/auth?${new URLSearchParams(fields)}`)).status, 400);
  }
});

strict('a consent without a scope is refused', async (google) => {
  assert.equal((await consent(google, authorization({ scope: '' }))).status, 400);
});

strict('a consent for a client or a user that does not exist is refused', async (google) => {
  assert.equal((await consent(google, authorization({ client_id: 'nobody' }))).status, 400);
  assert.equal((await consent(google, { ...authorization(), email: 'nobody@example.com' })).status, 400);
});

strict('a refresh token comes only with access_type=offline', async (google) => {
  const exchange = await dance(google, { access_type: 'online' });
  assert.equal('refresh_token' in (await (await exchange()).json()), false);
});

strict('an id token comes only with the scope openid', async (google) => {
  const exchange = await dance(google, { scope: 'https://www.googleapis.com/auth/gmail.readonly' });
  assert.equal('id_token' in (await (await exchange()).json()), false);
});

strict('a narrowed refresh is narrow', async (google) => {
  const { refresh_token: refresh } = await google.mint(['gmail.readonly', 'gmail.send']);
  const scope = 'https://www.googleapis.com/auth/gmail.send';
  const narrowed = await (await google.refresh(refresh, { scope })).json();
  assert.equal(narrowed.scope, scope);
  assert.equal((await google.as(narrowed.access_token)(`${GMAIL}/messages`)).status, 403);
  const whole = await (await google.refresh(refresh)).json();
  assert.equal((await google.as(whole.access_token)(`${GMAIL}/messages`)).status, 200, 'the grant itself stays whole');
});

strict('a widening refresh is invalid_scope', async (google) => {
  const { refresh_token: refresh } = await google.mint(['gmail.send']);
  const answer = await google.refresh(refresh, {
    scope: 'https://www.googleapis.com/auth/gmail.send https://mail.google.com/',
  });
  assert.equal(answer.status, 400);
  assert.equal((await answer.json()).error, 'invalid_scope');
  assert.equal((await google.refresh(refresh, { scope: '' })).status, 400, 'nothing is not a narrower scope');
});

plain('a refresh needs the right client', async (google) => {
  const { refresh_token: refresh } = await google.mint(['gmail.send']);
  assert.equal((await google.refresh(refresh, { client_secret: 'wrong' })).status, 401);
  assert.equal((await google.refresh('google_refresh_guess')).status, 400);
});

strict('revoking a refresh token ends the access tokens made from it', async (google) => {
  const { access_token: first, refresh_token: refresh } = await google.mint(['gmail.readonly']);
  const { access_token: second } = await (await google.refresh(refresh)).json();
  assert.equal((await google.as(second)(`${GMAIL}/messages`)).status, 200);
  assert.equal((await google.form('/oauth2/revoke', { token: refresh })).status, 200);
  assert.equal((await google.as(first)(`${GMAIL}/messages`)).status, 401);
  assert.equal((await google.as(second)(`${GMAIL}/messages`)).status, 401);
  assert.equal((await google.refresh(refresh)).status, 400);
});

strict('revoking an access token ends its refresh token; another grant lives on', async (google) => {
  const { access_token: token, refresh_token: refresh } = await google.mint(['gmail.readonly']);
  const { access_token: other } = await google.mint(['gmail.readonly']);
  assert.equal((await google.form('/oauth2/revoke', { token })).status, 200);
  assert.equal((await google.refresh(refresh)).status, 400);
  assert.equal((await google.as(other)(`${GMAIL}/messages`)).status, 200);
  assert.equal((await google.form('/revoke', { token })).status, 400, 'unknown by now, at Google\'s own path too');
});

// Shapes and queries -------------------------------------------------------------------------------------------------

strict('Drive gives four fields unless asked for more', async (google) => {
  const read = google.as((await google.mint(['drive.readonly'])).access_token);
  const get = async (path) => (await read(`/drive/v3/files${path}`)).json();
  assert.deepEqual(Object.keys(await get('/fil_notes')).sort(), ['id', 'kind', 'mimeType', 'name']);
  assert.deepEqual(await get('/fil_notes?fields=id,parents'), { id: 'fil_notes', parents: ['fld_agent'] });
  assert.deepEqual(await get('/fil_team?fields=shared,ownedByMe'), { shared: true, ownedByMe: true });
  assert.deepEqual(await get('/fil_notes?fields=shared'), { shared: false });
  const list = await get("?fields=files(id,parents)&q='fld_private' in parents");
  assert.deepEqual(list, { files: [{ id: 'fil_diary', parents: ['fld_private'] }] });
  assert.equal((await read('/drive/v3/files/fil_notes?fields=id(')).status, 400);
});

strict('Drive queries are parsed, not skimmed', async (google) => {
  const read = google.as((await google.mint(['drive.readonly'])).access_token);
  const find = async (q) => {
    const answer = await read(`/drive/v3/files?q=${encodeURIComponent(q)}`);
    return answer.ok ? (await answer.json()).files.map((file) => file.id) : answer.status;
  };
  assert.deepEqual(await find("'fld_agent' in parents and name contains 'note'"), ['fil_notes']);
  assert.deepEqual(await find("('fld_private' in parents or 'fld_shared' in parents) and trashed = false"), ['fil_team', 'fil_diary']);
  assert.deepEqual(await find("'fld_agent' in parents and fullText contains 'plants'"), ['fil_todo']);
  assert.deepEqual(await find("name = 'x\\' or name contains \\'diary'"), [], 'an escaped quote stays inside the string');
  assert.equal(await find("owner = 'x'"), 400);
  assert.equal(await find("name = 'open"), 400);
});

strict('Gmail queries know quotes, OR and negation', async (google) => {
  const read = google.as((await google.mint(['gmail.readonly'])).access_token);
  const find = async (q, more = '') => {
    const answer = await read(`${GMAIL}/messages?q=${encodeURIComponent(q)}${more}`);
    return answer.ok ? ((await answer.json()).messages ?? []).map((message) => message.id) : answer.status;
  };
  assert.deepEqual(await find('subject:"quick favour"'), ['msg_ai_injection']);
  assert.deepEqual(await find('from:"colin@example.com" label:"AI"'), ['msg_ai_meeting']);
  assert.deepEqual(await find('subject:invoice OR subject:news'), ['msg_plain_news', 'msg_ai_invoice']);
  assert.deepEqual(await find('{subject:invoice subject:news} -has:attachment'), ['msg_plain_news']);
  assert.deepEqual(await find('after:2026/11/05', '&labelIds=Label_Private'), ['msg_private_bank']);
  assert.deepEqual(await find('"one-time code" after:2026/11/06'), []);
  assert.equal(await find('sizeof:1'), 400);
  const threads = await (await read(`${GMAIL}/threads?q=${encodeURIComponent('subject:"meeting on"')}`)).json();
  assert.deepEqual(threads.threads.map((thread) => thread.id), ['thr_meeting']);
});

strict('an empty list is left out', async (google) => {
  const read = google.as((await google.mint(['gmail.readonly'])).access_token);
  assert.deepEqual(await (await read(`${GMAIL}/messages?labelIds=STARRED`)).json(), { resultSizeEstimate: 0 });
});

plain('pages follow one another', async (google) => {
  const read = google.as((await google.mint(['gmail.readonly'])).access_token);
  const seen = [];
  for (let token = ''; token !== undefined; ) {
    const page = await (await read(`${GMAIL}/messages?maxResults=4&pageToken=${token}`)).json();
    seen.push(...page.messages.map((message) => message.id));
    token = page.nextPageToken;
  }
  assert.equal(new Set(seen).size, 6);
  assert.equal(seen.length, 6);
});

strict('a mail is sent raw or not at all, and answered briefly', async (google) => {
  const send = google.as((await google.mint(['gmail.send'])).access_token);
  const fields = await send(`${GMAIL}/messages/send`, 'POST', { from: 'owner@example.com', to: 'a@example.com' });
  assert.equal(fields.status, 400);
  const raw = Buffer.from('From: owner@example.com\r\nTo: a@example.com\r\nSubject: Hi\r\n\r\nHello').toString('base64url');
  const sent = await (await send(`${GMAIL}/messages/send`, 'POST', { raw })).json();
  assert.deepEqual(Object.keys(sent).sort(), ['id', 'labelIds', 'threadId']);
  const read = google.as((await google.mint(['gmail.readonly'])).access_token);
  assert.equal((await (await read(`${GMAIL}/messages/${sent.id}?format=raw`)).json()).raw, raw);
});

strict('modify answers with the labels and no body', async (google) => {
  const modify = google.as((await google.mint(['gmail.modify'])).access_token);
  const path = `${GMAIL}/messages/msg_ai_meeting/modify`;
  const body = await (await modify(path, 'POST', { removeLabelIds: ['Label_AI'] })).json();
  assert.deepEqual(body, { id: 'msg_ai_meeting', threadId: 'thr_meeting', labelIds: ['INBOX', 'UNREAD'] });
});

plain('an attachment can be fetched by the id that the message names', async (google) => {
  const read = google.as((await google.mint(['gmail.readonly'])).access_token);
  const { payload } = await (await read(`${GMAIL}/messages/msg_ai_invoice`)).json();
  const part = payload.parts.find((entry) => entry.filename === 'invoice.csv');
  const { data } = await (await read(`${GMAIL}/messages/msg_ai_invoice/attachments/${part.body.attachmentId}`)).json();
  assert.equal(Buffer.from(data, 'base64url').toString(), 'item,amount\r\npaper,12.50\r\n');
});

plain('Drive takes a multipart upload', async (google) => {
  const { access_token: token } = await google.mint(['drive']);
  const upload = (method, path, metadata, content) =>
    google.call(`/upload/drive/v3/files${path}?uploadType=multipart&fields=id,name,parents,size`, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'multipart/related; boundary=b1' },
      body: `--b1\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n${JSON.stringify(metadata)}\r\n`
        + `--b1\r\nContent-Type: text/plain\r\n\r\n${content}\r\n--b1--\r\n`,
    });
  const text = async (id) => (await google.as(token)(`/drive/v3/files/${id}?alt=media`)).text();
  const made = await (await upload('POST', '', { name: 'new.txt', parents: ['fld_agent'] }, 'grüße')).json();
  assert.deepEqual([made.name, made.parents, made.size], ['new.txt', ['fld_agent'], '7']);
  assert.equal(await text(made.id), 'grüße');
  const drive = google.as(token);
  const child = await drive('/drive/v3/files?fields=shared', 'POST', { name: 'x', parents: ['fld_shared'] });
  assert.deepEqual(await child.json(), { shared: true });
  assert.equal((await upload('PATCH', `/${made.id}`, { name: 'newer.txt' }, 'changed')).status, 200);
  assert.equal(await text(made.id), 'changed');
});

strict('Drive changes content, trashes and deletes', async (google) => {
  const drive = google.as((await google.mint(['drive'])).access_token);
  const media = await google.call('/upload/drive/v3/files/fil_todo?uploadType=media', {
    method: 'PATCH',
    headers: { authorization: `Bearer ${(await google.mint(['drive'])).access_token}`, 'content-type': 'text/plain' },
    body: 'rewritten',
  });
  assert.equal(media.status, 200);
  assert.equal(await (await drive('/drive/v3/files/fil_todo?alt=media')).text(), 'rewritten');
  const trashed = await drive('/drive/v3/files/fil_todo?fields=id,trashed', 'PATCH', { trashed: true });
  assert.deepEqual(await trashed.json(), { id: 'fil_todo', trashed: true });
  assert.equal((await drive('/drive/v3/files/fil_todo', 'DELETE')).status, 204);
  assert.equal((await drive('/drive/v3/files/fil_todo')).status, 404);
});

strict('one calendar event can be read', async (google) => {
  const read = google.as((await google.mint(['calendar.events.readonly'])).access_token);
  const event = await (await read('/calendar/v3/calendars/primary/events/evt_review')).json();
  assert.deepEqual(event.attendees?.map((attendee) => attendee.email), ['owner@example.com', 'colin@example.com']);
  assert.equal((await read('/calendar/v3/calendars/primary/events/evt_none')).status, 404);
});

strict('userinfo has the shape of its address and the fields of its scopes', async (google) => {
  const { access_token: token } = await google.mint(['openid', 'email']);
  const get = async (path) => (await google.as(token)(path)).json();
  assert.deepEqual(Object.keys(await get('/oauth2/v2/userinfo')).sort(), ['email', 'id', 'verified_email']);
  assert.deepEqual(Object.keys(await get('/v1/userinfo')).sort(), ['email', 'email_verified', 'sub']);
});

test('the parsers refuse what they do not understand', () => {
  for (const mask of ['', 'a,', 'a(b', 'a)', '(a)', 'a b', 'a-b']) assert.throws(() => parseMask(mask), mask);
  assert.deepEqual(applyMask(parseMask('a/b,c(*)'), { a: { b: 1, x: 2 }, c: [{ d: 3 }], e: 4 }), { a: { b: 1 }, c: [{ d: 3 }] });
  for (const q of ['', "'a' in owners", "name", "name = 'a' and", "(name = 'a'", "name = 'a' name = 'b'", "name = \"a\""]) {
    assert.throws(() => parseDriveQuery(q, () => ''), q);
  }
  for (const q of ['sizeof:1', 'a)', '(a', '{a', '"open', 'OR a', 'a OR', '-', 'after:soon', 'newer_than:1h', '""']) {
    assert.throws(() => parseGmailQuery(q, { now: () => 0 }), q);
  }
});

// The log and the process --------------------------------------------------------------------------------------------

plain('the log names every request and no secret', async (google) => {
  const { access_token: token, refresh_token: refresh } = await google.mint(['gmail.readonly']);
  await google.as(token)(`${GMAIL}/messages?maxResults=1`);
  await google.as('google_guess')(`${GMAIL}/messages`);
  await google.call(`/oauth2/revoke?token=${refresh}`, { method: 'POST' });
  const log = await google.log();
  assert.deepEqual(log.map((entry) => [entry.method, entry.path, entry.status]), [
    ['GET', `${GMAIL}/messages`, 200],
    ['GET', `${GMAIL}/messages`, 401],
    ['POST', '/oauth2/revoke', 200],
  ]);
  assert.deepEqual(log[0].query, [['maxResults', '1']]);
  assert.equal(log[0].token, createHash('sha256').update(token).digest('hex').slice(0, 8));
  for (const secret of [token, refresh, 'google_guess']) assert.equal(JSON.stringify(log).includes(secret), false);
});

test('google.mjs serves over HTTPS and ends with its standard input', async () => {
  const room = mkdtempSync(join(tmpdir(), 'stand-in-google-'));
  const [key, cert] = [join(room, 'key.pem'), join(room, 'cert.pem')];
  try {
    execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '1',
      '-keyout', key, '-out', cert, '-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1'], { stdio: 'ignore' });
    const child = spawn(process.execPath, [here('google.mjs'), '--key', key, '--cert', cert, '--exit-with-stdin'], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    try {
      const [line] = await Promise.race([
        new Promise((resolve) => createInterface({ input: child.stdout }).once('line', (text) => resolve([text]))),
        new Promise((_, reject) => child.once('exit', (code) => reject(new Error(`ended early: ${code}`)))),
      ]);
      const ready = JSON.parse(line);
      assert.equal(ready.ids.labels.AI, 'Label_AI');
      const ask = (method, path, body, headers = {}) =>
        new Promise((resolve, reject) => {
          const options = { method, ca: readFileSync(cert), headers };
          httpsRequest(ready.base_url + path, options, async (answer) => {
            const chunks = [];
            for await (const chunk of answer) chunks.push(chunk);
            resolve({ status: answer.statusCode, body: JSON.parse(Buffer.concat(chunks)) });
          }).on('error', reject).end(body);
        });
      const minted = await ask('POST', '/stand-in/token', JSON.stringify({ scopes: ['gmail.readonly'] }));
      const authorization = `Bearer ${minted.body.access_token}`;
      assert.equal((await ask('GET', `${GMAIL}/labels`, undefined, { authorization })).status, 200);
      assert.equal((await ask('GET', `${GMAIL}/labels`)).status, 401);
      assert.equal((await ask('GET', '/stand-in/log')).body.length, 2);
    } finally {
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.stdin.end();
      assert.equal(child.exitCode ?? (await ended), 0);
    }
  } finally {
    rmSync(room, { recursive: true, force: true });
  }
});
