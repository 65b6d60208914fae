// DDP connections that end or fall silent in every way: the session comes back, nothing is lost,
// nothing comes twice, others notice nothing.
import assert from 'node:assert/strict';
import test from 'node:test';
import { until } from '../lib/harness.mjs';
import { troubleScene } from '../lib/trouble.mjs';

// Of the monolith one more than the queries for messages that fit into one of Rocket.Chat's windows.
const CODES = { monolith: [1000, 1001, 1002, 1007, 1008, 1009, 1011, 1013, 4000], streamer: [1000, 1002, 1007, 1013, 4000] };

for (const [flavour, codes] of Object.entries(CODES))
  test(`every close code, ${flavour}: the session resumes, and what was said meanwhile arrives once`, async (t) => {
    const scene = await troubleScene(t, { flavour, version: 7 });
    for (const code of codes) {
      const ended = scene.session('alice');
      scene.say(`before ${code}`);
      ended.close(code, 'as it pleases');
      scene.say(`after ${code}`);
      await scene.backAgain('alice', ended);
      await scene.hasAll('alice');
    }
    assert.equal(scene.attempts('alice', 'password').length, 1, 'the kept token served each time');
    assert.equal(scene.attempts('alice', 'resume').filter((a) => a.ok).length, codes.length + 1);
    assert.deepEqual(new Set(scene.states('alice')), new Set(['backoff', 'live']));
    assert.deepEqual(scene.tabs.alice.changes, [], 'the tab never lost its own connection');
    assert.equal(await scene.metric('pushbridge_ddp_reconnects_total'), codes.length);
    assert.equal(await scene.metric('pushbridge_ddp_ended_total', 'how="connection-lost"'), codes.length);
    assert.equal(await scene.metric('pushbridge_catch_ups_total'), codes.length);
  });

test('TCP ends without a close frame, or by a reset, at every step of a session', async (t) => {
  const scene = await troubleScene(t);
  const steps = [
    { on: 'in', match: { msg: 'connect' } },
    { on: 'in', match: { method: 'login', user: undefined } },
    { on: 'in', match: { msg: 'sub', user: 'alice' } },
    { on: 'in', match: { msg: 'sub', user: 'alice' }, skip: 2 },
    { on: 'out', match: { msg: 'ready', user: 'alice' } },
    { on: 'in', match: { method: 'subscriptions/get', user: 'alice' } },
    { on: 'in', match: { method: 'rooms/get', user: 'alice' } },
    { on: 'in', match: { method: 'messages/get', user: 'alice' } },
  ];
  for (const [i, step] of steps.entries()) {
    const how = i % 2 === 0 ? 'drop' : 'reset';
    const ended = scene.session('alice');
    const id = scene.fault({ ...step, do: how });
    ended[how]();
    const text = scene.say(`${how} ${JSON.stringify(step.match)}`);
    await until(`the cut: ${text}`, () => !scene.double.faults.list().some((rule) => rule.id === id));
    await scene.backAgain('alice', ended);
    await scene.hasAll('alice');
  }
  assert.equal(scene.attempts('alice', 'password').length, 1);
});

test('half-open sockets are found by the liveness deadline; what was said into the void is caught up', async (t) => {
  const scene = await troubleScene(t, { settings: { 'PushBridge:Ddp:PingSeconds': 0.7, 'PushBridge:Ddp:DeadSeconds': 2 } });
  for (let i = 0; i < 2; i++) {
    const ended = scene.session('alice');
    ended.halfOpen();
    scene.say('into the void');
    await scene.backAgain('alice', ended);
    await scene.hasAll('alice');
  }
  assert.equal(await scene.metric('pushbridge_ddp_ended_total', 'how="silent"'), 2);
  assert.deepEqual(scene.states('alice').slice(0, 2), ['backoff', 'live']);
  assert.equal(scene.tabs.alice.of('bridgeStatus')[0].code, 'silent');
});

test('a new connection that stays silent: at the handshake, before `connected`, before the login’s result', async (t) => {
  const scene = await troubleScene(t, {
    settings: { 'PushBridge:Session:ConnectTimeoutSeconds': 1, 'PushBridge:Session:ReadyTimeoutSeconds': 1, 'PushBridge:Logins:TimeoutSeconds': 1 },
  });
  const silent = [{ preset: 'ddp-stalled' }, { on: 'in', match: { msg: 'connect' }, do: 'half-open' }, { on: 'in', match: { method: 'login' }, do: 'half-open' }, { on: 'in', match: { msg: 'sub' }, do: 'half-open' }];
  for (const fault of silent) {
    const ended = scene.session('alice');
    scene.fault(fault);
    ended.drop();
    scene.say(JSON.stringify(fault));
    await until('a live connection', () => scene.session('alice') && !scene.session('alice').describe().silent && scene.session('alice').subs.size === 3);
    await scene.live('alice');
    await scene.hasAll('alice');
  }
  assert.ok((await scene.metric('pushbridge_ddp_ended_total', 'how="timed-out"')) >= 2);
});

test('a flood of pings, of DDP and of WebSocket, between messages', async (t) => {
  const scene = await troubleScene(t);
  const session = scene.session('alice');
  const pongs = [0, 0];
  session.ws.on('pong', () => pongs[0]++);
  session.ws.on('message', (data) => (pongs[1] += data.toString().includes('"pong"') ? 1 : 0));
  for (let i = 0; i < 5; i++) {
    session.sendPings({ count: 2000 });
    session.sendPings({ count: 2000, control: true });
    scene.say('between floods');
  }
  await scene.hasAll('alice');
  await until('every DDP ping to be answered', () => pongs[1] === 10_000);
  assert.ok(pongs[0] >= 1, 'WebSocket pings may be answered by the latest (RFC 6455, 5.5.3)');
  assert.equal(scene.session('alice'), session, 'the connection stands');
  assert.deepEqual(scene.states('alice'), []);
});
