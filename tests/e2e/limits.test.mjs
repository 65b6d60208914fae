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
