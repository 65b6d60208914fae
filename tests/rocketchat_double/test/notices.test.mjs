import assert from 'node:assert/strict';
import test from 'node:test';
import { Probe, password, sleep, startDouble } from '../../lib/ddp_probe.mjs';

const login = (double, name) => Probe.connect(double, password(name, `pw-${name[0]}`));

/** A logged-in probe with subscriptions by name: {id: [stream, event]}. */
async function subscribed(double, name, subs) {
  const probe = await login(double, name);
  for (const [id, [stream, event]] of Object.entries(subs)) assert.equal((await probe.sub(id, `stream-${stream}`, event, false)).msg, 'ready', event);
  await sleep(double.options.hookDelayMs + 15);
  return probe;
}

test('presence: user-status to all, userData to the user, the selective stream to who follows', async (t) => {
  const { double, alice, bob } = await startDouble(t);
  const a = await subscribed(double, 'alice', { all: ['notify-logged', 'user-status'] });
  assert.equal((await a.sub('p', 'stream-user-presence', '', { added: [bob._id] })).msg, 'ready');
  const b = await subscribed(double, 'bob', { own: ['notify-user', `${bob._id}/userData`] });
  assert.deepEqual(a.events('user-status'), [[[bob._id, 'bob', 1, '', 'bob', ['user']]]]);
  const presence = await a.next({ msg: 'changed', collection: 'stream-user-presence', id: bob._id });
  assert.deepEqual(presence.fields, { uid: bob._id, args: [['bob', 1, '']], eventName: bob._id });

  await b.call('setUserStatus', 'busy', 'in a meeting');
  await a.settle();
  assert.deepEqual(a.events('user-status').at(-1)[0].slice(2, 4), [3, 'in a meeting']);
  await b.call('UserPresence:away'); // beyond what was chosen: nothing
  await b.settle();
  assert.equal(a.events('user-status').length, 2);
  assert.deepEqual(b.events(`${bob._id}/userData`).at(-1)[0], { type: 'updated', id: bob._id, diff: { status: 'busy', statusText: 'in a meeting' }, unset: {} });

  const ended = await a.sub('p2', 'stream-user-presence', '', { removed: [bob._id] });
  assert.deepEqual([ended.msg, ended.error], ['nosub', undefined]);
  const second = await login(double, 'bob');
  b.ws.close();
  await b.closed;
  await second.settle();
  await a.settle();
  assert.equal(a.events('user-status').length, 2, 'one of two connections is left');
  second.ws.close();
  await second.closed;
  await sleep(20);
  await a.settle();
  assert.equal(a.events('user-status').at(-1)[0][2], 0);
  assert.equal(a.frames.filter((f) => f.collection === 'stream-user-presence').length, 2);
  assert.equal(alice.status, 'online');
});

test('presence is not told beyond the limit of connections', async (t) => {
  const { double } = await startDouble(t, { presenceLimit: 1 });
  const a = await subscribed(double, 'alice', { all: ['notify-logged', 'user-status'] });
  await login(double, 'bob');
  await a.settle();
  assert.equal(a.events('user-status').length, 0);
});

test('changed user data: userData, the users document, names to everybody; a deleted user', async (t) => {
  const { double, store, alice, bob } = await startDouble(t);
  const a = await subscribed(double, 'alice', { own: ['notify-user', `${alice._id}/userData`], names: ['notify-logged', 'Users:NameChanged'], gone: ['notify-logged', 'Users:Deleted'] });
  store.changeUser(alice, { name: 'Alice B.' });
  store.deleteUser(bob);
  await a.settle();
  assert.deepEqual(a.events(`${alice._id}/userData`).at(-1)[0].diff, { name: 'Alice B.' });
  await a.next({ msg: 'changed', collection: 'users', id: alice._id, fields: { name: 'Alice B.' } });
  assert.deepEqual(a.events('Users:NameChanged'), [[{ _id: alice._id, name: 'Alice B.', username: 'alice' }]]);
  assert.deepEqual(a.events('Users:Deleted'), [[{ userId: bob._id }]]);
  store.changeUser(alice, { password: 'new' });
  assert.equal((await a.closed).code, 1000);
});

test('pruning: one notice for many, with their ids where a limit chose them', async (t) => {
  const { double, store, alice, bob, general } = await startDouble(t);
  for (const msg of ['1', '2', '3', '4']) store.post({ rid: general._id, user: alice, msg });
  store.post({ rid: general._id, user: bob, msg: 'spared' });
  const a = await subscribed(double, 'alice', { d: ['notify-room', `${general._id}/deleteMessageBulk`], r: ['notify-user', `${alice._id}/rooms-changed`] });
  const [first] = store.messagesOf(general._id);
  await double.control.run([{ op: 'prune', room: 'general', limit: 1 }, { op: 'prune', room: 'general', oldest: 0, users: ['alice'] }]);
  await a.settle();
  const [[one], [rest]] = a.events(`${general._id}/deleteMessageBulk`);
  assert.deepEqual([one.rid, one.ids, one.users], [general._id, [first._id], []]);
  assert.deepEqual([rest.ids, rest.users, rest.ts.$gt], [undefined, ['alice'], { $date: 0 }]);
  assert.deepEqual(a.events(`${alice._id}/rooms-changed`).map(([, r]) => [r.msgs, r.lastMessage?.msg]), [[4, 'spared'], [1, 'spared']]);
  assert.equal(store.trash.messages.length, 4);
});

test('messagesRead comes with receipts only, once everybody has read', async (t) => {
  const { double, store, alice, bob, general } = await startDouble(t, { readReceipts: true });
  const a = await subscribed(double, 'alice', { read: ['notify-room', `${general._id}/messagesRead`] });
  store.readMessages(general._id, alice._id);
  store.readMessages(general._id, bob._id);
  await a.settle();
  assert.deepEqual(a.events(`${general._id}/messagesRead`).length, 1);
  assert.equal(a.events(`${general._id}/messagesRead`)[0][0].until.$date, store.subscription(general._id, alice._id).ls.getTime());
});

test('desktop notifications: of mentions and direct messages, of all, of none', async (t) => {
  for (const [notifications, texts] of [['mentions', ['hi @alice', 'private']], ['all', ['hi all of you', 'hi @alice', 'private']], ['none', []]]) {
    const { double, store, alice, bob, general } = await startDouble(t, { notifications });
    const direct = store.directRoom(alice, bob);
    const a = await subscribed(double, 'alice', { n: ['notify-user', `${alice._id}/notification`] });
    for (const msg of ['hi all of you', 'hi @alice']) store.post({ rid: general._id, user: bob, msg });
    store.post({ rid: direct._id, user: bob, msg: 'private' });
    await a.settle();
    const got = a.events(`${alice._id}/notification`).map(([n]) => n);
    assert.deepEqual(got.map((n) => n.payload.message.msg), texts);
    for (const { payload } of got) assert.deepEqual([payload.sender.username, typeof payload.rid], ['bob', 'string']);
  }
});

test('typing and user-activity mirror each other before 8; the real name where that is shown', async (t) => {
  for (const version of [7, 8]) {
    const { double, alice, general } = await startDouble(t, { version, useRealName: true });
    alice.name = 'Alice A.';
    const [activity, typing] = [`${general._id}/user-activity`, `${general._id}/typing`];
    const b = await subscribed(double, 'bob', { a: ['notify-room', activity], t: ['notify-room', typing] });
    const a = await login(double, 'alice');
    for (const [event, ...args] of [[activity, 'alice', ['user-typing']], [activity, 'Alice A.', ['user-typing']], [typing, 'Alice A.', false]])
      await a.call('stream-notify-room', event, ...args);
    await b.settle();
    assert.deepEqual(b.events(activity), version === 7 ? [['Alice A.', ['user-typing']], ['Alice A.', []]] : [['Alice A.', ['user-typing']]]);
    assert.deepEqual(b.events(typing), version === 7 ? [['Alice A.', true], ['Alice A.', false]] : []);
  }
});

test('hidden system messages are stored and counted but not streamed', async (t) => {
  const { double, store, alice, general } = await startDouble(t, { hideSystemMessages: ['uj'] });
  const a = await subscribed(double, 'alice', { r: ['room-messages', general._id], all: ['room-messages', '__my_messages__'] });
  store.post({ rid: general._id, user: alice, msg: 'alice', t: 'uj' });
  store.post({ rid: general._id, user: alice, msg: 'seen' });
  await a.settle();
  assert.deepEqual(a.events(general._id).map(([m]) => m.msg), ['seen']);
  assert.equal(a.events('__my_messages__').length, 1);
  assert.equal(store.rooms.get(general._id).msgs, 2);
});

test('a removal without a row in the trash is not told; the misfiring clean-up needs several rooms', async (t) => {
  const { double, store, alice, bob } = await startDouble(t, { removedShape: 'none', keepRoomStreamOnKick: 'several' });
  const rooms = ['one', 'two'].map((name) => store.createRoom({ t: 'p', name, owner: bob, members: [alice] }));
  const a = await subscribed(double, 'alice', { s: ['notify-user', `${alice._id}/subscriptions-changed`], one: ['room-messages', rooms[0]._id], two: ['room-messages', rooms[1]._id] });
  store.unsubscribe(rooms[0]._id, alice);
  store.post({ rid: rooms[0]._id, user: bob, msg: 'flows on' });
  await a.settle();
  assert.equal(a.events(rooms[0]._id).length, 1);
  assert.equal(a.events(`${alice._id}/subscriptions-changed`).some(([action]) => action === 'removed'), false);
  a.send({ msg: 'unsub', id: 'one' });
  await a.next({ msg: 'nosub', id: 'one' });
  store.unsubscribe(rooms[1]._id, alice);
  store.post({ rid: rooms[1]._id, user: bob, msg: 'x' });
  await a.settle();
  assert.equal(a.events(rooms[1]._id).length, 0);
});

test('forced logout: told by all, ended by the streamer of 8', async (t) => {
  for (const [options, ends] of [[{}, false], [{ flavour: 'streamer', version: 7 }, false], [{ flavour: 'streamer', version: 8 }, true]]) {
    const { double, store, alice } = await startDouble(t, options);
    const probe = await Probe.connect(double, { resume: store.addToken(alice).token });
    const event = `${alice._id}/force_logout`;
    await probe.sub('f', 'stream-notify-user', event, false);
    await double.control.run([{ op: 'force-logout', user: 'alice' }]);
    assert.deepEqual((await probe.event(event)).fields.args, []);
    if (ends) assert.equal((await probe.closed).code, 1000);
    else await probe.settle();
    assert.equal(alice.tokens.length, 1, 'the token itself lives on');
  }
});

test('second factors: an authenticator, or five tries of a code that came by mail; app users, addresses', async (t) => {
  const { double, store } = await startDouble(t, { emailVerification: true, rateLimits: false });
  store.createUser({ username: 'emma', password: 'pw-e', totp: 'email' });
  store.createUser({ username: 'robot', password: 'x', type: 'app' });
  store.createUser({ username: 'newcomer', password: 'x', verified: false });
  const probe = await Probe.connect(double);
  const code = async (value) => (await probe.call('login', { totp: { login: password('emma', 'pw-e'), code: value } })).error?.error;
  const asked = await probe.call('login', password('emma', 'pw-e'));
  assert.deepEqual(asked.error.details, { method: 'email', codeGenerated: true, availableMethods: ['email'] });
  for (let i = 0; i < 5; i++) assert.equal(await code('000000'), 'totp-invalid');
  assert.equal(await code('000000'), 'totp-max-attempts');
  await probe.call('login', password('emma', 'pw-e'));
  assert.equal(await code('123456'), undefined);
  assert.equal((await probe.call('login', password('robot', 'x'))).error.error, 'error-app-user-is-not-allowed-to-login');
  assert.equal((await probe.call('login', password('newcomer', 'x'))).error.error, 'error-invalid-email');
});

test('a restart as another version changes what depends on it', async (t) => {
  const { double, alice, store } = await startDouble(t, { version: 6, rateLimits: false });
  assert.equal(double.options.usersAdded, 'before');
  const url = double.url;
  await double.restart({ version: 8, flavour: 'streamer' });
  assert.deepEqual([double.options.removedShape, double.options.subscriptionStamps, double.options.deflate, double.options.rateLimits], ['full', false, false, false]);
  assert.equal((await (await fetch(`${url}/api/info`)).json()).version, '8.0');
  const probe = await Probe.connect(double, { resume: store.addToken(alice).token });
  assert.equal(probe.frames[0].msg, 'server_id');
});
