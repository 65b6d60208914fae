// Limits are the process's, however its connections fall on its shards.
import assert from 'node:assert/strict';
import test from 'node:test';
import { sleep, startBridge, startDouble, tokenFor, until } from '../lib/harness.mjs';
import { RawConnection, openHub, upgradeRequest } from '../lib/raw_connection.mjs';
import { CLIENTS, Tab } from '../lib/signalr_clients.mjs';

const SHARDS = { 'PushBridge:Shards': 4, 'PushBridge:Limits:IdleTimeoutSeconds': 0.1 }; // fetch() keeps its sockets
const settled = (promises) => Promise.all(promises.map((p) => p.then((value) => ({ value }), (error) => ({ error }))));

/** Upgrades without negotiation, each on a socket of its own; how many were let in. */
async function upgrades(t, bridge, users) {
  const results = await settled(users.map((name) => openHub(bridge.port, tokenFor(name))));
  for (const { value } of results) if (value) t.after(() => value.destroy());
  return results.filter((r) => r.value).map((r) => r.value);
}

const names = (n) => Array.from({ length: n }, (_, i) => `user${i}`);
const negotiate = (bridge, name) => fetch(`${bridge.hubUrl}/negotiate?negotiateVersion=1`, { method: 'POST', headers: { Authorization: `Bearer ${tokenFor(name)}`, Connection: 'close' } });

test('Limits:Connections and ConnectionsPerAddress are exact', async (t) => {
  for (const setting of ['Connections', 'ConnectionsPerAddress']) {
    const bridge = await startBridge(t, null, { ...SHARDS, [`PushBridge:Limits:${setting}`]: 7 });
    await sleep(300); // the harness's own request has left
    const first = await upgrades(t, bridge, names(30));
    assert.equal(first.length, 7, setting);
    first.splice(0, 3).forEach((raw) => raw.destroy());
    await sleep(300);
    assert.equal((await upgrades(t, bridge, names(20))).length, 3, `${setting}: room again`);
  }
});

test('Limits:ConnectionsPerUser is exact; the one too many is told, and not to come back', async (t) => {
  const rc = await startDouble(t);
  const bridge = await startBridge(t, rc.double, { ...SHARDS, 'PushBridge:Limits:ConnectionsPerUser': 5 });
  const tabs = Array.from({ length: 12 }, () => new Tab(CLIENTS.latest, bridge.hubUrl, tokenFor('alice'), { retryMs: [0, 100] }));
  t.after(() => Promise.all(tabs.map((tab) => tab.connection.stop())));
  await settled(tabs.map((tab) => tab.connection.start()));
  await until('five are left', () => tabs.filter((tab) => tab.connection.state === 'Connected').length === 5);
  await sleep(300);
  assert.equal(tabs.filter((tab) => tab.connection.state === 'Connected').length, 5);
  for (const tab of tabs) assert.ok(tab.changes.every(([what]) => what === 'closed'));
  assert.ok(tabs.some((tab) => tab.changes.some(([, error]) => error?.includes('limit of connections'))) || tabs.some((tab) => tab.changes.length === 0));
  await Tab.open(t, CLIENTS.latest, bridge.hubUrl, tokenFor('bob'));
  await tabs.find((tab) => tab.connection.state === 'Connected').connection.stop();
  await sleep(200);
  const late = await Tab.open(t, CLIENTS.latest, bridge.hubUrl, tokenFor('alice'));
  await sleep(200);
  assert.equal(late.connection.state, 'Connected');
});

test('Limits:PendingNegotiations is exact', async (t) => {
  const bridge = await startBridge(t, null, { ...SHARDS, 'PushBridge:Limits:PendingNegotiations': 6, 'PushBridge:Hub:NegotiateTimeoutSeconds': 0.5 });
  const answers = await Promise.all(names(25).map((name) => negotiate(bridge, name)));
  assert.equal(answers.filter((r) => r.status === 200).length, 6);
  assert.equal(answers.filter((r) => r.status === 503).length, 19);
  await sleep(1500);
  assert.equal((await negotiate(bridge, 'user1')).status, 200, 'the others have run out');
});

test('a connection that moves to its home keeps its place', async (t) => {
  const bridge = await startBridge(t, null, { ...SHARDS, 'PushBridge:Limits:ConnectionsPerAddress': 3 });
  await sleep(300);
  const open = [];
  for (let i = 0; i < 12; i++) {
    const { connectionToken } = await (await negotiate(bridge, `user${i}`)).json();
    const raw = await RawConnection.open(bridge.port);
    raw.write(upgradeRequest({ port: bridge.port, query: `?id=${connectionToken}&access_token=${tokenFor(`user${i}`)}` }));
    const answer = await raw.response();
    assert.equal(answer.status, 101);
    open.push(raw);
    if (open.length === 2) open.shift().destroy();
    await sleep(20);
  }
  open.forEach((raw) => raw.destroy());
});

test('freed memory is given back once many have left', async (t) => {
  const bridge = await startBridge(t, null, SHARDS);
  const trims = async () => Number(/^pushbridge_heap_trims_total (\d+)$/m.exec(await (await fetch(`${bridge.adminUrl}/metrics`)).text())[1]);
  const open = await upgrades(t, bridge, names(260));
  assert.equal(open.length, 260);
  await sleep(2500); // a look at them
  assert.equal(await trims(), 0);
  open.forEach((raw) => raw.destroy());
  await until('the memory is given back', async () => (await trims()) === 1);
});

const proxied = (t, bridge, name) => {
  const given = new AbortController();
  t.after(() => given.abort());
  return fetch(`${bridge.url}/im/api/v1/rooms.get`, { headers: { Authorization: `Bearer ${tokenFor(name)}` }, signal: given.signal });
};
const metric = async (bridge, name) => Number((await (await fetch(`${bridge.adminUrl}/metrics`)).text()).split('\n').find((l) => l.startsWith(`${name} `)).split(' ').at(-1));

test('Limits:LoginQueue, TokenRequests: who is one too many is told at once, and may come again', async (t) => {
  const cases = [
    [{ 'PushBridge:Limits:LoginQueue': 1, 'PushBridge:Logins:MaxRunning': 1 }, ['alice', 'bob'], 1, "Rocket.Chat can't be logged in to now"],
    [{ 'PushBridge:Limits:TokenRequests': 1, 'PushBridge:Shards': 1 }, ['alice'], 0, 'Too many logins wait'],
  ];
  for (const [settings, waiting, queued, words] of cases) {
    const rc = await startDouble(t, { users: ['alice', 'bob', 'carol'] });
    const bridge = await startBridge(t, rc.double, { ...settings, 'Im:LoginVia': 'rest', 'PushBridge:Logins:TimeoutSeconds': 600 });
    rc.double.faults.add({ preset: 'rest-stalled', match: { path: '/api/v1/login' }, times: 1 });
    for (const name of waiting) {
      proxied(t, bridge, name).catch(() => {});
      await until('it waits', async () => rc.double.faults.list().length === 0);
    }
    await until('they wait', async () => (await metric(bridge, 'pushbridge_login_queue')) === queued);
    const res = await proxied(t, bridge, 'carol');
    assert.equal(res.status, 503);
    assert.match((await res.json()).error, new RegExp(words));
    assert.ok(Number(res.headers.get('retry-after')) > 0);
  }
});

test('Limits:RefusedUsers: so many refusals are remembered, and the oldest gives way', async (t) => {
  const rc = await startDouble(t);
  const bridge = await startBridge(t, rc.double, { 'Im:LoginVia': 'rest', 'PushBridge:Limits:RefusedUsers': 1 });
  // Another login than that of the user's session, which has a memory of its own.
  const session = (name) => proxied(t, bridge, name);
  const authenticate = (name) => fetch(`${bridge.url}/api/services/app/Im/Authenticate`, { method: 'POST', headers: { Authorization: `Bearer ${tokenFor(name)}` } });
  const asked = [];
  for (const [ask, name] of [[session, 'carol'], [session, 'dave'], [authenticate, 'dave'], [authenticate, 'carol']]) {
    assert.notEqual((await ask(name)).status, 200);
    asked.push(rc.double.calls.get('POST /api/v1/login'));
  }
  assert.deepEqual(asked, [1, 2, 2, 3]);
});

test('Limits:RestBodyBytes: a longer answer of Rocket.Chat is an error', async (t) => {
  const rc = await startDouble(t);
  const bridge = await startBridge(t, rc.double, { 'PushBridge:Limits:RestBodyBytes': 65_536, 'PushBridge:Abp:Routes': ['GET Chat/GetRooms -> GET rooms.get user'] });
  const ask = () => fetch(`${bridge.url}/api/services/app/Chat/GetRooms`, { headers: { Authorization: `Bearer ${tokenFor('alice')}` } });
  for (const [bytes, status] of [[60_000, 200], [70_000, 500], [60_000, 200]]) {
    rc.double.faults.add({ on: 'rest', match: { path: '/api/v1/rooms.get' }, do: 'respond', status: 200, headers: { 'Content-Type': 'application/json' }, body: { success: true, pad: 'x'.repeat(bytes) }, times: 1 });
    assert.equal((await ask()).status, status, `${bytes}`);
  }
});
