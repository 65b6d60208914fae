import assert from 'node:assert/strict';
import test from 'node:test';
import { Probe, password, sleep, startDouble } from '../../lib/ddp_probe.mjs';

test('connect: version must be offered and be the best one', async (t) => {
  const { double } = await startDouble(t);
  const good = [
    { version: '1', support: ['1'] },
    { version: '1', support: ['1', 'pre2', 'pre1'] },
    { version: 'pre2', support: ['pre2', '1'] },
  ];
  for (const offer of good) {
    const probe = await Probe.open(double.webSocketUrl);
    probe.send({ msg: 'connect', ...offer });
    assert.equal((await probe.next({ msg: 'connected' })).session.length, 17);
  }
  const bad = [{}, { version: '1' }, { version: '1', support: ['2'] }, { version: '2', support: ['2'] }, { version: 'pre2', support: ['1', 'pre2'] }, { version: 1, support: [1] }];
  for (const offer of bad) {
    const probe = await Probe.open(double.webSocketUrl);
    probe.send({ msg: 'connect', ...offer });
    assert.equal((await probe.next({ msg: 'failed' })).version, '1', JSON.stringify(offer));
    assert.equal((await probe.closed).code, 1000);
  }
});

test('bad frames are answered and the connection stays', async (t) => {
  const { double } = await startDouble(t);
  const probe = await Probe.open(double.webSocketUrl);
  const cases = [
    ['{', 'Bad request'],
    ['[]', 'Bad request'],
    ['{"x":1}', 'Bad request'],
    ['{"msg":"method","method":"m","id":"1","params":[]}', 'Must connect first'],
    ['{"msg":"ping"}', 'Must connect first'],
  ];
  for (const [text, reason] of cases) {
    const from = probe.frames.length;
    probe.send(text);
    await probe.next({ msg: 'error', reason }, { from });
  }
  probe.send({ msg: 'connect', version: '1', support: ['1'] });
  await probe.next({ msg: 'connected' });
  const after = [
    [{ msg: 'connect', version: '1', support: ['1'] }, 'Already connected'],
    [{ msg: 'unheard-of' }, 'Bad request'],
    [{ msg: 'method', method: 'm', id: 7 }, 'Malformed method invocation'],
    [{ msg: 'sub', id: '1', name: 'n', params: {} }, 'Malformed subscription'],
  ];
  for (const [message, reason] of after) {
    const from = probe.frames.length;
    probe.send(message);
    assert.deepEqual((await probe.next({ msg: 'error', reason }, { from })).offendingMessage, message);
  }
  assert.equal(probe.ws.readyState, 1);
});

test('heartbeat: ping after an idle interval, close after another; any frame is a sign of life', async (t) => {
  const { double } = await startDouble(t, { timeFactor: 0.01 }); // 150 ms
  const mute = await Probe.connect(double);
  const lively = await Probe.connect(double);
  const chatter = setInterval(() => lively.send({ msg: 'pong' }), 40);
  t.after(() => clearInterval(chatter));
  await mute.next({ msg: 'ping' });
  assert.equal((await mute.closed).code, 1000);
  assert.equal(lively.frames.some((f) => f.msg === 'ping'), false);
  assert.equal(lively.ws.readyState, 1);
});

test('a pong echoes the id and does not wait for methods', async (t) => {
  const { double } = await startDouble(t);
  const probe = await Probe.connect(double, password('alice', 'pw-a'));
  double.faults.add({ on: 'in', match: { method: 'rooms/get' }, do: 'delay', ms: 150 });
  const slow = probe.call('rooms/get');
  const behind = probe.call('subscriptions/get');
  probe.send({ msg: 'ping', id: 'p1' });
  const pong = await probe.next({ msg: 'pong', id: 'p1' });
  assert.ok(pong.at < (await slow).at);
  assert.ok((await slow).at < (await behind).at, 'one at a time, in order');
});

test('result and updated come in the configured order', async (t) => {
  for (const [resultOrder, first] of [['updated-first', 'updated'], ['result-first', 'result']]) {
    const { double } = await startDouble(t, { resultOrder });
    const probe = await Probe.connect(double);
    await probe.call('no-such-method');
    await probe.settle();
    assert.deepEqual(probe.frames.filter((f) => f.msg === 'updated' || f.msg === 'result').map((f) => f.msg)[0], first);
    assert.equal((await probe.next({ msg: 'result' })).error.error, 404);
  }
});

test('login: every variant and refusal', async (t) => {
  const { double, store, alice } = await startDouble(t, { rateLimits: false });
  const probe = await Probe.connect(double);
  const digest = (await import('../codec.mjs')).sha256Hex('pw-a');
  const { token } = store.addToken(alice);
  const personal = store.addToken(alice, { personal: true }).token;
  const good = [
    [password('alice', 'pw-a'), 'password'],
    [password('ALICE', 'pw-a'), 'password'],
    [{ user: { email: 'alice@example.org' }, password: { digest, algorithm: 'sha-256' } }, 'password'],
    [{ user: { id: alice._id }, password: { digest, algorithm: 'sha-256' } }, 'password'],
    [{ resume: token }, 'resume'],
    [{ resume: personal }, 'resume'],
  ];
  for (const [params, type] of good) {
    const { result } = await probe.call('login', params);
    assert.equal(result.id, alice._id);
    assert.equal(result.type, type);
    assert.equal(result.tokenExpires === undefined, params.resume === personal);
    if (params.resume) assert.equal(result.token, params.resume);
  }
  store.createUser({ username: 'dora', password: 'x', active: false });
  store.createUser({ username: 'tina', password: 'x', totp: true });
  const bad = [
    [password('alice', 'wrong'), 403],
    [password('nobody', 'x'), 403],
    [{ resume: 'gone' }, 403],
    [{ ldap: true }, 400],
    [{ user: { username: 'alice', email: 'b' }, password: 'x' }, 400],
    [password('dora', 'x'), 'error-user-is-not-activated'],
    [password('tina', 'x'), 'totp-required'],
    [{ totp: { login: password('tina', 'x'), code: '000000' } }, 'totp-invalid'],
  ];
  for (const [params, code] of bad) assert.equal((await probe.call('login', params)).error.error, code, JSON.stringify(params));
  assert.equal((await probe.call('login', { totp: { login: password('tina', 'x'), code: '123456' } })).error, undefined);
});

test('the users document comes before or after the login result, by option', async (t) => {
  for (const [version, sign] of [[6, -1], [7, 1]]) {
    const { double, alice } = await startDouble(t, { version });
    const probe = await Probe.connect(double);
    const result = await probe.call('login', password('alice', 'pw-a'));
    const added = await probe.next({ msg: 'added', collection: 'users', id: alice._id, fields: { username: 'alice' } });
    assert.equal(Math.sign(added.at - result.at), sign);
  }
});

test('logging in as another user runs the subscriptions again', async (t) => {
  const { double, alice, general } = await startDouble(t);
  const probe = await Probe.connect(double, password('alice', 'pw-a'));
  await probe.sub('own', 'stream-notify-user', `${alice._id}/rooms-changed`, false);
  await probe.sub('room', 'stream-room-messages', general._id, false);
  const from = probe.frames.length;
  await probe.call('login', password('bob', 'pw-b'));
  assert.equal((await probe.next({ msg: 'nosub', id: 'own' }, { from })).error.error, 'not-allowed');
  await probe.next({ msg: 'ready', subs: ['room'] }, { from });
});

test('logout leaves the connection open as nobody; others on the token are closed with 1000', async (t) => {
  const { double, alice } = await startDouble(t);
  const one = await Probe.connect(double, password('alice', 'pw-a'));
  const two = await Probe.connect(double, { resume: one.login.token });
  await one.sub('own', 'stream-notify-user', `${alice._id}/message`, false);
  await one.call('logout');
  assert.equal((await one.next({ msg: 'nosub', id: 'own' })).error.error, 'not-allowed');
  assert.deepEqual(await two.closed, { code: 1000, reason: 'Normal closure' });
  assert.equal(one.ws.readyState, 1);
  assert.equal((await one.call('login', { resume: one.login.token })).error.error, 403);
});

test('fifty tokens a user: the next login ends the oldest and what runs on it', async (t) => {
  const { double, store, alice } = await startDouble(t);
  const oldest = await Probe.connect(double, password('alice', 'pw-a'));
  for (let i = 0; i < 49; i++) store.addToken(alice);
  assert.equal(oldest.ws.readyState, 1);
  store.addToken(alice);
  assert.equal((await oldest.closed).code, 1000);
  assert.equal(alice.tokens.length, 50);
});

test('default limits: ten of a method in ten seconds, forty stream subscriptions in forty', async (t) => {
  const { double, store, alice } = await startDouble(t);
  const probe = await Probe.connect(double, password('alice', 'pw-a'));
  for (let i = 0; i < 10; i++) assert.equal((await probe.call('rooms/get')).error, undefined);
  const refused = await probe.call('rooms/get');
  assert.equal(refused.error.error, 'too-many-requests');
  assert.ok(refused.error.details.timeToReset > 0 && refused.error.details.timeToReset <= 10_000);
  for (let i = 0; i < 40; i++) {
    const room = store.createRoom({ name: `r${i}`, owner: alice });
    assert.equal((await probe.sub(`s${i}`, 'stream-room-messages', room._id, false)).msg, 'ready');
  }
  assert.equal((await probe.sub('one-more', 'stream-room-messages', 'x', false)).error.error, 'too-many-requests');
  assert.equal(probe.ws.readyState, 1);
});

test('login: five in ten seconds a connection; the window ends', async (t) => {
  const { double } = await startDouble(t, { timeFactor: 0.05 });
  const probe = await Probe.connect(double);
  for (let i = 0; i < 5; i++) assert.equal((await probe.call('login', { resume: 'x' })).error.error, 403);
  const { error } = await probe.call('login', password('alice', 'pw-a'));
  assert.equal(error.error, 'too-many-requests');
  await sleep(error.details.timeToReset + 20);
  assert.equal((await probe.call('login', password('alice', 'pw-a'))).error, undefined);
});

test('subscribing: live id again is ignored, unsub always answers, unknown names are 404', async (t) => {
  const { double, alice, general } = await startDouble(t);
  const probe = await Probe.connect(double, password('alice', 'pw-a'));
  await probe.sub('s', 'stream-room-messages', general._id, { useCollection: true });
  await probe.next({ msg: 'added', collection: 'stream-room-messages', id: 'id', fields: { eventName: general._id } });
  const from = probe.frames.length;
  probe.send({ msg: 'sub', id: 's', name: 'stream-room-messages', params: [general._id, false] });
  await probe.settle();
  assert.equal(probe.frames.slice(from).some((f) => f.msg === 'ready'), false);
  double.store.post({ rid: general._id, user: alice, msg: 'once' });
  await probe.event(general._id);
  await probe.settle();
  assert.equal(probe.events(general._id).length, 1);
  assert.equal((await probe.sub('u', 'no-such-publication')).error.error, 404);
  assert.equal((await probe.sub('e', 'stream-notify-all', '')).error.error, 'invalid-event-name');
  for (const id of ['s', 'never-seen']) {
    probe.send({ msg: 'unsub', id });
    await probe.next({ msg: 'nosub', id }, { from });
  }
});
