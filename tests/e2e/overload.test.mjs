// A mailbox between two shards that is full: messages are dropped, and never silently.
import assert from 'node:assert/strict';
import test from 'node:test';
import { startBridge, startDouble, tokenFor, until } from '../lib/harness.mjs';
import { CLIENTS, Tab } from '../lib/signalr_clients.mjs';

const TEXT = 'x'.repeat(30_000); // three of them are more than a mailbox of the smallest size takes
const BURST = 60;

const dropped = async (bridge) =>
  Number(/^pushbridge_events_dropped_total\{reason="mailbox_full"\} (\d+)$/m.exec(await (await fetch(`${bridge.adminUrl}/metrics`)).text())[1]);

test('what a full mailbox drops is followed by resyncRequired', async (t) => {
  const rc = await startDouble(t);
  const bridge = await startBridge(t, rc.double, { 'PushBridge:Shards': 2, 'PushBridge:Limits:MailboxBytes': 65_536, 'PushBridge:Limits:QueueBytes': 1 << 30 });
  // Several tabs fall on both shards: one of those is not the session's.
  const tabs = await Promise.all(Array.from({ length: 8 }, () => Tab.open(t, CLIENTS.latest, bridge.hubUrl, tokenFor('alice'))));
  await rc.live('alice');
  let sent = 0;
  for (let round = 0; round < 20 && (await dropped(bridge)) === 0; round++) {
    for (let i = 0; i < BURST; i++) rc.post(rc.general, 'bob', `${sent++} ${TEXT}`);
    await until('this burst has been read', async () => Number(/event="rooms-changed"\} (\d+)/.exec(await (await fetch(`${bridge.adminUrl}/metrics`)).text())[1]) >= sent);
  }
  assert.ok((await dropped(bridge)) > 0, 'no burst was too much: the test shows nothing');
  rc.post(rc.general, 'bob', 'the end');
  for (const tab of tabs) await tab.until('the last message', (x) => x.texts().at(-1) === 'the end');
  let behind = 0;
  for (const tab of tabs) {
    const heard = tab.heard.filter(([event]) => event === 'getRoomMessageNotification' || event === 'resyncRequired');
    const numbers = heard.map(([event, message]) => (event === 'resyncRequired' ? null : Number.parseInt(message.msg, 10)));
    const seen = new Set(numbers);
    const lost = Array.from({ length: sent }, (_, i) => i).filter((i) => !seen.has(i));
    const inOrder = numbers.filter((n) => n !== null && !Number.isNaN(n));
    assert.deepEqual(inOrder, [...inOrder].sort((a, b) => a - b));
    if (lost.length === 0) {
      assert.equal(numbers.includes(null), false, 'told of a gap it does not have');
      continue;
    }
    behind++;
    const before = numbers.findLastIndex((n) => n !== null && n < lost.at(-1));
    assert.ok(numbers.lastIndexOf(null) > before, `lost ${lost.at(-1)} and heard ${numbers}`);
    assert.deepEqual(tab.of('resyncRequired')[0], { rid: null, reason: 'overload' });
  }
  assert.ok(behind > 0);
});
