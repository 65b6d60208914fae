// Rocket.Chat's limits: of DDP methods and subscriptions, and of REST calls. What is refused is
// tried again when it may be; the bridge does not run into limits it knows.
import assert from 'node:assert/strict';
import test from 'node:test';
import { until } from '../lib/harness.mjs';
import { troubleScene } from '../lib/trouble.mjs';

const limitedCalls = (scene) => [...scene.double.calls].filter(([name]) => name.startsWith('limited '));

test('subscriptions, logins and queries refused as too many: tried again after the time that was told', async (t) => {
  const scene = await troubleScene(t);
  const refusals = [
    [{ preset: 'too-many-subs', match: { user: 'alice' } }, 1],
    [{ preset: 'too-many-subs', match: { user: 'alice' }, times: 3 }, 1],
    [{ preset: 'too-many-subs', match: { user: 'alice' }, skip: 2 }, 1],
    [{ preset: 'too-many-calls', match: { method: 'login' } }, 2], // a new connection tries again
    [{ preset: 'too-many-calls', match: { method: 'messages/get' } }, 1], // whoever asks: the answer is shared
  ];
  for (const [fault, connections] of refusals) {
    const ended = scene.session('alice');
    const { accepted } = scene.double;
    scene.fault(fault);
    ended.drop();
    scene.say(`${fault.preset} ${fault.match.method ?? ''}`);
    await scene.backAgain('alice', ended);
    await scene.hasAll('alice');
    assert.equal(scene.double.accepted - accepted, connections, JSON.stringify(fault));
    assert.deepEqual(scene.double.faults.list(), []);
  }
  assert.equal(scene.attempts('alice', 'password').length, 1);
  assert.deepEqual(scene.tabs.alice.of('resyncRequired'), []);
});

test('more rooms moved than queries are allowed: all are caught up with, and no limit is met', async (t) => {
  const scene = await troubleScene(t, { rateLimits: true });
  const rooms = Array.from({ length: 14 }, (_, i) => scene.store.createRoom({ name: `room${i}`, owner: scene.user('bob'), members: [scene.user('alice')] }));
  for (const room of rooms) scene.post(room, 'bob', 'before');
  const of = (room) => scene.tabs.alice.of('getRoomMessageNotification').filter((m) => m.rid === room._id).map((m) => m.msg);
  await until('the first of each', () => rooms.every((room) => of(room).length === 1));
  const ended = scene.session('alice');
  ended.drop();
  for (const room of rooms) for (const text of ['one', 'two']) scene.post(room, 'bob', text);
  await scene.backAgain('alice', ended);
  await until('all of them', () => rooms.every((room) => of(room).length === 3));
  for (const room of rooms) assert.deepEqual(of(room), ['before', 'one', 'two']);
  assert.deepEqual(limitedCalls(scene), []);
  assert.deepEqual(scene.tabs.alice.of('resyncRequired'), []);
});

test('logins by REST alone, with the limits on: the window is used and not overrun', async (t) => {
  const users = ['alice', 'bob', 'carol', ...Array.from({ length: 22 }, (_, i) => `user${i}`)];
  // A window of 1.2 s: the answers' headers tell so.
  const scene = await troubleScene(t, { users, rateLimits: true, timeFactor: 0.02, settings: { 'Im:LoginVia': 'rest' } });
  scene.others = []; // some had to wait in the queue, and were told
  assert.equal(scene.calls('POST /api/v1/login') - scene.calls('limited POST /api/v1/login'), users.length);
  assert.ok(scene.calls('limited POST /api/v1/login') <= 2, `${scene.calls('limited POST /api/v1/login')} over the limit`);
  scene.say('to all');
  for (const name of users) await scene.hasAll(name);
});

test('429 with and without its headers, and with Retry-After: told, waited for, logged in', async (t) => {
  const scene = await troubleScene(t, { users: ['alice', 'bob', 'carol'], settings: { 'Im:LoginVia': 'rest' } });
  const now = Date.now();
  const headers = [{ 'Retry-After': '1' }, { 'X-RateLimit-Limit': '10', 'X-RateLimit-Remaining': '0', 'X-RateLimit-Reset': String(now + 1500) }];
  for (const some of headers) {
    const ended = scene.session('alice');
    scene.fault({ preset: 'rest-429', match: { path: '/api/v1/login' }, headers: { 'Content-Type': 'application/json', ...some } });
    scene.store.removeAllTokens(scene.user('alice'));
    scene.say('meanwhile');
    await scene.backAgain('alice', ended);
    await scene.hasAll('alice');
  }
  assert.equal(await scene.metric('pushbridge_logins_total', 'road="rest",result="limited"'), 2);
});
