// Settings that no other test turns: each is seen to act.
import assert from 'node:assert/strict';
import { createCipheriv, pbkdf2Sync } from 'node:crypto';
import http from 'node:http';
import https from 'node:https';
import test from 'node:test';
import { makeCertificates } from '../lib/certificates.mjs';
import { ISSUER, KEY, sleep, startBridge, startDouble, tokenFor, until } from '../lib/harness.mjs';
import { signToken } from '../lib/jwt.mjs';
import { RawConnection, encodeFrame, listen, openHub } from '../lib/raw_connection.mjs';
import { CLIENTS, Tab } from '../lib/signalr_clients.mjs';

const latest = CLIENTS.latest;
const open = (t, bridge, token, options) => Tab.open(t, latest, bridge.hubUrl, token, options);
const refusal = (tab) => tab.of('bridgeStatus').find((s) => s.state === 'refused')?.code;
const seen = async (bridge, key) => (await fetch(`${bridge.adminUrl}/admin/users/${encodeURIComponent(key)}`, { headers: { 'X-Api-Key': 'test-api-key-0123456789' } })).json();

test('HubPath, claim names, the account template, enc_auth_token with its own salt and vector, InstanceName', async (t) => {
  const rc = await startDouble(t, { users: ['alice-blue', 'bob'] });
  const bridge = await startBridge(t, rc.double, {
    'PushBridge:HubPath': '/chat/hub',
    'PushBridge:Auth:UserIdClaims': ['uid', 'sub'],
    'PushBridge:Auth:NameClaims': ['nick'],
    'PushBridge:Auth:TenantClaims': ['org'],
    'PushBridge:Auth:EncryptedTokenPassPhrases': ['first phrase', 'second, phrase'],
    'PushBridge:Auth:EncryptedTokenSalt': 'a salt of ours',
    'PushBridge:Auth:EncryptedTokenIv': '0123456789abcdef',
    'Im:UserNameTemplate': '{name}-{tenant}',
    'PushBridge:InstanceName': 'the-one',
  });
  const now = Math.floor(Date.now() / 1000);
  const token = signToken({ alg: 'HS256', typ: 'JWT' }, { uid: '7', nick: 'alice', org: 'blue', iss: ISSUER, aud: ISSUER, exp: now + 600 }, KEY);
  const cipher = createCipheriv('aes-256-cbc', pbkdf2Sync('second, phrase', 'a salt of ours', 1000, 32, 'sha1'), '0123456789abcdef');
  const text = cipher.update(token, 'utf8', 'base64') + cipher.final('base64');
  assert.equal((await fetch(`${bridge.url}/signalr/negotiate?negotiateVersion=1`, { method: 'POST', headers: { Authorization: `Bearer ${token}` } })).status, 404);
  const tab = await Tab.open(t, latest, `${bridge.url}/chat/hub?enc_auth_token=${encodeURIComponent(text)}`, undefined);
  await rc.live('alice-blue');
  rc.post(rc.general, 'bob', 'in');
  await tab.until('the message', (x) => x.texts().includes('in'));
  assert.equal((await seen(bridge, '7@blue')).state, 'live');
});

test('ReservedUserNames: those named, in any case', async (t) => {
  const rc = await startDouble(t);
  const bridge = await startBridge(t, rc.double, { 'PushBridge:ReservedUserNames': ['Bob', 'service'] });
  const bob = await open(t, bridge, tokenFor('bob'));
  await bob.until('refused', (x) => refusal(x) === 'account-reserved');
  await open(t, bridge, tokenFor('alice'));
  await rc.live('alice');
});

test('TokenCache:MaxEntries: users with a session at most; a token nobody uses makes room', async (t) => {
  const rc = await startDouble(t);
  const bridge = await startBridge(t, rc.double, { 'PushBridge:Shards': 1, 'PushBridge:TokenCache:MaxEntries': 1, 'PushBridge:Session:LingerSeconds': 0.2 });
  const alice = await open(t, bridge, tokenFor('alice'));
  await rc.live('alice');
  await assert.rejects(async () => {
    const bob = await open(t, bridge, tokenFor('bob'));
    await bob.until('closed', (x) => x.changes.length > 0);
    throw new Error(bob.changes.join());
  });
  await until('logged', () => bridge.logged('session_not_started').length > 0);
  await alice.connection.stop();
  await until('the DDP connection is closed', () => rc.double.sessions.size === 0);
  assert.equal(rc.user('alice').tokens.length, 1);
  await until('there is room', async () => {
    const bob = await open(t, bridge, tokenFor('bob')).catch(() => null);
    await sleep(200);
    return bob?.connection.state === 'Connected';
  });
  await rc.live('bob');
  await until('logged out', () => rc.user('alice').tokens.length === 0);
});

test('CloseOnExpiry=false: a connection outlives its token', async (t) => {
  const rc = await startDouble(t);
  const bridge = await startBridge(t, rc.double, { 'PushBridge:Auth:CloseOnExpiry': false, 'PushBridge:Auth:LeewaySeconds': 0 });
  const token = tokenFor('alice', { lifetimeSeconds: 2 });
  const tab = await open(t, bridge, token);
  await rc.live('alice');
  await until('the token is refused', async () => (await fetch(`${bridge.hubUrl}/negotiate?negotiateVersion=1&access_token=${token}`, { method: 'POST' })).status === 401);
  await sleep(500);
  rc.post(rc.general, 'bob', 'still there');
  await tab.until('the message', (x) => x.texts().includes('still there'));
  assert.deepEqual(tab.changes, []);
});

test('Events:Deleted=false: nobody is told', async (t) => {
  const rc = await startDouble(t);
  const bridge = await startBridge(t, rc.double, { 'PushBridge:Events:Deleted': false });
  const tab = await open(t, bridge, tokenFor('alice'));
  await rc.live('alice');
  const gone = rc.post(rc.general, 'bob', 'to be deleted');
  await tab.until('the message', (x) => x.texts().length === 1);
  rc.store.remove(rc.store.messages.get(gone._id), rc.user('bob'));
  rc.post(rc.general, 'bob', 'behind it');
  await tab.until('the next', (x) => x.texts().includes('behind it'));
  await sleep(1000);
  assert.deepEqual(tab.of('getRoomMessageDeletedNotification'), []);
});

test('Logins:RestPerMinute and DdpPerSecond set the pace', async (t) => {
  const users = Array.from({ length: 6 }, (_, i) => `user${i}`);
  const rc = await startDouble(t, { users });
  const bridge = await startBridge(t, rc.double, { 'PushBridge:Logins:RestPerMinute': 4, 'PushBridge:Logins:DdpPerSecond': 1 });
  await Promise.all(users.map((name) => open(t, bridge, tokenFor(name))));
  for (const name of users) await rc.live(name);
  const times = (road) => rc.double.accounts.attempts.filter((a) => a.type === 'password' && a.via === road).map((a) => a.at);
  assert.equal(times('rest').length, 4);
  const [first, second, ...more] = times('ddp');
  assert.deepEqual(more, []);
  assert.ok(second - first >= 500, `${second - first} ms apart`); // a second, when they were sent
});

test('Limits on requests: head, request line, body; and on hub messages', async (t) => {
  const bridge = await startBridge(t, null, {
    'PushBridge:Limits:HeadBytes': 2048,
    'PushBridge:Limits:RequestLineBytes': 1500,
    'PushBridge:Limits:BodyBytes': 10,
    'PushBridge:Limits:HubMessageBytes': 1024,
  });
  const ask = async (bytes) => {
    const raw = await RawConnection.open(bridge.port);
    raw.write(bytes);
    const answer = await raw.response();
    raw.destroy();
    return answer.status;
  };
  assert.equal(await ask(`GET /healthz?${'a'.repeat(1400)} HTTP/1.1\r\nHost: x\r\n\r\n`), 200);
  assert.equal(await ask(`GET /healthz?${'a'.repeat(1500)} HTTP/1.1\r\nHost: x\r\n\r\n`), 414);
  assert.equal(await ask(`GET /healthz HTTP/1.1\r\nHost: x\r\nX: ${'a'.repeat(2048)}\r\n\r\n`), 431);
  assert.equal(await ask('POST /signalr/negotiate HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\n'), 413);
  const raw = await openHub(bridge.port, tokenFor('alice'));
  t.after(() => raw.destroy());
  const invoke = (length) => encodeFrame({ payload: `{"type":1,"invocationId":"1","target":"Register","arguments":[],"pad":"${'x'.repeat(length)}"}\x1e` });
  raw.write(invoke(800));
  assert.deepEqual(await listen(raw, (events) => events.length === 1), [{ type: 3, invocationId: '1', result: null }]);
  raw.write(invoke(1100));
  const [close] = await listen(raw, (events) => events.length === 1);
  assert.deepEqual(close, { type: 7, error: 'Connection closed with an error.', allowReconnect: true });
});

test('Limits:DdpFrameBytes: a frame beyond it ends that connection, and the session comes back', async (t) => {
  const rc = await startDouble(t);
  const bridge = await startBridge(t, rc.double, { 'PushBridge:Limits:DdpFrameBytes': 8 << 20, 'PushBridge:Session:BackoffMinSeconds': 0.05, 'PushBridge:Session:BackoffMaxSeconds': 0.2 });
  const tab = await open(t, bridge, tokenFor('alice'));
  await rc.live('alice');
  rc.post(rc.general, 'bob', 'x'.repeat(9 << 20));
  await until('a second connection', () => rc.double.accepted >= 2);
  await until('logged', () => bridge.logged('ddp_lost').length > 0);
  assert.equal(tab.connection.state, 'Connected');
});

test('JwksCaFile, JwksRefreshSeconds: a key set by https, read again by the clock', async (t) => {
  const { generateKeyPairSync, sign } = await import('node:crypto');
  const { caFile, key, cert } = makeCertificates(t);
  const pair = (kid) => ({ kid, ...generateKeyPairSync('ec', { namedCurve: 'P-256' }) });
  let keys = [pair('one')];
  let fetches = 0;
  const server = https.createServer({ key, cert }, (req, res) => {
    fetches++;
    res.end(JSON.stringify({ keys: keys.map((k) => ({ ...k.publicKey.export({ format: 'jwk' }), kid: k.kid, alg: 'ES256', use: 'sig' })) }));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  const tokenBy = ({ kid, privateKey }) => {
    const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const signed = `${encode({ alg: 'ES256', kid })}.${encode({ sub: '1', name: 'alice', iss: ISSUER, aud: ISSUER, exp: Math.floor(Date.now() / 1000) + 600 })}`;
    return `${signed}.${sign('sha256', Buffer.from(signed), { key: privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
  };
  const settings = {
    'Authentication:JwtBearer:SecurityKey': undefined,
    'PushBridge:Auth:Algorithms': ['ES256'],
    'PushBridge:Auth:Jwks': `https://localhost:${server.address().port}/keys`,
    'PushBridge:Auth:JwksMinGapSeconds': 3600, // an unknown kid is no reason
    'PushBridge:Auth:JwksRefreshSeconds': 0.5,
  };
  const status = async (bridge, token) => (await fetch(`${bridge.hubUrl}/negotiate?negotiateVersion=1&access_token=${token}`, { method: 'POST' })).status;
  const bridge = await startBridge(t, null, { ...settings, 'PushBridge:Auth:JwksCaFile': caFile });
  await until('the first key', async () => (await status(bridge, tokenBy(keys[0]))) === 200);
  const old = keys[0];
  keys = [pair('two')];
  await until('the second key', async () => (await status(bridge, tokenBy(keys[0]))) === 200);
  assert.equal(await status(bridge, tokenBy(old)), 401, 'the old one is gone with the set');
  const before = fetches;
  const wary = await startBridge(t, null, settings);
  await sleep(700);
  assert.equal(await status(wary, tokenBy(keys[0])), 401, 'the system knows no such authority');
  await until('logged', () => wary.logs.some((line) => /jwks/i.test(line) && /warn|error/.test(line)));
  assert.ok(fetches >= before);
});

test('JwksTimeoutSeconds: a fetch that is not answered is given up, and the next one comes', async (t) => {
  const asked = { '/short': 0, '/long': 0 };
  const server = http.createServer((req) => asked[req.url]++); // and no answer
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  const ask = (path, seconds) => startBridge(t, null, {
    'Authentication:JwtBearer:SecurityKey': undefined,
    'PushBridge:Auth:Algorithms': ['ES256'],
    'PushBridge:Auth:Jwks': `http://127.0.0.1:${server.address().port}${path}`,
    'PushBridge:Auth:JwksRefreshSeconds': 0.1,
    'PushBridge:Auth:JwksTimeoutSeconds': seconds,
  });
  await ask('/long', 600);
  await until('one that waits', () => asked['/long'] > 0);
  const bridge = await ask('/short', 0.1);
  await until('the third', () => asked['/short'] >= 3);
  assert.ok(bridge.logged('jwks_failed').length > 0);
  assert.equal(asked['/long'], 1);
});
