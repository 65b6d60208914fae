// The JSON hub protocol at the real bridge: vectors/hub.json, then time-outs and limits.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { sleep, startBridge, tokenFor } from '../lib/harness.mjs';
import { RS, encodeFrame, listen, openHub } from '../lib/raw_connection.mjs';

const vectors = JSON.parse(readFileSync(new URL('vectors/hub.json', import.meta.url)));
const ERROR_CLOSE = { type: 7, error: 'Connection closed with an error.', allowReconnect: true };
const LIMIT = 32768;

let bridge;
const cleanups = [];
before(async () => {
  bridge = await startBridge({ after: (fn) => cleanups.push(fn) }, null, {
    'PushBridge:Hub:KeepAliveSeconds': 0.5,
    'PushBridge:Hub:CloseWaitSeconds': 0.5,
    'PushBridge:Hub:HandshakeTimeoutSeconds': 0.5,
    'PushBridge:Hub:ClientTimeoutSeconds': 0.6,
  });
});
after(async () => {
  for (const fn of cleanups) await fn();
});

const text = (payload) => encodeFrame({ payload });
const invocation = (id, pad = 0) => {
  const record = `{"type":1,"invocationId":"${id}","target":"Register","arguments":[]`;
  return `${record}${' '.repeat(Math.max(0, pad - record.length - 2))}}${RS}`;
};
const completion = (id) => ({ type: 3, invocationId: id, result: null });

function check(want, got) {
  if (want.errorBegins === undefined) return assert.deepEqual(got, want);
  const { errorBegins, ...rest } = want;
  const { error, ...others } = got;
  assert.ok(error?.startsWith(errorBegins), error);
  return assert.deepEqual(others, rest);
}

async function run({ send, expect }, handshake) {
  for (const size of [Infinity, 1]) {
    const raw = await openHub(bridge.port, tokenFor('alice'), { handshake });
    const bytes = Buffer.concat([send].flat().map((part) => text(part.replaceAll('~', RS))));
    const writing = raw.writeSplit(bytes, Math.min(size, bytes.length));
    const records = expect.slice(0, -1);
    const events = await listen(raw, (seen) => seen.length >= records.length);
    await writing;
    for (const [i, want] of records.entries()) check(want, events[i]);
    if (expect.at(-1) === 'close') {
      const [end] = await listen(raw, (seen) => seen.length > 0);
      assert.deepEqual(end, { close: 1000, reason: '' });
      raw.write(encodeFrame({ op: 'close', payload: Buffer.from([3, 232]) }));
      await raw.closed();
    } else {
      raw.write(text(invocation('alive')));
      assert.deepEqual(await listen(raw, (seen) => seen.length > 0), [completion('alive')]);
    }
    raw.destroy();
  }
}

for (const vector of vectors.handshake) test(`handshake: ${vector.name} [${vector.spec}]`, () => run(vector, false));
for (const vector of vectors.messages) test(`message: ${vector.name} [${vector.spec}]`, () => run(vector, true));

test('no handshake in time', async () => {
  for (const part of ['', '{"protocol":"js']) {
    const raw = await openHub(bridge.port, tokenFor('alice'), { handshake: false });
    if (part) raw.write(text(part));
    const events = await listen(raw, (seen) => seen.some((e) => e.close !== undefined));
    assert.deepEqual(events, [{ error: 'Handshake was canceled.' }, { close: 1000, reason: '' }]);
  }
});

test('a handshake without an end', async () => {
  const raw = await openHub(bridge.port, tokenFor('alice'), { handshake: false });
  raw.write(text(`{"protocol":"${'x'.repeat(LIMIT + 10)}`));
  const events = await listen(raw, (seen) => seen.some((e) => e.close !== undefined));
  assert.equal(events[0].error, 'Handshake was canceled.');
});

test('the largest message is read, one byte more ends the connection', async () => {
  const raw = await openHub(bridge.port, tokenFor('alice'));
  raw.write(text(invocation('big', LIMIT)));
  assert.deepEqual(await listen(raw, (seen) => seen.length > 0), [completion('big')]);
  raw.write(text(invocation('bigger', LIMIT + 1)));
  const events = await listen(raw, (seen) => seen.some((e) => e.close !== undefined));
  assert.deepEqual(events[0], ERROR_CLOSE);
});

test('the limit is for a message, not for a frame', async () => {
  const raw = await openHub(bridge.port, tokenFor('alice'));
  const ids = Array.from({ length: 60 }, (_, i) => String(i));
  raw.write(text(ids.map((id) => invocation(id, 20_000)).join('')));
  assert.deepEqual(await listen(raw, (seen) => seen.length >= ids.length), ids.map(completion));
});

test('silence ends a client that has pinged, and only such a one', async () => {
  const quiet = await openHub(bridge.port, tokenFor('alice'));
  const pinged = await openHub(bridge.port, tokenFor('alice'));
  pinged.write(text(`{"type":6}${RS}`));
  const events = await listen(pinged, (seen) => seen.some((e) => e.close !== undefined));
  assert.deepEqual(events, [ERROR_CLOSE, { close: 1000, reason: '' }]);
  await sleep(800);
  quiet.write(text(invocation('still')));
  assert.deepEqual(await listen(quiet, (seen) => seen.length > 0), [completion('still')]);
});

test('the server pings', async (t) => {
  const own = await startBridge(t, null, { 'PushBridge:Hub:KeepAliveSeconds': 0.2 });
  const raw = await openHub(own.port, tokenFor('alice'));
  for (let i = 0; i < 3; i++) {
    const frame = await raw.frame(2000);
    // Without Rocket.Chat the tab may hear a bridgeStatus besides.
    assert.match(frame.payload.toString(), /"type":(6|1)/);
  }
  raw.destroy();
});

test('deep and wide JSON is refused or skipped, never fatal', async () => {
  for (const argument of [`${'['.repeat(5000)}${']'.repeat(5000)}`, `{"a":${'{"a":'.repeat(2000)}1${'}'.repeat(2000)}}`, `"${'\\u0000'.repeat(4000)}"`]) {
    const raw = await openHub(bridge.port, tokenFor('alice'));
    raw.write(text(`{"type":1,"invocationId":"d","target":"NoSuch","arguments":[${argument}]}${RS}`));
    const [first] = await listen(raw, (seen) => seen.length > 0);
    assert.ok(first.type === 7 || first.type === 3, JSON.stringify(first));
    raw.destroy();
  }
  assert.equal((await fetch(`${bridge.url}/healthz`)).status, 200);
});
