// SIGTERM in the middle of trouble: whatever Rocket.Chat and the clients are at, the bridge puts
// everything away within its limit and exits 0.
import assert from 'node:assert/strict';
import test from 'node:test';
import { PASSWORD, sleep, startBridge, startDouble, tokenFor, until } from '../lib/harness.mjs';
import { RawConnection, openHub } from '../lib/raw_connection.mjs';
import { CLIENTS, Tab } from '../lib/signalr_clients.mjs';

const LIMIT_MS = 4000; // a fifth of it is for what comes behind the sessions: enough under a sanitizer on a busy machine
const END_MS = 1000; // of the process itself: leak check, a busy machine
const SETTINGS = {
  'PushBridge:Shards': 3,
  'PushBridge:Drain:Seconds': LIMIT_MS / 1000,
  'PushBridge:Session:BackoffMinSeconds': 0.05,
  'PushBridge:Session:BackoffMaxSeconds': 0.3,
};
const USERS = ['alice', 'bob', 'carol', 'dave'];

async function stopInTime(bridge) {
  const began = Date.now();
  await bridge.stop(); // asserts exit 0 and a quiet sanitizer
  const took = Date.now() - began;
  assert.ok(took < LIMIT_MS + END_MS, `took ${took} ms`);
  assert.deepEqual(bridge.logged('drain_limit'), []);
}

const openTabs = (t, bridge, users = USERS) => Promise.all(users.map((name) => Tab.open(t, CLIENTS.latest, bridge.hubUrl, tokenFor(name))));

/** A bridge with a tab of each user, all of them live. */
async function live(t, rc, settings = {}) {
  const bridge = await startBridge(t, rc.double, { ...SETTINGS, ...settings });
  await openTabs(t, bridge);
  for (const name of USERS) await rc.live(name);
  return bridge;
}

test('nothing is wrong: every token is logged out', async (t) => {
  const rc = await startDouble(t, { users: [...USERS, 'root'] });
  const bridge = await live(t, rc, { 'Im:AdminUserName': 'root', 'Im:AdminPassword': PASSWORD });
  await until('the admin', () => bridge.logged('admin_ready').length > 0);
  await stopInTime(bridge);
  for (const name of [...USERS, 'root']) assert.equal(rc.user(name).tokens.length, 0, name);
});

test('Rocket.Chat is gone: sessions back off', async (t) => {
  const rc = await startDouble(t, { users: USERS });
  const bridge = await live(t, rc);
  await rc.double.stop();
  await until('backing off', () => bridge.logged('session_backoff').length >= USERS.length);
  await stopInTime(bridge);
});

test('Rocket.Chat goes in the very moment of the signal', async (t) => {
  const rc = await startDouble(t, { users: USERS });
  const bridge = await live(t, rc);
  await Promise.all([rc.double.stop(), stopInTime(bridge)]);
});

test('DDP is half-open: nobody answers the logouts', async (t) => {
  const rc = await startDouble(t, { users: USERS });
  const bridge = await live(t, rc);
  await rc.double.control.run(USERS.map((user) => ({ op: 'half-open', user })));
  await stopInTime(bridge);
});

test('REST is stalled: logins under way, more of them queued, and the admin', async (t) => {
  const rc = await startDouble(t, { users: [...USERS, 'root'] });
  rc.double.faults.add({ preset: 'rest-stalled', times: 0 });
  const bridge = await startBridge(t, rc.double, {
    ...SETTINGS,
    'PushBridge:Logins:MaxRunning': 3,
    'Im:AdminUserName': 'root',
    'Im:AdminPassword': PASSWORD,
  });
  await openTabs(t, bridge);
  await sleep(300);
  await stopInTime(bridge);
});

test('REST stalls behind the logins: the logouts of cached tokens and of the admin', async (t) => {
  const rc = await startDouble(t, { users: [...USERS, 'root'] });
  const bridge = await live(t, rc, { 'PushBridge:Session:LingerSeconds': 0, 'Im:AdminUserName': 'root', 'Im:AdminPassword': PASSWORD });
  await until('the admin', () => bridge.logged('admin_ready').length > 0);
  rc.double.faults.add({ preset: 'rest-stalled', times: 0 });
  await stopInTime(bridge);
});

test('a password login over DDP is not answered', async (t) => {
  const rc = await startDouble(t, { users: USERS });
  rc.double.faults.add({ on: 'in', match: { method: 'login' }, do: 'ignore', times: 0 });
  const bridge = await startBridge(t, rc.double, { ...SETTINGS, 'Im:LoginVia': 'ddp' });
  await openTabs(t, bridge);
  await sleep(300);
  await stopInTime(bridge);
});

test('DDP connections stall before they are open', async (t) => {
  const rc = await startDouble(t, { users: USERS });
  rc.double.faults.add({ preset: 'ddp-stalled', times: 0 });
  const bridge = await startBridge(t, rc.double, SETTINGS);
  await openTabs(t, bridge);
  await sleep(300);
  await stopInTime(bridge);
});

test('clients that answer nothing: half a request, a negotiation, no handshake, no close frame', async (t) => {
  const rc = await startDouble(t, { users: USERS });
  const bridge = await live(t, rc, { 'PushBridge:Hub:CloseWaitSeconds': 30 });
  const raws = [];
  for (let i = 0; i < 6; i++) {
    const half = await RawConnection.open(bridge.port);
    half.write('GET /signalr HTTP/1.1\r\nHos');
    const idle = await RawConnection.open(bridge.port);
    idle.write('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n');
    const mute = await openHub(bridge.port, tokenFor('alice'), { handshake: i % 2 === 0 });
    raws.push(half, idle, mute);
    await fetch(`${bridge.hubUrl}/negotiate?negotiateVersion=1`, { method: 'POST', headers: { Authorization: `Bearer ${tokenFor('bob')}` } });
  }
  for (const raw of raws) t.after(() => raw.destroy());
  await sleep(200);
  await stopInTime(bridge);
});

test('tabs come and go while it drains', async (t) => {
  const rc = await startDouble(t, { users: USERS });
  const bridge = await live(t, rc);
  let stop = false;
  const churn = Array.from({ length: 6 }, async (_, i) => {
    while (!stop) {
      const tab = new Tab(CLIENTS.latest, bridge.hubUrl, tokenFor(USERS[i % USERS.length]));
      await tab.connection.start().catch(() => sleep(5));
      await tab.connection.stop().catch(() => {});
    }
  });
  await sleep(300);
  await stopInTime(bridge);
  stop = true;
  await Promise.all(churn);
});
