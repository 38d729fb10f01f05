// Which scopes Google accepts for each method that the stand-in answers.
//
// Source: the discovery documents of Gmail v1, Drive v3 and Calendar v3 (revisions of October 2026). Only methods
// that the emulator has, or that this folder adds, stand here; a path that is not in the table is answered with 404,
// so a method nobody thought about is never open by accident. The `gmail.addons.*` scopes are left out: they are
// worth something only while an add-on runs, never in a plain token.

const AUTH = 'https://www.googleapis.com/auth/';
const UPLOAD = true;

// [method, verb, path, accepted scopes, also under /upload]. A scope is relative to `AUTH`; `mail` is the whole of
// Gmail, whose name is an address of its own.
const METHODS = [
  ['gmail.users.stop', 'POST', '/gmail/v1/users/{userId}/stop',
    'mail gmail.metadata gmail.modify gmail.readonly'],
  ['gmail.users.watch', 'POST', '/gmail/v1/users/{userId}/watch',
    'mail gmail.metadata gmail.modify gmail.readonly'],
  ['gmail.users.drafts.create', 'POST', '/gmail/v1/users/{userId}/drafts',
    'mail gmail.compose gmail.modify', UPLOAD],
  ['gmail.users.drafts.delete', 'DELETE', '/gmail/v1/users/{userId}/drafts/{id}',
    'mail gmail.compose gmail.modify'],
  ['gmail.users.drafts.get', 'GET', '/gmail/v1/users/{userId}/drafts/{id}',
    'mail gmail.compose gmail.modify gmail.readonly'],
  ['gmail.users.drafts.list', 'GET', '/gmail/v1/users/{userId}/drafts',
    'mail gmail.compose gmail.modify gmail.readonly'],
  ['gmail.users.drafts.send', 'POST', '/gmail/v1/users/{userId}/drafts/send',
    'mail gmail.compose gmail.modify', UPLOAD],
  ['gmail.users.drafts.update', 'PUT', '/gmail/v1/users/{userId}/drafts/{id}',
    'mail gmail.compose gmail.modify'],
  ['gmail.users.history.list', 'GET', '/gmail/v1/users/{userId}/history',
    'mail gmail.metadata gmail.modify gmail.readonly'],
  ['gmail.users.labels.create', 'POST', '/gmail/v1/users/{userId}/labels',
    'mail gmail.labels gmail.modify'],
  ['gmail.users.labels.delete', 'DELETE', '/gmail/v1/users/{userId}/labels/{id}',
    'mail gmail.labels gmail.modify'],
  ['gmail.users.labels.get', 'GET', '/gmail/v1/users/{userId}/labels/{id}',
    'mail gmail.labels gmail.metadata gmail.modify gmail.readonly'],
  ['gmail.users.labels.list', 'GET', '/gmail/v1/users/{userId}/labels',
    'mail gmail.labels gmail.metadata gmail.modify gmail.readonly'],
  ['gmail.users.labels.patch', 'PATCH', '/gmail/v1/users/{userId}/labels/{id}',
    'mail gmail.labels gmail.modify'],
  ['gmail.users.labels.update', 'PUT', '/gmail/v1/users/{userId}/labels/{id}',
    'mail gmail.labels gmail.modify'],
  ['gmail.users.messages.batchDelete', 'POST', '/gmail/v1/users/{userId}/messages/batchDelete',
    'mail'],
  ['gmail.users.messages.batchModify', 'POST', '/gmail/v1/users/{userId}/messages/batchModify',
    'mail gmail.modify'],
  ['gmail.users.messages.delete', 'DELETE', '/gmail/v1/users/{userId}/messages/{id}',
    'mail'],
  ['gmail.users.messages.get', 'GET', '/gmail/v1/users/{userId}/messages/{id}',
    'mail gmail.metadata gmail.modify gmail.readonly'],
  ['gmail.users.messages.import', 'POST', '/gmail/v1/users/{userId}/messages/import',
    'mail gmail.insert gmail.modify', UPLOAD],
  ['gmail.users.messages.insert', 'POST', '/gmail/v1/users/{userId}/messages',
    'mail gmail.insert gmail.modify', UPLOAD],
  ['gmail.users.messages.list', 'GET', '/gmail/v1/users/{userId}/messages',
    'mail gmail.metadata gmail.modify gmail.readonly'],
  ['gmail.users.messages.modify', 'POST', '/gmail/v1/users/{userId}/messages/{id}/modify',
    'mail gmail.modify'],
  ['gmail.users.messages.send', 'POST', '/gmail/v1/users/{userId}/messages/send',
    'mail gmail.compose gmail.modify gmail.send', UPLOAD],
  ['gmail.users.messages.trash', 'POST', '/gmail/v1/users/{userId}/messages/{id}/trash',
    'mail gmail.modify'],
  ['gmail.users.messages.untrash', 'POST', '/gmail/v1/users/{userId}/messages/{id}/untrash',
    'mail gmail.modify'],
  ['gmail.users.messages.attachments.get', 'GET', '/gmail/v1/users/{userId}/messages/{messageId}/attachments/{id}',
    'mail gmail.modify gmail.readonly'],
  ['gmail.users.settings.filters.create', 'POST', '/gmail/v1/users/{userId}/settings/filters',
    'gmail.settings.basic'],
  ['gmail.users.settings.filters.delete', 'DELETE', '/gmail/v1/users/{userId}/settings/filters/{id}',
    'gmail.settings.basic'],
  ['gmail.users.settings.filters.list', 'GET', '/gmail/v1/users/{userId}/settings/filters',
    'mail gmail.modify gmail.readonly gmail.settings.basic'],
  ['gmail.users.settings.forwardingAddresses.list', 'GET', '/gmail/v1/users/{userId}/settings/forwardingAddresses',
    'mail gmail.modify gmail.readonly gmail.settings.basic'],
  ['gmail.users.settings.sendAs.list', 'GET', '/gmail/v1/users/{userId}/settings/sendAs',
    'mail gmail.modify gmail.readonly gmail.settings.basic'],
  ['gmail.users.threads.delete', 'DELETE', '/gmail/v1/users/{userId}/threads/{id}',
    'mail'],
  ['gmail.users.threads.get', 'GET', '/gmail/v1/users/{userId}/threads/{id}',
    'mail gmail.metadata gmail.modify gmail.readonly'],
  ['gmail.users.threads.list', 'GET', '/gmail/v1/users/{userId}/threads',
    'mail gmail.metadata gmail.modify gmail.readonly'],
  ['gmail.users.threads.modify', 'POST', '/gmail/v1/users/{userId}/threads/{id}/modify',
    'mail gmail.modify'],
  ['gmail.users.threads.trash', 'POST', '/gmail/v1/users/{userId}/threads/{id}/trash',
    'mail gmail.modify'],
  ['gmail.users.threads.untrash', 'POST', '/gmail/v1/users/{userId}/threads/{id}/untrash',
    'mail gmail.modify'],
  ['drive.files.create', 'POST', '/drive/v3/files',
    'drive drive.appdata drive.file', UPLOAD],
  ['drive.files.delete', 'DELETE', '/drive/v3/files/{fileId}',
    'drive drive.appdata drive.file'],
  ['drive.files.get', 'GET', '/drive/v3/files/{fileId}',
    'drive drive.appdata drive.file drive.meet.readonly drive.metadata drive.metadata.readonly drive.photos.readonly drive.readonly'],
  ['drive.files.list', 'GET', '/drive/v3/files',
    'drive drive.appdata drive.file drive.meet.readonly drive.metadata drive.metadata.readonly drive.photos.readonly drive.readonly'],
  ['drive.files.update', 'PATCH', '/drive/v3/files/{fileId}',
    'drive drive.appdata drive.file drive.metadata drive.scripts', UPLOAD],
  ['calendar.calendarList.list', 'GET', '/calendar/v3/users/me/calendarList',
    'calendar calendar.calendarlist calendar.calendarlist.readonly calendar.readonly'],
  ['calendar.events.delete', 'DELETE', '/calendar/v3/calendars/{calendarId}/events/{eventId}',
    'calendar calendar.app.created calendar.events calendar.events.owned'],
  ['calendar.events.get', 'GET', '/calendar/v3/calendars/{calendarId}/events/{eventId}',
    'calendar calendar.app.created calendar.events calendar.events.freebusy calendar.events.owned calendar.events.owned.readonly calendar.events.public.readonly calendar.events.readonly calendar.readonly'],
  ['calendar.events.insert', 'POST', '/calendar/v3/calendars/{calendarId}/events',
    'calendar calendar.app.created calendar.events calendar.events.owned'],
  ['calendar.events.list', 'GET', '/calendar/v3/calendars/{calendarId}/events',
    'calendar calendar.app.created calendar.events calendar.events.freebusy calendar.events.owned calendar.events.owned.readonly calendar.events.public.readonly calendar.events.readonly calendar.readonly'],
  ['calendar.freebusy.query', 'POST', '/calendar/v3/freeBusy',
    'calendar calendar.events.freebusy calendar.freebusy calendar.readonly'],
];

/**
 * The full name of a scope as Google writes it in a token answer.
 * @param {string} name `email`, `profile`, `openid`, a name relative to `AUTH`, or a whole scope
 * @returns {string}
 */
export function fullScope(name) {
  if (name === 'mail') return 'https://mail.google.com/';
  if (name === 'openid' || name.includes('://')) return name;
  if (name === 'email' || name === 'profile') return `${AUTH}userinfo.${name}`;
  return AUTH + name;
}

const IDENTITY = ['openid', 'email', 'profile'].map(fullScope);

const table = METHODS.flatMap(([method, verb, path, scopes, upload]) => {
  const entry = (prefix) => ({
    method,
    verb,
    segments: (prefix + path).split('/'),
    scopes: scopes.split(' ').map(fullScope),
  });
  return upload ? [entry(''), entry('/upload')] : [entry('')];
});
for (const path of ['/oauth2/v2/userinfo', '/oauth2/v3/userinfo', '/v1/userinfo']) {
  table.push({ method: 'userinfo', verb: 'GET', segments: path.split('/'), scopes: IDENTITY });
}

// The more fixed segments, the earlier: `drafts/send` comes before `drafts/{id}`.
const variables = (entry) => entry.segments.filter((segment) => segment.startsWith('{')).length;
table.sort((a, b) => variables(a) - variables(b));

/**
 * Finds the method that a request asks for.
 * @param {string} verb
 * @param {string} path without the query
 * @returns {{method: string, scopes: string[], params: Record<string, string>} | null}
 */
export function findMethod(verb, path) {
  const segments = path.split('/');
  for (const entry of table) {
    if (entry.verb !== verb || entry.segments.length !== segments.length) continue;
    const params = {};
    const fits = entry.segments.every((want, i) => {
      if (!want.startsWith('{')) return want === segments[i];
      params[want.slice(1, -1)] = decodeSegment(segments[i]);
      return segments[i] !== '';
    });
    if (fits) return { method: entry.method, scopes: entry.scopes, params };
  }
  return null;
}

function decodeSegment(segment) {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}
