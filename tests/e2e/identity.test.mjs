// Who a caller is: keys from everywhere they may come from, seen from a browser's side.
import assert from 'node:assert/strict';
import { createHash, createHmac, generateKeyPairSync, sign } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'node:test';
import { ISSUER, KEY, sleep, startBridge, startDouble, tokenFor, until } from '../lib/harness.mjs';
import { CLAIM } from '../lib/jwt.mjs';
import { CLIENTS, Tab } from '../lib/signalr_clients.mjs';

const latest = CLIENTS.latest;

/** A key pair with its `kid`, as an identity server holds it. */
function keyPair(alg, kid) {
  const { publicKey, privateKey } = alg === 'RS256' ? generateKeyPairSync('rsa', { modulusLength: 2048 }) : generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return { alg, kid, publicKey, privateKey, jwk: { ...publicKey.export({ format: 'jwk' }), kid, alg, use: 'sig' }, pem: publicKey.export({ type: 'spki', format: 'pem' }) };
}

const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');

function claimsOf(name) {
  const now = Math.floor(Date.now() / 1000);
  return { [CLAIM.id]: `id-${name}`, [CLAIM.name]: name, iss: ISSUER, aud: ISSUER, nbf: now, exp: now + 3600 };
}

/** A token of `name`, signed by the pair; `header` wins over what fits. */
function signedBy(pair, name, header = {}) {
  const signed = `${encode({ alg: pair.alg, typ: 'JWT', kid: pair.kid, ...header })}.${encode(claimsOf(name))}`;
  const signature = sign('sha256', Buffer.from(signed), { key: pair.privateKey, dsaEncoding: 'ieee-p1363' });
  return `${signed}.${signature.toString('base64url')}`;
}

function hmacToken(name, secret, header = {}) {
  const signed = `${encode({ alg: 'HS256', typ: 'JWT', ...header })}.${encode(claimsOf(name))}`;
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
}

/** Node 18's close() returns nothing. */
function closeServer(server) {
  const closed = new Promise((resolve) => server.close(resolve));
  server.closeAllConnections();
  return closed;
}

/** An identity server: `set` is what it serves, `fetches` how often it was asked. */
async function startKeyServer(t, pairs) {
  const state = { set: pairs, fetches: 0, status: 200 };
  const server = http.createServer((req, res) => {
    state.fetches++;
    res.writeHead(state.status, { 'Content-Type': 'application/json' }).end(JSON.stringify({ keys: state.set.map((pair) => pair.jwk) }));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => closeServer(server));
  state.url = `http://127.0.0.1:${server.address().port}/.well-known/jwks.json`;
  return state;
}

const NO_SECRET = { 'Authentication:JwtBearer:SecurityKey': undefined, 'PushBridge:Auth:Algorithms': ['RS256', 'ES256'] };

async function negotiate(bridge, token) {
  const headers = token === undefined ? {} : { Authorization: `Bearer ${token}` };
  const res = await fetch(`${bridge.hubUrl}/negotiate?negotiateVersion=1`, { method: 'POST', headers });
  return { status: res.status, body: await res.text() };
}

const refused = { status: 401, body: '' };

test('a key set by URL: RS256 and ES256 by kid; every forgery gets the same empty 401', async (t) => {
  const rsa = keyPair('RS256', 'r1');
  const ec = keyPair('ES256', 'e1');
  const strange = keyPair('RS256', 'r1');
  const keys = await startKeyServer(t, [rsa, ec]);
  const rc = await startDouble(t);
  const bridge = await startBridge(t, rc.double, { ...NO_SECRET, 'PushBridge:Auth:Algorithms': ['HS256', 'RS256', 'ES256'], 'PushBridge:Auth:Jwks': keys.url });
  await until('the keys are there', async () => (await negotiate(bridge, signedBy(rsa, 'alice'))).status === 200);
  for (const [pair, name] of [[rsa, 'alice'], [ec, 'bob']]) {
    await Tab.open(t, latest, bridge.hubUrl, signedBy(pair, name));
    await rc.live(name);
  }
  assert.equal((await negotiate(bridge, signedBy(ec, 'bob', { kid: undefined }))).status, 200, 'no kid: keys of the kind are tried');

  const [head, , signature] = signedBy(ec, 'alice').split('.');
  const forgeries = {
    'HS256 with the RSA public key (PEM) as secret': hmacToken('alice', rsa.pem, { kid: 'r1' }),
    'the same without its last newline': hmacToken('alice', rsa.pem.trim(), { kid: 'r1' }),
    'HS256 with the modulus as secret': hmacToken('alice', Buffer.from(rsa.jwk.n, 'base64url'), { kid: 'r1' }),
    'HS256 with an empty secret': hmacToken('alice', ''),
    'alg none': `${encode({ alg: 'none', typ: 'JWT', kid: 'r1' })}.${encode(claimsOf('alice'))}.`,
    "a stranger's key under a known kid": signedBy(strange, 'alice'),
    'ES256 under the kid of the RSA key': signedBy(ec, 'alice', { kid: 'r1' }),
    'other claims under a good signature': `${head}.${encode(claimsOf('bob'))}.${signature}`,
  };
  for (const [what, token] of Object.entries(forgeries)) assert.deepEqual(await negotiate(bridge, token), refused, what);
  assert.deepEqual(await negotiate(bridge, undefined), refused, 'no token at all');
});

test('keys are rotated: an unknown kid has the set read again, and the next try gets in', async (t) => {
  const [old, young] = [keyPair('ES256', 'old'), keyPair('ES256', 'young')];
  const keys = await startKeyServer(t, [old]);
  const rc = await startDouble(t);
  const bridge = await startBridge(t, rc.double, { ...NO_SECRET, 'PushBridge:Auth:Jwks': keys.url, 'PushBridge:Auth:JwksMinGapSeconds': 0.3 });
  await until('the old key', async () => (await negotiate(bridge, signedBy(old, 'alice'))).status === 200);

  keys.set = [young];
  assert.deepEqual(await negotiate(bridge, signedBy(young, 'alice')), refused);
  await until('the young key', async () => (await negotiate(bridge, signedBy(young, 'alice'))).status === 200);
  await until('the old key is gone', async () => (await negotiate(bridge, signedBy(old, 'alice'))).status === 401);
  await Tab.open(t, latest, bridge.hubUrl, signedBy(young, 'alice'));
  await rc.live('alice');

  // A stranger who makes kids up cannot make us hammer the identity server.
  const before = keys.fetches;
  const start = Date.now();
  while (Date.now() - start < 900) await Promise.all(Array.from({ length: 10 }, (_, i) => negotiate(bridge, signedBy(old, 'alice', { kid: `made-up-${i}` }))));
  assert.ok(keys.fetches - before <= 5, `${keys.fetches - before} fetches in 0.9 s`);

  // The server fails for a while: what was learnt stays good.
  keys.status = 500;
  await negotiate(bridge, signedBy(old, 'alice'));
  await until('a failed fetch is told', () => bridge.logged('jwks_failed').length > 0);
  assert.equal((await negotiate(bridge, signedBy(young, 'alice'))).status, 200);
});

test('the key server is away at start: the bridge serves, and learns the keys when it comes', async (t) => {
  const pair = keyPair('RS256', 'k');
  const keys = await startKeyServer(t, [pair]);
  keys.status = 503;
  const bridge = await startBridge(t, null, { ...NO_SECRET, 'PushBridge:Auth:Jwks': keys.url, 'PushBridge:Auth:JwksMinGapSeconds': 0.2 });
  assert.deepEqual(await negotiate(bridge, signedBy(pair, 'alice')), refused);
  keys.status = 200;
  await until('the keys', async () => (await negotiate(bridge, signedBy(pair, 'alice'))).status === 200);
});

test('the key server stalls: the bridge serves, and stops cleanly in the middle of the fetch', async (t) => {
  const server = http.createServer(() => {}); // takes the request and never answers
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => closeServer(server));
  const asked = new Promise((resolve) => server.once('request', resolve));
  const bridge = await startBridge(t, null, { 'PushBridge:Auth:Jwks': `http://127.0.0.1:${server.address().port}/keys` });
  await asked;
  assert.equal((await negotiate(bridge, tokenFor('alice'))).status, 200);
  await sleep(500); // the fetch looks up once a second: so the shards outlive their HTTP servers by some time
  await bridge.stop();
});

test('a key set and public keys from files', async (t) => {
  const dir = mkdtempSync(path.join(tmpdir(), 'pushbridge-test-'));
  t.after(() => rmSync(dir, { recursive: true }));
  const [rsa, ec, listed] = [keyPair('RS256'), keyPair('ES256'), keyPair('RS256', 'listed')];
  const file = (name, text) => (writeFileSync(path.join(dir, name), text), path.join(dir, name));
  const bridge = await startBridge(t, null, {
    ...NO_SECRET,
    'PushBridge:Auth:PublicKeyFiles': [file('rsa.pem', rsa.pem), file('ec.pem', ec.pem)],
    'PushBridge:Auth:Jwks': file('keys.json', JSON.stringify({ keys: [listed.jwk] })),
  });
  for (const pair of [rsa, ec]) assert.equal((await negotiate(bridge, signedBy(pair, 'alice'))).status, 200, pair.alg);
  await until('the listed key', async () => (await negotiate(bridge, signedBy(listed, 'alice'))).status === 200);
  assert.deepEqual(await negotiate(bridge, signedBy(keyPair('RS256'), 'alice')), refused);
  assert.deepEqual(await negotiate(bridge, hmacToken('alice', rsa.pem)), refused);
});

test('previous security keys still open the door, and the metrics tell which key did', async (t) => {
  const [older, oldest] = ['PreviousKey_C421AAEE0D114E9C', 'OldestKey_C421AAEE0D114E9CAA'];
  const bridge = await startBridge(t, null, { 'PushBridge:Auth:PreviousSecurityKeys': [older, oldest] });
  for (const [key, times] of [[KEY, 3], [older, 2], [oldest, 1]])
    for (let i = 0; i < times; i++) assert.equal((await negotiate(bridge, tokenFor('alice', { key }))).status, 200);
  assert.deepEqual(await negotiate(bridge, tokenFor('alice', { key: 'NeverAKey_C421AAEE0D114E9CAA' })), refused);
  const metrics = await (await fetch(`${bridge.adminUrl}/metrics`)).text();
  const verified = (key) => Number(new RegExp(`^pushbridge_tokens_verified_total\\{key="${key}"\\} (\\d+)$`, 'm').exec(metrics)?.[1]);
  assert.deepEqual([0, 1, 2].map(verified), [3, 2, 1]);
  assert.match(metrics, /^pushbridge_auth_failures_total\{reason="signature"\} 1$/m);
});

test('Anonymous=mute: connected, never sent anything, no session; a wrong token is still refused', async (t) => {
  const rc = await startDouble(t);
  const bridge = await startBridge(t, rc.double, { 'PushBridge:Auth:Anonymous': 'mute' });
  const nobody = [];
  for (const token of [undefined, '', 'null', 'undefined']) nobody.push(await Tab.open(t, latest, bridge.hubUrl, token));
  await Tab.open(t, latest, bridge.hubUrl, tokenFor('alice'));
  await rc.live('alice');
  rc.post(rc.general, 'bob', 'for members');
  await sleep(300);
  for (const tab of nobody) {
    assert.deepEqual(tab.heard, []);
    assert.equal(tab.connection.state, 'Connected');
    await tab.connection.invoke('Register');
  }
  assert.equal(rc.double.accepted, 1);
  assert.deepEqual(await negotiate(bridge, `${tokenFor('alice')}x`), refused);
});

test('an enc_auth_token that nobody can open is refused, and the log says so, whatever Anonymous says', async (t) => {
  for (const anonymous of ['refuse', 'mute'])
    for (const phrases of [[], ['gsKnGZ041HLL4IM8']]) {
      const bridge = await startBridge(t, null, { 'PushBridge:Auth:Anonymous': anonymous, 'PushBridge:Auth:EncryptedTokenPassPhrases': phrases });
      const ask = async (query, headers = {}) => {
        const res = await fetch(`${bridge.url}/signalr/negotiate?negotiateVersion=1${query}`, { method: 'POST', headers });
        return { status: res.status, body: res.status === 200 ? '' : await res.text() };
      };
      assert.deepEqual(await ask('&enc_auth_token=pbttpVEWl2KH3vJXxMJ9kg%3D%3D'), refused, `${anonymous}, ${phrases.length} phrases`);
      await until('the log says so', () => bridge.logged('auth_refused').some((line) => /enc_auth_token/.test(line.reason)));
      for (const none of ['', 'null', 'undefined']) assert.equal((await ask(`&enc_auth_token=${none}`)).status, anonymous === 'mute' ? 200 : 401, none);
      assert.equal((await ask('&enc_auth_token=garbage', { Authorization: `Bearer ${tokenFor('alice')}` })).status, 200, 'another carrier has one');
      const metrics = await (await fetch(`${bridge.adminUrl}/metrics`)).text();
      assert.match(metrics, /^pushbridge_auth_failures_total\{reason="malformed"\} 1$/m);
    }
});

test('IsEnabled=false: everybody is anonymous, whatever token they bring', async (t) => {
  const rc = await startDouble(t);
  const bridge = await startBridge(t, rc.double, { 'Authentication:JwtBearer:IsEnabled': false, 'PushBridge:Auth:Anonymous': 'mute' });
  for (const token of [undefined, tokenFor('alice'), `${tokenFor('alice')}x`, 'no token at all']) {
    const tab = await Tab.open(t, latest, bridge.hubUrl, token);
    await tab.connection.invoke('Register');
  }
  await sleep(200);
  assert.equal(rc.double.accepted, 0);
  assert.equal(rc.double.accounts.attempts.length, 0);
});

test('Log:Identity: users by key, by hash, or not at all', async (t) => {
  for (const [mode, named] of [['plain', /"user":"id-alice"/], ['hash', /"user":"(?!id-alice)[^"]+"/], ['none', null]]) {
    const rc = await startDouble(t);
    const bridge = await startBridge(t, rc.double, { 'PushBridge:Log:Identity': mode });
    await Tab.open(t, latest, bridge.hubUrl, tokenFor('alice'));
    await rc.live('alice');
    await until('the session is told of', () => bridge.logged('session_live').length > 0);
    await fetch(`${bridge.adminUrl}/admin/users/alice/session`, { method: 'DELETE', headers: { 'X-Api-Key': 'test-api-key-0123456789' } });
    await until('the end is told of', () => bridge.logged('admin_session_ended').length > 0);
    await bridge.stop();
    const all = bridge.logs.join('\n');
    if (named) assert.match(all, named, mode);
    if (mode === 'plain') continue;
    for (const name of ['id-alice', 'alice', rc.user('alice')._id, createHash('sha256').update('id-alice').digest('hex')])
      assert.equal(all.includes(name), false, `${mode}: ${name}`);
  }
});
