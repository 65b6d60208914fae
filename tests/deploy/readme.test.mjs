// README against `pushbridge --help`: what it names exists, with that default, and nothing is left out.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = path.join(path.dirname(fileURLToPath(import.meta.url)), '..', '..');
const readme = readFileSync(path.join(ROOT, 'README.md'), 'utf8');
const help = execFileSync(process.env.PUSHBRIDGE ?? path.join(ROOT, 'build/release/pushbridge'), ['--help'], { encoding: 'utf8' });

/** Setting -> its default's text, '' where there is none. */
const settings = new Map(
  [...help.matchAll(/^ {2}([A-Z][\w:]*)(?: \(or from a file.*\))?\n(?: {6}.*\n)*? {6}.*?(?:; default (.*))?\n(?! {6})/gm)].map(([, name, value = '']) => [name, value]),
);

/** The names a code span stands for: A:{B, C} is two; a name without a section has that of the one before. */
function expand(span, section) {
  const [, head, list] = span.match(/^(.*?)\{(.*)\}$/) ?? [null, span, null];
  const names = list === null ? [head] : list.split(',').map((name) => head + name.trim());
  return names.map((name) => [name, section + name, `PushBridge:${name}`].find(exists) ?? name);
}
const exists = (name) => (name.endsWith(':*') ? [...settings.keys()].some((s) => s.startsWith(name.slice(0, -1))) : settings.has(name));
const spansOf = (text) => [...text.matchAll(/`([^`\n]+)`/g)].map(([, span]) => span);

const rows = readme
  .slice(readme.indexOf('| setting | default |'))
  .split('\n\n')[0]
  .split('\n')
  .slice(2)
  .map((line) => {
    const [cell, value] = line.split('|').slice(1).map((text) => text.trim());
    let section = '';
    const names = spansOf(cell).flatMap((span) => {
      const found = expand(span, section);
      section = found[0].replace(/[^:]*$/, '');
      return found;
    });
    return { names, value };
  });

test('--help is understood', () => {
  assert.ok(settings.size > 50, `${settings.size} settings`);
  assert.equal(settings.get('Urls'), 'http://0.0.0.0:5080');
  assert.equal(settings.get('PushBridge:Session:LingerSeconds'), '90');
  assert.equal(settings.get('Im:Proxy'), '');
  assert.equal(settings.size, help.match(/^ {2}[A-Z][\w:]*( \(or from a file.*\))?$/gm).length);
});

test('every setting README names exists', () => {
  const section = /^(Im|App|Authentication|PushBridge|Auth|Events|Log|Limits|Session|TokenCache|Drain|Hub|Ddp|Rest)(:|__)/;
  const named = spansOf(readme).flatMap((span) => span.split(/[ =]/)[0] === span ? [span] : [span.match(/^[\w:]+(?:\{[^}]*\})?/)?.[0] ?? '']).filter((span) => section.test(span));
  assert.ok(named.length > 15);
  for (const span of named)
    for (const name of expand(span.replaceAll('__', ':'), '')) assert.ok(exists(name) || exists(name.replace(/File$/, '')), `${span}: no setting ${name}`);
});

test("README's table names every setting, by name or by section, and its default", () => {
  for (const { names, value } of rows) {
    for (const name of names) assert.ok(exists(name), name);
    const literal = value.match(/^`([^`]+)`$|^(\d+)(?: |$)/);
    if (names.length === 1 && literal) assert.equal(settings.get(names[0]), literal[1] ?? literal[2], names[0]);
  }
  const covered = (name) => rows.some(({ names }) => names.some((n) => n === name || (n.endsWith(':*') && name.startsWith(n.slice(0, -1)))));
  assert.deepEqual([...settings.keys()].filter((name) => !covered(name)), []);
});

test('every file README names exists', () => {
  for (const [, file] of readme.matchAll(/`((?:deploy|tests|bridge|base|signalr|rocketchat|cache)\/[\w./-]*)/g)) assert.ok(existsSync(path.join(ROOT, file)), file);
});

test('README stays short', () => assert.ok(readme.split('\n').length <= 360));
