import assert from 'node:assert/strict';
import test from 'node:test';
import { Probe, password, sleep, startDouble } from '../../lib/ddp_probe.mjs';

const streamer = (version, more) => ({ flavour: 'streamer', version, ...more });

test('the first frame must be connect: 1002', async (t) => {
  const { double } = await startDouble(t, streamer(7));
  for (const first of [{ msg: 'ping' }, { msg: 'pong' }, { msg: 'method', id: '1', method: 'x' }]) {
    const probe = await Probe.open(double.webSocketUrl);
    probe.send(first);
    assert.deepEqual(await probe.closed, { code: 1002, reason: 'CLOSE_PROTOCOL_ERROR' });
  }
});

test('no version negotiation; a uuid for a session; a server_id frame comes first', async (t) => {
  for (const [version, first] of [[7, { server_id: '0' }], [8, { msg: 'server_id', server_id: '0' }]]) {
    const { double } = await startDouble(t, streamer(version));
    const probe = await Probe.open(double.webSocketUrl);
    await sleep(50);
    await probe.next({ msg: 'ping' }); // its idle timer starts at 30 ms
    probe.send({ msg: 'connect', version: '9', support: [] });
    assert.match((await probe.next({ msg: 'connected' })).session, /^[0-9a-f]{8}-[0-9a-f]{4}-1/);
    const { at, ...rest } = probe.frames[0];
    assert.deepEqual(rest, first);
    probe.send({ msg: 'connect', version: '1', support: ['1'] }); // again: ignored
    await probe.settle();
  }
});

test('unreadable frames close with 1007, missing ids with 1002, unknown ones are ignored', async (t) => {
  const { double } = await startDouble(t, streamer(7));
  for (const [frame, code] of [['{', 1007], [Buffer.from([1, 2]), 1007], ['{"msg":"method","method":"x"}', 1002], ['{"msg":"sub","id":"1"}', 1002]]) {
    const probe = await Probe.connect(double);
    probe.ws.send(frame);
    assert.equal((await probe.closed).code, code, String(frame));
  }
  const probe = await Probe.connect(double);
  probe.send({ msg: 'unheard-of' });
  await probe.settle();
});

test('idle: ping, then 4000', async (t) => {
  const { double } = await startDouble(t, streamer(7, { timeFactor: 0.005 }));
  const probe = await Probe.connect(double);
  await probe.next({ msg: 'ping' });
  assert.deepEqual(await probe.closed, { code: 4000, reason: 'TIMEOUT' });
});

test('result comes before updated, and a falsy result is left out', async (t) => {
  const { double, store, bob } = await startDouble(t, streamer(7));
  const room = store.createRoom({ name: 'r2', owner: bob });
  const probe = await Probe.connect(double, password('alice', 'pw-a'));
  const result = await probe.call('joinRoom', room._id);
  assert.equal(result.result, true);
  assert.ok((await probe.next({ msg: 'updated', methods: [result.id] })).at > result.at);
});

test('8.x: only resume, users document after the result, catch-up methods are gone, no limits', async (t) => {
  const { double, store, alice } = await startDouble(t, streamer(8));
  const probe = await Probe.connect(double);
  assert.equal((await probe.call('login', password('alice', 'pw-a'))).error.error, 400);
  const result = await probe.call('login', { resume: store.addToken(alice).token });
  assert.equal(result.result.type, 'resume');
  assert.ok((await probe.next({ msg: 'added', collection: 'users' })).at > result.at);
  for (let i = 0; i < 15; i++) assert.equal((await probe.call('subscriptions/get')).error.error, 404);
});

test('a subscription id twice gives every event twice; an unknown unsub is not answered', async (t) => {
  const { double, alice, general } = await startDouble(t, streamer(7));
  const probe = await Probe.connect(double, password('alice', 'pw-a'));
  await probe.sub('s', 'stream-room-messages', general._id, false);
  await probe.sub('s', 'stream-room-messages', general._id, false);
  double.store.post({ rid: general._id, user: alice, msg: 'x' });
  await probe.settle();
  assert.equal(probe.events(general._id).length, 2);
  probe.send({ msg: 'unsub', id: 'never-seen' });
  await probe.settle();
  assert.equal(probe.frames.some((f) => f.msg === 'nosub'), false);
});

test('a revoked token: 8.x says force_logout and closes, 7.x does nothing', async (t) => {
  for (const version of [7, 8]) {
    const { double, store, alice } = await startDouble(t, streamer(version));
    const probe = await Probe.connect(double, { resume: store.addToken(alice).token });
    await probe.sub('f', 'stream-notify-user', `${alice._id}/force_logout`, false);
    store.removeAllTokens(alice);
    if (version === 7) {
      await probe.settle();
      assert.equal(probe.events(`${alice._id}/force_logout`).length, 0);
    } else {
      await probe.event(`${alice._id}/force_logout`);
      assert.equal((await probe.closed).code, 1000);
    }
  }
});

test('logout: answered, then 1002', async (t) => {
  const { double } = await startDouble(t, streamer(7));
  const probe = await Probe.connect(double, password('alice', 'pw-a'));
  await probe.call('logout');
  assert.equal((await probe.closed).code, 1002);
});

test('any path but exactly /websocket is taken for SockJS', async (t) => {
  const { double } = await startDouble(t, streamer(7));
  for (const path of ['/websocket?x=1', '/websocket/', '/sockjs/1/a/websocket']) {
    const probe = await Probe.open(double.url.replace('http', 'ws') + path);
    assert.equal((await probe.next({ unparsed: 'o' })).at, 0);
    probe.send([JSON.stringify({ msg: 'connect', version: '1', support: ['1'] })]);
    await sleep(20);
    assert.match(JSON.stringify(probe.frames), /connected/);
  }
});
