// "Why does this user get no messages": every rung from the token to the tabs, made to be the wrong one.
import assert from 'node:assert/strict';
import test from 'node:test';
import { PASSWORD, sleep, startBridge, startDouble, tokenFor, until } from '../lib/harness.mjs';
import { openHub } from '../lib/raw_connection.mjs';
import { CLIENTS, Tab } from '../lib/signalr_clients.mjs';

const latest = CLIENTS.latest;
const KEY = { 'X-Api-Key': 'test-api-key-0123456789' };
const sub = { msg: 'sub', name: 'stream-notify-user' };

async function setUp(t, { settings, faults = [], arrange } = {}) {
  const rc = await startDouble(t);
  arrange?.(rc);
  for (const rule of faults) rc.double.faults.add({ times: 0, ...rule });
  const bridge = await startBridge(t, rc.double, { 'PushBridge:Shards': 3, ...settings });
  const ask = async (who = 'alice') => {
    const res = await fetch(`${bridge.adminUrl}/admin/users/${who}`, { headers: KEY });
    assert.equal(res.status, 200);
    return res.json();
  };
  /** Waits until the answer has the code and the words, and returns its text. */
  const why = async (code, says = /^/, who = 'alice') => {
    let last;
    const found = until(`${code} ${says}`, async () => (last = (await ask(who)).why).code === code && says.test(last.text));
    await found.catch((error) => assert.fail(`${error.message}; it was ${JSON.stringify(last)}`));
    assert.match(last.text, /^[A-Z].*\.$/);
    assert.equal(last.text.includes(PASSWORD), false);
    return last.text;
  };
  return { rc, bridge, ask, why, open: (name = 'alice', more) => Tab.open(t, latest, bridge.hubUrl, tokenFor(name, more)) };
}

test('nobody ever came, or the tabs have gone, or only nameless ones are there', async (t) => {
  const { ask, why, open, bridge } = await setUp(t, { settings: { 'PushBridge:Auth:Anonymous': 'mute' } });
  await why('no-connection', /no refused token names the user/);
  assert.deepEqual((await ask()).tabs, []);
  const nameless = await Tab.open(t, latest, bridge.hubUrl, '');
  await why('no-connection', /1 connection\(s\) without a token/);
  const tab = await open();
  await why('ok');
  await tab.connection.stop();
  await why('no-connection', /outlives/);
  await nameless.connection.stop();
});

test('the token was refused: the check that failed is named, once the tabs are gone', async (t) => {
  const { why, bridge, open } = await setUp(t);
  const negotiate = async (token) => assert.equal((await fetch(`${bridge.hubUrl}/negotiate?negotiateVersion=1`, { method: 'POST', headers: { Authorization: `Bearer ${token}` } })).status, 401);
  await negotiate(tokenFor('alice', { lifetimeSeconds: -3600 }));
  await why('token-refused', /refused 1 time.*127\.0\.0\.1: expired\.$/);
  await why('token-refused', /expired/, 'id-alice');
  for (let i = 0; i < 3; i++) await negotiate(tokenFor('alice', { key: 'another key of sixteen bytes' }));
  await why('token-refused', /: bad signature\.$/);
  await why('no-connection', /no refused token/, 'bob');
  await open();
  await why('ok', /Nothing is wrong/); // what was refused earlier keeps nobody from anything now
});

test('hostile texts in refused tokens stay texts, and few of them are kept', async (t) => {
  const { why, bridge, ask } = await setUp(t);
  const name = '"},{\\u2028<b>';
  for (let i = 0; i < 200; i++)
    await fetch(`${bridge.hubUrl}/negotiate?negotiateVersion=1`, { method: 'POST', headers: { Authorization: `Bearer ${tokenFor(name, { id: `${i}`, issuer: 'x' })}` } });
  await why('token-refused', /wrong issuer/, encodeURIComponent(name));
  assert.equal((await ask('0')).why.code, 'no-connection');
  assert.equal((await ask('199')).why.code, 'token-refused');
});

test('the login is refused, paused, or under way', async (t) => {
  const refusals = [
    [(rc) => (rc.user('alice').password = 'other'), /no such account at Rocket\.Chat, or its password is not Im:DefaultPassword/],
    [(rc) => rc.store.setActive(rc.user('alice'), false), /deactivated/],
    [(rc) => (rc.user('alice').totp = true), /totp-required.*second factor/],
  ];
  for (const [arrange, says] of refusals) {
    const { why, open } = await setUp(t, { arrange });
    await open();
    const text = await why('login-refused');
    assert.match(text, says);
    assert.match(text, /Tried again in \d+ s\.$/);
  }
  const provisioning = { 'PushBridge:Provisioning:Enabled': true, 'Im:AdminUserName': 'root', 'Im:AdminPassword': 'only-the-admin-knows' };
  const unknown = await setUp(t, { settings: provisioning, arrange: (rc) => rc.store.createUser({ username: 'root', password: 'only-the-admin-knows', roles: ['admin'] }) });
  await until('the admin', () => unknown.bridge.logged('admin_ready').length > 0);
  await unknown.open('carol');
  await unknown.why('login-refused', /provision-no-email.*EmailTemplates/, 'id-carol');
  const tenant = await setUp(t);
  await tenant.open('alice', { tenant: 1 });
  await tenant.why('login-refused', /tenant-template.*Im:UserNameTemplate.*Not tried again/, 'id-alice@1');

  const paused = await setUp(t, { settings: { 'Im:LoginVia': 'rest' }, faults: [{ preset: 'unavailable' }] });
  await paused.open();
  await paused.why('login-paused', /The login at Rocket\.Chat failed/);
  const slow = await setUp(t, { settings: { 'Im:LoginVia': 'rest' }, faults: [{ on: 'login', do: 'delay', ms: 4000 }] });
  await slow.open();
  await slow.why('login-running', /by REST/);
});

test('the DDP connection is down', async (t) => {
  const { rc, why, open } = await setUp(t);
  await open();
  await rc.live('alice');
  await rc.double.stop();
  await why('ddp-down', /\((connection-lost|unreachable)\).*Tried again in/);
});

test('a subscription is refused, or held back, or not confirmed', async (t) => {
  const refused = await setUp(t, { faults: [{ on: 'in', match: sub, skip: 1, do: 'error', error: 'not-allowed' }] });
  await refused.open();
  await refused.why('subscription-refused', /subscription (rooms|subscriptions)-changed \(not-allowed\)/);
  const limited = await setUp(t, { faults: [{ on: 'in', match: sub, do: 'error', error: 'too-many-requests', details: { timeToReset: 5000 } }] });
  await limited.open();
  await limited.why('subscribing', /rate limit holds the subscription/);
  const mute = await setUp(t, { faults: [{ on: 'in', match: sub, do: 'ignore' }] });
  await mute.open();
  await mute.why('subscribing', /not confirmed/);
  const notices = await setUp(t, { faults: [{ on: 'in', match: sub, times: 1, do: 'error', error: 'not-allowed' }] });
  await notices.open();
  await notices.why('ephemeral-refused', /private notices/);
});

test('the first lists are missing', async (t) => {
  const { why, open } = await setUp(t, { faults: [{ on: 'in', match: { method: 'rooms/get' }, do: 'error', error: 500, reason: 'broken' }] });
  await open();
  await why('lists-missing', /list of the user's rooms/);
});

test('a tab takes nothing any more', async (t) => {
  const { rc, bridge, why } = await setUp(t, { settings: { 'PushBridge:Limits:QueueBytes': 64 * 1024 * 1024 } });
  const raw = await openHub(bridge.port, tokenFor('alice'));
  t.after(() => raw.destroy());
  await rc.live('alice');
  raw.socket.pause();
  const body = JSON.stringify({ user: 'id-alice', target: 't', arguments: ['x'.repeat(60_000)] });
  for (let i = 0; i < 200; i++) await fetch(`${bridge.adminUrl}/admin/push`, { method: 'POST', headers: KEY, body });
  await why('queue-stuck', /1 tab\(s\)/);
});

test('nothing is wrong: when the last event came', async (t) => {
  const { rc, why, open } = await setUp(t);
  const tab = await open();
  await rc.live('alice');
  await why('ok', /Rocket\.Chat has sent nothing yet/);
  rc.post(rc.general, 'bob', 'hi');
  await tab.until('it', (x) => x.texts().length === 1);
  await sleep(1100);
  await why('ok', /the last event came [1-9]\d* s ago, the last one was sent on [1-9]\d* s ago/);
});
