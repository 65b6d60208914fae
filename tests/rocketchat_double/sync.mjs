// Catch-up queries over `_updatedAt` with Rocket.Chat's strict comparison: what shares the
// boundary's millisecond is left out.
import { MeteorError } from './codec.mjs';

export const updatedSince = (rows, since) => rows.filter((row) => row._updatedAt > since);

/** One page of updates or deletions from a millisecond cursor. */
export function cursorPage({ type, next, previous, count, messages, trash }) {
  if (type !== 'UPDATED' && type !== 'DELETED') throw new MeteorError('error-type-param-required', 'The "type" parameter must be "UPDATED" or "DELETED"');
  if (next !== undefined && previous !== undefined) throw new MeteorError('error-cursor-conflict', 'You cannot provide both "next" and "previous" parameters');
  const stamp = type === 'UPDATED' ? (m) => m._updatedAt.getTime() : (m) => m._deletedAt.getTime();
  const list = type === 'UPDATED' ? 'updated' : 'deleted';
  const rows = (type === 'UPDATED' ? messages : trash).slice().sort((a, b) => stamp(a) - stamp(b));
  if (next === undefined && previous === undefined) return { [list]: [], cursor: { next: null, previous: null } };
  const forward = next !== undefined;
  const mark = Number(forward ? next : previous);
  const found = forward ? rows.filter((m) => stamp(m) > mark) : rows.filter((m) => stamp(m) < mark).reverse();
  const page = found.slice(0, count);
  const more = found.length > count;
  const edge = (row) => (row ? String(stamp(row)) : null);
  const cursor = forward
    ? { next: more ? edge(page.at(-1)) : null, previous: edge(page[0]) }
    : { next: edge(page[0]), previous: more ? edge(page.at(-1)) : null };
  return { [list]: type === 'UPDATED' ? page : page.map(({ _id, _deletedAt }) => ({ _id, _deletedAt })), cursor };
}
