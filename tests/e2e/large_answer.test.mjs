// An answer larger than a connection may queue, on its way to a client that takes it slowly: what
// happens meanwhile arrives behind it, and the connection stays.
import assert from 'node:assert/strict';
import test from 'node:test';
import { startBridge, startDouble, tokenFor, until } from '../lib/harness.mjs';
import { RS, RawConnection, encodeFrame, upgradeRequest } from '../lib/raw_connection.mjs';

const QUEUE = 65_536;

test('events that come while a large answer is under way arrive behind it; too many of them are too many', async (t) => {
  const rc = await startDouble(t);
  // Beyond what the kernels of both sides take in for a reader that has stopped.
  for (let i = 0; i < 1500; i++) {
    const room = rc.store.createRoom({ name: `room-${i}`, owner: rc.user('alice') });
    rc.post(room, 'alice', 'x'.repeat(4500));
  }
  const bridge = await startBridge(t, rc.double, { 'PushBridge:Limits:QueueBytes': QUEUE, 'PushBridge:Replay:Seconds': 0 });
  const queued = async () => (await (await fetch(`${bridge.adminUrl}/admin/users/alice`, { headers: { 'X-Api-Key': 'test-api-key-0123456789' } })).json()).tabs[0]?.queuedBytes;
  const raw = await RawConnection.open(bridge.port);
  t.after(() => raw.socket.destroy());
  raw.write(upgradeRequest({ port: bridge.port, query: `?access_token=${tokenFor('alice')}` }));
  assert.equal((await raw.response()).status, 101);
  raw.write(encodeFrame({ payload: `{"protocol":"json","version":1}${RS}` }));
  await raw.frame();
  await rc.live('alice');
  const records = [];
  (async () => {
    for (let frame; (frame = await raw.frame(60_000).catch(() => null)) !== null; )
      if (frame.op === 'text') records.push(...frame.payload.toString().split(RS).slice(0, -1).map((text) => JSON.parse(text)));
  })();
  const texts = () => records.filter((m) => m.target === 'getRoomMessageNotification').map((m) => m.arguments[0].msg);

  raw.socket.pause();
  raw.write(encodeFrame({ payload: `{"type":1,"invocationId":"1","target":"ListRooms","arguments":[]}${RS}` }));
  await until('more waits than may', async () => (await queued()) > 2 * QUEUE);
  const before = await queued();
  rc.post(rc.general, 'bob', 'meanwhile');
  await until('it waits, too', async () => (await queued()) > before);
  raw.socket.resume();
  await until('both', () => texts().length > 0);
  assert.equal(records.findIndex((m) => m.invocationId === '1') < records.findIndex((m) => m.target === 'getRoomMessageNotification'), true);
  assert.equal(records.find((m) => m.invocationId === '1').result.length, 1501);
  assert.deepEqual(texts(), ['meanwhile']);

  // What waits besides the answer is bounded as ever.
  raw.socket.pause();
  raw.write(encodeFrame({ payload: `{"type":1,"invocationId":"2","target":"ListRooms","arguments":[]}${RS}` }));
  await until('more waits than may', async () => (await queued()) > 2 * QUEUE);
  for (let i = 0; i < 40; i++) rc.post(rc.general, 'bob', `${i} `.padEnd(4500, 'y'));
  await until('given up', async () => (await (await fetch(`${bridge.adminUrl}/metrics`)).text()).match(/^pushbridge_connections_ended_total\{.*slow.*\} 1$/m));
  raw.socket.destroy();
});
