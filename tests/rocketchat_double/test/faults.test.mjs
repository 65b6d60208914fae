import assert from 'node:assert/strict';
import net from 'node:net';
import test from 'node:test';
import { Faults } from '../faults.mjs';
import { makeCertificates } from '../../lib/certificates.mjs';
import { Probe, password, sleep, startDouble } from '../../lib/ddp_probe.mjs';

async function control(double, op, body) {
  const res = await fetch(`${double.url}/__double/${op}`, { method: 'POST', body: JSON.stringify(body) });
  assert.equal(res.status, 200, await res.clone().text());
  return res.json();
}

async function withEvents(t, options) {
  const all = await startDouble(t, options);
  const probe = await Probe.connect(all.double, password('alice', 'pw-a'));
  const event = `${all.alice._id}/rooms-changed`;
  await probe.sub('s', 'stream-notify-user', event, false);
  await sleep(20);
  const post = (msg) => all.store.post({ rid: all.general._id, user: all.bob, msg });
  const seen = () => probe.events(event).map(([, room]) => room.lastMessage.msg);
  return { ...all, probe, event, post, seen, fault: (rule) => control(all.double, 'fault', rule) };
}

test('rules: hook and action are checked; match, skip and times are kept', () => {
  const faults = new Faults();
  for (const bad of [{ on: 'x', do: 'drop' }, { on: 'in', do: 'swap' }, { preset: 'x' }, {}]) assert.throws(() => faults.add(bad), TypeError);
  faults.add({ on: 'out', match: { event: '/rooms/' }, skip: 1, times: 2, do: 'ignore' });
  const fired = ['a/rooms-changed', 'a/message', 'b/rooms-changed', 'c/rooms-changed', 'd/rooms-changed'].map((event) => Boolean(faults.take('out', { event })));
  assert.deepEqual(fired, [false, false, true, true, false]);
  assert.equal(faults.watches('out'), false);
});

test('swap, duplicate, ignore and delay of events', async (t) => {
  const { probe, post, seen, fault } = await withEvents(t);
  await fault({ preset: 'swap-events' });
  post('1'), post('2');
  await fault({ on: 'out', match: { msg: 'changed' }, do: 'duplicate' });
  post('3');
  await fault({ on: 'out', match: { msg: 'changed' }, do: 'ignore' });
  post('4');
  await fault({ on: 'out', match: { msg: 'changed' }, do: 'delay', ms: 30 });
  post('5'), post('6');
  await sleep(60);
  await probe.settle();
  assert.deepEqual(seen(), ['2', '1', '3', '3', '6', '5']);
});

test('coalesced lastMessage: two events, both with the second message', async (t) => {
  const { probe, post, seen, fault } = await withEvents(t);
  await fault({ preset: 'coalesce-rooms' });
  post('1'), post('2');
  await probe.settle();
  assert.deepEqual(seen(), ['2', '2']);
});

test('after N frames the connection breaks: drop, reset, close', async (t) => {
  for (const [rule, code] of [[{ do: 'drop' }, 1006], [{ do: 'reset' }, 1006], [{ do: 'close', code: 1013, reason: 'SLOW' }, 1013]]) {
    const { probe, post, seen, fault } = await withEvents(t);
    await fault({ on: 'out', match: { msg: 'changed' }, skip: 2, ...rule });
    for (const msg of ['1', '2', '3', '4']) post(msg);
    assert.equal((await probe.closed).code, code);
    assert.ok(rule.do === 'reset' || seen().length === 3);
  }
});

test('half-open: silent for ever, the socket stays', async (t) => {
  const { double, probe, post, seen } = await withEvents(t, { timeFactor: 0.01 });
  assert.equal((await control(double, 'half-open', { user: 'alice' })).sessions, 1);
  post('1');
  probe.send({ msg: 'ping' });
  await sleep(600); // a live one would have been pinged and closed
  assert.deepEqual(seen(), []);
  assert.equal(probe.ws.readyState, 1);
});

test('delayed ready, refused method, ignored sub', async (t) => {
  const { double, general } = await startDouble(t);
  const probe = await Probe.connect(double, password('alice', 'pw-a'));
  double.faults.add({ on: 'out', match: { msg: 'ready' }, do: 'delay', ms: 60 });
  const start = Date.now();
  await probe.sub('a', 'stream-room-messages', general._id, false);
  assert.ok(Date.now() - start >= 55);
  double.faults.add({ on: 'in', match: { method: 'rooms/get' }, do: 'error', error: 500, reason: 'Internal server error' });
  assert.equal((await probe.call('rooms/get')).error.error, 500);
  double.faults.add({ on: 'in', match: { msg: 'sub' }, do: 'error', error: 'too-many-requests', details: { timeToReset: 7 } });
  assert.equal((await probe.sub('b', 'stream-room-messages', general._id, false)).error.details.timeToReset, 7);
  double.faults.add({ on: 'in', match: { msg: 'sub' }, do: 'ignore' });
  probe.send({ msg: 'sub', id: 'c', name: 'stream-room-messages', params: [general._id, false] });
  await probe.settle();
  assert.equal(probe.frames.some((f) => f.msg === 'ready' && f.subs.includes('c')), false);
});

test('login faults hit REST and DDP alike, by user', async (t) => {
  const { double } = await startDouble(t);
  double.faults.add({ preset: 'totp-required', match: { user: 'alice' }, times: 2 });
  const rest = (user, pw) => fetch(`${double.url}/api/v1/login`, { method: 'POST', body: JSON.stringify({ user, password: pw }) });
  assert.equal((await (await rest('alice', 'pw-a')).json()).error, 'totp-required');
  assert.equal((await rest('bob', 'pw-b')).status, 200);
  const probe = await Probe.connect(double);
  assert.equal((await probe.call('login', password('alice', 'pw-a'))).error.error, 'totp-required');
  assert.equal((await probe.call('login', password('alice', 'pw-a'))).error, undefined);
  assert.deepEqual(double.accounts.attempts.map((a) => [a.via, a.user, a.ok]), [['rest', 'alice', false], ['rest', 'bob', true], ['ddp', 'alice', false], ['ddp', 'alice', true]]);
});

test('REST faults: HTML, stall, truncation, reset, drip', async (t) => {
  const { double } = await startDouble(t);
  const get = (options) => fetch(`${double.url}/api/info`, options);
  double.faults.add({ preset: 'html-502' });
  const html = await get();
  assert.deepEqual([html.status, html.headers.get('content-type')], [502, 'text/html']);
  double.faults.add({ preset: 'rest-stalled' });
  await assert.rejects(get({ signal: AbortSignal.timeout(100) }));
  double.faults.add({ on: 'rest', do: 'truncate' });
  await assert.rejects(async () => (await get()).text());
  double.faults.add({ on: 'rest', do: 'reset' });
  await assert.rejects(get());
  double.faults.add({ on: 'rest', do: 'drip', size: 5, ms: 5 });
  assert.equal((await (await get()).json()).version, '7.10');
});

test('the handshake: refused, stalled, reset', async (t) => {
  const { double } = await startDouble(t);
  double.faults.add({ preset: 'ddp-refused-html' });
  await assert.rejects(Probe.open(double.webSocketUrl), /502/);
  double.faults.add({ on: 'accept', do: 'reset' });
  await assert.rejects(Probe.open(double.webSocketUrl));
  double.faults.add({ preset: 'ddp-stalled' });
  await assert.rejects(Probe.open(double.webSocketUrl, { handshakeTimeout: 100 }), /timed out/);
});

test('permessage-deflate is taken up by the monolith, not by the streamer, and by neither for a client without it', async (t) => {
  for (const [flavour, taken] of [['monolith', 'permessage-deflate'], ['streamer', '']]) {
    const { double } = await startDouble(t, { flavour });
    assert.equal((await Probe.open(double.webSocketUrl)).ws.extensions, taken);
    assert.equal((await Probe.open(double.webSocketUrl, { perMessageDeflate: false })).ws.extensions, '');
  }
});

test('raw frames: fragments, 5 MiB, invalid UTF-8 and JSON, binary, ping floods', async (t) => {
  const { double, probe, post, seen, fault } = await withEvents(t);
  await fault({ on: 'out', match: { msg: 'changed' }, do: 'fragment', size: 7 });
  post('in pieces');
  await probe.settle();
  assert.deepEqual(seen(), ['in pieces']);
  await control(double, 'send-big', { user: 'alice', bytes: 5 * 1024 * 1024 });
  assert.equal((await probe.next({ msg: 'unheard-of' })).pad.length, 5 * 1024 * 1024);
  await control(double, 'send-raw', { user: 'alice', text: '{"msg":' });
  await probe.next({ unparsed: '{"msg":' });
  let pings = 0;
  probe.ws.on('ping', () => pings++);
  await control(double, 'pings', { user: 'alice', count: 50 });
  await control(double, 'pings', { user: 'alice', count: 50, control: true });
  await probe.next({ msg: 'ping', id: '49' });
  await sleep(20);
  assert.equal(pings, 50);
  await control(double, 'send-raw', { user: 'alice', base64: Buffer.from([0xff, 0xfe]).toString('base64') });
  assert.equal((await probe.closed).code, 1006); // the client refuses it
});

test('what comes before a frame, and an event with other arguments, by preset', async (t) => {
  const { probe, post, seen, event, fault } = await withEvents(t);
  const frames = () => probe.frames.filter((f) => f.at >= from);
  let from = 0;
  const shapes = {
    'invalid-json': (f) => f.unparsed?.startsWith('{"msg":"changed"'),
    'unknown-msg': (f) => f.msg === 'unheard-of',
    'no-msg': (f) => f.server_id === '0',
    'big-frame': (f) => f.pad?.length === 5 * 1024 * 1024,
    'ping-flood': (f) => f.msg === 'ping' && f.id === '999',
  };
  for (const [preset, fits] of Object.entries(shapes)) {
    from = probe.frames.length;
    await fault({ preset });
    post(preset);
    await probe.settle();
    const [odd, real] = [frames().findIndex(fits), frames().findIndex((f) => f.msg === 'changed')];
    assert.ok(odd >= 0 && odd < real, preset);
    assert.equal(seen().at(-1), preset);
  }
  for (const [preset, args] of [['no-args', undefined], ['empty-args', []]]) {
    from = probe.frames.length;
    await fault({ preset });
    post(preset);
    await probe.settle();
    assert.deepEqual(frames().find((f) => f.msg === 'changed').fields, { eventName: event, ...(args && { args }) });
  }
  await fault({ preset: 'invalid-utf8' });
  post('x');
  assert.equal((await probe.closed).code, 1006); // the client refuses it
});

test('a method answered otherwise, refused as too many, told by 429', async (t) => {
  const { double, general } = await startDouble(t);
  const probe = await Probe.connect(double, password('alice', 'pw-a'));
  double.faults.add({ on: 'in', match: { method: 'rooms/get' }, do: 'answer', result: 'not a list' });
  assert.equal((await probe.call('rooms/get')).result, 'not a list');
  double.faults.add({ preset: 'too-many-calls' });
  assert.equal((await probe.call('rooms/get')).error.details.timeToReset, 200);
  double.faults.add({ preset: 'too-many-subs' });
  assert.equal((await probe.sub('s', 'stream-room-messages', general._id, false)).error.error, 'too-many-requests');
  double.faults.add({ preset: 'rest-429' });
  assert.equal((await fetch(`${double.url}/api/info`)).status, 429);
});

test('restart: every socket ends with 1006, tokens live on; downMs refuses meanwhile', async (t) => {
  const { double } = await startDouble(t);
  const probe = await Probe.connect(double, password('alice', 'pw-a'));
  await control(double, 'restart', { downMs: 150 });
  assert.equal((await probe.closed).code, 1006);
  await assert.rejects(Probe.open(double.webSocketUrl), /ECONNREFUSED/);
  await sleep(250);
  const again = await Probe.connect(double, { resume: probe.login.token });
  assert.equal(again.login.type, 'resume');
});

test('the control interface: scripts, views, refusals', async (t) => {
  const { double } = await startDouble(t);
  await double.control.run([
    { op: 'create-user', username: 'carol', password: 'c' },
    { op: 'create-room', name: 'news', owner: 'carol', members: ['alice'] },
    { op: 'post', room: 'news', user: 'carol', msg: 'x', times: 3 },
  ]);
  const probe = await Probe.connect(double, password('carol', 'c'));
  const state = await (await fetch(`${double.url}/__double/state`)).json();
  assert.deepEqual(state.rooms.map((r) => [r.name, r.msgs]), [['general', 0], ['news', 3]]);
  const carol = state.users.find((u) => u.username === 'carol');
  assert.deepEqual([carol.tokens, carol.sessions, state.sessions[0].user], [1, 1, 'carol']);
  const bad = await fetch(`${double.url}/__double/post`, { method: 'POST', body: '{"room":"nowhere"}' });
  assert.deepEqual([bad.status, await bad.json()], [400, { error: 'no room nowhere [error-invalid-room]' }]);
  assert.equal((await fetch(`${double.url}/__double/no-such`, { method: 'POST' })).status, 404);
  await control(double, 'revoke-tokens', { user: 'carol' });
  assert.equal((await probe.closed).code, 1000);
});

test('TLS: https and wss on the same port, with the certificate given', async (t) => {
  const { ca, key, cert } = makeCertificates(t);
  const { double } = await startDouble(t, { tls: { key, cert } });
  assert.match(double.url, /^https:/);
  const probe = await Probe.connect(double, password('alice', 'pw-a'), { ca });
  assert.equal(probe.login.type, 'password');
  await assert.rejects(Probe.open(double.webSocketUrl), /certificate/);
});

test('a client that resets mid-request does no harm', async (t) => {
  const { double } = await startDouble(t);
  for (let i = 0; i < 20; i++) {
    const socket = net.connect(double.port, '127.0.0.1');
    socket.on('error', () => {});
    await new Promise((resolve) => socket.once('connect', resolve));
    socket.write('POST /api/v1/login HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"us');
    await sleep(1);
    socket.resetAndDestroy();
  }
  assert.equal((await fetch(`${double.url}/health`)).status, 200);
});
