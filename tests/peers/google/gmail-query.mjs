// Gmail's `q` language, of which the emulator knows neither `op:"two words"` nor OR, braces and negated terms.
//
// A vault that quotes every term would find nothing there. This parser knows quotes, `OR`, `AND`, `{…}`, `(…)`, `-`
// and the operators below. An operator it does not know is refused, so that no test rests on a skipped term.

/**
 * @param {string} text the value of `q`
 * @param {{labelNames: (id: string) => string, hasAttachment: (message: object) => boolean, now: () => number}} ports
 *   `now` in milliseconds
 * @returns {{matches: (message: object) => boolean, everywhere: boolean}} over the emulator's stored messages;
 *   `everywhere` when the query itself names trash or spam
 * @throws {Error} on a syntax error or an unknown operator
 */
export function parseGmailQuery(text, ports) {
  const tokens = tokenize(text);
  let at = 0;

  const sequence = (end) => {
    const groups = [];
    let joined = false;
    while (at < tokens.length && (end === undefined || tokens[at].mark !== end)) {
      const token = tokens[at];
      if (!token.quoted && (token.bare === 'OR' || token.bare === '|')) {
        if (groups.length === 0) fail();
        joined = true;
        at++;
        continue;
      }
      if (!token.quoted && token.bare === 'AND') {
        at++;
        continue;
      }
      const next = unary();
      if (joined) groups.at(-1).push(next);
      else groups.push([next]);
      joined = false;
    }
    if (joined) fail();
    if (end !== undefined && tokens[at++]?.mark !== end) fail();
    return groups;
  };
  const unary = () => {
    const token = tokens[at++] ?? fail();
    if (token.mark === '-') {
      const inner = unary();
      return (message) => !inner(message);
    }
    if (token.mark === '(') {
      const groups = sequence(')');
      return (message) => groups.every((group) => group.some((test) => test(message)));
    }
    if (token.mark === '{') {
      const groups = sequence('}');
      return (message) => groups.flat().some((test) => test(message));
    }
    if (token.mark) fail();
    return predicate(token, ports);
  };

  const groups = sequence(undefined);
  const everywhere = tokens.some((t) => t.operator === 'in' && ['anywhere', 'trash', 'spam'].includes(t.value));
  return { matches: (message) => groups.every((group) => group.some((test) => test(message))), everywhere };
}

function predicate({ operator, value, bare }, ports) {
  if (operator === undefined) return contains(searchable, bare);
  switch (operator) {
    case 'from': return contains((m) => m.from, value);
    case 'to': return contains((m) => m.to, value);
    case 'cc': return contains((m) => m.cc ?? '', value);
    case 'bcc': return contains((m) => m.bcc ?? '', value);
    case 'subject': return contains((m) => m.subject, value);
    case 'rfc822msgid': return (m) => m.message_id.replace(/[<>]/g, '') === value.replace(/[<>]/g, '');
    case 'in':
      if (value === 'anywhere') return () => true;
      return hasLabel(value, ports);
    case 'label': return hasLabel(value, ports);
    case 'is':
      if (value === 'read') return (m) => !m.label_ids.includes('UNREAD');
      return hasLabel(value, ports);
    case 'has':
      if (value === 'attachment') return ports.hasAttachment;
      return fail();
    case 'after': case 'newer': return since(moment(value));
    case 'before': case 'older': return until(moment(value));
    case 'newer_than': return since(ports.now() - span(value));
    case 'older_than': return until(ports.now() - span(value));
    default: return fail();
  }
}

const since = (at) => (m) => Number(m.internal_date) >= at;
const until = (at) => (m) => Number(m.internal_date) < at;
const contains = (part, value) => (m) => part(m).toLowerCase().includes(value.toLowerCase());

const searchable = (m) =>
  [m.subject, m.from, m.to, m.cc, m.bcc, m.snippet, m.body_text, (m.body_html ?? '').replace(/<[^>]+>/g, ' ')]
    .filter(Boolean)
    .join(' ');

// A label is named in a query in lower case, with a dash for a blank or a slash; an id works too.
function hasLabel(value, { labelNames }) {
  const plain = (name) => name.toLowerCase().replace(/[ /]/g, '-');
  return (m) => m.label_ids.some((id) => plain(id) === plain(value) || plain(labelNames(id)) === plain(value));
}

function moment(value) {
  const at = /^\d{9,}$/.test(value) ? Number(value) * 1000 : Date.parse(`${value.replaceAll('/', '-')}T00:00:00Z`);
  return Number.isFinite(at) ? at : fail();
}

function span(value) {
  const [, count, unit] = /^(\d+)([dmy])$/.exec(value) ?? fail();
  return Number(count) * { d: 1, m: 30, y: 365 }[unit] * 86_400_000;
}

function tokenize(text) {
  const tokens = [];
  const pattern = /\s+|([-({})])|([a-z0-9_]+):(?:"([^"]*)"|([^\s"(){}]+))|"([^"]*)"|([^\s"(){}]+)/giy;
  while (pattern.lastIndex < text.length) {
    const found = pattern.exec(text) ?? fail();
    const [, mark, operator, quoted, value, phrase, bare] = found;
    if (mark) tokens.push({ mark });
    else if (operator) tokens.push({ operator: operator.toLowerCase(), value: quoted ?? value });
    else if (phrase !== undefined) tokens.push({ bare: phrase || fail(), quoted: true });
    else if (bare) tokens.push({ bare });
  }
  return tokens;
}

function fail() {
  throw new Error('invalid query');
}
