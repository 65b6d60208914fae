// Frames that are odd, large, broken into pieces, doubled, in the wrong order, or no DDP at all.
import assert from 'node:assert/strict';
import test from 'node:test';
import { sleep, until } from '../lib/harness.mjs';
import { troubleScene } from '../lib/trouble.mjs';

/** Rules for what Rocket.Chat sends of alice's rooms. */
const ofAlice = (scene, more) => ({ ...more, match: { msg: 'changed', event: `${scene.user('alice')._id}/rooms-changed` } });

test('what is odd but no harm leaves the connection as it is, and every message comes once', async (t) => {
  const scene = await troubleScene(t);
  const session = scene.session('alice');
  for (const preset of ['in-fragments', 'unknown-msg', 'no-msg', 'big-frame', 'double-events', 'ping-flood', 'coalesce-rooms', 'swap-events']) {
    scene.fault(preset === 'coalesce-rooms' ? { preset } : ofAlice(scene, { preset, times: 2 }));
    for (let i = 0; i < 4; i++) scene.say(preset);
    await scene.hasAll('alice');
    await sleep(1100); // the burst is over: the next preset is judged by itself
  }
  await sleep(1500); // also what a look behind the last burst brings
  await scene.hasAll('alice');
  assert.deepEqual(scene.double.faults.list(), [], 'each came to pass');
  assert.equal(scene.session('alice'), session);
  assert.deepEqual(scene.states('alice'), []);
  assert.deepEqual(scene.tabs.alice.of('resyncRequired'), []);
});

test('an event without arguments, or with none in them, is passed over; the next one brings what it hid', async (t) => {
  const scene = await troubleScene(t);
  const session = scene.session('alice');
  for (const fault of [{ preset: 'no-args' }, { preset: 'empty-args' }, ...[[null, null], ['updated'], ['updated', null], ['updated', {}], [{}, 'updated'], ['updated', { _id: 7, msgs: 'x', lastMessage: [] }]].map((args) => ({ on: 'out', do: 'args', args }))]) {
    scene.fault(ofAlice(scene, fault));
    scene.say('hidden');
    scene.say('behind it');
    await scene.hasAll('alice');
  }
  assert.equal(scene.session('alice'), session);
  assert.deepEqual(scene.states('alice'), []);
});

test('what is no DDP ends the connection; the next one catches up', async (t) => {
  const scene = await troubleScene(t, { settings: { 'PushBridge:Limits:DdpFrameBytes': 8 * 1024 * 1024 } });
  const broken = [{ preset: 'invalid-json' }, { preset: 'invalid-utf8' }, { preset: 'big-frame', bytes: 9 * 1024 * 1024 }, { on: 'out', do: 'replace', text: '[]' }, { on: 'out', do: 'replace', text: '' }];
  for (const fault of broken) {
    const ended = scene.session('alice');
    scene.fault(ofAlice(scene, fault));
    scene.say(JSON.stringify(fault).slice(0, 60));
    scene.say('and more');
    await scene.backAgain('alice', ended);
    await scene.hasAll('alice');
  }
  const ended = scene.session('alice');
  scene.say('before the binary frame');
  ended.sendBinary(Buffer.from([0, 1, 2]));
  scene.say('after it');
  await scene.backAgain('alice', ended);
  await scene.hasAll('alice');
  await until('counted', async () => (await scene.metric('pushbridge_ddp_ended_total', 'how="malformed"')) >= 4);
  assert.equal(scene.attempts('alice', 'password').length, 1);
});

test('answers that are not what was asked for: lists and messages of another shape', async (t) => {
  const scene = await troubleScene(t);
  const session = scene.session('alice');
  for (const result of ['text', 7, [], {}, { updated: 'x' }, { updated: [7, null, { _id: 'x' }], deleted: [null, { _id: 7 }] }]) {
    scene.fault({ on: 'in', match: { method: 'messages/get', user: 'alice' }, do: 'answer', result });
    scene.fault(ofAlice(scene, { on: 'out', do: 'ignore' }));
    scene.say('lost');
    scene.say('seen');
    await scene.tabs.alice.until('the last one', (x) => x.texts().at(-1) === scene.store.messagesOf(scene.general._id).at(-1).msg);
  }
  assert.equal(scene.session('alice'), session);
  const texts = scene.tabs.alice.texts();
  assert.equal(new Set(texts).size, texts.length, 'nothing twice');
});
