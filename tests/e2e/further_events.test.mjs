// Events that are sent on where the operator asks for them, and dates as texts.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import test from 'node:test';
import { KEY, PROGRAM, cleanUp, sleep, startBridge, startDouble, tokenFor, until } from '../lib/harness.mjs';
import { CLIENTS, Tab } from '../lib/signalr_clients.mjs';

const latest = CLIENTS.latest;
const TARGETS = ['getUserActivityNotification', 'getRoomReadNotification', 'getUserStatusNotification', 'getDesktopNotification', 'getUserDataNotification', 'getRoomChangedNotification'];
const ALL = 'typing,read,user-status,notification,user-data,room-changed';
const ISO = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

async function scene(t, { map, settings = {}, double = {}, targets = TARGETS } = {}) {
  const rc = await startDouble(t, { notifications: 'all', readReceipts: true, ...double });
  const bridge = await startBridge(t, rc.double, { ...(map && { 'PushBridge:Events:Map': map }), ...settings });
  const open = async (name) => {
    const tab = new Tab(latest, bridge.hubUrl, tokenFor(name));
    for (const target of targets) tab.connection.on(target, (...args) => tab.heard.push([target, args.length === 1 ? args[0] : args]));
    cleanUp(t, () => tab.connection.stop());
    await tab.connection.start();
    await rc.live(name);
    return tab;
  };
  const ask = async (name) => (await fetch(`${bridge.adminUrl}/admin/users/${name}`, { headers: { 'X-Api-Key': 'test-api-key-0123456789' } })).json();
  const streams = (name) => rc.double.sessionsOf(rc.user(name)._id).flatMap((s) => [...s.subs.values()].flatMap((set) => [...set].map((sub) => sub.event)));
  return { ...rc, bridge, open, ask, streams };
}

const typing = (tab, room, on) => tab.connection.invoke('Typing', room._id, on);

test('each event arrives, in the shape README promises', async (t) => {
  const { general, user, post, open, ask, double, streams } = await scene(t, { map: ALL });
  const alice = await open('alice');
  const other = await open('alice');
  await until('the further streams', async () => (await ask('alice')).subscriptions['user-status'] === 'ready');
  assert.deepEqual((await ask('alice')).subscriptions, { message: 'ready', 'rooms-changed': 'ready', 'subscriptions-changed': 'ready', notification: 'ready', userData: 'ready', 'user-status': 'ready' });
  await alice.connection.invoke('OpenRoom', general._id);
  await until('the room', () => streams('alice').includes(`${general._id}/messagesRead`) && streams('alice').includes(`${general._id}/user-activity`));

  const bob = await open('bob');
  await alice.until('bob came', (x) => x.of('getUserStatusNotification').some(([id, name, status]) => id === user('bob')._id && name === 'bob' && status === 1));
  await typing(bob, general, true);
  await alice.until('bob types', (x) => x.of('getUserActivityNotification').length === 1);
  await typing(bob, general, false);
  await alice.until('bob stopped', (x) => x.of('getUserActivityNotification').length === 2);
  assert.deepEqual(alice.of('getUserActivityNotification'), [{ rid: general._id, user: 'bob', activities: ['user-typing'] }, { rid: general._id, user: 'bob', activities: [] }]);

  const message = post(general, 'bob', 'hello');
  await alice.until('the notification', (x) => x.of('getDesktopNotification').length === 1);
  assert.equal(alice.of('getDesktopNotification')[0].payload._id, message._id);
  await alice.until('the room', (x) => x.of('getRoomChangedNotification').some(({ msg, method }) => msg.lastMessage?._id === message._id && method === 'update'));
  await bob.connection.invoke('MarkRead', general._id);
  await alice.connection.invoke('MarkRead', general._id); // now all have read it
  await alice.until('read', (x) => x.of('getRoomReadNotification').length >= 1);
  assert.deepEqual(Object.keys(alice.of('getRoomReadNotification')[0]), ['rid', 'until']);
  double.presence.choose(user('alice'), 'busy', 'at work');
  await alice.until('her own data', (x) => x.of('getUserDataNotification').some(({ type, diff }) => type === 'updated' && diff.status === 'busy'));
  await other.until('as well', (x) => x.of('getUserDataNotification').some(({ diff }) => diff.status === 'busy'));
  // what is on screen is for the tab that has the room open
  assert.deepEqual(other.of('getUserActivityNotification'), []);
  assert.deepEqual(other.of('getRoomReadNotification'), []);
  assert.equal(alice.texts().length, 1);
});

for (const options of [{ version: 6 }, { version: 7 }, { version: 8 }, { flavour: 'streamer', version: 7 }])
  test(`typing where real names are shown: ${JSON.stringify(options)}`, async (t) => {
    const { double, store, general, open, user } = await scene(t, { map: 'typing', double: { ...options, useRealName: true } });
    const asked = (route) => double.calls.get(`GET /api/v1/${route}`) ?? 0;
    store.changeUser(user('alice'), { name: 'Alice "A" \u00c4.' });
    const [alice, bob] = [await open('alice'), await open('bob')];
    await bob.connection.invoke('OpenRoom', general._id);
    const heard = async (n) => {
      await bob.until('the typing', (x) => x.of('getUserActivityNotification').length === n);
      return bob.of('getUserActivityNotification').at(-1).user;
    };
    await typing(alice, general, true);
    assert.equal(await heard(1), 'Alice "A" \u00c4.');
    await typing(alice, general, false);
    await heard(2);
    assert.equal(asked('settings.public'), 1);
    const told = options.flavour === undefined && options.version >= 7; // by the users document
    assert.equal(asked('me'), told ? 0 : 1);
    if (!told) return;
    store.changeUser(user('alice'), { name: 'Alice B.' });
    await until('the new name', async () => {
      await typing(alice, general, true);
      await sleep(100);
      return bob.of('getUserActivityNotification').at(-1).user === 'Alice B.';
    });
  });

test('none of it unless asked for', async (t) => {
  const { general, post, open, streams } = await scene(t);
  const alice = await open('alice');
  await alice.connection.invoke('OpenRoom', general._id);
  const bob = await open('bob');
  await typing(bob, general, true);
  post(general, 'bob', 'hello');
  await alice.until('the message', (x) => x.texts().length === 1);
  await sleep(300);
  for (const target of TARGETS) assert.deepEqual(alice.of(target), [], target);
  assert.deepEqual(streams('alice').filter((event) => /status|notification|userData|activity|Read/.test(event)), []);
});

test("other targets, and Rocket.Chat's own arguments", async (t) => {
  const { general, post, open, streams, user } = await scene(t, { map: 'typing=onTyping:args,room-changed=onRoom:args,notification=toast', targets: ['onTyping', 'onRoom', 'toast', ...TARGETS] });
  const alice = await open('alice');
  await alice.connection.invoke('OpenRoom', general._id);
  await until('the streams', () => streams('alice').includes(`${general._id}/user-activity`) && streams('alice').includes(`${user('alice')._id}/notification`));
  const bob = await open('bob');
  await typing(bob, general, true);
  post(general, 'bob', 'hello');
  await alice.until('all', (x) => x.of('onTyping').length === 1 && x.of('onRoom').length > 0 && x.of('toast').length === 1);
  assert.deepEqual(alice.of('onTyping')[0].slice(0, 3), [general._id, 'bob', ['user-typing']]);
  assert.equal(alice.of('onRoom')[0][0], 'updated');
  for (const target of TARGETS) assert.deepEqual(alice.of(target), []);
});

test('refused or held back, they leave the session alone; a lost connection brings them back', async (t) => {
  const { general, post, open, ask, double, user, streams } = await scene(t, { map: ALL, settings: { 'PushBridge:Session:BackoffMinSeconds': 0.05, 'PushBridge:Session:BackoffMaxSeconds': 0.2 } });
  double.faults.add({ on: 'in', match: { msg: 'sub', name: 'stream-notify-logged' }, times: 1, do: 'error', error: 'not-allowed' });
  double.faults.add({ on: 'in', match: { msg: 'sub', name: 'stream-notify-user' }, skip: 3, times: 1, do: 'error', error: 'too-many-requests', details: { timeToReset: 700 } });
  const alice = await open('alice');
  await until('refused', async () => (await ask('alice')).subscriptions['user-status'] === 'refused');
  assert.deepEqual(['live', 'ok'], [(await ask('alice')).state, (await ask('alice')).why.code]);
  await until('later', async () => (await ask('alice')).subscriptions.notification === 'ready');
  post(general, 'bob', 'hello');
  await alice.until('the message', (x) => x.texts().length === 1 && x.of('getDesktopNotification').length === 1);
  assert.equal(double.accepted, 1, 'one connection all the time');
  await double.restart();
  await until('all of them again', async () => (await ask('alice')).subscriptions['user-status'] === 'ready');
  await until('each once', () => streams('alice').filter((event) => event === `${user('alice')._id}/notification`).length === 1);
});

test('a wrong row is a wrong setting', () => {
  for (const [map, says] of [['typing,typing', /Events:Map.*once only/], ['blink', /Events:Map.*must be typing/], ['read=a b', /Events:Map.*must name a target/]])
    assert.throws(() => execFileSync(PROGRAM, ['--check-config'], { env: { PushBridge__Events__Map: map, Im__DefaultPassword: 'x', Authentication__JwtBearer__SecurityKey: KEY }, stdio: 'pipe' }), (error) => error.status === 2 && says.test(error.stderr));
});

test('Events:Dates: texts everywhere, by whichever road; objects by default', async (t) => {
  for (const [dates, is] of [['iso', (date) => ISO.test(date)], ['ejson', (date) => Number.isInteger(date?.$date)]]) {
    const { general, post, open, store, user, double } = await scene(t, { map: ALL, settings: { 'PushBridge:Events:Dates': dates, 'PushBridge:Session:BackoffMinSeconds': 0.05, 'PushBridge:Session:BackoffMaxSeconds': 0.2 } });
    const alice = await open('alice');
    const first = post(general, 'bob', 'an {"$date":1} and a 2024-05-01T10:00:00.123Z');
    await alice.until('it', (x) => x.texts().length === 1);
    assert.deepEqual(alice.texts(), [first.msg]);
    store.edit(first, user('bob'), 'edited');
    await alice.until('edited', (x) => x.of('getRoomMessageUpdatedNotification').length >= 1);
    // quick ones are merged: what is missing comes by a repair
    double.faults.add({ preset: 'coalesce-rooms', match: { rid: general._id, action: 'updated' } });
    for (const text of ['one', 'two', 'three']) post(general, 'bob', text);
    await alice.until('the repair', (x) => x.texts().length === 4);
    // and over a gap
    await double.restart({ downMs: 300 });
    post(general, 'bob', 'in the gap');
    await alice.until('caught up', (x) => x.texts().includes('in the gap'));
    const [subscription] = alice.of('getRoomSubscriptionChangedNotification');
    const history = await new Promise((resolve, reject) => {
      const items = [];
      alice.connection.stream('History', general._id).subscribe({ next: (item) => items.push(item), complete: () => resolve(items), error: reject });
    });
    const all = [...alice.of('getRoomMessageNotification'), ...alice.of('getRoomMessageUpdatedNotification'), ...history];
    assert.ok(all.length > 8);
    for (const message of all) assert.ok(is(message.ts) && is(message._updatedAt), JSON.stringify(message));
    assert.ok(is(alice.of('getRoomMessageUpdatedNotification')[0].editedAt));
    assert.ok(is(subscription.msg.ts), JSON.stringify(subscription));
    const [{ msg: room }] = alice.of('getRoomChangedNotification');
    assert.ok(is(room.lm) && is(room.lastMessage.ts));
  }
});

test('a membership that is learnt by REST after a gap has the same dates', async (t) => {
  for (const [dates, is] of [['iso', (date) => ISO.test(date)], ['ejson', (date) => Number.isInteger(date?.$date)]]) {
    const { open, store, user, double } = await scene(t, { settings: { 'PushBridge:Events:Dates': dates, 'PushBridge:Session:BackoffMinSeconds': 0.05, 'PushBridge:Session:BackoffMaxSeconds': 0.2 }, double: { missingMethods: ['subscriptions/get', 'rooms/get', 'messages/get'] } });
    const alice = await open('alice');
    await sleep(500); // its first lists
    await double.restart({ downMs: 1 });
    store.createRoom({ name: 'new', owner: user('bob'), members: [user('alice')] });
    await alice.until('joined', (x) => x.of('getRoomSubscriptionChangedNotification').some(({ msg, method }) => msg.name === 'new' && method === 'insert'));
    const { msg } = alice.of('getRoomSubscriptionChangedNotification').find(({ msg: m }) => m.name === 'new');
    assert.ok(is(msg.ts), JSON.stringify(msg));
  }
});

