import assert from 'node:assert/strict';
import test from 'node:test';
import { Probe, password, sleep, startDouble } from '../../lib/ddp_probe.mjs';

/** A logged-in probe that follows the three events a bridge follows, past the hooking gap. */
async function follower(double, name, pw) {
  const probe = await Probe.connect(double, password(name, pw));
  probe.uid = probe.login.id;
  for (const event of ['message', 'subscriptions-changed', 'rooms-changed'])
    assert.equal((await probe.sub(event, 'stream-notify-user', `${probe.uid}/${event}`, false)).msg, 'ready');
  await sleep(double.options.hookDelayMs + 15);
  probe.rooms = () => probe.events(`${probe.uid}/rooms-changed`);
  probe.subscriptions = () => probe.events(`${probe.uid}/subscriptions-changed`);
  return probe;
}

test('who may subscribe to what', async (t) => {
  const { double, store, alice, bob, general } = await startDouble(t);
  const secret = store.createRoom({ t: 'p', name: 'secret', owner: bob });
  const lobby = store.createRoom({ t: 'c', name: 'lobby', owner: bob });
  const probe = await Probe.connect(double, password('alice', 'pw-a'));
  const cases = [
    ['stream-notify-user', `${alice._id}/rooms-changed`, true],
    ['stream-notify-user', `${alice._id}/message`, true],
    ['stream-notify-user', `${bob._id}/message`, false],
    ['stream-notify-user', `${alice._id}x/message`, false],
    ['stream-room-messages', general._id, true],
    ['stream-room-messages', '__my_messages__', true],
    ['stream-room-messages', lobby._id, true],
    ['stream-room-messages', secret._id, false],
    ['stream-room-messages', 'no-such-room', false],
    ['stream-notify-room', `${general._id}/deleteMessage`, true],
    ['stream-notify-room', `${secret._id}/deleteMessage`, false],
    ['stream-room-data', secret._id, false],
    ['stream-notify-logged', 'user-status', true],
  ];
  for (const [i, [stream, event, allowed]] of cases.entries()) {
    const { msg, error } = await probe.sub(`s${i}`, stream, event, false);
    assert.equal(msg, allowed ? 'ready' : 'nosub', `${stream} ${event}`);
    if (!allowed) assert.deepEqual(error, { isClientSafe: true, error: 'not-allowed', message: '[not-allowed]', errorType: 'Meteor.Error' });
  }
  const nobody = await Probe.connect(double);
  assert.equal((await nobody.sub('s', 'stream-notify-logged', 'user-status', false)).error.error, 'not-allowed');
});

test('one message: rooms-changed to members, subscriptions-changed to the others, unread by room type', async (t) => {
  const { double, store, alice, bob, general } = await startDouble(t);
  const direct = store.directRoom(alice, bob);
  assert.equal(direct._id, [alice._id, bob._id].sort().join(''));
  const a = await follower(double, 'alice', 'pw-a');
  const b = await follower(double, 'bob', 'pw-b');
  const sent = await a.call('sendMessage', { _id: 'm-one-7890123456', rid: general._id, msg: 'hi @bob' });
  assert.equal(sent.result._id, 'm-one-7890123456');
  await b.settle();
  const [[action, room]] = b.rooms();
  assert.equal(action, 'updated');
  assert.equal(room.msgs, 1);
  assert.equal(room.lastMessage._id, 'm-one-7890123456');
  assert.equal(typeof room.lastMessage.ts.$date, 'number');
  assert.deepEqual(room.lastMessage.mentions.map((m) => m.username), ['bob']);
  assert.deepEqual(b.subscriptions().map(([act, s]) => [act, s.rid, s.unread, s.alert, s.userMentions]), [['updated', general._id, 1, true, 1]]);
  assert.equal(a.rooms().length, 1);
  assert.equal(a.subscriptions().length, 0);
  await a.call('sendMessage', { rid: general._id, msg: 'no mention' });
  await a.call('sendMessage', { rid: direct._id, msg: 'direct' });
  await b.settle();
  assert.deepEqual(b.subscriptions().slice(1).map(([, s]) => [s.rid, s.unread]), [[general._id, 1], [direct._id, 1]]);
  assert.equal((await a.call('sendMessage', { _id: 'm-one-7890123456', rid: general._id, msg: 'again' })).result, undefined);
  assert.equal(store.rooms.get(general._id).msgs, 2);
  await b.call('readMessages', direct._id);
  assert.equal(store.subscription(direct._id, bob._id).unread, 0);
});

test('edits, reactions and deletions of the last message change the room; of older ones do not', async (t) => {
  const { double, store, alice, bob, general } = await startDouble(t);
  const first = store.post({ rid: general._id, user: alice, msg: 'first' });
  const last = store.post({ rid: general._id, user: bob, msg: 'last' });
  const b = await follower(double, 'bob', 'pw-b');
  await b.sub('r', 'stream-room-messages', general._id, false);
  await b.sub('d', 'stream-notify-room', `${general._id}/deleteMessage`, false);
  const steps = [
    () => store.edit(store.messages.get(first._id), alice, 'older, edited'),
    () => b.call('updateMessage', { _id: last._id, rid: general._id, msg: 'last, edited' }),
    () => b.call('setReaction', ':thumbsup:', last._id, true),
    () => b.call('deleteMessage', { _id: last._id }),
  ];
  const seen = [];
  for (const step of steps) {
    await step();
    await b.settle();
    seen.push([b.rooms().length, b.events(general._id).length, b.events(`${general._id}/deleteMessage`).length]);
  }
  assert.deepEqual(seen, [[0, 1, 0], [1, 2, 0], [2, 3, 0], [3, 3, 1]]);
  const [edited, reacted, deleted] = b.rooms().map(([, room]) => room);
  assert.equal(edited.lastMessage.editedBy.username, 'bob');
  assert.deepEqual(reacted.lastMessage.reactions, { ':thumbsup:': { usernames: ['bob'] } });
  assert.equal(deleted.lastMessage._id, first._id);
  assert.equal(deleted.msgs, 1);
});

test('showDeletedStatus keeps a t:"rm"; keepHistory only hides', async (t) => {
  const { double, store, alice, general } = await startDouble(t, { showDeletedStatus: true });
  const a = await follower(double, 'alice', 'pw-a');
  await a.sub('r', 'stream-room-messages', general._id, false);
  await a.sub('d', 'stream-notify-room', `${general._id}/deleteMessage`, false);
  const shown = store.post({ rid: general._id, user: alice, msg: 'x' });
  store.remove(shown, alice);
  await a.settle();
  assert.equal(a.events(general._id).at(-1)[0].t, 'rm');
  assert.equal('lastMessage' in a.rooms().at(-1)[1], false);
  double.options.showDeletedStatus = false;
  const hidden = store.post({ rid: general._id, user: alice, msg: 'y' });
  store.remove(hidden, alice, { keepHistory: true });
  await a.settle();
  assert.deepEqual(a.events(`${general._id}/deleteMessage`), [[{ _id: hidden._id }]]);
  assert.equal(store.trash.messages.length, 0);
});

test('the last message deleted: the newest by date that people wrote and the room shows takes its place', async (t) => {
  const { double, store, alice, general } = await startDouble(t);
  const a = await follower(double, 'alice', 'pw-a');
  const stays = store.post({ rid: general._id, user: alice, msg: 'stays' });
  store.setTopic(general._id, alice, 'a system message');
  store.post({ rid: general._id, user: alice, msg: 'dated back', ts: new Date(Date.now() - 61_000) });
  store.post({ rid: general._id, user: alice, msg: 'thread only', tmid: stays._id });
  store.remove(store.post({ rid: general._id, user: alice, msg: 'goes' }), alice);
  await a.settle();
  assert.deepEqual(a.rooms().slice(-2).map(([, r]) => [r.msgs, r.lastMessage.msg]), [[5, 'goes'], [4, 'stays']]);
});

test('thread replies, back-dated and hidden messages leave lastMessage alone', async (t) => {
  const { double, store, alice, general } = await startDouble(t);
  const parent = store.post({ rid: general._id, user: alice, msg: 'parent' });
  const other = store.post({ rid: general._id, user: alice, msg: 'newer' });
  const a = await follower(double, 'alice', 'pw-a');
  await a.sub('r', 'stream-room-messages', general._id, false);
  const reply = { rid: general._id, user: alice, tmid: parent._id };
  store.post({ ...reply, msg: 'thread only' });
  store.post({ rid: general._id, user: alice, msg: 'old', ts: new Date(Date.now() - 61_000) });
  store.post({ ...reply, msg: 'shown too', tshow: true });
  await a.settle();
  assert.deepEqual(a.rooms().map(([, r]) => [r.msgs, r.lastMessage.msg]), [[3, 'newer'], [4, 'newer'], [5, 'shown too']]);
  const parents = a.events(general._id).map(([m]) => m).filter((m) => m._id === parent._id);
  assert.deepEqual(parents.map((m) => m.tcount), [1, 2]);
  assert.equal('tshow' in a.events(general._id)[0][0], false);
  const before = a.events(general._id).length;
  store.post({ rid: general._id, user: alice, msg: 'hidden', hidden: true });
  await a.settle();
  assert.equal(a.events(general._id).length, before);
  assert.ok(other);
});

test('storeLastMessage off: rooms-changed comes without it', async (t) => {
  const { double, store, alice, general } = await startDouble(t, { storeLastMessage: false });
  const a = await follower(double, 'alice', 'pw-a');
  store.post({ rid: general._id, user: alice, msg: 'x' });
  await a.settle();
  assert.equal(a.rooms()[0][1].msgs, 1);
  assert.equal('lastMessage' in a.rooms()[0][1], false);
});

test('the hooking gap: rooms-changed right after ready is lost', async (t) => {
  const { double, store, alice, general } = await startDouble(t, { hookDelayMs: 60 });
  const probe = await Probe.connect(double, password('alice', 'pw-a'));
  await probe.sub('s', 'stream-notify-user', `${alice._id}/rooms-changed`, false);
  store.post({ rid: general._id, user: alice, msg: 'lost' });
  await sleep(100);
  store.post({ rid: general._id, user: alice, msg: 'seen' });
  await probe.settle();
  assert.deepEqual(probe.events(`${alice._id}/rooms-changed`).map(([, r]) => r.lastMessage.msg), ['seen']);
});

test('joining: subscription first, then the whole room; leaving: no rooms-changed; deletion: only the id', async (t) => {
  const { double, store, bob } = await startDouble(t);
  const a = await follower(double, 'alice', 'pw-a');
  const room = store.createRoom({ t: 'p', name: 'new-room', owner: bob });
  store.subscribe(room._id, store.userByName('alice'));
  await a.event(`${a.uid}/rooms-changed`);
  assert.deepEqual(a.subscriptions().map(([act, s]) => [act, s.rid]), [['inserted', room._id]]);
  const [[action, whole]] = a.rooms();
  assert.deepEqual([action, whole._id, whole.name, whole.usersCount], ['inserted', room._id, 'new-room', 2]);
  store.unsubscribe(room._id, store.userByName('alice'));
  store.post({ rid: room._id, user: bob, msg: 'not for alice' });
  await a.settle();
  assert.equal(a.rooms().length, 1);
  assert.equal(a.subscriptions().at(-1)[0], 'removed');
  store.subscribe(room._id, store.userByName('alice'));
  await sleep(20);
  store.deleteRoom(room._id);
  await a.settle();
  assert.deepEqual(a.rooms().at(-1), ['removed', { _id: room._id }]);
});

test('shapes of a removed subscription; _updatedAt by option', async (t) => {
  const keys = { full: true, rid: ['_id', 'rid', 'u'], u: ['_id', 'u'] };
  for (const [removedShape, want] of Object.entries(keys)) {
    const { double, store, alice, general, bob } = await startDouble(t, { removedShape, subscriptionStamps: removedShape === 'full' });
    const a = await follower(double, 'alice', 'pw-a');
    store.post({ rid: general._id, user: bob, msg: 'x' });
    store.unsubscribe(general._id, alice);
    await a.settle();
    const [updated, removed] = a.subscriptions().map(([, payload]) => payload);
    assert.equal('_updatedAt' in updated, removedShape === 'full');
    if (want === true) assert.equal(removed.name, 'general');
    else assert.deepEqual(Object.keys(removed), want);
  }
});

test('kicked from a private room: its stream stops silently, or flows on in the faulty variant', async (t) => {
  for (const keepRoomStreamOnKick of [false, true]) {
    const { double, store, alice, bob, general } = await startDouble(t, { keepRoomStreamOnKick });
    const room = store.createRoom({ t: 'p', name: 'inner', owner: bob, members: [alice] });
    const probe = await Probe.connect(double, password('alice', 'pw-a'));
    await probe.sub('r', 'stream-room-messages', room._id, false);
    await probe.sub('g', 'stream-room-messages', general._id, false);
    store.unsubscribe(room._id, alice);
    store.post({ rid: room._id, user: bob, msg: 'x' });
    await probe.settle();
    assert.equal(probe.events(room._id).length, keepRoomStreamOnKick ? 1 : 0);
    assert.equal(probe.frames.some((f) => f.msg === 'nosub'), false);
  }
});

test('__my_messages__ covers accessible rooms; one frame for each matching subscription', async (t) => {
  const { double, store, bob, general } = await startDouble(t);
  const lobby = store.createRoom({ name: 'lobby', owner: bob });
  const secret = store.createRoom({ t: 'p', name: 'secret', owner: bob });
  const probe = await Probe.connect(double, password('alice', 'pw-a'));
  await probe.sub('all', 'stream-room-messages', '__my_messages__', false);
  await probe.sub('one', 'stream-room-messages', general._id, false);
  for (const room of [general, lobby, secret]) store.post({ rid: room._id, user: bob, msg: room.name });
  await probe.settle();
  assert.deepEqual(probe.events('__my_messages__').map(([m, extra]) => [m.msg, extra]), [
    ['general', { roomParticipant: true, roomType: 'c', roomName: 'general' }],
    ['lobby', { roomParticipant: false, roomType: 'c', roomName: 'lobby' }],
  ]);
  assert.equal(probe.events(general._id).length, 1);
});

test('typing reaches the others, not its writer, and only under the own name', async (t) => {
  const { double, general } = await startDouble(t);
  const a = await Probe.connect(double, password('alice', 'pw-a'));
  const b = await Probe.connect(double, password('bob', 'pw-b'));
  const event = `${general._id}/user-activity`;
  for (const probe of [a, b]) await probe.sub('t', 'stream-notify-room', event, false);
  await a.call('stream-notify-room', event, 'alice', ['user-typing'], {});
  const forged = await a.call('stream-notify-room', event, 'bob', ['user-typing'], {});
  assert.equal(forged.error, undefined);
  await b.settle();
  assert.deepEqual(b.events(event), [['alice', ['user-typing'], {}]]);
  assert.equal(a.events(event).length, 0);
});

test('the same seed gives the same ids', async (t) => {
  const ids = [];
  for (let i = 0; i < 2; i++) {
    const { alice, general, store } = await startDouble(t, { seed: 42, start: 1_700_000_000_000 });
    const message = store.post({ rid: general._id, user: alice, msg: 'x' });
    ids.push([alice._id, general._id, message._id, message._updatedAt.getTime()]);
  }
  assert.deepEqual(ids[0], ids[1]);
});
