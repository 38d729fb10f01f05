// The public Google emulator, made as strict as Google where a vault's tests depend on it.
//
// Stock, it takes any scope for any method, knows no expiry, and ignores `scope` on a refresh. Every request passes
// through here first: path known, bearer live, scope held; then the emulator.

import { createServer } from '@emulators/core';
import { getGoogleStore, googlePlugin, seedFromConfig } from '@emulators/google';

import { Ledger, fingerprint } from './ledger.mjs';
import { findMethod } from './methods.mjs';
import { emulatorPath, oauthRoutes, splitScopes } from './oauth.mjs';
import { Refusal, resourceRoutes } from './resources.mjs';

const METADATA = 'https://www.googleapis.com/auth/gmail.metadata';
const MEDIA_SCOPES = ['drive', 'drive.file', 'drive.readonly', 'drive.appdata', 'drive.meet.readonly'].map(
  (name) => `https://www.googleapis.com/auth/${name}`,
);

/**
 * Builds one stand-in, with a state of its own.
 * @param {object} options
 * @param {object} options.seed in the emulator's seed format; `stand_in.shared_files` lists ids of shared Drive files
 * @param {string} options.baseUrl what the discovery document and id tokens name as issuer
 * @param {() => number} [options.now] milliseconds
 * @param {number} [options.lifetime] of the access tokens that the token endpoint gives out, in seconds
 * @returns {{fetch: (request: Request) => Promise<Response>, stock: (request: Request) => Promise<Response>, ids: object}}
 *   `fetch` is strict; `stock` is the bare emulator with the same state; `ids` names what was seeded
 */
export function strictGoogle({ seed, baseUrl, now = Date.now, lifetime = 3600 }) {
  const emulator = createServer(googlePlugin, { baseUrl, tokens: {} });
  seedFromConfig(emulator.store, baseUrl, seed);
  const gs = getGoogleStore(emulator.store);
  const ledger = new Ledger(emulator, now);
  const forward = async (request) => emulator.app.fetch(request);
  const shared = new Set(seed.stand_in?.shared_files ?? []);
  const oauth = oauthRoutes({ forward, store: emulator.store, gs, ledger, lifetime });
  const resource = resourceRoutes({ forward, gs, shared, now });
  const log = [];

  const answer = async (request, url) => {
    const path = emulatorPath(url.pathname);
    const endpoint = oauth[`${request.method} ${path}`];
    if (endpoint) return endpoint(moved(request, url, path), url);

    const found = findMethod(request.method, url.pathname);
    if (!found) throw new Refusal(404, 'Not Found', 'notFound');
    const token = bearer(request);
    const scopes = token ? ledger.scopesOf(token) : null;
    if (!scopes) throw new Refusal(401, 'Request had invalid authentication credentials.', 'authError');
    requireScope(found, scopes, url);
    const email = emulator.tokenMap.get(token).login;
    return resource({ ...found, request, url, email, scopes });
  };

  const mint = async (request) => {
    const { scopes, expires_in: seconds = lifetime, email } = await request.json();
    const user = email ? gs.users.findOneBy('email', email) : gs.users.all()[0];
    if (!user || !Array.isArray(scopes) || scopes.length === 0) throw new Refusal(400, 'Bad request', 'invalid');
    const clientId = gs.oauthClients.all()[0]?.client_id ?? '';
    const full = splitScopes(scopes.join(' '));
    const { access, refresh } = ledger.mint({ login: user.email, id: user.id }, clientId, full, seconds);
    return Response.json({
      access_token: access,
      refresh_token: refresh,
      token_type: 'Bearer',
      expires_in: seconds,
      scope: full.join(' '),
    });
  };

  const fetch = async (request) => {
    const url = new URL(request.url);
    try {
      if (url.pathname === '/stand-in/log' && request.method === 'GET') return Response.json(log);
      if (url.pathname === '/stand-in/token' && request.method === 'POST') return await mint(request);
    } catch (error) {
      return refuse(error);
    }
    const token = bearer(request);
    const entry = {
      method: request.method,
      path: url.pathname,
      query: loggable(url.searchParams),
      status: 0,
      token: token ? fingerprint(token) : null,
    };
    log.push(entry);
    const response = await answer(request, url).catch(refuse);
    entry.status = response.status;
    return response;
  };

  return { fetch, stock: forward, ids: seededIds(gs) };
}

function bearer(request) {
  return /^Bearer ([A-Za-z0-9._~+/-]+=*)$/i.exec(request.headers.get('authorization') ?? '')?.[1] ?? null;
}

function requireScope({ method, scopes: accepted }, held, url) {
  const media = method === 'drive.files.get' && url.searchParams.get('alt') === 'media';
  const enough = media ? MEDIA_SCOPES : accepted;
  if (!enough.some((scope) => held.has(scope))) {
    throw new Refusal(403, 'Request had insufficient authentication scopes.', 'insufficientPermissions');
  }
  // Google applies this even when the token holds a wider scope besides.
  if (!held.has(METADATA)) return;
  if (/^gmail\.users\.(messages|threads)\.list$/.test(method) && url.searchParams.has('q')) {
    throw new Refusal(403, "Metadata scope does not support 'q' parameter", 'forbidden');
  }
  const format = (url.searchParams.get('format') ?? 'full').toLowerCase();
  if (/^gmail\.users\.(messages|threads)\.get$/.test(method) && !['metadata', 'minimal'].includes(format)) {
    throw new Refusal(403, "Metadata scope doesn't allow format FULL", 'forbidden');
  }
}

function moved(request, url, path) {
  if (path === url.pathname) return request;
  const target = new URL(url);
  target.pathname = path;
  return new Request(target, request);
}

const STATUS = { 400: 'INVALID_ARGUMENT', 401: 'UNAUTHENTICATED', 403: 'PERMISSION_DENIED', 404: 'NOT_FOUND' };

// An error in the shape that Google gives it. What is no `Refusal` is a fault of the stand-in and answered as 500.
function refuse(error) {
  const { status: code, message, reason } =
    error instanceof Refusal ? error : new Refusal(500, `stand-in: ${error?.stack ?? error}`, 'backendError');
  const headers = {};
  if (code === 401) headers['www-authenticate'] = 'Bearer realm="https://accounts.google.com/", error="invalid_token"';
  if (reason === 'insufficientPermissions') {
    headers['www-authenticate'] = 'Bearer realm="https://accounts.google.com/", error="insufficient_scope"';
  }
  const errors = [{ message, domain: 'global', reason }];
  return Response.json({ error: { code, message, errors, status: STATUS[code] ?? 'INTERNAL' } }, { status: code, headers });
}

// The query as pairs; what may be a secret is fingerprinted.
function loggable(query) {
  const secret = ['token', 'access_token', 'refresh_token', 'code', 'client_secret', 'key'];
  return [...query].map(([name, value]) => [name, secret.includes(name) ? `sha256:${fingerprint(value)}` : value]);
}

function seededIds(gs) {
  const byName = (rows, name, id) => Object.fromEntries(rows.map((row) => [row[name], row[id]]));
  const isFolder = (item) => item.mime_type === 'application/vnd.google-apps.folder';
  return {
    users: byName(gs.users.all(), 'email', 'uid'),
    labels: byName(gs.labels.all().filter((label) => label.type === 'user'), 'name', 'gmail_id'),
    messages: gs.messages.all().map((m) => ({ id: m.gmail_id, thread: m.thread_id, subject: m.subject, labels: m.label_ids })),
    attachments: gs.attachments.all().map((a) => ({ id: a.gmail_id, message: a.message_gmail_id, filename: a.filename })),
    folders: byName(gs.driveItems.all().filter(isFolder), 'name', 'google_id'),
    files: byName(gs.driveItems.all().filter((item) => !isFolder(item)), 'name', 'google_id'),
    events: byName(gs.calendarEvents.all(), 'summary', 'google_id'),
  };
}
