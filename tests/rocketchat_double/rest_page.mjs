// Paging as REST does it: `count` (default 50, at most 100, 0 for all) and `offset`; the answer says
// how many of how many.
const DEFAULT_COUNT = 50;
const MAX_COUNT = 100;

export function page(query, name, rows) {
  const number = (key, otherwise) => (query.has(key) ? Math.max(0, Math.trunc(Number(query.get(key)) || 0)) : otherwise);
  const offset = number('offset', 0);
  const asked = number('count', DEFAULT_COUNT);
  const some = asked === 0 ? rows.slice(offset) : rows.slice(offset, offset + Math.min(asked, MAX_COUNT));
  return { [name]: some, count: some.length, offset, total: rows.length };
}
