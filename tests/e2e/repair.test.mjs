// Every message once and in the room's order, though Rocket.Chat's events leave messages out.
import assert from 'node:assert/strict';
import test from 'node:test';
import { sleep, startBridge, startDouble, tokenFor, until } from '../lib/harness.mjs';
import { CLIENTS, Tab } from '../lib/signalr_clients.mjs';

const signalR = CLIENTS.latest;

/** Double, bridge, and one tab of each of `users`, all sessions live. */
async function scene(t, { users = ['alice', 'bob'], settings = {}, ...double } = {}) {
  const rc = await startDouble(t, { users, ...double });
  const bridge = await startBridge(t, rc.double, settings);
  const tabs = {};
  for (const name of users) {
    tabs[name] = await Tab.open(t, signalR, bridge.hubUrl, tokenFor(name));
    await rc.live(name);
  }
  await sleep(1200); // the second look at the rooms is over
  const calls = (method) => rc.double.calls.get(`ddp ${method}`) ?? 0;
  return { ...rc, bridge, tabs, calls };
}

const numbers = (n) => [...Array(n).keys()].map(String);

test('a coalesced burst arrives whole and in order, and costs one query for all members', async (t) => {
  const users = ['alice', 'bob', 'carol', 'dave', 'erin'];
  const { double, general, post, tabs, calls } = await scene(t, { users });
  double.faults.add({ on: 'room', match: { rid: general._id, action: 'updated' }, do: 'coalesce', times: 9 });
  for (const text of numbers(10)) post(general, 'bob', text);
  for (const tab of Object.values(tabs)) await tab.until('all ten', (x) => x.texts().length >= 10);
  await sleep(2500); // also the look behind the burst
  for (const tab of Object.values(tabs)) {
    assert.deepEqual(tab.texts(), numbers(10));
    assert.deepEqual(tab.of('resyncRequired'), []);
  }
  assert.equal(calls('messages/get'), 1);
});

test('single messages cost no query', async (t) => {
  const { general, post, tabs, calls } = await scene(t);
  post(general, 'bob', 'one');
  await tabs.alice.until('one', (x) => x.texts().length === 1);
  await sleep(1500);
  post(general, 'alice', 'two');
  await tabs.alice.until('two', (x) => x.texts().length === 2);
  await sleep(1500);
  assert.equal(calls('messages/get'), 0);
});

test('thread replies, back-dated messages and deletions, which rooms-changed does not show', async (t) => {
  const { store, general, post, tabs } = await scene(t);
  const { alice } = tabs;
  const parent = post(general, 'bob', 'parent');
  await alice.until('the parent', (x) => x.texts().length === 1);
  await sleep(1200);
  const reply = post(general, 'bob', 'reply', { tmid: parent._id });
  await alice.until('the reply', (x) => x.of('getThreadMessageNotification').length === 1);
  assert.equal(alice.of('getThreadMessageNotification')[0]._id, reply._id);
  await sleep(1200);
  const old = post(general, 'bob', 'dated back', { ts: new Date(Date.now() - 3600_000) });
  await alice.until('the back-dated one', (x) => x.texts().includes('dated back'));
  await sleep(1200);
  store.remove(store.messages.get(old._id), store.requireUser('bob'));
  await alice.until('its deletion', (x) => x.of('getRoomMessageDeletedNotification').length > 0);
  await sleep(1500);
  assert.deepEqual(alice.of('getRoomMessageDeletedNotification'), [{ _id: old._id, rid: general._id }]);
  assert.deepEqual(alice.texts(), ['parent', 'dated back']);
  assert.equal(alice.of('getThreadMessageNotification').length, 1);
});

test('a lost event is noticed by the next one', async (t) => {
  const { double, general, post, tabs, user } = await scene(t);
  double.faults.add({ on: 'out', match: { event: `${user('alice')._id}/rooms-changed` }, do: 'ignore' });
  post(general, 'bob', 'lost');
  post(general, 'bob', 'seen');
  await tabs.alice.until('both', (x) => x.texts().length === 2);
  assert.deepEqual(tabs.alice.texts(), ['lost', 'seen']);
});

test('after a cut: what was written, changed, deleted, joined and left meanwhile', async (t) => {
  const { double, store, general, post, tabs, user, live } = await scene(t, { settings: { 'PushBridge:Session:BackoffMinSeconds': 0.5 } });
  const { alice } = tabs;
  const left = store.createRoom({ name: 'left', owner: user('bob'), members: [user('alice')] });
  const early = post(general, 'bob', 'early');
  await alice.until('the early one', (x) => x.texts().includes('early'));
  await sleep(1500);
  const before = alice.of('getRoomSubscriptionChangedNotification').length;
  const ended = double.sessionsOf(user('alice')._id);
  for (const session of ended) session.drop();
  for (const text of numbers(5)) post(general, 'bob', text);
  store.edit(store.messages.get(early._id), user('bob'), 'early, edited');
  const gone = post(general, 'bob', 'gone again');
  store.remove(store.messages.get(gone._id), user('bob'));
  const joined = store.createRoom({ name: 'joined', owner: user('bob') });
  post(joined, 'bob', 'from before');
  store.subscribe(joined._id, user('alice'));
  post(joined, 'bob', 'in the new room');
  store.unsubscribe(left._id, user('alice'));
  post(left, 'bob', 'none of her business');
  await until('the first connection is over', () => !double.sessionsOf(user('alice')._id).some((s) => ended.includes(s)));
  await live('alice');
  await alice.until('all', (x) => x.texts().length >= 7);
  await sleep(2500);
  assert.deepEqual(alice.of('getRoomMessageNotification').filter((m) => m.rid === general._id).map((m) => m.msg), ['early', ...numbers(5)]);
  assert.deepEqual(alice.of('getRoomMessageNotification').filter((m) => m.rid !== general._id).map((m) => m.msg), ['in the new room']);
  assert.ok(alice.of('getRoomMessageUpdatedNotification').some((m) => m.msg === 'early, edited'));
  const changes = alice.of('getRoomSubscriptionChangedNotification').slice(before).filter((c) => c.method !== 'update');
  assert.deepEqual(changes.map((c) => [c.method, c.msg.rid]).sort(), [['insert', joined._id], ['remove', left._id]].sort());
  assert.deepEqual(alice.of('resyncRequired'), []);
});

test('a restart of Rocket.Chat with messages meanwhile loses nothing for anybody', async (t) => {
  const users = ['alice', 'bob', 'carol'];
  const { double, general, post, tabs, live } = await scene(t, { users, settings: { 'PushBridge:Session:BackoffMinSeconds': 0.5 } });
  post(general, 'bob', 'before');
  for (const name of users) await tabs[name].until('the first', (x) => x.texts().length === 1);
  await double.restart({ downMs: 300 });
  for (const text of numbers(20)) post(general, 'bob', text);
  for (const name of users) await live(name);
  for (const name of users) await tabs[name].until('all', (x) => x.texts().length >= 21);
  await sleep(1500);
  for (const name of users) assert.deepEqual(tabs[name].texts(), ['before', ...numbers(20)]);
});

const isEjson = (date) => typeof date?.$date === 'number';

test('a server without the methods is asked over REST: nothing is lost, and dates have one form', async (t) => {
  const { double, store, general, post, tabs, user, live, calls } = await scene(t, {
    flavour: 'streamer', version: 8,
    settings: { 'PushBridge:Session:BackoffMinSeconds': 0.5 },
  });
  const { alice } = tabs;
  double.faults.add({ on: 'room', match: { rid: general._id, action: 'updated' }, do: 'coalesce', times: 2 });
  for (const text of numbers(3)) post(general, 'bob', text);
  await alice.until('all three', (x) => x.texts().length >= 3);
  assert.deepEqual(alice.texts(), numbers(3));
  const before = alice.of('getRoomSubscriptionChangedNotification').length;
  const [ended] = double.sessionsOf(user('alice')._id);
  ended.drop();
  post(general, 'bob', '2024-05-01T10:00:00.123Z');
  const gone = post(general, 'bob', 'gone again');
  store.remove(store.messages.get(gone._id), user('bob'));
  const joined = store.createRoom({ name: 'joined', owner: user('bob') });
  store.subscribe(joined._id, user('alice'));
  await until('another connection', () => double.sessionsOf(user('alice')._id).some((s) => s !== ended));
  await live('alice');
  await alice.until('what was written meanwhile', (x) => x.texts().length >= 4);
  await alice.until('what was deleted meanwhile', (x) => x.of('getRoomMessageDeletedNotification').length > 0);
  assert.deepEqual(alice.texts(), [...numbers(3), '2024-05-01T10:00:00.123Z']);
  for (const m of alice.of('getRoomMessageNotification')) assert.ok(isEjson(m.ts) && isEjson(m._updatedAt), JSON.stringify(m));
  const insert = alice.of('getRoomSubscriptionChangedNotification').slice(before).find((c) => c.method === 'insert');
  assert.equal(insert.msg.rid, joined._id);
  assert.ok(isEjson(insert.msg.ts), JSON.stringify(insert));
  assert.deepEqual(alice.of('resyncRequired'), []);
  assert.ok(calls('messages/get') <= 4, 'once on each connection of the two users');
});

test('the limit of REST is waited for; nothing is lost', async (t) => {
  const { double, general, post, tabs } = await scene(t, {
    missingMethods: ['messages/get'],
    rateLimits: { rest: { limit: 2, intervalMs: 3000 }, ddp: { connectionByMethod: 1000, userByMethod: 1000 } },
  });
  const limited = () => double.calls.get('GET /api/v1/chat.syncMessages') ?? 0;
  for (let i = 0; i < 4; i++) {
    double.faults.add({ on: 'room', match: { rid: general._id, action: 'updated' }, do: 'coalesce' });
    post(general, 'bob', `${2 * i}`);
    post(general, 'bob', `${2 * i + 1}`);
    await sleep(1500);
  }
  await tabs.alice.until('all', (x) => x.texts().length >= 8);
  assert.deepEqual([...tabs.alice.texts()].sort(), numbers(8));
  assert.ok(limited() > 2);
  const late = tabs.alice.of('resyncRequired').map((r) => r.reason);
  if (late.length === 0) assert.deepEqual(tabs.alice.texts(), numbers(8));
  else assert.deepEqual(new Set(late), new Set(['late']));
});

test('no road to a room’s messages: resyncRequired tells so, and the room goes on', async (t) => {
  const { double, general, post, tabs } = await scene(t, { missingMethods: ['messages/get'] });
  double.faults.add({ on: 'rest', match: { path: '/api/v1/chat.syncMessages' }, do: 'respond', status: 404, body: { success: false, error: 'Resource not found' }, times: 0 });
  double.faults.add({ on: 'room', match: { rid: general._id, action: 'updated' }, do: 'coalesce', times: 2 });
  for (const text of numbers(3)) post(general, 'bob', text);
  await tabs.alice.until('resyncRequired', (x) => x.of('resyncRequired').length > 0);
  assert.deepEqual(tabs.alice.of('resyncRequired')[0], { rid: general._id, reason: 'no-history' });
  assert.deepEqual(tabs.alice.texts(), ['2']);
  double.faults.clear();
  await sleep(1200);
  post(general, 'bob', 'on');
  await tabs.alice.until('the next', (x) => x.texts().includes('on'));
  assert.deepEqual(tabs.alice.texts(), ['2', 'on']);
});

test('MessageSource=last-message, ExcludeTypes, SubscriptionShape', async (t) => {
  const { double, general, post, tabs, calls } = await scene(t, { settings: { 'PushBridge:MessageSource': 'last-message', 'PushBridge:Events:ExcludeTypes': 'uj' } });
  double.faults.add({ on: 'room', match: { rid: general._id, action: 'updated' }, do: 'coalesce', times: 1 });
  post(general, 'bob', 'first');
  post(general, 'bob', 'second');
  await tabs.alice.until('the last one, twice', (x) => x.texts().length === 2);
  post(general, 'bob', 'bob', { t: 'uj' });
  post(general, 'bob', 'third');
  await tabs.alice.until('the third', (x) => x.texts().includes('third'));
  assert.deepEqual(tabs.alice.texts(), ['second', 'second', 'third']);
  assert.equal(calls('messages/get'), 0);

  await t.test('SubscriptionShape=room', async (t2) => {
    const bridge = await startBridge(t2, double, { 'PushBridge:Events:SubscriptionShape': 'room' });
    const tab = await Tab.open(t2, signalR, bridge.hubUrl, tokenFor('alice'));
    await sleep(1500);
    const room = double.store.createRoom({ name: 'shaped', owner: double.store.requireUser('bob') });
    double.store.subscribe(room._id, double.store.requireUser('alice'));
    await tab.until('the room', (x) => x.of('getRoomSubscriptionChangedNotification').some((c) => c.method === 'insert'));
    assert.equal(tab.of('getRoomSubscriptionChangedNotification').find((c) => c.method === 'insert').msg._id, room._id);
  });
});

const GAPS = [
  [{ 'PushBridge:CatchUp:MaxGapSeconds': 0 }, 1, 'gap-too-long'],
  [{ 'PushBridge:CatchUp:MaxMessages': 3 }, 4, 'too-many-messages'],
];
for (const [settings, n, reason] of GAPS)
  test(`a gap beyond what is caught up with is told: ${Object.keys(settings)[0]}`, async (t) => {
    const { double, general, post, tabs, user, live } = await scene(t, { settings: { ...settings, 'PushBridge:Session:BackoffMinSeconds': 0.5 } });
    const ended = double.sessionsOf(user('alice')._id);
    for (const session of ended) session.drop();
    for (const text of numbers(n)) post(general, 'bob', text);
    await until('the first connection is over', () => !double.sessionsOf(user('alice')._id).some((s) => ended.includes(s)));
    await live('alice');
    await tabs.alice.until('told', (x) => x.of('resyncRequired').length > 0);
    assert.deepEqual(tabs.alice.of('resyncRequired').map((r) => r.reason), [reason]);
    post(general, 'bob', 'behind it');
    await tabs.alice.until('the next', (x) => x.texts().includes('behind it'));
    assert.deepEqual(tabs.alice.texts(), ['behind it']);
  });
