// Answers in the shape that Google gives them, where the emulator's differ in a way that a vault would notice.

import { parseDriveQuery } from './drive-query.mjs';
import { applyMask, parseMask } from './field-mask.mjs';
import { parseGmailQuery } from './gmail-query.mjs';

const DRIVE_FILE = 'kind,id,name,mimeType';
const DRIVE_LIST = `kind,incompleteSearch,nextPageToken,files(${DRIVE_FILE})`;

/** A request that Google would refuse, with its status and reason. */
export class Refusal extends Error {
  constructor(status, message, reason) {
    super(message);
    Object.assign(this, { status, reason });
  }
}

/**
 * @param {{forward: (request: Request) => Promise<Response>, gs: object, shared: Set<string>, now: () => number}} parts
 *   `shared`: ids of Drive files that somebody else can read; `now` in milliseconds
 * @returns {(call: {method: string, params: object, request: Request, url: URL, email: string}) => Promise<Response>}
 */
export function resourceRoutes({ forward, gs, shared, now }) {
  const get = (url, change) => {
    const next = new URL(url);
    change(next.searchParams);
    return next;
  };
  const json = async (response, change) => (response.ok ? Response.json(change(await response.json())) : response);

  // Drive -----------------------------------------------------------------------------------------------------------

  const driveItem = (email, id) => gs.driveItems.findBy('user_email', email).find((item) => item.google_id === id);
  // What lies in a shared folder is shared as well.
  const isShared = ({ id, parents }) => [id, ...parents].some((name) => shared.has(name));
  const driveFile = (file) => ({ ...file, trashed: Boolean(file.trashed), shared: isShared(file), ownedByMe: true });
  const driveContent = (email) => (file) => Buffer.from(driveItem(email, file.id)?.data ?? '', 'base64url').toString();

  const driveList = async ({ request, url, email }) => {
    const q = url.searchParams.get('q');
    const wanted = q ? orRefuse(() => parseDriveQuery(q, driveContent(email)), 'q') : () => true;
    const all = get(url, (query) => {
      for (const name of ['q', 'pageToken']) query.delete(name);
      query.set('pageSize', '1000');
    });
    return json(await forward(new Request(all, { headers: request.headers })), (body) => {
      const files = body.files.map(driveFile).filter(wanted);
      const { page, nextPageToken } = cut(files, url.searchParams.get('pageToken'), url.searchParams.get('pageSize'));
      return { kind: body.kind, incompleteSearch: false, files: page, nextPageToken };
    });
  };

  // The emulator's PATCH knows a new name and new parents, but neither `trashed` nor new content.
  const driveUpdate = async ({ request, url, params, email }) => {
    const item = driveItem(email, params.fileId);
    if (!item) throw new Refusal(404, 'File not found.', 'notFound');
    const bytes = Buffer.from(await request.arrayBuffer());
    const type = request.headers.get('content-type') ?? 'application/octet-stream';
    const patch = url.pathname.startsWith('/upload/') ? uploaded(url, type, bytes) : { metadata: parseJson(bytes) };
    const changed = {};
    if (patch.content) {
      Object.assign(changed, { data: patch.content.toString('base64url'), size: patch.content.length });
    }
    if (typeof patch.metadata?.trashed === 'boolean') changed.trashed = patch.metadata.trashed;
    if (typeof patch.metadata?.mimeType === 'string') changed.mime_type = patch.metadata.mimeType;
    gs.driveItems.update(item.id, changed);
    const plain = new URL(url);
    plain.pathname = plain.pathname.replace('/upload', '');
    const headers = new Headers(request.headers);
    headers.set('content-type', 'application/json');
    headers.delete('content-length');
    const body = JSON.stringify({ name: patch.metadata?.name });
    return json(await forward(new Request(plain, { method: 'PATCH', headers, body })), driveFile);
  };

  // Gmail -----------------------------------------------------------------------------------------------------------

  const labelNames = (email) => (id) =>
    gs.labels.findBy('user_email', email).find((label) => label.gmail_id === id)?.name ?? id;
  const hasAttachment = (message) => gs.attachments.findBy('message_gmail_id', message.gmail_id).length > 0;

  // `messages.list` and `threads.list`: the emulator applies labelIds and trash, the query is applied here.
  const mailList = (key) => async ({ request, url, email }) => {
    const q = url.searchParams.get('q');
    const ports = { labelNames: labelNames(email), hasAttachment, now };
    const query = q ? orRefuse(() => parseGmailQuery(q, ports), 'q') : { matches: () => true };
    const labels = url.searchParams.getAll('labelIds');
    const hits = new Set();
    for (const message of gs.messages.findBy('user_email', email)) {
      if (!query.matches(message) || !labels.every((label) => message.label_ids.includes(label))) continue;
      hits.add(key === 'messages' ? message.gmail_id : message.thread_id);
    }
    const all = get(url, (params) => {
      for (const name of ['q', 'pageToken']) params.delete(name);
      params.set('maxResults', '500');
      if (query.everywhere) params.set('includeSpamTrash', 'true');
    });
    return json(await forward(new Request(all, { headers: request.headers })), (body) => {
      const found = body[key].filter((entry) => hits.has(entry.id));
      const { page, nextPageToken } = cut(found, url.searchParams.get('pageToken'), url.searchParams.get('maxResults'));
      // Google leaves an empty list out.
      return { ...(page.length > 0 ? { [key]: page } : {}), nextPageToken, resultSizeEstimate: found.length };
    });
  };

  const brief = ({ id, threadId, labelIds }) => ({ id, threadId, labelIds });
  const briefThread = ({ id, historyId, messages }) => ({ id, historyId, messages: messages.map(brief) });

  // The emulator also takes from, to, subject as JSON fields. Google takes a raw message and nothing else.
  const rawOnly = (inside) => async ({ request }) => {
    const bytes = Buffer.from(await request.arrayBuffer());
    if (!(request.headers.get('content-type') ?? '').startsWith('message/rfc822')) {
      const body = parseJson(bytes);
      const message = inside ? body[inside] : body;
      if (typeof message?.raw !== 'string' || !/^[A-Za-z0-9_-]+=*$/.test(message.raw)) {
        throw new Refusal(400, "'raw' RFC822 payload message string required", 'invalidArgument');
      }
    }
    return forward(new Request(request.url, { method: request.method, headers: request.headers, body: bytes }));
  };
  const then = (handle, change) => async (call) => json(await handle(call), change);
  const plain = ({ request }) => forward(request);
  const draft = ({ id, message }) => ({ id, message: message && brief(message) });

  // The rest --------------------------------------------------------------------------------------------------------

  const userinfo = async ({ request, url, scopes }) => {
    const address = new URL('/oauth2/v2/userinfo', url);
    return json(await forward(new Request(address, { headers: request.headers })), (user) => {
      const old = url.pathname === '/oauth2/v2/userinfo';
      const has = (name) => scopes.has(`https://www.googleapis.com/auth/userinfo.${name}`);
      return {
        [old ? 'id' : 'sub']: user.sub,
        ...(has('email') ? { email: user.email, [old ? 'verified_email' : 'email_verified']: user.email_verified } : {}),
        ...(has('profile') ? { name: user.name, given_name: user.given_name, family_name: user.family_name } : {}),
      };
    });
  };

  // The emulator has no events.get.
  const eventGet = async ({ request, url, params }) => {
    const list = new URL(url.pathname.split('/').slice(0, -1).join('/'), url);
    list.searchParams.set('maxResults', '250');
    const answer = await forward(new Request(list, { headers: request.headers }));
    if (!answer.ok) return answer;
    const event = (await answer.json()).items.find((entry) => entry.id === params.eventId);
    if (!event) throw new Refusal(404, 'Not Found', 'notFound');
    return Response.json(event);
  };

  const handlers = {
    'drive.files.list': driveList,
    'drive.files.get': async (call) => {
      const answer = await forward(call.request);
      return call.url.searchParams.get('alt') === 'media' ? answer : json(answer, driveFile);
    },
    'drive.files.create': then(plain, driveFile),
    'drive.files.update': driveUpdate,
    'drive.files.delete': async ({ params, email }) => {
      const item = driveItem(email, params.fileId);
      if (!item) throw new Refusal(404, 'File not found.', 'notFound');
      gs.driveItems.delete(item.id);
      return new Response(null, { status: 204 });
    },
    'gmail.users.messages.list': mailList('messages'),
    'gmail.users.threads.list': mailList('threads'),
    'gmail.users.messages.send': then(rawOnly(null), brief),
    'gmail.users.messages.modify': then(plain, brief),
    'gmail.users.messages.trash': then(plain, brief),
    'gmail.users.messages.untrash': then(plain, brief),
    'gmail.users.threads.modify': then(plain, briefThread),
    'gmail.users.threads.trash': then(plain, briefThread),
    'gmail.users.threads.untrash': then(plain, briefThread),
    'gmail.users.drafts.create': then(rawOnly('message'), draft),
    'gmail.users.drafts.update': then(rawOnly('message'), draft),
    'gmail.users.drafts.send': then(plain, brief),
    'gmail.users.drafts.list': then(plain, ({ drafts, ...rest }) => (drafts.length > 0 ? { drafts, ...rest } : rest)),
    'calendar.events.get': eventGet,
    userinfo,
  };

  return async (call) => {
    const fields = call.url.searchParams.get('fields') ?? defaultFields(call.method);
    const mask = fields ? orRefuse(() => parseMask(fields), 'fields') : null;
    const answer = await (handlers[call.method] ?? plain)(call);
    if (!mask || !(answer.headers.get('content-type') ?? '').startsWith('application/json')) return answer;
    if (call.url.searchParams.get('alt') === 'media') return answer;
    return json(answer, (body) => applyMask(mask, body));
  };
}

function defaultFields(method) {
  if (method === 'drive.files.list') return DRIVE_LIST;
  return method.startsWith('drive.files.') ? DRIVE_FILE : null;
}

function orRefuse(parse, parameter) {
  try {
    return parse();
  } catch {
    throw new Refusal(400, `Invalid Value: ${parameter}`, 'invalid');
  }
}

function parseJson(bytes) {
  try {
    return bytes.length === 0 ? {} : JSON.parse(bytes.toString());
  } catch {
    throw new Refusal(400, 'Parse Error', 'parseError');
  }
}

// One page of a list; page tokens are offsets, as in the emulator.
function cut(list, pageToken, size) {
  const from = Number.parseInt(pageToken ?? '0', 10) || 0;
  const to = from + (Number.parseInt(size ?? '', 10) || 100);
  return { page: list.slice(from, to), nextPageToken: to < list.length ? String(to) : undefined };
}

// An upload's content, and its metadata when it is `multipart`.
function uploaded(url, type, bytes) {
  if (url.searchParams.get('uploadType') === 'media') return { content: bytes };
  const boundary = /^multipart\/related;.*boundary="?([^";]+)"?/i.exec(type)?.[1];
  const [head, content] = boundary ? multipart(bytes.toString('latin1'), boundary) : [];
  if (content === undefined) throw new Refusal(400, 'Malformed multipart body.', 'badContent');
  return { metadata: parseJson(Buffer.from(head, 'latin1')), content: Buffer.from(content, 'latin1') };
}

function multipart(text, boundary) {
  return `\r\n${text}`
    .split(`\r\n--${boundary}`)
    .slice(1, -1)
    .map((part) => part.slice(part.indexOf('\r\n\r\n') + 4));
}
