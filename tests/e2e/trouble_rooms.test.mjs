// Rocket.Chat's data at its worst: ties of milliseconds, deletions of every kind, memberships that
// end without a word, tokens pushed out by other logins.
import assert from 'node:assert/strict';
import test from 'node:test';
import { sleep, until } from '../lib/harness.mjs';
import { troubleScene } from '../lib/trouble.mjs';

/** alice's connection is cut, `meanwhile` happens, and she is back. */
async function cut(scene, meanwhile) {
  const ended = scene.session('alice');
  ended.drop();
  await meanwhile();
  await scene.backAgain('alice', ended);
}

test('messages that share a millisecond, at the edge of a gap and inside it', async (t) => {
  const scene = await troubleScene(t);
  const several = (n, at) => scene.store.together(() => Array.from({ length: n }, () => scene.say('at once')), at);
  several(3);
  await scene.hasAll('alice');
  const last = scene.store.messagesOf(scene.general._id).at(-1);
  await cut(scene, () => {
    several(4, last._updatedAt); // the very millisecond of the last one she has seen
    several(3);
  });
  const { alice } = scene.tabs;
  await alice.until('all of them', (x) => x.texts().length === 10);
  // What ties has no order but the one of its ids (rocketchat.md 6.3).
  const times = alice.of('getRoomMessageNotification').map((m) => m.ts.$date);
  assert.deepEqual(times, [...times].sort((a, b) => a - b));
  assert.equal(new Set(alice.texts()).size, 10);
  assert.deepEqual(alice.of('resyncRequired'), []);
});

test('deletions in a gap: from the trash, shown as deleted, pruned in bulk, hidden without a trace', async (t) => {
  const scene = await troubleScene(t);
  const { alice } = scene.tabs;
  const posted = Array.from({ length: 6 }, () => scene.post(scene.general, 'bob', `victim ${Math.random()}`));
  await alice.until('all six', (x) => x.texts().length === 6);
  await sleep(1500); // the look behind the burst is over
  const remove = (i, how) => scene.store.remove(scene.store.messages.get(posted[i]._id), scene.user('bob'), how);
  await cut(scene, () => {
    remove(0);
    scene.double.options.showDeletedStatus = true;
    remove(1);
    scene.double.options.showDeletedStatus = false;
    remove(2, { keepHistory: true });
    scene.store.prune(scene.general._id, { oldest: posted[3].ts, latest: posted[4].ts, inclusive: true });
  });
  const deleted = () => alice.of('getRoomMessageDeletedNotification').map((m) => m._id);
  await until('the deletions', () => deleted().length >= 3);
  await sleep(1500);
  // What is only hidden is in neither list (rocketchat.md 6.1).
  assert.deepEqual(deleted().sort(), [0, 3, 4].map((i) => posted[i]._id).sort());
  assert.ok(alice.of('getRoomMessageUpdatedNotification').some((m) => m._id === posted[1]._id && m.t === 'rm'));
  assert.equal(alice.texts().length, 6, 'nothing comes again');
  scene.others = []; // carol's list is not what is written any more
});

test('a removal that Rocket.Chat does not tell: the next lists do', async (t) => {
  const scene = await troubleScene(t, { removedShape: 'none' });
  const room = scene.store.createRoom({ t: 'p', name: 'inner', owner: scene.user('bob'), members: [scene.user('alice')] });
  scene.post(room, 'bob', 'while she is in');
  await scene.tabs.alice.until('it', (x) => x.texts().includes('while she is in'));
  await cut(scene, () => {
    scene.store.unsubscribe(room._id, scene.user('alice'));
    scene.post(room, 'bob', 'none of her business');
  });
  const removals = () => scene.tabs.alice.of('getRoomSubscriptionChangedNotification').filter((c) => c.method === 'remove');
  await until('the removal', () => removals().length === 1);
  await sleep(1500);
  assert.equal(scene.tabs.alice.texts().includes('none of her business'), false);
});

test('fifty logins elsewhere push the kept token out: a fresh one, once', async (t) => {
  const scene = await troubleScene(t);
  const ended = scene.session('alice');
  for (let i = 0; i < 50; i++) scene.store.addToken(scene.user('alice'));
  scene.say('meanwhile');
  await scene.backAgain('alice', ended);
  await scene.hasAll('alice');
  assert.equal(scene.attempts('alice', 'password').length, 2);
});

for (const options of [{ version: 7 }, { flavour: 'streamer', version: 8 }])
  test(`a slow database: a wide gap between \`ready\` and the first events of rooms: ${JSON.stringify(options)}`, async (t) => {
    const scene = await troubleScene(t, { ...options, hookDelayMs: 700 });
    for (let i = 0; i < 2; i++) {
      const ended = scene.session('alice');
      ended.drop();
      await until('subscribed again', () => scene.session('alice') && scene.session('alice') !== ended && scene.session('alice').subs.size === 3);
      await sleep(300); // her lists have been read, her rooms are not followed yet
      scene.say('in between');
      await scene.hasAll('alice');
      await scene.live('alice');
    }
  });
