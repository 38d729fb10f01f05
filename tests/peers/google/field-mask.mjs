// Google's `fields` parameter, which the emulator ignores.
//
// Without it Drive answers with kind, id, name and mimeType only. A client that needs `parents` has to ask for it,
// and the stand-in must not let one get away with not asking.

/**
 * Parses a mask such as `nextPageToken,files(id,parents),owners/emailAddress`.
 * @param {string} text
 * @returns {Map<string, Map | null>} null means "everything below"
 * @throws {Error} when the mask is malformed
 */
export function parseMask(text) {
  const tokens = text.match(/[A-Za-z0-9_*]+|[(),/]/g) ?? [];
  if (tokens.join('') !== text.replace(/\s+/g, '')) throw new Error('invalid field selection');
  let at = 0;
  const list = () => {
    const mask = new Map();
    do {
      item(mask);
    } while (tokens[at] === ',' && ++at);
    return mask;
  };
  const item = (mask) => {
    const name = tokens[at++];
    if (!name || /[(),/]/.test(name)) throw new Error('invalid field selection');
    if (tokens[at] === '/') {
      at++;
      const below = new Map();
      item(below);
      mask.set(name, below);
    } else if (tokens[at] === '(') {
      at++;
      mask.set(name, list());
      if (tokens[at++] !== ')') throw new Error('invalid field selection');
    } else {
      mask.set(name, null);
    }
  };
  const mask = list();
  if (at !== tokens.length) throw new Error('invalid field selection');
  return mask;
}

/** Keeps of `value` what `mask` names. */
export function applyMask(mask, value) {
  if (mask === null || mask.has('*')) return value;
  if (Array.isArray(value)) return value.map((element) => applyMask(mask, element));
  if (value === null || typeof value !== 'object') return value;
  const kept = {};
  for (const [name, below] of mask) {
    if (name in value) kept[name] = applyMask(below, value[name]);
  }
  return kept;
}
