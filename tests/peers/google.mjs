// Starts the strict stand-in for Google over HTTPS on 127.0.0.1.
//
//   node google.mjs --key FILE --cert FILE [--port N] [--seed FILE] [--redirect URI]… [--token-lifetime SECONDS]
//                   [--exit-with-stdin]
//
// `--port 0` (the default) takes any free port. When it listens it prints one line of JSON:
//   {"port": 12345, "base_url": "https://127.0.0.1:12345", "ids": {…}}
// with the ids of all that was seeded. `--redirect` adds a redirect URI to every seeded OAuth client, for a test whose
// callback listens on a port of its own. `--exit-with-stdin` ends the process when its standard input closes, so that
// it does not outlive the test that started it. Every Google host is served from this one address: Gmail, Drive,
// Calendar and OAuth differ by path.
//
// For tests only:
//   GET  /stand-in/log    every request so far: method, path, query, status, fingerprint of the bearer
//   POST /stand-in/token  {"scopes": [...], "expires_in": 3600, "email": "…"} gives an access and a refresh token
//                         of the first seeded client and user, without the browser (how to do it with: oauth.mjs)

import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { createAdaptorServer } from '@hono/node-server';
import { parse } from 'yaml';

import { strictGoogle } from './google/strict.mjs';

const { values } = parseArgs({
  options: {
    key: { type: 'string' },
    cert: { type: 'string' },
    port: { type: 'string', default: '0' },
    seed: { type: 'string', default: fileURLToPath(new URL('seed.yaml', import.meta.url)) },
    redirect: { type: 'string', multiple: true, default: [] },
    'token-lifetime': { type: 'string', default: '3600' },
    'exit-with-stdin': { type: 'boolean', default: false },
  },
});
if (!values.key || !values.cert) {
  console.error('google.mjs: --key FILE and --cert FILE are needed');
  process.exit(2);
}

// JSON is YAML as well.
const seed = parse(readFileSync(values.seed, 'utf8'));
for (const client of seed.oauth_clients ?? []) client.redirect_uris.push(...values.redirect);

let google;
const server = createAdaptorServer({
  fetch: (request) => google.fetch(request),
  createServer,
  serverOptions: { key: readFileSync(values.key), cert: readFileSync(values.cert), minVersion: 'TLSv1.2' },
});
server.listen(Number(values.port), '127.0.0.1', () => {
  const { port } = server.address();
  const baseUrl = `https://127.0.0.1:${port}`;
  google = strictGoogle({ seed, baseUrl, lifetime: Number(values['token-lifetime']) });
  console.log(JSON.stringify({ port, base_url: baseUrl, ids: google.ids }));
});

if (values['exit-with-stdin']) {
  process.stdin.resume();
  process.stdin.on('end', () => process.exit(0));
}
