// Who may do what until when: the stand-in's own record of every token.
//
// The emulator keeps no expiry, forgets which access token came from which refresh token, and checks no scope. It
// still holds the tokens (its token map and its list of refresh tokens), so whatever is removed here is removed there
// as well.

import { createHash, randomBytes } from 'node:crypto';

/** First eight hex digits of SHA-256: enough to tell tokens apart in a log, worth nothing to a thief. */
export function fingerprint(token) {
  return createHash('sha256').update(token).digest('hex').slice(0, 8);
}

export class Ledger {
  #access = new Map();
  #emulator;
  #now;

  /**
   * @param {{store: object, tokenMap: Map}} emulator
   * @param {() => number} now in milliseconds
   */
  constructor(emulator, now) {
    this.#emulator = emulator;
    this.#now = now;
  }

  /** The emulator's refresh tokens, made when the first one is. */
  get refreshTokens() {
    const { store } = this.#emulator;
    const key = 'google.oauth.refreshTokens';
    if (!store.getData(key)) store.setData(key, new Map());
    return store.getData(key);
  }

  /**
   * Writes an access token down.
   * @param {string} token
   * @param {{scopes: string[], lifetime: number, refresh: string | null}} facts `lifetime` in seconds
   */
  record(token, { scopes, lifetime, refresh }) {
    this.#access.set(token, { scopes, refresh, expires: this.#now() + lifetime * 1000 });
    const known = this.#emulator.tokenMap.get(token);
    if (known) known.scopes = scopes;
  }

  /**
   * Makes a pair of tokens without the browser.
   * @param {{login: string, id: number}} user
   * @param {string} clientId
   * @param {string[]} scopes
   * @param {number} lifetime seconds; zero or less makes an access token that has expired already
   */
  mint(user, clientId, scopes, lifetime) {
    const access = `google_${randomBytes(20).toString('base64url')}`;
    const refresh = `google_refresh_${randomBytes(24).toString('base64url')}`;
    this.refreshTokens.set(refresh, { email: user.login, scope: scopes.join(' '), clientId });
    this.#emulator.tokenMap.set(access, { ...user, scopes });
    this.record(access, { scopes, lifetime, refresh });
    return { access, refresh };
  }

  /**
   * The scopes of a live access token.
   * @returns {Set<string> | null} null when it is unknown, revoked or expired
   */
  scopesOf(token) {
    const entry = this.#access.get(token);
    if (!entry || this.#now() >= entry.expires) return null;
    return new Set(entry.scopes);
  }

  /**
   * Ends a grant: the refresh token and every access token that came from it. As with Google, an access token that
   * has a refresh token takes it along.
   * @returns {boolean} whether the token was known
   */
  revoke(token) {
    const refresh = this.#access.get(token)?.refresh ?? token;
    let known = this.refreshTokens.delete(refresh);
    for (const [access, entry] of this.#access) {
      if (access !== token && entry.refresh !== refresh) continue;
      this.#access.delete(access);
      this.#emulator.tokenMap.delete(access);
      known = true;
    }
    return known;
  }
}
