// Paging as REST does it: `count` (default 50, at most 100, 0 for all), `offset` and `sort`, a JSON
// object of fields and directions; the answer says how many of how many.
import { MeteorError } from './codec.mjs';

const DEFAULT_COUNT = 50;
const MAX_COUNT = 100;

function sorted(rows, text) {
  let by;
  try {
    by = Object.entries(JSON.parse(text));
  } catch {
    throw new MeteorError('error-invalid-sort', `Invalid sort parameter provided: "${text}"`);
  }
  const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
  return [...rows].sort((a, b) => by.reduce((order, [field, direction]) => order || compare(a[field], b[field]) * direction, 0));
}

export function page(query, name, all) {
  const rows = query.has('sort') ? sorted(all, query.get('sort')) : all;
  const number = (key, otherwise) => (query.has(key) ? Math.max(0, Math.trunc(Number(query.get(key)) || 0)) : otherwise);
  const offset = number('offset', 0);
  const asked = number('count', DEFAULT_COUNT);
  const some = asked === 0 ? rows.slice(offset) : rows.slice(offset, offset + Math.min(asked, MAX_COUNT));
  return { [name]: some, count: some.length, offset, total: rows.length };
}
