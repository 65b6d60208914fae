// The admin agent and what an operator can do, seen from Rocket.Chat's side and in the log.
import assert from 'node:assert/strict';
import test from 'node:test';
import { PASSWORD, sleep, startBridge, startDouble, tokenFor, until } from '../lib/harness.mjs';
import { CLIENTS, Tab } from '../lib/signalr_clients.mjs';

const latest = CLIENTS.latest;
const ADMIN_PASSWORD = 'only-the-admin-knows';
const BY_PASSWORD = { 'Im:AdminUserName': 'root', 'Im:AdminPassword': ADMIN_PASSWORD };

async function startWithAdmin(t, options) {
  const rc = await startDouble(t, options);
  rc.admin = rc.store.createUser({ username: 'root', password: ADMIN_PASSWORD, roles: ['admin'] });
  return rc;
}

const readiness = async (bridge) => (await fetch(`${bridge.url}/readyz`)).json();
const attemptsOf = (rc, user) => rc.double.accounts.attempts.filter((a) => a.user === user);
const api = (bridge, path, options) => fetch(bridge.adminUrl + path, { headers: { 'X-Api-Key': 'test-api-key-0123456789' }, ...options });
const silent = (bridge, ...secrets) => {
  const all = bridge.logs.join('\n');
  for (const secret of secrets) assert.equal(all.includes(secret), false, 'a secret in the log');
};

test('logged in at start, kept fresh, logged out at stop', async (t) => {
  const rc = await startWithAdmin(t);
  const bridge = await startBridge(t, rc.double, { ...BY_PASSWORD, 'PushBridge:TokenCache:TtlSeconds': 1 });
  await until('logged in', () => rc.admin.tokens.length === 1);
  await until('ready', async () => (await readiness(bridge)).status === 'ok');
  await until('a renewal', () => attemptsOf(rc, 'root').length >= 3);
  await until('the old tokens are gone', () => rc.admin.tokens.length === 1);
  await bridge.stop();
  assert.equal(rc.admin.tokens.length, 0);
  silent(bridge, ADMIN_PASSWORD);
});

test('Rocket.Chat is down at start: ready but degraded, and logged in when it comes', async (t) => {
  const rc = await startWithAdmin(t);
  const { url } = rc.double;
  await rc.double.stop();
  const bridge = await startBridge(t, { url }, BY_PASSWORD);
  await until('degraded', async () => (await readiness(bridge)).status === 'degraded');
  assert.match((await readiness(bridge)).reasons.join(), /admin/);
  const tab = await Tab.open(t, latest, bridge.hubUrl, tokenFor('alice'));
  assert.equal(tab.connection.state, 'Connected');
  rc.double.options.port = Number(new URL(url).port);
  await rc.double.start();
  await until('logged in', () => rc.admin.tokens.length === 1);
  await until('ok', async () => (await readiness(bridge)).status === 'ok');
  await until('the log says so', () => bridge.logged('admin_login_failed').length > 0);
  assert.equal(bridge.logged('admin_login_failed').length, 1, 'said once, not at every try');
});

test('a second factor is asked for: one line names the way out, and nobody tries again at once', async (t) => {
  const rc = await startWithAdmin(t);
  rc.admin.totp = true;
  const bridge = await startBridge(t, rc.double, BY_PASSWORD);
  await until('told', () => bridge.logged('admin_login_refused').length > 0);
  const [line] = bridge.logged('admin_login_refused');
  assert.match(line.hint, /Im:AdminUserId/);
  assert.match(line.hint, /Im:AdminToken/);
  await sleep(1500);
  assert.equal(attemptsOf(rc, 'root').length, 1);
  assert.equal(bridge.logged('admin_login_refused').length, 1);
  assert.equal((await readiness(bridge)).status, 'degraded');
  silent(bridge, ADMIN_PASSWORD);
});

test('user id and personal access token: used as they are, never logged out', async (t) => {
  const rc = await startWithAdmin(t);
  rc.admin.totp = true;
  const { token } = rc.store.addToken(rc.admin);
  const bridge = await startBridge(t, rc.double, { 'Im:AdminUserId': rc.admin._id, 'Im:AdminToken': token });
  await until('ready', () => bridge.logged('admin_ready').length === 1);
  await until('ok', async () => (await readiness(bridge)).status === 'ok');
  assert.deepEqual(attemptsOf(rc, 'root'), []);
  await bridge.stop();
  assert.equal(rc.admin.tokens.length, 1);
  silent(bridge, token);
});

test('a token of somebody else, and a wrong one, are refused with the settings named', async (t) => {
  const rc = await startWithAdmin(t);
  const { token } = rc.store.addToken(rc.user('alice'));
  for (const [id, given] of [[rc.admin._id, token], [rc.admin._id, 'not-a-token']]) {
    const bridge = await startBridge(t, rc.double, { 'Im:AdminUserId': id, 'Im:AdminToken': given });
    await until('told', () => bridge.logged('admin_login_refused').length > 0);
    assert.match(bridge.logged('admin_login_refused')[0].hint, /Im:AdminUserId and Im:AdminToken/);
    silent(bridge, given);
    await bridge.stop();
  }
});

test("the admin's account by user id: no user's login may end in it, whatever it is called", async (t) => {
  const rc = await startWithAdmin(t);
  const { token } = rc.store.addToken(rc.admin);
  rc.admin.password = PASSWORD; // as bad as it can get: the common password opens it
  const bridge = await startBridge(t, rc.double, { 'Im:AdminUserId': rc.admin._id, 'Im:AdminToken': token });
  await until('ready', () => bridge.logged('admin_ready').length === 1);
  const tab = await Tab.open(t, latest, bridge.hubUrl, tokenFor('root'));
  await tab.until('refused', (x) => x.of('bridgeStatus').some((s) => s.state === 'refused'));
  await sleep(300);
  assert.equal(rc.double.sessionsOf(rc.admin._id).length, 0);
  await until('no token is left behind', () => rc.admin.tokens.length === 1);
});

test('admin and default password are equal: one warning', async (t) => {
  const rc = await startWithAdmin(t);
  rc.admin.password = PASSWORD;
  const bridge = await startBridge(t, rc.double, { ...BY_PASSWORD, 'Im:AdminPassword': PASSWORD });
  const warnings = () => bridge.logs.filter((line) => /AdminPassword/.test(line) && /DefaultPassword/.test(line));
  const lines = await until('the warning', () => warnings().length > 0 && warnings());
  assert.equal(lines.length, 1, bridge.logs.slice(0, 20).join('\n'));
  silent(bridge, PASSWORD);
});

test('DELETE /admin/users/x/session: token logged out, tabs closed for good, and the next one starts over', async (t) => {
  const rc = await startDouble(t);
  const bridge = await startBridge(t, rc.double, { 'PushBridge:Shards': 3 });
  const alices = [];
  for (let i = 0; i < 4; i++) alices.push(await Tab.open(t, latest, bridge.hubUrl, tokenFor('alice'), { retryMs: [0, 50, 50, 50] }));
  const bob = await Tab.open(t, latest, bridge.hubUrl, tokenFor('bob'));
  await rc.live('alice');
  await rc.live('bob');
  assert.equal((await api(bridge, '/admin/users/alice/session', { method: 'DELETE' })).status, 204);
  for (const tab of alices) {
    await tab.until('closed', (x) => x.changes.some(([what]) => what === 'closed'));
    assert.equal(tab.of('bridgeStatus').at(-1)?.state, 'refused');
  }
  await until('the token is gone', () => rc.user('alice').tokens.length === 0);
  await until('the DDP connection is gone', () => rc.double.sessionsOf(rc.user('alice')._id).length === 0);
  await sleep(300);
  assert.equal(attemptsOf(rc, 'alice').length, 2, 'a login and its resume, no more');
  assert.deepEqual(bob.changes, [], 'nobody else noticed');

  const again = await Tab.open(t, latest, bridge.hubUrl, tokenFor('alice'));
  await rc.live('alice');
  rc.post(rc.general, 'bob', 'welcome back');
  await again.until('the message', (x) => x.texts().includes('welcome back'));
  await bob.until('the message', (x) => x.texts().includes('welcome back'));
});

test('/admin wants its key, and exists only where one is set', async (t) => {
  const rc = await startDouble(t);
  const open = await startBridge(t, rc.double, { 'PushBridge:AdminApiKey': undefined });
  for (const key of ['', 'test-api-key-0123456789'])
    assert.equal((await api(open, '/admin/users/alice', { headers: { 'X-Api-Key': key } })).status, 404);
  const bridge = await startBridge(t, rc.double);
  for (const key of ['', 'test-api-key-012345678', 'test-api-key-01234567890', 'TEST-API-KEY-0123456789'])
    assert.equal((await api(bridge, '/admin/users/alice', { headers: { 'X-Api-Key': key } })).status, 401);
  assert.equal((await api(bridge, '/admin/users/alice', { method: 'POST' })).status, 405);
  assert.equal((await api(bridge, '/admin/users/alice/session', { method: 'DELETE' })).status, 404);
  assert.equal((await api(bridge, '/admin/users/%zz')).status, 400);
  assert.equal((await fetch(`${bridge.url}/admin/users/alice`, { headers: { 'X-Api-Key': 'test-api-key-0123456789' } })).status, 404, 'not where browsers come');
});
