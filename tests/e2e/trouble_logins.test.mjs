// How a session comes to life where Rocket.Chat answers in other orders, late, or with refusals.
import assert from 'node:assert/strict';
import test from 'node:test';
import { startBridge, startDouble, tokenFor, until } from '../lib/harness.mjs';
import { CLIENTS, Tab } from '../lib/signalr_clients.mjs';
import { FAST, troubleScene } from '../lib/trouble.mjs';

const ORDERS = [
  { resultOrder: 'updated-first', usersAdded: 'before', batchReady: true },
  { resultOrder: 'result-first', usersAdded: 'after' },
  { resultOrder: 'updated-late', usersAdded: 'none' },
  { resultOrder: 'updated-never', usersAdded: 'after', batchReady: true, preConnected: { server_id: '0' } },
  { flavour: 'streamer', version: 6 },
  { flavour: 'streamer', version: 7, preConnected: { msg: 'server_id', server_id: '0' } },
  { flavour: 'streamer', version: 7, preConnected: { msg: 'ping' } }, // a pong now would be the wrong first frame
  { version: 6 },
  { version: 8 },
];

for (const road of ['ddp', 'rest'])
  test(`result, updated, users and ready in every order; password by ${road}`, async (t) => {
    for (const options of ORDERS) {
      const rc = await startDouble(t, options);
      const bridge = await startBridge(t, rc.double, { ...FAST, 'Im:LoginVia': road });
      const tab = await Tab.open(t, CLIENTS.latest, bridge.hubUrl, tokenFor('alice'));
      await rc.live('alice');
      rc.post(rc.general, 'bob', 'heard');
      await tab.until(`the message with ${JSON.stringify(options)}`, (x) => x.texts().length === 1);
      assert.deepEqual(rc.double.accounts.attempts.filter((a) => a.type === 'password').map((a) => [a.via, a.ok]), [[road, true]]);
      assert.equal(rc.double.accepted, 1, JSON.stringify(options));
      await bridge.stop();
    }
  });

test('a password login that is answered late: the tab hears why, a second one is made meanwhile, and no token is left behind', async (t) => {
  const LATE_MS = 5000;
  const rc = await startDouble(t);
  const fault = (rule) => fetch(`${rc.double.url}/__double/fault`, { method: 'POST', body: JSON.stringify(rule) });
  await fault({ on: 'out', match: { msg: 'result' }, do: 'delay', ms: LATE_MS, times: 1 });
  const bridge = await startBridge(t, rc.double, { ...FAST, 'Im:LoginVia': 'ddp', 'PushBridge:Logins:TimeoutSeconds': 0.5 });
  const tab = await Tab.open(t, CLIENTS.latest, bridge.hubUrl, tokenFor('alice'));
  await rc.live('alice');
  assert.ok(tab.of('bridgeStatus').some((status) => status.code === 'timed-out'), JSON.stringify(tab.of('bridgeStatus')));
  const logins = rc.double.accounts.attempts.filter((a) => a.type === 'password' && a.ok);
  assert.equal(logins.length, 2);
  assert.ok(logins[1].at - logins[0].at < LATE_MS, 'before the first was answered');
  await until('one token, the one in use', () => rc.user('alice').tokens.length === 1);
  assert.equal(rc.double.accounts.attempts.length, 2);
  rc.post(rc.general, 'bob', 'heard');
  await tab.until('the message', (x) => x.texts().length === 1);
});

test('no common version of DDP: told, and tried again', async (t) => {
  const scene = await troubleScene(t);
  const ended = scene.session('alice');
  scene.fault({ on: 'out', match: { msg: 'connected' }, do: 'replace', text: '{"msg":"failed","version":"pre1"}' });
  ended.drop();
  scene.say('meanwhile');
  await scene.backAgain('alice', ended);
  await scene.hasAll('alice');
  assert.equal(scene.tabs.alice.of('bridgeStatus')[1].code, 'ddp-version');
  assert.equal(await scene.metric('pushbridge_ddp_ended_total', 'how="ddp-version"'), 1);
});

for (const flavour of ['monolith', 'streamer'])
  test(`a server that pings what is idle, ${flavour}: sessions in which nothing happens live on`, async (t) => {
    const scene = await troubleScene(t, { flavour, version: 7, timeFactor: flavour === 'monolith' ? 0.1 : 0.05 }); // idle after 1.5 s
    const sessions = ['alice', 'bob', 'carol'].map((name) => scene.session(name));
    const heard = sessions.map((session) => session.frames.in);
    await until('two answers of each', () => sessions.every((session, i) => session.frames.in - heard[i] >= 2));
    for (const [i, name] of ['alice', 'bob', 'carol'].entries()) assert.equal(scene.session(name), sessions[i]);
  });

test('a late `ready` is waited for; a refused subscription is tried again, and private notices are not worth a session', async (t) => {
  const scene = await troubleScene(t);
  const uid = scene.user('alice')._id;
  const reconnect = async (...faults) => {
    for (const fault of faults) scene.fault(fault);
    const ended = scene.session('alice');
    const { accepted } = scene.double;
    ended.drop();
    scene.say('meanwhile');
    await scene.backAgain('alice', ended);
    await scene.hasAll('alice');
    return scene.double.accepted - accepted;
  };
  assert.equal(await reconnect({ on: 'out', match: { msg: 'ready' }, do: 'delay', ms: 400 }), 1);
  for (const [error, n] of [['not-allowed', 2], [404, 2], ['500', 2]]) {
    // In the order in which they are asked for: notices, rooms, subscriptions.
    assert.equal(await reconnect({ on: 'in', match: { msg: 'sub', user: 'alice' }, skip: 1, do: 'error', error, reason: 'no' }), n, `rooms-changed ${error}`);
    assert.equal(await reconnect({ on: 'in', match: { msg: 'sub', user: 'alice' }, skip: 2, do: 'error', error, reason: 'no' }), n, `subscriptions-changed ${error}`);
  }
  assert.equal(await reconnect({ on: 'in', match: { msg: 'sub', user: 'alice' }, do: 'error', error: 'not-allowed' }), 1, 'message');
  assert.ok(!scene.session('alice').describe().subs.some((s) => s.event === `${uid}/message`));
});

test('a subscription that Rocket.Chat ends later: the session starts again', async (t) => {
  const scene = await troubleScene(t);
  for (const error of [undefined, { isClientSafe: true, error: 'not-allowed', message: '[not-allowed]', errorType: 'Meteor.Error' }]) {
    const ended = scene.session('alice');
    const sub = ended.describe().subs.find((s) => s.event.endsWith('/rooms-changed'));
    ended.dropSub(sub.id);
    ended.send({ msg: 'nosub', id: sub.id, ...(error && { error }) });
    scene.say('unheard on the old one');
    await scene.backAgain('alice', ended);
    await scene.hasAll('alice');
  }
  assert.deepEqual(scene.tabs.alice.of('bridgeStatus').filter((s) => s.state === 'backoff').map((s) => s.code), ['subscription-ended', 'not-allowed']);
});

test('error codes as numbers and as strings mean the same', async (t) => {
  const scene = await troubleScene(t);
  let logins = 1;
  for (const [error, fresh] of [[403, true], ['403', true], [500, false], ['500', false], ['internal', false]]) {
    const ended = scene.session('alice');
    scene.fault({ on: 'login', match: { user: 'alice', type: 'resume' }, do: 'error', error, reason: 'as it pleases' });
    ended.drop();
    scene.say(`resume answered ${typeof error} ${error}`);
    await scene.backAgain('alice', ended);
    await scene.hasAll('alice');
    logins += fresh;
    assert.equal(scene.attempts('alice', 'password').length, logins, `${error}`);
  }
  assert.equal(await scene.metric('pushbridge_resumes_total', 'result="refused"'), 2);
  assert.equal(await scene.metric('pushbridge_resumes_total', 'result="failed"'), 3);
});
