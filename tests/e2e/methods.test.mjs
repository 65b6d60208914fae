// Hub methods: what a tab does in Rocket.Chat as its user, over the connection it has.
import assert from 'node:assert/strict';
import test from 'node:test';
import { ddpStringify } from '../rocketchat_double/codec.mjs';
import { sleep, startBridge, startDouble, tokenFor, until } from '../lib/harness.mjs';
import { CLIENTS, Tab } from '../lib/signalr_clients.mjs';

/** Double, bridge, and one tab of alice whose session is live. */
async function scene(t, signalR, { double = {}, settings = {} } = {}) {
  const rc = await startDouble(t, double);
  const bridge = await startBridge(t, rc.double, { 'PushBridge:Session:BackoffMinSeconds': 0.3, ...settings });
  const open = (name, options) => Tab.open(t, signalR, bridge.hubUrl, tokenFor(name), options);
  const tab = await open('alice');
  await rc.live('alice');
  const calls = (method) => rc.double.calls.get(method) ?? 0;
  return { ...rc, bridge, open, tab, calls, invoke: (...args) => tab.connection.invoke(...args) };
}

/** As it left Rocket.Chat: EJSON, parsed again. */
const wire = (document) => JSON.parse(ddpStringify(document));

/** {items, error} of a stream, when it has ended. */
const collect = (tab, ...args) =>
  new Promise((resolve) => {
    const items = [];
    tab.connection.stream(...args).subscribe({
      next: (item) => items.push(item),
      complete: () => resolve({ items }),
      error: (error) => resolve({ items, error: error.message }),
    });
  });

const refusal = (code, words = '.*') => ({ message: new RegExp(`^${code}: ${words}$`) });

for (const [version, signalR] of Object.entries(CLIENTS)) {
  test(`${version}: send, edit, react, delete; the sender hears of each once`, async (t) => {
    const { store, general, tab, invoke, open, live } = await scene(t, signalR);
    const bob = await open('bob');
    await live('bob');
    const sent = await invoke('SendMessage', general._id, 'h\u00e9llo "\u{1F680}"');
    assert.deepEqual(sent, wire(store.messages.get(sent._id)));
    assert.match(sent._id, /^[0-9A-Za-z]{17}$/);
    assert.equal(await invoke('EditMessage', general._id, sent._id, 'edited'), null);
    assert.equal(await invoke('React', sent._id, ':thumbsup:'), null);
    assert.equal(await invoke('React', sent._id, 'thumbsup'), null); // again: no toggle
    assert.deepEqual(store.messages.get(sent._id).reactions, { ':thumbsup:': { usernames: ['alice'] } });
    assert.equal(await invoke('React', sent._id, 'thumbsup', false), null);
    assert.equal(store.messages.get(sent._id).msg, 'edited');
    for (const each of [tab, bob]) await each.until('the edited one', (x) => x.of('getRoomMessageUpdatedNotification').some((m) => m.msg === 'edited'));
    assert.equal(await invoke('DeleteMessage', general._id, sent._id), null);
    assert.equal(store.messages.has(sent._id), false);
    const reply = await invoke('sendmessage', general._id, 'in a thread', 'threadReplyId0001', (await invoke('SendMessage', general._id, 'parent'))._id);
    assert.equal(reply._id, 'threadReplyId0001');
    assert.equal(store.messages.get(reply._id).tshow, undefined);
    for (const each of [tab, bob]) {
      await each.until('the parent', (x) => x.texts().includes('parent'));
      assert.deepEqual(each.texts(), ['h\u00e9llo "\u{1F680}"', 'parent']);
    }
  });

  test(`${version}: a message sent twice is there once, and both answers are the message`, async (t) => {
    const { store, general, post, tab, invoke } = await scene(t, signalR);
    const args = ['SendMessage', general._id, 'once', 'sentTwice12345678'];
    const [first, second] = await Promise.all([invoke(...args), invoke(...args)]);
    assert.deepEqual(first, second);
    assert.deepEqual(await invoke('SendMessage', general._id, 'another text', 'sentTwice12345678'), first);
    assert.equal(store.messagesOf(general._id).length, 1);
    await tab.until('the message', (x) => x.texts().length > 0);
    await sleep(300);
    assert.deepEqual(tab.texts(), ['once']);
    post(general, 'bob', "bob's", { _id: 'bobs1234567890123' });
    await assert.rejects(invoke('SendMessage', general._id, 'mine', 'bobs1234567890123'), refusal('error-id-in-use'));
    await assert.rejects(invoke('SendMessage', general._id, 'x'.repeat(5001)), refusal('error-message-not-sent'));
    await tab.until("Rocket.Chat's own words", (x) => x.of('getEphemeralMessageNotification').length === 1);
  });

  test(`${version}: history comes as a stream, newest first, page by page`, async (t) => {
    const { general, post, tab, store, user } = await scene(t, signalR);
    const texts = [...Array(25).keys()].map(String);
    for (const text of texts) post(general, 'bob', text);
    const all = await collect(tab, 'History', general._id);
    assert.deepEqual(all, { items: wire(store.messagesOf(general._id)).reverse() });
    const page = await collect(tab, 'History', general._id, null, 10);
    assert.deepEqual(page.items.map((m) => m.msg), texts.slice(15).reverse());
    for (const before of [page.items.at(-1).ts, page.items.at(-1).ts.$date, new Date(page.items.at(-1).ts.$date).toISOString()]) {
      const next = await collect(tab, 'History', general._id, before, 10);
      assert.deepEqual(next.items.map((m) => m.msg), texts.slice(5, 15).reverse());
    }
    const secret = store.createRoom({ t: 'p', name: 'secret', owner: user('bob') });
    assert.match((await collect(tab, 'History', secret._id)).error, /^error-not-allowed: /);
    await assert.rejects(tab.connection.invoke('History', general._id), { message: "The client attempted to invoke the streaming 'History' method with a non-streaming invocation." });
    assert.match((await collect(tab, 'ListRooms')).error, /^The client attempted to invoke the non-streaming 'ListRooms' method/);
  });

  test(`${version}: rooms with what is unread, direct messages, joining, leaving, reading`, async (t) => {
    const { store, general, post, tab, invoke, user } = await scene(t, signalR);
    const open = store.createRoom({ name: 'open', owner: user('bob') });
    assert.equal(await invoke('JoinRoom', open._id), null);
    assert.ok(store.subscription(open._id, user('alice')._id));
    const { rid, t: type } = await invoke('OpenDirectMessage', 'bob');
    assert.equal(type, 'd');
    assert.equal((await invoke('OpenDirectMessage', 'bob')).rid, rid);
    post(store.rooms.get(rid), 'bob', 'psst');
    post(general, 'bob', 'hi @alice');
    const list = await invoke('ListRooms');
    assert.deepEqual(list.map((r) => [r.rid, r.unread, r.alert]), [[general._id, 1, true], [open._id, 0, false], [rid, 1, true]]);
    assert.deepEqual(list[0].subscription, wire(store.subscription(general._id, user('alice')._id)));
    assert.deepEqual(list[0].room, wire(store.rooms.get(general._id)));
    assert.equal(await invoke('MarkRead', rid), null);
    assert.equal(store.subscription(rid, user('alice')._id).unread, 0);
    assert.equal(await invoke('LeaveRoom', open._id), null);
    assert.equal(store.subscription(open._id, user('alice')._id), undefined);
    await tab.until('both changes', (x) => ['insert', 'remove'].every((m) => x.of('getRoomSubscriptionChangedNotification').some((c) => c.method === m && c.msg.rid === open._id)));
    await assert.rejects(invoke('LeaveRoom', open._id), refusal('error-user-not-in-room', 'You are not in this room'));
    await assert.rejects(invoke('JoinRoom', 'nowhere'), refusal('error-not-allowed', 'Not allowed'));
    await assert.rejects(invoke('OpenDirectMessage', 'nobody'), refusal('error-invalid-user', 'Invalid user'));
  });

  test(`${version}: typing reaches the others as Rocket.Chat's own clients send it`, async (t) => {
    const { double, general, tab, invoke } = await scene(t, signalR);
    const written = [];
    const { streams } = double;
    const write = streams.write.bind(streams);
    streams.write = (session, stream, event, args) => (written.push([stream, event, ...args]), write(session, stream, event, args));
    await invoke('Typing', general._id);
    await invoke('Typing', general._id, false);
    await invoke('Typing', general._id, true, 'threadParent12345');
    await tab.connection.send('Typing', general._id);
    await until('the one that wants no answer', () => written.length === 4);
    await invoke('Typing', general._id, true, null, 'Alice A.');
    assert.equal(written.pop()[2], 'Alice A.');
    const event = ['stream-notify-room', `${general._id}/user-activity`, 'alice'];
    assert.deepEqual(written, [
      [...event, ['user-typing'], {}],
      [...event, [], {}],
      [...event, ['user-typing'], { tmid: 'threadParent12345' }],
      [...event, ['user-typing'], {}],
    ]);
  });

  test(`${version}: what a caller is told when it does not work`, async (t) => {
    const { store, general, post, user, tab, invoke } = await scene(t, signalR);
    const room = store.createRoom({ name: 'of-bob', owner: user('bob'), members: [user('alice')] });
    const bobs = post(room, 'bob', "bob's");
    await assert.rejects(invoke('EditMessage', room._id, bobs._id, 'mine now'), refusal('error-action-not-allowed', 'Not allowed'));
    await assert.rejects(invoke('DeleteMessage', general._id, 'noSuchMessage1234'), refusal('error-invalid-message', 'Invalid message'));
    const secret = store.createRoom({ t: 'p', name: 'secret', owner: user('bob') });
    await assert.rejects(invoke('SendMessage', secret._id, 'let me in'), refusal('error-not-allowed', 'Not allowed'));
    for (const args of [[], [general._id], [1, 'x'], [general._id, 1], [general._id, 'x', 'short'], [general._id, 'x', null, null, null, null], [`${general._id}/webrtc`, 'x'], ['__my_messages__', 'x'], ['', 'x']])
      await assert.rejects(invoke('SendMessage', ...args), { message: "Failed to invoke 'SendMessage' due to an error on the server." }, JSON.stringify(args));
    await assert.rejects(invoke('Call', 'getSingleMessage', 'x'), { message: "Failed to invoke 'Call' because user is unauthorized" });
    await assert.rejects(invoke('NoSuchMethod'), { message: "Failed to invoke 'NoSuchMethod' due to an error on the server. HubException: Method does not exist." });
    assert.equal(await invoke('Register'), null);
    assert.equal(tab.connection.state, 'Connected');
  });

  test(`${version}: a stream that is cancelled ends, and the connection goes on`, async (t) => {
    const { general, post, tab, invoke, double } = await scene(t, signalR);
    for (let i = 0; i < 100; i++) post(general, 'bob', 'x'.repeat(4000));
    double.faults.add({ on: 'in', match: { method: 'loadHistory' }, do: 'delay', ms: 400 });
    const seen = [];
    const subscription = tab.connection.stream('History', general._id, null, 100).subscribe({ next: (m) => seen.push(m), complete() {}, error() {} });
    subscription.dispose();
    await sleep(600);
    assert.deepEqual(seen, []);
    const { items } = await collect(tab, 'History', general._id, null, 100);
    assert.equal(items.length, 100);
    assert.equal(await invoke('Register'), null);
  });

  test(`${version}: limits: of the connection, and of Rocket.Chat by method; both say how long to wait`, async (t) => {
    const { general, tab, invoke, bridge } = await scene(t, signalR, { settings: { 'PushBridge:Methods:CallsPerSecond': 5, 'PushBridge:Methods:Burst': 25, 'PushBridge:Methods:OpenCalls': 20 } });
    const outcomes = (n, ...args) => Promise.all([...Array(n)].map(() => invoke(...args).then(() => 'ok', (error) => error.message)));
    const read = await outcomes(12, 'MarkRead', general._id);
    assert.equal(read.filter((o) => o === 'ok').length, 10, read.join());
    assert.ok(read.filter((o) => o !== 'ok').every((o) => /^too-many-requests: .* \(retry after (10|11|[1-9]) s\)$/.test(o)), read.join());
    const many = await outcomes(30, 'MarkRead'); // no arguments: it goes no further, and counts all the same
    assert.ok(many.some((o) => /^too-many-calls: slow down \(retry after 1 s\)$/.test(o)), many.join());
    assert.ok((await outcomes(40, 'Register')).every((o) => o === 'ok'), 'what asks for nothing is not counted');
    const metrics = await (await fetch(`${bridge.adminUrl}/metrics`)).text();
    assert.match(metrics, /pushbridge_calls_refused_total\{reason="rocketchat"\} 2/);
    assert.equal(tab.connection.state, 'Connected');
  });

  test(`${version}: a call made while the session starts waits for it; one that is refused a session does not`, async (t) => {
    const rc = await startDouble(t, { users: ['alice', 'bob'] });
    rc.double.faults.add({ on: 'in', match: { msg: 'connect' }, do: 'delay', ms: 500 });
    const bridge = await startBridge(t, rc.double);
    const tab = await Tab.open(t, signalR, bridge.hubUrl, tokenFor('alice'));
    assert.equal((await tab.connection.invoke('ListRooms')).length, 1);
    const nobody = await Tab.open(t, signalR, bridge.hubUrl, tokenFor('nobody'));
    await nobody.until('the refusal', (x) => x.of('bridgeStatus').some((s) => s.state === 'refused'));
    await assert.rejects(nobody.connection.invoke('ListRooms'), refusal('not-live', 'the session with Rocket.Chat is refused, .* \\(retry after \\d+ s\\)'));
    const tenant = await Tab.open(t, signalR, bridge.hubUrl, tokenFor('alice', { tenant: 7 }));
    await assert.rejects(tenant.connection.invoke('ListRooms'), { message: "Failed to invoke 'ListRooms' because user is unauthorized" });
  });
}

const latest = CLIENTS.latest;

test('pages larger than the connection may queue reach it whole', async (t) => {
  const rc = await startDouble(t);
  for (let i = 0; i < 100; i++) rc.post(rc.general, 'bob', 'x'.repeat(5000));
  const bridge = await startBridge(t, rc.double, { 'PushBridge:Limits:QueueBytes': 65536 });
  const tab = await Tab.open(t, latest, bridge.hubUrl, tokenFor('alice'));
  const pages = await Promise.all([1, 2, 3].map(() => collect(tab, 'History', rc.general._id, null, 100)));
  for (const { items } of pages) assert.equal(items.length, 100);
  assert.deepEqual(tab.changes, []);
});

test('Call: methods the operator listed, with their params and answers as they are', async (t) => {
  const { general, post, invoke } = await scene(t, latest, { settings: { 'PushBridge:Methods:AllowedCalls': 'getSingleMessage,rooms/get,no/such' } });
  const message = post(general, 'bob', 'hi');
  assert.deepEqual(await invoke('Call', 'getSingleMessage', message._id), wire(message));
  assert.equal((await invoke('Call', 'rooms/get'))[0]._id, general._id);
  assert.equal((await invoke('Call', 'rooms/get', { $date: 0 })).update.length, 1);
  await assert.rejects(invoke('Call', 'sendMessage', {}), { message: "Failed to invoke 'Call' because user is unauthorized" });
  await assert.rejects(invoke('Call', 'no/such'), refusal('404', "Method 'no/such' not found"));
});

test('calls that wait for an answer are bounded', async (t) => {
  const { double, general, invoke } = await scene(t, latest, { settings: { 'PushBridge:Methods:OpenCalls': 3 } });
  double.faults.add({ on: 'in', match: { method: 'readMessages' }, do: 'delay', ms: 500 });
  const outcomes = await Promise.all([...Array(5)].map(() => invoke('MarkRead', general._id).then(() => 'ok', (error) => error.message)));
  assert.deepEqual(outcomes, ['ok', 'ok', 'ok', 'too-many-calls: wait for answers first', 'too-many-calls: wait for answers first']);
});

test("Rocket.Chat's own limit is passed on with its wait", async (t) => {
  const { double, general, invoke } = await scene(t, latest);
  double.faults.add({ on: 'in', match: { method: 'readMessages' }, do: 'error', error: 'too-many-requests', reason: 'Slow down.', details: { timeToReset: 4200 }, times: 1 });
  await assert.rejects(invoke('MarkRead', general._id), refusal('too-many-requests', 'Slow down\\. \\(retry after 5 s\\)'));
  await invoke('MarkRead', general._id);
});

test('an anonymous connection may Register and nothing else', async (t) => {
  const rc = await startDouble(t);
  const bridge = await startBridge(t, rc.double, { 'PushBridge:Auth:Anonymous': 'mute' });
  const tab = await Tab.open(t, latest, bridge.hubUrl, '');
  assert.equal(await tab.connection.invoke('Register'), null);
  await assert.rejects(tab.connection.invoke('ListRooms'), { message: "Failed to invoke 'ListRooms' because user is unauthorized" });
});

test('a lost connection fails what was under way, and the message can be sent again by its id', async (t) => {
  const { double, store, general, tab, invoke, user } = await scene(t, latest);
  const args = ['SendMessage', general._id, 'hello', 'lostAndFound12345'];
  double.faults.add({ on: 'out', match: { msg: 'result' }, do: 'ignore' });
  const lost = invoke(...args);
  await until('the message is there', () => store.messages.has('lostAndFound12345'));
  for (const session of double.sessionsOf(user('alice')._id)) session.drop();
  await assert.rejects(lost, refusal('unreachable'));
  assert.equal((await until('a session again', () => invoke(...args).catch(() => null)))._id, 'lostAndFound12345');
  assert.equal(store.messagesOf(general._id).length, 1);
  await tab.until('the message', (x) => x.texts().length === 1);
});

test('a Rocket.Chat without the methods (9.x): REST does the same', async (t) => {
  const missing = ['sendMessage', 'getSingleMessage', 'updateMessage', 'deleteMessage', 'setReaction', 'readMessages', 'createDirectMessage', 'joinRoom', 'leaveRoom', 'loadHistory', 'subscriptions/get', 'rooms/get', 'stream-notify-room'];
  const { store, general, user, post, tab, invoke, calls } = await scene(t, latest, { double: { missingMethods: missing } });
  const sent = await invoke('SendMessage', general._id, 'by REST', 'byRest12345678901');
  assert.equal(sent._id, 'byRest12345678901');
  await invoke('EditMessage', general._id, sent._id, 'edited');
  await invoke('React', sent._id, 'thumbsup');
  assert.deepEqual(store.messages.get(sent._id).reactions, { ':thumbsup:': { usernames: ['alice'] } });
  assert.equal(store.messages.get(sent._id).msg, 'edited');
  assert.equal((await invoke('OpenDirectMessage', 'bob')).t, 'd');
  const open = store.createRoom({ name: 'open', owner: user('bob') });
  await invoke('JoinRoom', open._id);
  await invoke('MarkRead', open._id);
  assert.equal((await invoke('ListRooms')).length, 3);
  await invoke('LeaveRoom', open._id);
  assert.equal(store.subscription(open._id, user('alice')._id), undefined);
  await invoke('DeleteMessage', general._id, sent._id);
  assert.equal(store.messages.has(sent._id), false);
  await assert.rejects(invoke('Typing', general._id), refusal('not-supported'));
  const secret = store.createRoom({ t: 'p', name: 'secret', owner: user('bob'), members: [user('alice')] });
  const bobs = store.createRoom({ name: 'of-bob', owner: user('bob'), members: [user('alice')] });
  await assert.rejects(invoke('DeleteMessage', bobs._id, post(bobs, 'bob', "bob's")._id), refusal('error-action-not-allowed', 'Not allowed.*'));
  for (const room of [general, secret, store.directRoom(user('alice'), user('bob'))]) {
    for (const text of ['1', '2', '3']) post(room, 'bob', text);
    const page = await collect(tab, 'History', room._id, null, 2);
    assert.deepEqual(page.items.map((m) => m.msg), ['3', '2']);
    assert.deepEqual((await collect(tab, 'History', room._id, page.items[1].ts)).items.map((m) => m.msg), ['1']);
  }
  assert.ok(calls('ddp sendMessage') > 0);
});

test('by REST, too, a message sent twice is there once, and whether it is there decides the answer', async (t) => {
  const { double, store, general, post, invoke } = await scene(t, latest, { double: { missingMethods: ['sendMessage', 'getSingleMessage'] } });
  const route = { path: '/api/v1/chat.sendMessage' };
  const args = ['SendMessage', general._id, 'once', 'restTwice12345678'];
  const first = await invoke(...args);
  assert.deepEqual(first, wire(store.messages.get('restTwice12345678')));
  assert.deepEqual(await invoke(...args), first);
  for (const [status, body] of [[200, { success: true }], [500, { success: false, error: 'Internal server error' }]]) {
    double.faults.add({ on: 'rest', match: route, do: 'respond', status, body, times: 1 });
    assert.deepEqual(await invoke(...args), first, `${status}, without a message`);
  }
  assert.equal(store.messagesOf(general._id).length, 1);
  post(general, 'bob', "bob's", { _id: 'bobs1234567890123' });
  await assert.rejects(invoke('SendMessage', general._id, 'mine', 'bobs1234567890123'), refusal('error-id-in-use'));
  await assert.rejects(invoke('SendMessage', general._id, 'x'.repeat(5001)), refusal('error-message-size-exceeded'));
  double.faults.add({ on: 'rest', match: route, do: 'respond', status: 500, body: { success: false, error: 'Internal server error' }, times: 1 });
  await assert.rejects(invoke('SendMessage', general._id, 'not there'), refusal('http-500'));
});

/** A small generator of its own, so that a run can be repeated by its seed. */
function random(seed) {
  let state = seed >>> 0 || 1;
  const next = () => ((state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32);
  return { below: (n) => Math.floor(next() * n), pick: (list) => list[Math.floor(next() * list.length)] };
}

test('under trouble every call is answered, and every message is there once however often it was sent', async (t) => {
  const seed = Number(process.env.SEED ?? 1);
  t.diagnostic(`seed ${seed}`);
  const dice = random(seed);
  const { double, store, general, bridge, open, tab, user } = await scene(t, latest, {
    settings: { 'PushBridge:Methods:CallsPerSecond': 0, 'PushBridge:Methods:OpenCalls': 64, 'PushBridge:Session:BackoffMaxSeconds': 0.5 },
  });
  const tabs = [tab, await open('alice'), await open('bob'), await open('bob')];
  const channel = store.createRoom({ name: 'channel', owner: user('bob') });
  const sent = new Set();
  const calls = [
    () => ['ListRooms'],
    () => ['MarkRead', general._id],
    () => ['Typing', general._id, dice.below(2) === 0],
    () => ['OpenRoom', dice.pick([general, channel])._id],
    () => ['CloseRoom', dice.pick([general, channel])._id],
    () => ['JoinRoom', channel._id],
    () => ['React', [...sent][0] ?? 'none', 'thumbsup', dice.below(2) === 0],
  ];
  const troubles = [
    () => double.sessionsOf(user(dice.pick(['alice', 'bob']))._id).forEach((s) => s.drop()),
    () => double.faults.add({ on: 'in', match: { msg: 'method' }, do: 'error', error: dice.pick([404, 500, 'too-many-requests', 'error-not-allowed']), reason: 'by chance' }),
    () => double.faults.add({ on: 'in', match: { msg: 'sub' }, do: 'error', error: 'too-many-requests', details: { timeToReset: 50 } }),
    () => double.faults.add({ on: 'in', match: { msg: 'method' }, do: 'delay', ms: 100 }),
    () => double.faults.add({ on: 'out', match: { msg: 'result' }, do: 'duplicate' }),
  ];
  /** Sends until it is said to be there: the id makes that safe. */
  const send = async (by, id) => {
    for (;;) {
      const answer = await by.connection.invoke('SendMessage', general._id, id, id).catch((error) => error.message);
      if (answer._id === id) return;
      assert.match(answer, /^[\w.-]+: ./);
      await sleep(200);
    }
  };
  const pending = [];
  let answered = 0;
  for (let round = 0; round < 60; round++) {
    if (round % 5 === 4) dice.pick(troubles)();
    for (const by of tabs) {
      const call = dice.pick(calls)();
      pending.push(by.connection.invoke(...call).then(() => answered++, (error) => (assert.match(error.message, /^[\w.-]+: ./, call.join()), answered++)));
    }
    if (round % 6 === 0) {
      const id = `message${String(seed).padStart(5, '0').slice(-5)}${String(round).padStart(5, '0')}`;
      sent.add(id);
      pending.push(send(dice.pick(tabs), id));
    }
    await sleep(50);
  }
  double.faults.clear();
  let over = false;
  const all = Promise.all(pending).then(() => (over = true));
  await until('every call is answered', () => over);
  await all;
  assert.equal(answered, 60 * tabs.length);
  assert.deepEqual(store.messagesOf(general._id).map((m) => m._id).filter((id) => id.startsWith('message')).sort(), [...sent].sort());
  for (const each of tabs) assert.deepEqual(each.changes, []);
  await until('no call is open', async () => /pushbridge_open_calls 0\n/.test(await (await fetch(`${bridge.adminUrl}/metrics`)).text()));
});
