// Drive's `q` language, which the emulator reads with three regular expressions.
//
// The emulator takes the first parent, skips what it does not know and knows no escapes, so a test of quoting would
// prove nothing. Here it is parsed: `and`, `or`, `not`, brackets, `\'` and `\\` inside strings. What is not known is
// refused, never skipped.

/**
 * @param {string} text the value of `q`
 * @param {(item: object) => string} contentOf a file's text, for `fullText contains`
 * @returns {(item: object) => boolean} over Drive file resources
 * @throws {Error} on a syntax error or a term that the stand-in does not know
 */
export function parseDriveQuery(text, contentOf) {
  const tokens = tokenize(text);
  let at = 0;
  const peek = () => tokens[at];
  const isWord = (word) => peek()?.word?.toLowerCase() === word;
  const take = () => tokens[at++] ?? fail();

  const either = () => {
    const terms = [both()];
    while (isWord('or') && ++at) terms.push(both());
    return (item) => terms.some((term) => term(item));
  };
  const both = () => {
    const terms = [unary()];
    while (isWord('and') && ++at) terms.push(unary());
    return (item) => terms.every((term) => term(item));
  };
  const unary = () => {
    if (isWord('not') && ++at) {
      const inner = unary();
      return (item) => !inner(item);
    }
    if (peek()?.mark === '(') {
      at++;
      const inner = either();
      if (take().mark !== ')') fail();
      return inner;
    }
    return term();
  };
  const term = () => {
    const left = take();
    if (left.string !== undefined) {
      if (take().word !== 'in' || take().word !== 'parents') fail();
      return (item) => item.parents.includes(left.string);
    }
    const operator = take();
    const right = take();
    return compare(left.word, operator.mark ?? operator.word, right, contentOf);
  };

  const predicate = either();
  if (at !== tokens.length) fail();
  return predicate;
}

function compare(field, operator, right, contentOf) {
  const text = right.string;
  const key = `${field} ${operator}`;
  if (field === 'trashed' && right.word) {
    const want = right.word === 'true';
    if (operator === '=') return (item) => Boolean(item.trashed) === want;
    if (operator === '!=') return (item) => Boolean(item.trashed) !== want;
  }
  if (text === undefined) fail();
  const lower = text.toLowerCase();
  switch (key) {
    case 'name =': return (item) => item.name === text;
    case 'name !=': return (item) => item.name !== text;
    // Drive matches `contains` on a name at the beginning of a word only.
    case 'name contains': return (item) => ` ${item.name.toLowerCase()}`.includes(` ${lower}`);
    case 'fullText contains':
      return (item) => `${item.name}\n${contentOf(item)}`.toLowerCase().includes(lower.replace(/^"|"$/g, ''));
    case 'mimeType =': return (item) => item.mimeType === text;
    case 'mimeType !=': return (item) => item.mimeType !== text;
    case 'mimeType contains': return (item) => item.mimeType.startsWith(text);
    case 'modifiedTime >': return (item) => Date.parse(item.modifiedTime) > Date.parse(text);
    case 'modifiedTime <': return (item) => Date.parse(item.modifiedTime) < Date.parse(text);
    default: return fail();
  }
}

function tokenize(text) {
  const tokens = [];
  const pattern = /\s+|'((?:[^'\\]|\\['\\])*)'|([A-Za-z]+)|(!=|<=|>=|[=<>()])/gy;
  while (pattern.lastIndex < text.length) {
    const found = pattern.exec(text) ?? fail();
    const [, string, word, mark] = found;
    if (string !== undefined) tokens.push({ string: string.replace(/\\(['\\])/g, '$1') });
    else if (word) tokens.push({ word });
    else if (mark) tokens.push({ mark });
  }
  return tokens;
}

function fail() {
  throw new Error('invalid query');
}
