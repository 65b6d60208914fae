// Rooms that a tab has opened are followed by their own streams.
import assert from 'node:assert/strict';
import test from 'node:test';
import { sleep, startBridge, startDouble, tokenFor, until } from '../lib/harness.mjs';
import { CLIENTS, Tab } from '../lib/signalr_clients.mjs';

/** Double, bridge, and one tab of alice whose session is live. `open` is a channel she is not in. */
async function scene(t, signalR, { double = {}, settings = {} } = {}) {
  const rc = await startDouble(t, double);
  const { store, user } = rc;
  const open = store.createRoom({ name: 'open', owner: user('bob') });
  const secret = store.createRoom({ t: 'p', name: 'secret', owner: user('bob'), members: [user('alice')] });
  const bridge = await startBridge(t, rc.double, { 'PushBridge:Session:BackoffMinSeconds': 0.3, ...settings });
  const newTab = (name = 'alice') => Tab.open(t, signalR, bridge.hubUrl, tokenFor(name));
  const tab = await newTab();
  await rc.live('alice');
  const uid = user('alice')._id;
  const streams = () => rc.double.sessionsOf(uid).flatMap((s) => [...s.subs.values()].flatMap((set) => [...set].map((sub) => sub.event))).filter((e) => !e.startsWith(uid));
  return { ...rc, bridge, newTab, tab, open, secret, streams };
}

const refusal = (code, words = '.*') => ({ message: new RegExp(`^${code}: ${words}$`) });
const texts = (tab, event) => tab.of(event).map((m) => m.msg);

for (const [version, signalR] of Object.entries(CLIENTS)) {
  test(`${version}: a room of one's own: what rooms-changed does not show comes too, and nothing twice`, async (t) => {
    const { store, general, post, user, tab, newTab, streams, double } = await scene(t, signalR);
    const other = await newTab();
    assert.equal(await tab.connection.invoke('OpenRoom', general._id), null);
    await until('all its streams', () => streams().length === 3);
    assert.deepEqual(streams().sort(), [general._id, `${general._id}/deleteMessage`, `${general._id}/deleteMessageBulk`].sort());
    const before = double.calls.get('ddp messages/get') ?? 0;
    const first = post(general, 'bob', 'first');
    post(general, 'bob', 'second');
    store.edit(first, user('bob'), 'first, edited'); // not the last message any more
    store.react(store.messages.get(first._id), user('bob'), 'thumbsup', true);
    const mine = post(general, 'alice', 'my own');
    for (const each of [tab, other]) {
      await each.until('all', (x) => x.texts().length === 3 && x.of('getRoomMessageUpdatedNotification').length >= 2);
      assert.deepEqual(each.texts(), ['first', 'second', 'my own']);
      assert.deepEqual(texts(each, 'getRoomMessageUpdatedNotification'), ['first, edited', 'first, edited']);
      assert.ok(each.of('getRoomMessageUpdatedNotification')[1].reactions);
    }
    store.remove(store.messages.get(mine._id), user('alice'));
    store.remove(store.messages.get(first._id), user('bob'));
    for (const each of [tab, other]) {
      await each.until('both deletions', (x) => x.of('getRoomMessageDeletedNotification').length >= 2);
      assert.deepEqual(each.of('getRoomMessageDeletedNotification'), [{ _id: mine._id, rid: general._id }, { _id: first._id, rid: general._id }]);
    }
    assert.ok(before >= 0);
    await sleep(1500); // repairs, if any, find nothing new
    for (const each of [tab, other]) {
      assert.equal(each.texts().length, 3);
      assert.equal(each.of('getRoomMessageDeletedNotification').length, 2);
      assert.deepEqual(each.of('resyncRequired'), []);
    }
  });

  test(`${version}: a channel one is not in is heard by the tabs that opened it, while it is open`, async (t) => {
    const { store, user, open, post, tab, newTab, streams } = await scene(t, signalR);
    const other = await newTab();
    post(open, 'bob', 'before');
    await tab.connection.invoke('OpenRoom', open._id);
    await until('all its streams', () => streams().length === 3);
    const heard = post(open, 'bob', 'heard');
    await tab.until('the message', (x) => x.texts().length === 1);
    store.edit(heard, user('bob'), 'heard, edited');
    store.remove(store.messages.get(heard._id), user('bob'));
    await tab.until('its deletion', (x) => x.of('getRoomMessageDeletedNotification').length === 1);
    assert.deepEqual(tab.texts(), ['heard']);
    assert.deepEqual(texts(tab, 'getRoomMessageUpdatedNotification'), ['heard, edited']);
    assert.equal(await tab.connection.invoke('CloseRoom', open._id), null);
    assert.equal(await tab.connection.invoke('CloseRoom', open._id), null); // nothing to close: no harm
    await until('no stream is left', () => streams().length === 0);
    post(open, 'bob', 'after');
    await sleep(300);
    assert.deepEqual(tab.texts(), ['heard']);
    assert.deepEqual(other.heard.filter(([e]) => e !== 'bridgeStatus'), []);
  });
}

const latest = CLIENTS.latest;

test('refused: a room that is not to be read, one that is none; the bounds of a connection and a user', async (t) => {
  const { store, user, open, general, secret, newTab, tab, streams } = await scene(t, latest, { settings: { 'PushBridge:Methods:OpenRooms': 2, 'PushBridge:Methods:OpenRoomsPerUser': 3 } });
  const hidden = store.createRoom({ t: 'p', name: 'hidden', owner: user('bob') });
  for (const rid of [hidden._id, 'nowhere']) await assert.rejects(tab.connection.invoke('OpenRoom', rid), refusal('not-allowed'));
  await tab.connection.invoke('OpenRoom', general._id);
  await tab.connection.invoke('OpenRoom', open._id);
  await tab.connection.invoke('OpenRoom', open._id); // open already
  await assert.rejects(tab.connection.invoke('OpenRoom', secret._id), refusal('too-many-rooms'));
  const other = await newTab();
  await other.connection.invoke('OpenRoom', general._id);
  await other.connection.invoke('OpenRoom', secret._id);
  const third = await newTab();
  const fourth = store.createRoom({ name: 'fourth', owner: user('bob') });
  await assert.rejects(third.connection.invoke('OpenRoom', fourth._id), refusal('too-many-rooms'));
  await third.connection.invoke('OpenRoom', general._id);
  assert.equal(streams().filter((e) => e === general._id).length, 1, 'followed once for all tabs');
  await tab.connection.stop();
  await until("the first tab's other room is closed", () => !streams().includes(open._id));
  assert.ok(streams().includes(general._id));
  for (const each of [other, third]) await each.connection.stop();
  await until('all are closed', () => streams().length === 0);
});

test('after a lost connection opened rooms are followed again; who is no member is told of the gap', async (t) => {
  const { double, general, open, post, user, tab, streams, live } = await scene(t, latest);
  await tab.connection.invoke('OpenRoom', general._id);
  await tab.connection.invoke('OpenRoom', open._id);
  await until('all streams', () => streams().length === 6);
  for (const session of double.sessionsOf(user('alice')._id)) session.drop();
  post(general, 'bob', 'missed, and caught up with');
  post(open, 'bob', 'missed');
  await live('alice');
  await until('all streams again', () => streams().length === 6);
  await tab.until('the gap', (x) => x.of('resyncRequired').length > 0);
  assert.deepEqual(tab.of('resyncRequired'), [{ rid: open._id, reason: 'reconnected' }]);
  post(open, 'bob', 'heard again');
  await tab.until('both', (x) => x.texts().length === 2);
  assert.deepEqual(tab.texts().sort(), ['heard again', 'missed, and caught up with']);
});

test('a room that waits to be opened is not, once its tab has gone', async (t) => {
  const { double, general, open, user, tab, newTab, bridge, streams, live } = await scene(t, latest, { settings: { 'PushBridge:Methods:OpenRoomsPerUser': 1 } });
  const look = async () => (await fetch(`${bridge.adminUrl}/admin/users/alice`, { headers: { 'X-Api-Key': 'test-api-key-0123456789' } })).json();
  const hurried = await newTab();
  double.faults.add({ on: 'in', match: { msg: 'connect' }, do: 'delay', ms: 3000, times: 1 });
  for (const session of double.sessionsOf(user('alice')._id)) session.drop();
  await until('the session starts again', async () => ['connecting', 'authenticating'].includes((await look()).state));
  hurried.connection.invoke('OpenRoom', open._id).catch(() => {}); // the connection ends before it is answered
  await hurried.connection.invoke('Register'); // behind it: the bridge has both
  await hurried.connection.stop();
  await live('alice');
  await until('it has gone', async () => (await look()).connections === 1);
  await tab.connection.invoke('OpenRoom', general._id);
  await until('its streams', () => streams().length === 3);
  assert.deepEqual((await look()).openRooms, [{ rid: general._id, connections: 1, followed: true }]);
});

test('a kick ends it, also where Rocket.Chat lets the stream go on', async (t) => {
  const { store, user, secret, general, post, tab, streams } = await scene(t, latest, { double: { keepRoomStreamOnKick: true } });
  for (const room of [secret, general]) {
    await tab.connection.invoke('OpenRoom', room._id);
    post(room, 'bob', `in ${room.name}`);
    await tab.until('it is followed', (x) => x.texts().includes(`in ${room.name}`));
    store.unsubscribe(room._id, user('alice'));
    post(room, 'bob', 'at once');
    await until('its streams are ended', () => !streams().some((e) => e.startsWith(room._id)));
    post(room, 'bob', 'later');
  }
  await sleep(300);
  assert.deepEqual(tab.texts(), ['in secret', 'in general']);
  await assert.rejects(tab.connection.invoke('OpenRoom', secret._id), refusal('not-allowed'));
});

test('more rooms than Rocket.Chat lets follow at once: paced, and all are open in the end', async (t) => {
  const { double, store, user, tab, streams } = await scene(t, latest, { double: { rateLimits: { timeFactor: 0.05 } }, settings: { 'PushBridge:Methods:OpenRooms': 100, 'PushBridge:Methods:OpenCalls': 100, 'PushBridge:Methods:Burst': 100 } });
  const rooms = [...Array(25).keys()].map((i) => store.createRoom({ name: `room${i}`, owner: user('bob') }));
  await Promise.all(rooms.map((room) => tab.connection.invoke('OpenRoom', room._id)));
  assert.equal(streams().filter((e) => !e.includes('/')).length, 25);
  assert.ok(streams().length <= 25 + 40, 'the other streams wait for their turn');
  assert.ok(double);
});

test('many deletions at once; a span of time is told as one that needs to be loaded anew', async (t) => {
  const { double, general, open, post, tab, streams } = await scene(t, latest);
  await tab.connection.invoke('OpenRoom', general._id);
  await tab.connection.invoke('OpenRoom', open._id);
  await until('all streams', () => streams().length === 6);
  const messages = ['a', 'b', 'c'].map((text) => post(general, 'bob', text));
  await tab.until('the messages', (x) => x.texts().length === 3);
  const bulk = (rid, ids) => double.control.run([{ op: 'emit', stream: 'stream-notify-room', event: `${rid}/deleteMessageBulk`, args: [{ rid, excludePinned: false, ignoreDiscussion: false, ts: { $gt: 1 }, users: [], ...(ids && { ids }) }] }]);
  await bulk(general._id, messages.map((m) => m._id));
  await bulk(general._id, messages.map((m) => m._id));
  await bulk(open._id);
  await tab.until('the span', (x) => x.of('resyncRequired').length > 0);
  assert.deepEqual(tab.of('getRoomMessageDeletedNotification'), messages.map((m) => ({ _id: m._id, rid: general._id })));
  assert.deepEqual(tab.of('resyncRequired'), [{ rid: open._id, reason: 'pruned' }]);
});

test('Events:Deleted=false follows no deletions', async (t) => {
  const { general, post, store, user, tab, streams } = await scene(t, latest, { settings: { 'PushBridge:Events:Deleted': false } });
  await tab.connection.invoke('OpenRoom', general._id);
  const message = post(general, 'bob', 'x');
  await tab.until('the message', (x) => x.texts().length === 1);
  store.remove(message, user('bob'));
  await sleep(300);
  assert.deepEqual(streams(), [general._id]);
  assert.deepEqual(tab.of('getRoomMessageDeletedNotification'), []);
});
