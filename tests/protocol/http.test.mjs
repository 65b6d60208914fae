// The HTTP edge of the real bridge, byte by byte: vectors/http.json whole and cut into pieces, then
// what needs time or state.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { ORIGIN, sleep, startBridge, tokenFor } from '../lib/harness.mjs';
import { RawConnection } from '../lib/raw_connection.mjs';

const vectors = JSON.parse(readFileSync(new URL('vectors/http.json', import.meta.url)));
const HEAD_MS = 300;

let bridge, hasty; // the second for what waits for its time-outs: bytes one by one may take a while
const cleanups = [];
before(async () => {
  const t = { after: (fn) => cleanups.push(fn) };
  bridge = await startBridge(t, null);
  hasty = await startBridge(t, null, {
    'PushBridge:Limits:HeadTimeoutSeconds': HEAD_MS / 1000,
    'PushBridge:Limits:BodyTimeoutSeconds': HEAD_MS / 1000,
    'PushBridge:Limits:IdleTimeoutSeconds': 0.8,
  });
});
after(async () => {
  for (const fn of cleanups) await fn();
});

function bytesOf(parts) {
  const text = [parts].flat().map((part) => (typeof part === 'string' ? part : part.repeat.repeat(part.times))).join('');
  const filled = text.replaceAll('{host}', `127.0.0.1:${bridge.port}`).replaceAll('{token}', tokenFor('alice'));
  return Buffer.from(filled, 'latin1');
}

async function stillOpen(raw) {
  raw.write(`GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n`);
  return (await raw.response()) !== null;
}

for (const { name, spec, method, send, expect, once } of vectors)
  test(`${name} [${spec}]`, async () => {
    const bytes = bytesOf(send);
    for (const size of once ? [bytes.length] : [bytes.length, 7, 1]) {
      const raw = await RawConnection.open(bridge.port);
      const writing = raw.writeSplit(bytes, size);
      for (const { status, has = [], open } of expect) {
        const answer = await raw.response({ method });
        assert.ok([status].flat().includes(answer?.status), `${answer?.status} in pieces of ${size}`);
        for (const header of has) assert.ok(answer.headers.has(header), header);
        if (open === true) assert.ok(await stillOpen(raw), 'kept alive');
        if (open === false) {
          await raw.closed();
          assert.equal(raw.pending.length, 0, 'nothing behind the last answer');
        }
      }
      await writing;
      raw.destroy();
    }
    assert.equal((await fetch(`${bridge.url}/healthz`)).status, 200);
  });

test('a slow head is answered 408, a silent connection is closed', async () => {
  const slow = await RawConnection.open(hasty.port);
  slow.write('GET /healthz HT');
  const start = Date.now();
  assert.equal((await slow.response()).status, 408);
  assert.ok(Date.now() - start >= HEAD_MS - 50);
  await slow.closed();

  // Bytes that trickle do not push the limit back.
  const trickle = await RawConnection.open(hasty.port);
  const timer = setInterval(() => trickle.write('X-A: b\r\n'), 50);
  trickle.write('GET /healthz HTTP/1.1\r\n');
  const answer = await trickle.response({ timeoutMs: HEAD_MS * 5 });
  clearInterval(timer);
  assert.equal(answer.status, 408);
});

test('a slow body is answered 408', async () => {
  const raw = await RawConnection.open(hasty.port);
  raw.write(`POST /signalr/negotiate HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${tokenFor('alice')}\r\nContent-Length: 10\r\n\r\nabc`);
  assert.equal((await raw.response()).status, 408);
  await raw.closed();
});

test('an idle kept-alive connection is closed without a word', async () => {
  const raw = await RawConnection.open(hasty.port);
  assert.ok(await stillOpen(raw));
  await raw.closed(3000);
  assert.equal(raw.pending.length, 0);
});

test('a hundred pipelined requests are answered in order', async () => {
  const raw = await RawConnection.open(bridge.port);
  const paths = Array.from({ length: 100 }, (_, i) => (i % 3 === 0 ? '/healthz' : '/nowhere'));
  raw.write(paths.map((path) => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`).join(''));
  for (const path of paths) assert.equal((await raw.response()).status, path === '/healthz' ? 200 : 404);
});

test('CORS: listed origins are named with credentials, others are not; errors carry it too', async () => {
  const negotiate = (origin, token) => fetch(`${bridge.hubUrl}/negotiate?negotiateVersion=1`, { method: 'POST', headers: { Origin: origin, ...(token && { Authorization: `Bearer ${token}` }) } });
  for (const token of [tokenFor('alice'), undefined]) {
    const listed = await negotiate(ORIGIN, token);
    assert.equal(listed.status, token ? 200 : 401);
    assert.equal(listed.headers.get('access-control-allow-origin'), ORIGIN);
    assert.equal(listed.headers.get('access-control-allow-credentials'), 'true');
    assert.match(listed.headers.get('vary') ?? '', /origin/i);
    for (const origin of ['http://evil.example', `${ORIGIN}.evil.example`, `${ORIGIN}:81`, 'null', ORIGIN.replace('http', 'https')]) {
      const other = await negotiate(origin, token);
      assert.equal(other.headers.get('access-control-allow-origin'), null, origin);
    }
  }
});

test('preflight: no token asked for, the requested headers are echoed', async () => {
  const asked = 'authorization,x-requested-with,x-signalr-user-agent,x-xsrf-token';
  const preflight = (path, method) =>
    fetch(bridge.url + path, { method: 'OPTIONS', headers: { Origin: ORIGIN, 'Access-Control-Request-Method': method, 'Access-Control-Request-Headers': asked } });
  for (const path of ['/signalr', '/signalr/negotiate?negotiateVersion=1'])
    for (const method of ['GET', 'POST', 'DELETE']) {
      const res = await preflight(path, method);
      assert.equal(res.status, 204);
      assert.equal(res.headers.get('access-control-allow-origin'), ORIGIN);
      assert.equal(res.headers.get('access-control-allow-credentials'), 'true');
      assert.ok(res.headers.get('access-control-allow-methods').includes(method), method);
      const allowed = res.headers.get('access-control-allow-headers').toLowerCase();
      for (const name of asked.split(',')) assert.ok(allowed.includes(name), name);
    }
  const stranger = await fetch(`${bridge.hubUrl}/negotiate`, { method: 'OPTIONS', headers: { Origin: 'http://evil.example', 'Access-Control-Request-Method': 'POST' } });
  assert.equal(stranger.headers.get('access-control-allow-origin'), null);
});

test('a flood of half requests leaves others alone', async () => {
  const half = await Promise.all(Array.from({ length: 200 }, () => RawConnection.open(hasty.port)));
  for (const raw of half) raw.write('POST /signalr/negotiate HTTP/1.1\r\nHost: x\r\nContent-Le');
  assert.equal((await fetch(`${hasty.url}/healthz`)).status, 200);
  await sleep(HEAD_MS + 300);
  for (const raw of half) raw.destroy();
  assert.equal((await fetch(`${hasty.url}/healthz`)).status, 200);
});
