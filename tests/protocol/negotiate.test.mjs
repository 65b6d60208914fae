// Negotiation, the upgrade to a WebSocket, and who may have one.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { ORIGIN, sleep, startBridge, tokenFor } from '../lib/harness.mjs';
import { RawConnection, acceptOf, upgradeRequest } from '../lib/raw_connection.mjs';

const NEGOTIATE_MS = 500;
let bridge;
const cleanups = [];
before(async () => {
  bridge = await startBridge({ after: (fn) => cleanups.push(fn) }, null, { 'PushBridge:Shards': 4, 'PushBridge:Hub:NegotiateTimeoutSeconds': NEGOTIATE_MS / 1000 });
});
after(async () => {
  for (const fn of cleanups) await fn();
});

const negotiate = (query, { path = '/signalr/negotiate', token = tokenFor('alice'), headers = {} } = {}) =>
  fetch(`${bridge.url}${path}${query}`, { method: 'POST', headers: { ...(token && { Authorization: `Bearer ${token}` }), ...headers } });

test('version 1: id and token are two, URL-safe, 22 characters', async () => {
  const seen = new Set();
  for (const query of ['?negotiateVersion=1', '?negotiateVersion=2', '?negotiateVersion=99', '?NEGOTIATEVERSION=1', '?x=y&negotiateVersion=1&z']) {
    const res = await negotiate(query);
    assert.equal(res.status, 200);
    assert.match(res.headers.get('content-type'), /^application\/json/);
    assert.ok(res.headers.has('content-length'));
    const body = await res.json();
    assert.equal(body.negotiateVersion, 1, query);
    for (const value of [body.connectionId, body.connectionToken]) {
      assert.match(value, /^[A-Za-z0-9_-]{22}$/);
      assert.equal(seen.has(value), false);
      seen.add(value);
    }
    assert.deepEqual(body.availableTransports.map((t) => t.transport), ['WebSockets'], 'only what works');
    assert.ok(body.availableTransports[0].transferFormats.includes('Text'));
    for (const [key, value] of Object.entries(body)) assert.notEqual(value, null, key);
    for (const absent of ['ProtocolVersion', 'error', 'useStatefulReconnect']) assert.equal(absent in body, false);
  }
});

test('version 0: the token is the id', async () => {
  for (const query of ['', '?negotiateVersion=0', '?negotiateVersion']) {
    const body = await (await negotiate(query)).json();
    if (query !== '?negotiateVersion') assert.equal(body.negotiateVersion, 0, query);
    if (body.error === undefined) assert.equal('connectionToken' in body, false);
  }
});

test('bad versions: 200 and only an error', async () => {
  const cases = [
    ['abc', 'The client requested a non-integer protocol version.'],
    ['1.5', 'The client requested a non-integer protocol version.'],
    ['-1', "The client requested version '-1', but the server does not support this version."],
  ];
  for (const [version, error] of cases) {
    const res = await negotiate(`?negotiateVersion=${version}`);
    assert.equal(res.status, 200);
    assert.deepEqual(await res.json(), { error });
  }
});

test('the path in any case; nothing but the path', async () => {
  assert.equal((await negotiate('', { path: '/SignalR/Negotiate' })).status, 200);
  for (const path of ['/signalr/negotiatee', '/signalr/negotiate/x', '/signalrnegotiate', '/signal/negotiate']) assert.equal((await negotiate('', { path })).status, 404, path);
});

test('401: empty, and the same whatever was wrong', async () => {
  const tokens = [
    undefined,
    '',
    'null',
    'undefined',
    'a.b.c',
    tokenFor('alice', { key: 'another-key-of-some-length' }),
    tokenFor('alice', { lifetimeSeconds: -120 }),
    tokenFor('alice', { claims: { nbf: Math.floor(Date.now() / 1000) + 600 } }),
    tokenFor('alice', { audience: 'other' }),
    tokenFor('alice', { issuer: 'other' }),
    tokenFor('alice', { claims: { token_type: '1' } }),
    `${tokenFor('alice')}x`,
    `eyJhbGciOiJub25lIn0.${tokenFor('alice').split('.')[1]}.`,
  ];
  const shapes = new Set();
  for (const token of tokens)
    for (const query of ['', `?access_token=${encodeURIComponent(token ?? '')}`]) {
      const raw = await RawConnection.open(bridge.port);
      const header = query === '' && token !== undefined ? `Authorization: Bearer ${token}\r\n` : '';
      raw.write(`POST /signalr/negotiate${query} HTTP/1.1\r\nHost: x\r\n${header}Content-Length: 0\r\n\r\n`);
      const answer = await raw.response();
      assert.deepEqual([answer.status, answer.reason, answer.body], [401, 'Unauthorized', '']);
      shapes.add([...answer.headers.keys()].join());
      raw.destroy();
    }
  assert.equal(shapes.size, 1);
});

test('carriers: header or access_token', async () => {
  const token = tokenFor('alice');
  assert.equal((await negotiate(`?access_token=${token}`, { token: undefined })).status, 200);
  assert.equal((await negotiate('', { token: undefined, headers: { Authorization: `bearer ${token}` } })).status, 200);
  assert.equal((await negotiate('?enc_auth_token=null', { token })).status, 200, 'null is no token');
});

async function upgrade(query, headers) {
  const raw = await RawConnection.open(bridge.port);
  raw.write(upgradeRequest({ port: bridge.port, query, headers }));
  return { raw, answer: await raw.response() };
}

const auth = () => `?access_token=${tokenFor('alice')}`;

test('the upgrade: 101 with the right key, nothing that was not asked for', async () => {
  const key = 'AQIDBAUGBwgJCgsMDQ4PEA==';
  const { raw, answer } = await upgrade(auth(), {
    'Sec-WebSocket-Key': key,
    Connection: 'keep-alive, Upgrade',
    Upgrade: 'WebSocket',
    'Sec-WebSocket-Extensions': 'permessage-deflate; client_max_window_bits',
    'Sec-WebSocket-Protocol': 'chat, superchat',
  });
  assert.equal(answer.status, 101);
  assert.equal(answer.headers.get('sec-websocket-accept'), acceptOf(key));
  assert.equal(answer.headers.get('upgrade').toLowerCase(), 'websocket');
  assert.equal(answer.headers.get('connection').toLowerCase(), 'upgrade');
  for (const absent of ['sec-websocket-extensions', 'sec-websocket-protocol', 'content-length', 'transfer-encoding']) assert.equal(answer.headers.has(absent), false);
  raw.destroy();
});

test('bad upgrades are refused', async () => {
  const cases = {
    'no key': [{ 'Sec-WebSocket-Key': undefined }, [400]],
    'a short key': [{ 'Sec-WebSocket-Key': 'AAAA' }, [400]],
    'a key that is no base64': [{ 'Sec-WebSocket-Key': '!!!!!!!!!!!!!!!!!!!!!!==' }, [400]],
    'version 8': [{ 'Sec-WebSocket-Version': '8' }, [400, 426]],
    'no version': [{ 'Sec-WebSocket-Version': undefined }, [400, 426]],
    'a body': [{ 'Content-Length': '3' }, [400]],
    'a chunked body': [{ 'Transfer-Encoding': 'chunked' }, [400]],
    'a foreign origin': [{ Origin: 'http://evil.example' }, [403]],
    'an origin that only begins alike': [{ Origin: `${ORIGIN}.evil.example` }, [403]],
    'the origin null': [{ Origin: 'null' }, [403]],
  };
  for (const [what, [headers, status]] of Object.entries(cases)) {
    const { raw, answer } = await upgrade(auth(), headers);
    assert.ok(status.includes(answer.status), `${what}: ${answer.status}`);
    if (answer.status === 426) assert.equal(answer.headers.get('sec-websocket-version'), '13');
    raw.destroy();
  }
});

test('origins that may: none, the listed one, the request\'s own', async () => {
  for (const Origin of [undefined, ORIGIN, `http://127.0.0.1:${bridge.port}`]) {
    const { raw, answer } = await upgrade(auth(), { Origin });
    assert.equal(answer.status, 101, String(Origin));
    raw.destroy();
  }
});

test('no token, or a wrong one: 401 with an empty body', async () => {
  for (const query of ['', '?access_token=', '?access_token=a.b.c']) {
    const { raw, answer } = await upgrade(query);
    assert.deepEqual([answer.status, answer.body], [401, '']);
    raw.destroy();
  }
});

test('a negotiated token opens one WebSocket, from whatever shard took the socket', async () => {
  for (let i = 0; i < 20; i++) {
    const { connectionToken } = await (await negotiate('?negotiateVersion=1')).json();
    const { raw, answer } = await upgrade(`${auth()}&id=${connectionToken}`);
    assert.equal(answer.status, 101);
    const second = await upgrade(`${auth()}&id=${connectionToken}`);
    assert.equal(second.answer.status, 409);
    const post = await fetch(`${bridge.hubUrl}?id=${connectionToken}`, { method: 'POST', headers: { Authorization: `Bearer ${tokenFor('alice')}` }, body: 'x' });
    assert.equal(post.status, 405);
    assert.equal(await post.text(), 'POST requests are not allowed for WebSocket connections.');
    for (const each of [raw, second.raw]) each.destroy();
  }
});

test('unknown and expired tokens: 404; the id is not the token', async () => {
  const fresh = await (await negotiate('?negotiateVersion=1')).json();
  const old = await (await negotiate('?negotiateVersion=1')).json();
  const cases = ['x', 'A'.repeat(22), 'A'.repeat(5000), fresh.connectionId, '%00', '..%2f'];
  for (const id of cases) {
    const { raw, answer } = await upgrade(`${auth()}&id=${id}`);
    assert.equal(answer.status, 404, id.slice(0, 30));
    raw.destroy();
  }
  await sleep(NEGOTIATE_MS + 1300);
  const late = await upgrade(`${auth()}&id=${old.connectionToken}`);
  assert.equal(late.answer.status, 404);
  assert.equal(late.answer.body, 'No Connection with that ID');
  late.raw.destroy();
});

test('another user cannot use the token', async () => {
  const { connectionToken } = await (await negotiate('?negotiateVersion=1')).json();
  const { raw, answer } = await upgrade(`?access_token=${tokenFor('bob')}&id=${connectionToken}`);
  assert.equal(answer.status, 404);
  raw.destroy();
});

test('a GET on the hub that is no upgrade: no transport for it', async () => {
  const headers = { Authorization: `Bearer ${tokenFor('alice')}` };
  for (const more of [{}, { Accept: 'text/event-stream' }]) {
    const res = await fetch(bridge.hubUrl, { headers: { ...headers, ...more } });
    assert.ok([400, 404].includes(res.status), String(res.status));
  }
  assert.ok([400, 404].includes((await fetch(bridge.hubUrl, { method: 'POST', headers, body: 'x' })).status));
});
