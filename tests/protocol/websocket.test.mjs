// RFC 6455 at the real bridge: vectors/websocket.json, each whole and cut into single bytes.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { sleep, startBridge, tokenFor } from '../lib/harness.mjs';
import { RS, encodeFrame, listen, openHub } from '../lib/raw_connection.mjs';

const { cases } = JSON.parse(readFileSync(new URL('vectors/websocket.json', import.meta.url)));
const REGISTER = `{"type":1,"invocationId":"r","target":"Register","arguments":[]}${RS}`;

let bridge;
const cleanups = [];
before(async () => {
  bridge = await startBridge({ after: (fn) => cleanups.push(fn) }, null, { 'PushBridge:Hub:KeepAliveSeconds': 60, 'PushBridge:Hub:ClientTimeoutSeconds': 120, 'PushBridge:Hub:CloseWaitSeconds': 0.5 });
});
after(async () => {
  for (const fn of cleanups) await fn();
});

/** The payload of a vector's frame. Records are padded inside (JSON white space), the rest behind. */
function payloadOf({ payload = '', utf8hex, pad = 0, cut, times = 1 }) {
  if (utf8hex !== undefined) return Buffer.concat([Buffer.from(utf8hex, 'hex'), Buffer.alloc(Math.max(0, pad - utf8hex.length / 2), 'p')]);
  const records = payload.split('REGISTER').length - 1;
  let text = payload.replaceAll('REGISTER', REGISTER).repeat(times);
  if (records > 0 && pad > 0) {
    const spaces = pad - text.length;
    const each = Math.floor(spaces / records);
    let first = spaces - each * (records - 1);
    text = text.replaceAll(RS, () => {
      const fill = ' '.repeat(first);
      first = each;
      return fill + RS;
    });
  } else text = text.padEnd(pad, 'p');
  return Buffer.from(cut ? text.slice(...cut) : text);
}

function bytesOf(frame) {
  if (frame.hex !== undefined) return Buffer.from(frame.hex, 'hex');
  const payload = payloadOf(frame);
  if (frame.fragment === undefined) return encodeFrame({ ...frame, payload });
  const frames = [];
  for (let i = 0; i < payload.length; i += frame.fragment)
    frames.push(encodeFrame({ op: i === 0 ? frame.op : 'continuation', fin: i + frame.fragment >= payload.length, payload: payload.subarray(i, i + frame.fragment) }));
  return Buffer.concat(frames);
}

function check(want, got) {
  if (want === 'completion') assert.deepEqual(got, { type: 3, invocationId: 'r', result: null });
  else if (want === 'pong125') assert.equal(got.pong?.length, 125);
  else if (want.pong !== undefined) assert.deepEqual(got, { pong: want.pong });
  else if (want.error !== undefined) assert.ok(got?.error?.includes(`'${want.error}'`), JSON.stringify(got));
  else if (want.type7 !== undefined) assert.deepEqual([got?.type, got?.error], [7, want.type7]);
  else assert.ok(want.close.includes(got?.close), `close ${JSON.stringify(got)}, wanted ${want.close}`);
}

for (const { name, spec, send, expect, expectCompletions, once, repeat = 1 } of cases)
  test(`${name} [${spec}]`, async () => {
    const bytes = Buffer.concat(Array.from({ length: repeat }, () => send.map(bytesOf)).flat());
    const wanted = expect ?? Array.from({ length: expectCompletions }, () => 'completion');
    const closes = wanted.at(-1).close !== undefined;
    for (const size of once || bytes.length > 3000 ? [bytes.length] : [bytes.length, 1]) {
      const raw = await openHub(bridge.port, tokenFor('alice'));
      const writing = raw.writeSplit(bytes, size);
      const optional = wanted.filter((want) => want === 'completion?').length;
      const enough = (seen) => seen.length >= wanted.length || (optional > 0 && seen.at(-1)?.close !== undefined);
      const events = await listen(raw, enough, 10_000);
      await writing;
      const due = wanted.slice(events.length < wanted.length ? optional : 0);
      for (const [i, want] of due.entries()) check(want === 'completion?' ? 'completion' : want, events[i]);
      if (closes) {
        await raw.closed();
        assert.equal(raw.pending.length, 0, 'nothing behind the close');
      } else {
        raw.write(encodeFrame({ op: 'ping', payload: 'alive' }));
        assert.deepEqual(await listen(raw, (seen) => seen.length > 0), [{ pong: 'alive' }]);
      }
      raw.destroy();
    }
  });

test('an announced giant is not waited for: what comes of it is bounded like anything else', async () => {
  const raw = await openHub(bridge.port, tokenFor('alice'));
  raw.write(encodeFrame({ op: 'text', payload: 'x'.repeat(40_000), announce: 2n ** 40n }));
  const events = await listen(raw, (seen) => seen.some((e) => e.close !== undefined), 3000);
  assert.ok([1000, 1002, 1009].includes(events.at(-1).close), JSON.stringify(events));
});

test('a flood of pings without reading is bounded', async () => {
  const raw = await openHub(bridge.port, tokenFor('alice'));
  raw.socket.pause();
  const flood = Buffer.concat(Array.from({ length: 1000 }, () => encodeFrame({ op: 'ping', payload: 'x'.repeat(125) })));
  for (let i = 0; i < 200 && !raw.ended; i++) {
    raw.write(flood);
    await sleep(1);
  }
  assert.equal((await fetch(`${bridge.url}/healthz`)).status, 200);
  raw.destroy();
});

test('the peer closes TCP in the middle of a frame', async () => {
  for (let i = 0; i < 30; i++) {
    const raw = await openHub(bridge.port, tokenFor('alice'));
    raw.write(encodeFrame({ op: 'text', payload: 'x'.repeat(500) }).subarray(0, i * 16));
    if (i % 2) raw.socket.resetAndDestroy();
    else raw.socket.end();
  }
  assert.equal((await fetch(`${bridge.url}/healthz`)).status, 200);
});

test('a client that does not answer our close is dropped after the wait', async () => {
  const raw = await openHub(bridge.port, tokenFor('alice'));
  raw.write(encodeFrame({ payload: `{"type":7}${RS}` }));
  const events = await listen(raw, (seen) => seen.some((e) => e.close !== undefined));
  assert.equal(events.at(-1).close, 1000);
  await raw.closed(3000);
});
