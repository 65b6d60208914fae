// Lives of user sessions and connections, seen from a browser's side and from Rocket.Chat's.
import assert from 'node:assert/strict';
import { createCipheriv, pbkdf2Sync } from 'node:crypto';
import test from 'node:test';
import { makeCertificates } from '../lib/certificates.mjs';
import { PASSWORD, sleep, startBridge, startDouble, tokenFor, until } from '../lib/harness.mjs';
import { CLIENTS, Tab } from '../lib/signalr_clients.mjs';

const latest = CLIENTS.latest;
const RETRY = [0, 100, 200, 500, 1000, 1000, 1000, 1000, 1000, 1000];
const FAST = { 'PushBridge:Session:BackoffMinSeconds': 0.05, 'PushBridge:Session:BackoffMaxSeconds': 0.3 };

const logins = (double, user) => double.accounts.attempts.filter((a) => a.user === user && a.type === 'password');

test('many tabs at once: one login, one DDP connection', async (t) => {
  const rc = await startDouble(t);
  const bridge = await startBridge(t, rc.double, { 'PushBridge:Shards': 3 });
  await Promise.all(Array.from({ length: 20 }, () => Tab.open(t, latest, bridge.hubUrl, tokenFor('alice'))));
  await rc.live('alice');
  assert.equal(logins(rc.double, 'alice').length, 1);
  assert.equal(rc.double.sessionsOf(rc.user('alice')._id).length, 1);
});

for (const [version, signalR] of Object.entries(CLIENTS))
  test(`${version}: the bridge restarts: the client comes back by itself and hears again`, async (t) => {
    const rc = await startDouble(t);
    const bridge = await startBridge(t, rc.double);
    const tab = await Tab.open(t, signalR, bridge.hubUrl, tokenFor('alice'), { retryMs: RETRY });
    await rc.live('alice');
    rc.post(rc.general, 'bob', 'before');
    await tab.until('the first', (x) => x.texts().length === 1);
    await bridge.restart();
    await tab.until('reconnected', (x) => x.changes.some(([what]) => what === 'reconnected'));
    await rc.live('alice');
    rc.post(rc.general, 'bob', 'after');
    await tab.until('the second', (x) => x.texts().includes('after'));
    assert.deepEqual(tab.texts(), ['before', 'after']);
    assert.deepEqual(tab.changes.map(([what]) => what), ['reconnecting', 'reconnected']);
  });

test('the bridge crashes: the client comes back by itself', async (t) => {
  const rc = await startDouble(t);
  const bridge = await startBridge(t, rc.double);
  const tab = await Tab.open(t, latest, bridge.hubUrl, tokenFor('alice'), { retryMs: RETRY });
  await rc.live('alice');
  await bridge.kill();
  await bridge.start();
  await tab.until('reconnected', (x) => x.changes.some(([what]) => what === 'reconnected'));
});

test('Rocket.Chat restarts: the tab stays, the session resumes with its token', async (t) => {
  const rc = await startDouble(t);
  const bridge = await startBridge(t, rc.double, FAST);
  const tab = await Tab.open(t, latest, bridge.hubUrl, tokenFor('alice'));
  await rc.live('alice');
  await rc.double.restart({ downMs: 300 });
  await rc.live('alice');
  rc.post(rc.general, 'bob', 'back');
  await tab.until('the message', (x) => x.texts().includes('back'));
  assert.equal(logins(rc.double, 'alice').length, 1, 'no second password login');
  assert.deepEqual(tab.changes, []);
  const states = tab.of('bridgeStatus').map((s) => s.state);
  assert.deepEqual(states.filter((state, i) => state !== states[i - 1]), ['backoff', 'live']);
});

test('refused for good: the tab stands and is told; nobody tries in a loop', async (t) => {
  const cases = [
    ['wrong password', (rc) => (rc.user('alice').password = 'other')],
    ['deactivated', (rc) => rc.store.setActive(rc.user('alice'), false)],
    ['two factors', (rc) => (rc.user('alice').totp = true)],
  ];
  for (const [what, arrange] of cases) {
    const rc = await startDouble(t);
    arrange(rc);
    const bridge = await startBridge(t, rc.double, FAST);
    const tab = await Tab.open(t, latest, bridge.hubUrl, tokenFor('alice'));
    await tab.until(`refused (${what})`, (x) => x.of('bridgeStatus').some((s) => s.state === 'refused'));
    const { code, retryAfter } = tab.of('bridgeStatus').find((s) => s.state === 'refused');
    assert.equal(typeof code, 'string');
    assert.ok(retryAfter === null || retryAfter > 0);
    const second = await Tab.open(t, latest, bridge.hubUrl, tokenFor('alice'));
    await second.until('told as well', (x) => x.of('bridgeStatus').some((s) => s.state === 'refused'));
    await sleep(300);
    assert.ok(rc.double.accounts.attempts.length <= 2, `${what}: ${rc.double.accounts.attempts.length} attempts`);
    assert.equal(tab.connection.state, 'Connected');
  }
});

test('reserved, unknown and tenant users are not logged in', async (t) => {
  const rc = await startDouble(t);
  rc.store.createUser({ username: 'root', password: 'admin-pw', roles: ['admin'] });
  const bridge = await startBridge(t, rc.double, { 'Im:AdminUserName': 'root', 'Im:AdminPassword': 'admin-pw' });
  for (const [name, more] of [['rocket.cat', {}], ['ROCKET.CAT', {}], ['Root', {}], ['alice', { tenant: 1 }]]) {
    const tab = await Tab.open(t, latest, bridge.hubUrl, tokenFor(name, more));
    await tab.until(`${name} refused`, (x) => x.of('bridgeStatus').some((s) => s.state === 'refused'));
    if (more.tenant) assert.equal(tab.of('bridgeStatus').at(-1).code, 'tenant-template');
  }
  assert.deepEqual(rc.double.accounts.attempts.filter((a) => a.user !== 'root' && a.user !== null), []);
});

test('an e-mail as a user name is never read as the e-mail of somebody else', async (t) => {
  const rc = await startDouble(t);
  const bridge = await startBridge(t, rc.double);
  const tab = await Tab.open(t, latest, bridge.hubUrl, tokenFor('alice@example.org'));
  await tab.until('refused', (x) => x.of('bridgeStatus').some((s) => s.state === 'refused'));
  assert.equal(rc.double.accounts.attempts.some((a) => a.ok), false);
});

test('the last tab leaves: after the linger the DDP connection closes, the token stays', async (t) => {
  const rc = await startDouble(t);
  const bridge = await startBridge(t, rc.double, { 'PushBridge:Session:LingerSeconds': 0.4 });
  const tab = await Tab.open(t, latest, bridge.hubUrl, tokenFor('alice'));
  await rc.live('alice');
  await tab.connection.stop();
  await sleep(150);
  assert.equal(rc.double.sessions.size, 1, 'it lingers');
  await until('closed', () => rc.double.sessions.size === 0);
  assert.equal(rc.user('alice').tokens.length, 1);
  await Tab.open(t, latest, bridge.hubUrl, tokenFor('alice'));
  await rc.live('alice');
  assert.equal(logins(rc.double, 'alice').length, 1, 'the cached token served again');
});

test('the token cache ends an entry by the clock: the DDP connection is renewed, events go on', async (t) => {
  const rc = await startDouble(t);
  const bridge = await startBridge(t, rc.double, { ...FAST, 'PushBridge:TokenCache:TtlSeconds': 1 });
  const tab = await Tab.open(t, latest, bridge.hubUrl, tokenFor('alice'));
  await rc.live('alice');
  await until('a second DDP connection', () => rc.double.accepted >= 2);
  await rc.live('alice');
  rc.post(rc.general, 'bob', 'on');
  await tab.until('the message', (x) => x.texts().includes('on'));
  assert.equal(logins(rc.double, 'alice').length, 1, 'OnExpiry=resume');
});

test('the JWT ends: the connection is closed with allowReconnect and a fresh token lets it in', async (t) => {
  const rc = await startDouble(t);
  const bridge = await startBridge(t, rc.double, { 'PushBridge:Auth:LeewaySeconds': 0, 'PushBridge:Auth:ExpiryPaceSeconds': 0 });
  let minted = 0;
  const fresh = () => tokenFor('alice', { lifetimeSeconds: minted++ < 2 ? 2 : 3600 }); // negotiate and upgrade ask each
  const tab = await Tab.open(t, latest, bridge.hubUrl, fresh, { retryMs: RETRY });
  await rc.live('alice');
  await tab.until('reconnected', (x) => x.changes.some(([what]) => what === 'reconnected'));
  rc.post(rc.general, 'bob', 'still here');
  await tab.until('the message', (x) => x.texts().includes('still here'));
  assert.equal(rc.double.accepted, 1, 'the session outlived the connection');
});

test('enc_auth_token in the query of the hub URL', async (t) => {
  const rc = await startDouble(t);
  const passPhrase = 'gsKnGZ041HLL4IM8';
  const bridge = await startBridge(t, rc.double, { 'PushBridge:Auth:EncryptedTokenPassPhrases': [passPhrase] });
  const cipher = createCipheriv('aes-256-cbc', pbkdf2Sync(passPhrase, 'hgt!16kl', 1000, 32, 'sha1'), 'jkE49230Tf093b42');
  const text = cipher.update(tokenFor('alice'), 'utf8', 'base64') + cipher.final('base64');
  await Tab.open(t, latest, `${bridge.hubUrl}?enc_auth_token=${encodeURIComponent(text)}`, undefined);
  await rc.live('alice');
});

test('default limits of Rocket.Chat: thirty users get in, by REST and then by DDP', async (t) => {
  const users = Array.from({ length: 30 }, (_, i) => `user${i}`);
  const rc = await startDouble(t, { users, rateLimits: true });
  const bridge = await startBridge(t, rc.double, FAST);
  const tabs = await Promise.all(users.map((name) => Tab.open(t, latest, bridge.hubUrl, tokenFor(name))));
  for (const name of users) await rc.live(name);
  rc.post(rc.general, 'user0', 'to all');
  for (const tab of tabs) await tab.until('the message', (x) => x.texts().length === 1);
  assert.ok((rc.double.calls.get('POST /api/v1/login') ?? 0) <= 11);
});

test('Rocket.Chat is down at start: the hub serves, and the session comes when it is back', async (t) => {
  const rc = await startDouble(t);
  const url = rc.double.url;
  await rc.double.stop();
  const bridge = await startBridge(t, { url }, FAST);
  const tab = await Tab.open(t, latest, bridge.hubUrl, tokenFor('alice'));
  await sleep(200);
  assert.equal(tab.connection.state, 'Connected');
  rc.double.options.port = Number(new URL(url).port);
  await rc.double.start();
  await rc.live('alice');
  rc.post(rc.general, 'bob', 'x');
  await tab.until('the message', (x) => x.texts().length === 1);
});

test('stalled and broken answers of Rocket.Chat are survived', async (t) => {
  const faults = [
    { preset: 'html-502', match: { path: '/api/v1/login' } },
    { preset: 'bad-json', match: { path: '/api/v1/login' } },
    { preset: 'unavailable', match: { path: '/api/v1/login' } },
    { on: 'rest', match: { path: '/api/v1/login' }, do: 'truncate' },
    { on: 'rest', match: { path: '/api/v1/login' }, do: 'reset' },
    { on: 'rest', match: { path: '/api/v1/login' }, do: 'stall' },
    { preset: 'ddp-refused-html' },
    { on: 'accept', do: 'reset' },
    { preset: 'ddp-stalled' },
    { on: 'in', match: { msg: 'connect' }, do: 'ignore' },
    { on: 'in', match: { method: 'login' }, do: 'ignore' },
    { on: 'in', match: { msg: 'sub' }, do: 'ignore' },
    { on: 'in', match: { msg: 'sub' }, do: 'error', error: 500, reason: 'Internal server error' },
    { on: 'out', match: { msg: 'ready' }, do: 'reset' },
  ];
  for (const fault of faults) {
    const rc = await startDouble(t);
    rc.double.faults.add(fault);
    const bridge = await startBridge(t, rc.double, {
      ...FAST,
      'PushBridge:Logins:TimeoutSeconds': 0.5,
      'PushBridge:Session:ConnectTimeoutSeconds': 0.5,
      'PushBridge:Session:ReadyTimeoutSeconds': 0.5,
    });
    const tab = await Tab.open(t, latest, bridge.hubUrl, tokenFor('alice'));
    await until(`live in spite of ${JSON.stringify(fault)}`, () => rc.live('alice').then(() => true, () => false));
    rc.post(rc.general, 'bob', 'x');
    await tab.until('the message', (x) => x.texts().length === 1);
    await tab.connection.stop();
    await bridge.stop();
  }
});

test('TLS to Rocket.Chat: an authority of its own is trusted by Im:CaFile, and by nothing else', async (t) => {
  const { caFile, key, cert } = makeCertificates(t);
  const rc = await startDouble(t, { tls: { key, cert } });
  const stranger = await startBridge(t, rc.double, FAST);
  await Tab.open(t, latest, stranger.hubUrl, tokenFor('alice'));
  await sleep(500);
  assert.equal(rc.double.accounts.attempts.length, 0);
  const bridge = await startBridge(t, rc.double, { ...FAST, 'Im:CaFile': caFile });
  const tab = await Tab.open(t, latest, bridge.hubUrl, tokenFor('alice'));
  await rc.live('alice');
  rc.post(rc.general, 'bob', 'sealed');
  await tab.until('the message', (x) => x.texts().length === 1);
});

test('SIGTERM while Rocket.Chat is gone: a clean end within the drain limit', async (t) => {
  const rc = await startDouble(t);
  const bridge = await startBridge(t, rc.double, { 'PushBridge:Session:BackoffMinSeconds': 30, 'PushBridge:Drain:Seconds': 3 });
  const tab = await Tab.open(t, latest, bridge.hubUrl, tokenFor('alice'));
  await rc.live('alice');
  await rc.double.stop();
  await tab.until('backoff', (x) => x.of('bridgeStatus').some((s) => s.state === 'backoff'));
  const start = Date.now();
  await bridge.stop(); // and its exit code is 0
  assert.ok(Date.now() - start < 3500, `${Date.now() - start} ms`);
});

test('health and readiness; the operator sees a user', async (t) => {
  const rc = await startDouble(t);
  const bridge = await startBridge(t, rc.double);
  await Tab.open(t, latest, bridge.hubUrl, tokenFor('alice'));
  const tab = await Tab.open(t, latest, bridge.hubUrl, tokenFor('alice'));
  await rc.live('alice');
  rc.post(rc.general, 'bob', 'seen');
  await tab.until('the message', (x) => x.texts().length === 1);
  for (const base of [bridge.url, bridge.adminUrl])
    for (const path of ['/healthz', '/readyz']) assert.equal((await fetch(base + path)).status, 200);
  assert.equal((await fetch(`${bridge.url}/metrics`)).status, 404, 'not where browsers come');
  const metrics = () => fetch(`${bridge.adminUrl}/metrics`).then((answer) => answer.text());
  assert.match(await metrics(), /^# HELP /m);
  await until('the live session in the metrics', async () => /^pushbridge_sessions\{state="live"\} 1$/m.test(await metrics()));
  const admin = (path, options) => fetch(bridge.adminUrl + path, { headers: { 'X-Api-Key': 'test-api-key-0123456789' }, ...options });
  assert.ok([401, 403, 404].includes((await fetch(`${bridge.adminUrl}/admin/users/alice`)).status));
  const seen = await admin('/admin/users/alice');
  assert.equal(seen.status, 200);
  const text = await seen.text();
  const { tabs, subscriptions, ...told } = JSON.parse(text);
  assert.equal(told.key, 'id-alice');
  assert.equal(told.rocketChatUserId, rc.user('alice')._id);
  assert.deepEqual([told.state, told.login, told.ddpOpen, told.ddpLoggedIn, told.connections], ['live', 'has a token', true, true, 2]);
  assert.deepEqual(subscriptions, { message: 'ready', 'rooms-changed': 'ready', 'subscriptions-changed': 'ready' });
  assert.equal(told.ddpSession, rc.double.sessionsOf(rc.user('alice')._id)[0].id);
  assert.ok(told.tokenTtlLeftMs > 3_000_000 && told.tokenTtlLeftMs < 4_000_000);
  assert.ok(told.lastEventInMsAgo < 60_000 && told.lastEventOutMsAgo < 60_000);
  assert.equal(tabs.length, 2);
  for (const tab of tabs) {
    assert.equal(tab.address, '127.0.0.1');
    assert.equal(tab.queuedBytes, 0);
    assert.ok(tab.lastSendMsAgo < 60_000);
  }
  for (const secret of [PASSWORD, ...rc.user('alice').tokens.map((entry) => entry.hash)]) assert.equal(text.includes(secret), false);
  assert.equal((await (await admin('/admin/users/nobody')).json()).why.code, 'no-connection');
  await admin('/admin/users/alice/session', { method: 'DELETE' });
  await until('the session ended', () => rc.double.accepted >= 2 || rc.double.sessions.size === 0);
});

test('no secret and no text in the log, at its most talkative', async (t) => {
  const rc = await startDouble(t);
  const bridge = await startBridge(t, rc.double);
  const token = tokenFor('alice');
  const tab = await Tab.open(t, latest, bridge.hubUrl, token);
  await rc.live('alice');
  rc.post(rc.general, 'bob', 'a very private text');
  await tab.until('the message', (x) => x.texts().length === 1);
  await fetch(`${bridge.hubUrl}/negotiate?access_token=${token}x`, { method: 'POST' });
  await tab.connection.stop();
  await bridge.stop();
  const log = bridge.logs.join('\n');
  assert.ok(bridge.logs.length > 0);
  for (const secret of [token, token.split('.')[1], token.split('.')[2], PASSWORD, 'a very private text']) assert.equal(log.includes(secret), false);
});
