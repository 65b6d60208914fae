// Rocket.Chat's REST side slow, cut short, refusing, or hidden behind a proxy's pages: logins and
// lists come in the end, and whoever has a session keeps it.
import assert from 'node:assert/strict';
import test from 'node:test';
import { until } from '../lib/harness.mjs';
import { troubleScene } from '../lib/trouble.mjs';

const HTML = '<!DOCTYPE html><html><body><h1>It works!</h1></body></html>';
const BROKEN = [
  { on: 'rest', do: 'drip', size: 200, ms: 20 },
  { on: 'rest', do: 'drip', size: 1, ms: 100 }, // too slow: given up
  { on: 'rest', do: 'truncate' },
  { on: 'rest', do: 'reset' },
  { on: 'rest', do: 'stall' },
  { preset: 'html-502' },
  { preset: 'unavailable' },
  { preset: 'bad-json' },
  { preset: 'rest-429' },
  { on: 'rest', do: 'respond', status: 200, headers: { 'Content-Type': 'text/html' }, body: HTML },
  { on: 'rest', do: 'respond', status: 500, body: { success: false, error: 'Internal server error' } },
  { on: 'rest', do: 'respond', status: 302, headers: { Location: '/somewhere/else' }, body: '' },
  { on: 'rest', do: 'respond', status: 200, body: {} },
  { on: 'rest', do: 'respond', status: 200, body: [] },
  { on: 'rest', do: 'respond', status: 200, body: { status: 'success', data: { userId: 7, authToken: null } } },
  { on: 'rest', do: 'respond', status: 200, body: '' },
];

test('fresh logins through every broken answer', async (t) => {
  const names = ['alice', 'dave', 'erin']; // by turns: who logs in too often in a row has to wait
  const scene = await troubleScene(t, {
    users: ['alice', 'bob', 'carol', 'dave', 'erin'],
    settings: { 'Im:LoginVia': 'rest', 'PushBridge:Logins:TimeoutSeconds': 1, 'PushBridge:Logins:RestPerMinute': 1000 },
  });
  scene.others.splice(1);
  for (const [i, fault] of BROKEN.entries()) {
    const name = names[i % names.length];
    const ended = scene.session(name);
    scene.fault({ ...fault, match: { path: '/api/v1/login' } });
    scene.store.removeAllTokens(scene.user(name));
    scene.say(JSON.stringify(fault).slice(0, 80));
    await scene.backAgain(name, ended);
  }
  for (const name of names) await scene.hasAll(name, 30_000);
  assert.deepEqual(scene.double.faults.list(), [], 'each came to pass');
  for (const name of names) {
    assert.equal(scene.states(name).includes('refused'), false, 'none of them is the user’s fault');
    assert.deepEqual(scene.tabs[name].changes, []);
  }
  const failed = await scene.metric('pushbridge_logins_total', 'road="rest",result="failed"');
  const limited = await scene.metric('pushbridge_logins_total', 'road="rest",result="limited"');
  assert.deepEqual([limited, failed >= BROKEN.length - 3], [1, true], `${failed} failed`);
});

test('lists by REST, where the server has no methods for them: through every broken answer at once', async (t) => {
  // Each has one broken answer; all are in trouble at the same time, since lists are asked for again after seconds only.
  const victims = BROKEN.map((_, i) => `victim${i}`);
  const scene = await troubleScene(t, {
    flavour: 'streamer',
    version: 8,
    missingMethods: ['subscriptions/get', 'rooms/get'], // but messages/get, to see who knows what is missing
    users: ['alice', 'bob', 'carol', ...victims],
    settings: { 'PushBridge:Logins:RestPerMinute': 1000 },
  });
  scene.others.splice(1);
  for (const [i, fault] of BROKEN.entries()) scene.fault({ ...fault, match: { path: i % 2 === 0 ? '/api/v1/subscriptions.get' : '/api/v1/rooms.get', user: victims[i] } });
  const ended = Object.fromEntries(victims.map((name) => [name, scene.session(name)]));
  for (const session of Object.values(ended)) session.drop();
  scene.say('meanwhile');
  for (const name of victims) await scene.backAgain(name, ended[name]);
  for (const [i, name] of victims.entries()) {
    await scene.tabs[name].until(`${JSON.stringify(BROKEN[i])}: all of it`, (x) => x.texts().length === 1 || x.of('resyncRequired').length > 0);
    assert.deepEqual(scene.tabs[name].of('resyncRequired'), [], JSON.stringify(BROKEN[i]));
    await scene.hasAll(name);
  }
  await until('each came to pass', () => scene.double.faults.list().length === 0);
});
