// Rocket.Chat events on their way to SignalR clients, old and new, through the real bridge.
import assert from 'node:assert/strict';
import test from 'node:test';
import { ddpStringify } from '../rocketchat_double/codec.mjs';
import { sleep, startBridge, startDouble, tokenFor } from '../lib/harness.mjs';
import { CLIENTS, Tab } from '../lib/signalr_clients.mjs';

/** Double, bridge, and one tab of alice whose session is live. */
async function scene(t, signalR, { double = {}, settings = {} } = {}) {
  const rc = await startDouble(t, double);
  const bridge = await startBridge(t, rc.double, settings);
  const open = (name, options) => Tab.open(t, signalR, bridge.hubUrl, tokenFor(name), options);
  const tab = await open('alice');
  await rc.live('alice');
  return { ...rc, bridge, open, tab };
}

/** As it left Rocket.Chat: EJSON, parsed again. */
const wire = (document) => JSON.parse(ddpStringify(document));

for (const [version, signalR] of Object.entries(CLIENTS)) {
  test(`${version}: a message reaches every tab of every member once, as Rocket.Chat sent it`, async (t) => {
    const { store, general, post, live, open, tab } = await scene(t, signalR, { double: { users: ['alice', 'bob', 'carol'] } });
    const second = await open('alice');
    const bob = await open('bob');
    const carol = await open('carol');
    await live('bob');
    await live('carol');
    store.unsubscribe(general._id, store.requireUser('carol'));
    const message = post(general, 'bob', 'h\u00e9llo \u{1F680} "quoted" \\ and \u2028');
    for (const each of [tab, second, bob]) {
      await each.until('the message', (x) => x.texts().length === 1);
      assert.deepEqual(each.of('getRoomMessageNotification'), [wire(message)]);
      assert.deepEqual(Object.keys(each.of('getRoomMessageNotification')[0]), Object.keys(wire(message)), 'in the same order');
    }
    await sleep(100);
    assert.deepEqual(tab.texts().length, 1);
    assert.deepEqual(carol.texts(), []);
  });

  test(`${version}: later versions of a message are updates; a deletion brings nothing old back`, async (t) => {
    const { store, general, post, tab, user } = await scene(t, signalR);
    const first = post(general, 'bob', 'first');
    const second = post(general, 'bob', 'second');
    store.edit(second, user('bob'), 'second, edited');
    store.react(store.messages.get(second._id), user('alice'), 'thumbsup', true);
    store.remove(store.messages.get(second._id), user('bob'));
    post(general, 'bob', 'third');
    await tab.until('the third', (x) => x.texts().includes('third'));
    assert.deepEqual(tab.texts(), ['first', 'second', 'third']);
    const updates = tab.of('getRoomMessageUpdatedNotification');
    assert.deepEqual(updates.slice(0, 2).map((m) => [m._id, m.msg, Boolean(m.reactions)]), [
      [second._id, 'second, edited', false],
      [second._id, 'second, edited', true],
    ]);
    assert.equal(updates.slice(2).some((m) => m._id === second._id), false);
    assert.ok(first);
  });

  test(`${version}: messages from before the session are not new; editing the last one is an update`, async (t) => {
    const rc = await startDouble(t);
    const old = rc.post(rc.general, 'bob', 'old');
    const bridge = await startBridge(t, rc.double);
    const tab = await Tab.open(t, signalR, bridge.hubUrl, tokenFor('alice'));
    await rc.live('alice');
    rc.store.edit(old, rc.user('bob'), 'old, edited');
    rc.post(rc.general, 'bob', 'new');
    await tab.until('the new one', (x) => x.texts().length > 0);
    assert.deepEqual(tab.texts(), ['new']);
    assert.deepEqual(tab.of('getRoomMessageUpdatedNotification').map((m) => m.msg), ['old, edited']);
  });

  test(`${version}: subscriptions come as insert, update and remove, with rid always`, async (t) => {
    for (const removedShape of ['full', 'rid', 'u']) {
      const { store, tab, user, post } = await scene(t, signalR, { double: { removedShape } });
      const room = store.createRoom({ t: 'p', name: 'ops', owner: user('bob') });
      store.subscribe(room._id, user('alice'));
      await tab.until('insert', (x) => x.of('getRoomSubscriptionChangedNotification').length > 0);
      post(room, 'bob', 'hi @alice');
      await tab.until('the message', (x) => x.texts().length === 1);
      store.unsubscribe(room._id, user('alice'));
      const changes = () => tab.of('getRoomSubscriptionChangedNotification').filter((c) => c.msg.rid === room._id);
      await tab.until('remove', () => changes().some((c) => c.method === 'remove'));
      assert.deepEqual(changes().map((c) => c.method).filter((m, i, all) => m !== all[i - 1]), ['insert', 'update', 'remove']);
      assert.equal(changes()[0].msg.name, 'ops');
      post(room, 'bob', 'not for alice');
      await sleep(100);
      assert.equal(tab.texts().length, 1);
    }
  });

  test(`${version}: ephemeral notices`, async (t) => {
    const { double, general, tab } = await scene(t, signalR);
    await double.control.run([{ op: 'ephemeral', room: general._id, user: 'alice', msg: 'no such command: `foo`' }]);
    await tab.until('the notice', (x) => x.of('getEphemeralMessageNotification').length === 1);
    assert.equal(tab.of('getEphemeralMessageNotification')[0].msg, 'no such command: `foo`');
    assert.deepEqual(tab.texts(), []);
  });

  test(`${version}: hub methods: Register in any case answers void, others are refused`, async (t) => {
    const { tab } = await scene(t, signalR);
    for (const name of ['register', 'Register', 'REGISTER']) assert.equal((await tab.connection.invoke(name)) ?? null, null);
    await tab.connection.send('NoSuchMethod', 1);
    await assert.rejects(tab.connection.invoke('NoSuchMethod', 1), /Failed to invoke 'NoSuchMethod' due to an error on the server\. HubException: Method does not exist\./);
    assert.equal(tab.connection.state, 'Connected');
  });

  test(`${version}: without negotiation`, async (t) => {
    const { open, general, post } = await scene(t, signalR);
    const tab = await open('alice', { skipNegotiation: true });
    post(general, 'bob', 'x');
    await tab.until('the message', (x) => x.texts().length === 1);
  });

  test(`${version}: wrong and missing tokens are refused`, async (t) => {
    const { bridge } = await scene(t, signalR);
    const refused = {
      none: '',
      garbage: 'abc',
      'another key': tokenFor('alice', { key: 'another-key-of-some-length' }),
      expired: tokenFor('alice', { lifetimeSeconds: -120 }),
      'wrong audience': tokenFor('alice', { audience: 'other' }),
      'wrong issuer': tokenFor('alice', { issuer: 'other' }),
      'refresh token': tokenFor('alice', { claims: { token_type: '1' } }),
    };
    for (const [what, token] of Object.entries(refused)) {
      for (const skipNegotiation of [false, true]) {
        const tab = new Tab(signalR, bridge.hubUrl, token, { skipNegotiation });
        await assert.rejects(tab.connection.start(), skipNegotiation ? undefined : /Unauthorized|401/, what);
      }
    }
  });
}

const latest = CLIENTS.latest;

test('monolith and streamer, 6, 7 and 8: a message arrives', async (t) => {
  for (const flavour of ['monolith', 'streamer'])
    for (const version of [6, 7, 8]) {
      const { general, post, tab } = await scene(t, latest, { double: { flavour, version } });
      post(general, 'bob', `${flavour} ${version}`);
      await tab.until('the message', (x) => x.texts().length === 1);
    }
});

test('Events:Updates=same and off', async (t) => {
  for (const [rule, texts, updates] of [['same', ['a', 'b', 'c'], 0], ['off', ['a', 'c'], 0]]) {
    const { store, general, post, user, tab } = await scene(t, latest, { settings: { 'PushBridge:Events:Updates': rule } });
    store.edit(post(general, 'bob', 'a'), user('bob'), 'b');
    post(general, 'bob', 'c');
    await tab.until('the last', (x) => x.texts().includes('c'));
    assert.deepEqual(tab.texts(), texts);
    assert.equal(tab.of('getRoomMessageUpdatedNotification').length, updates);
  }
});

test('rooms without lastMessage: the counter tells of the message, a repair brings it', async (t) => {
  const { general, post, tab } = await scene(t, latest, { double: { storeLastMessage: false } });
  post(general, 'bob', 'x');
  await tab.until('the message', (x) => x.texts().length > 0);
  assert.deepEqual(tab.texts(), ['x']);
});

test('rooms without lastMessage bring nothing with MessageSource=last-message, and no error', async (t) => {
  const { general, post, tab } = await scene(t, latest, {
    double: { storeLastMessage: false },
    settings: { 'PushBridge:MessageSource': 'last-message' },
  });
  post(general, 'bob', 'x');
  await sleep(200);
  assert.deepEqual(tab.texts(), []);
  assert.equal(tab.connection.state, 'Connected');
});

test('many tabs on many shards: every one hears, in order', async (t) => {
  const { general, post, open, tab } = await scene(t, latest, { settings: { 'PushBridge:Shards': 4 } });
  const tabs = [tab, ...(await Promise.all(Array.from({ length: 24 }, () => open('alice'))))];
  await sleep(100);
  const sent = Array.from({ length: 40 }, (_, i) => String(i));
  for (const text of sent) post(general, 'bob', text);
  for (const each of tabs) {
    await each.until('all forty', (x) => x.texts().length >= 40);
    assert.deepEqual(each.texts(), sent);
  }
});

test('a message of 5 MiB arrives whole', async (t) => {
  const { general, post, tab } = await scene(t, latest);
  const big = 'x'.repeat(5 * 1024 * 1024);
  post(general, 'bob', big);
  await tab.until('the giant', (x) => x.texts().length === 1);
  assert.ok(tab.texts()[0] === big);
});

test('odd frames from Rocket.Chat: the session lives and nothing is made up', async (t) => {
  const { double, general, post, tab, user } = await scene(t, latest);
  const uid = user('alice')._id;
  const event = (args) => ({ op: 'emit', stream: 'stream-notify-user', event: `${uid}/rooms-changed`, args });
  await double.control.run([
    { op: 'send-raw', user: 'alice', text: '{"msg":"unheard-of","x":[1,2,{}]}' },
    { op: 'send-raw', user: 'alice', text: '{"server_id":"0"}' },
    { op: 'send-raw', user: 'alice', text: '{"msg":"changed","collection":"stream-notify-user","id":"id","fields":{}}' },
    { op: 'send-raw', user: 'alice', text: '{"msg":"changed","collection":"stream-notify-user","id":"id"}' },
    { op: 'send-raw', user: 'alice', text: '{"msg":"added","collection":"somewhere","id":"x","fields":{"a":1}}' },
    event([]),
    event(['updated']),
    event(['updated', null]),
    event(['updated', { _id: general._id, lastMessage: null }]),
    event(['updated', { _id: general._id, lastMessage: 'text' }]),
    event(['renamed', { _id: general._id }]),
    { op: 'pings', user: 'alice', count: 500 },
    { op: 'pings', user: 'alice', count: 500, control: true },
  ]);
  double.faults.add({ on: 'out', match: { msg: 'changed' }, do: 'fragment', size: 3 });
  post(general, 'bob', 'after all that');
  await tab.until('the message', (x) => x.texts().length > 0);
  assert.deepEqual(tab.texts(), ['after all that']);
  assert.equal(double.accepted, 1, 'on the same connection');
});
