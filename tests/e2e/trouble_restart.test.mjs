// Rocket.Chat goes away and comes back: all sessions at once, with the limits of a fresh
// installation, as the next version, as another kind of server.
import assert from 'node:assert/strict';
import test from 'node:test';
import { sleep, until } from '../lib/harness.mjs';
import { FAST, troubleScene } from '../lib/trouble.mjs';

const crowd = (n) => ['bob', ...Array.from({ length: n }, (_, i) => `user${i}`)];

/** All of them, none in trouble alone. */
async function sceneOfAll(t, users, more) {
  const scene = await troubleScene(t, { users, ...more });
  scene.others = [];
  return scene;
}

test('all sockets gone at once: they come back spread out, with their tokens, within the limits', async (t) => {
  const users = crowd(40);
  const windowMs = 2000;
  const scene = await sceneOfAll(t, users, { rateLimits: true, settings: { 'Im:LoginVia': 'ddp', 'PushBridge:Session:BackoffMinSeconds': windowMs / 1000, 'PushBridge:Session:BackoffMaxSeconds': 8 } });
  const passwords = scene.double.accounts.attempts.filter((a) => a.type === 'password').length;
  const lost = Date.now();
  await scene.double.restart();
  for (let i = 0; i < 10; i++) scene.say('while they are away');
  for (const name of users) await scene.live(name);
  const attempts = scene.double.accounts.attempts.filter((a) => a.at >= lost);
  assert.equal(attempts.filter((a) => a.type === 'password').length, 0, 'nobody needs a password');
  assert.equal(scene.double.accounts.attempts.filter((a) => a.type === 'password').length, passwords);
  assert.equal(attempts.length, users.length, 'one resume each');
  assert.ok(attempts.every((a) => a.ok));
  // Full jitter over two seconds. Generous bounds: a busy machine bunches them, without jitter all come at once.
  const times = attempts.map((a) => a.at - lost).sort((a, b) => a - b);
  const busiest = Math.max(...times.map((at) => times.filter((x) => x >= at && x < at + windowMs / 10).length));
  t.diagnostic(`resumed from ${times[0]} to ${times.at(-1)} ms after the loss, at most ${busiest} in ${windowMs / 10} ms`);
  assert.ok(times.at(-1) - times[0] >= windowMs / 2, `within ${times.at(-1) - times[0]} ms`);
  assert.ok(busiest <= users.length / 2, `${busiest} in a tenth`);
  for (const name of users) await scene.hasAll(name, 30_000);
  assert.deepEqual([...scene.double.calls].filter(([name]) => name.startsWith('limited ')), []);
  for (const name of users) assert.deepEqual(scene.tabs[name].changes, []);
});

test('down for a while: tries become rarer, and nobody is forgotten', async (t) => {
  const users = crowd(10);
  const scene = await sceneOfAll(t, users, { settings: { 'PushBridge:Session:BackoffMinSeconds': 0.1, 'PushBridge:Session:BackoffMaxSeconds': 1.6 } });
  const tries = [];
  const refuse = scene.fault({ on: 'accept', do: 'refuse', status: 503, times: 0 }); // as a proxy does
  const count = () => scene.double.faults.list().find((rule) => rule.id === refuse).fired;
  await scene.double.restart();
  scene.say('while it is down');
  for (let i = 0; i < 4; i++) {
    await sleep(1000);
    tries.push(count());
  }
  scene.double.faults.clear();
  const perSecond = tries.map((n, i) => n - (tries[i - 1] ?? 0));
  t.diagnostic(`tries in each second of ${users.length} sessions: ${perSecond.join(', ')}`);
  // Pauses of 0.05 s at first and 0.8 s in the end, on the average; without growth it would be 80 tries each.
  assert.ok(tries.at(-1) <= users.length * 20, `${tries.at(-1)} tries`);
  for (const name of users) {
    await scene.live(name);
    await scene.hasAll(name, 30_000);
    assert.deepEqual(new Set(scene.states(name)), new Set(['backoff', 'live']));
  }
  assert.ok((await scene.metric('pushbridge_ddp_ended_total', 'how="unreachable"')) >= tries.at(-1));
  assert.equal(await scene.metric('pushbridge_sessions', 'state="live"'), users.length);
});

const UPGRADES = [
  ['monolith, 6 to 7 to 8', { version: 6 }, [{ version: 7 }, { version: 8 }], true],
  ['streamer, 6 to 7', { flavour: 'streamer', version: 6 }, [{ version: 7 }], true],
  ['a monolith becomes a streamer, and back', { version: 7 }, [{ flavour: 'streamer' }, { flavour: 'monolith' }], true],
];

for (const [what, first, steps] of UPGRADES)
  test(`a live change, ${what}: tabs stay, messages flow on, none is lost or doubled across it`, async (t) => {
    const users = ['alice', 'bob', 'carol'];
    const scene = await sceneOfAll(t, users, { ...first, settings: FAST });
    const side = scene.store.createRoom({ name: 'side', owner: scene.user('bob'), members: users.slice(0, 2).map((name) => scene.user(name)) });
    for (const step of steps) {
      scene.say('before');
      for (const name of users) await scene.hasAll(name);
      const ended = Object.fromEntries(users.map((name) => [name, scene.session(name)]));
      const down = scene.double.restart({ ...step, downMs: 500 });
      for (let i = 0; i < 3; i++) scene.say(`during ${JSON.stringify(step)}`);
      scene.post(side, 'bob', `aside, ${JSON.stringify(step)}`);
      await down;
      for (const name of users) await scene.backAgain(name, ended[name]);
      scene.say('after');
      for (const name of users) await scene.hasAllOf(name, [scene.general, ...(name === 'carol' ? [] : [side])]);
    }
    for (const name of users) {
      assert.deepEqual(scene.tabs[name].changes, [], name);
      assert.equal(scene.attempts(name, 'password').length, 1, `${name}'s token outlives the change`);
      assert.deepEqual(scene.tabs[name].of('resyncRequired'), []);
    }
    assert.equal((await fetch(`${scene.bridge.url}/healthz`)).status, 200);
  });

test('to a streamer of 8, which is asked over REST: nothing is lost, and dates have the form that events have', async (t) => {
  const users = ['alice', 'bob'];
  const scene = await sceneOfAll(t, users, { flavour: 'streamer', version: 7 });
  const { alice } = scene.tabs;
  scene.say('before');
  for (const name of users) await scene.hasAll(name);
  const ended = scene.session('alice');
  const down = scene.double.restart({ version: 8, downMs: 300 });
  for (let i = 0; i < 3; i++) scene.say('during');
  const joined = scene.store.createRoom({ t: 'p', name: 'joined', owner: scene.user('bob'), members: [scene.user('alice')] });
  await down;
  await scene.backAgain('alice', ended);
  await scene.hasAll('alice');
  const insert = () => alice.of('getRoomSubscriptionChangedNotification').find((c) => c.method === 'insert' && c.msg.rid === joined._id);
  await until('the room that was joined meanwhile', insert);
  for (const document of [...alice.of('getRoomMessageNotification'), insert().msg])
    for (const field of ['ts', '_updatedAt']) assert.equal(typeof document[field].$date, 'number', JSON.stringify(document));
  await sleep(1500);
  scene.say('after');
  await scene.hasAll('alice');
  assert.deepEqual(alice.of('resyncRequired'), []);
  assert.equal(scene.attempts('alice', 'password').length, 1);
});
