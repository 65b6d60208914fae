// What is kept for tabs that are cut off goes as soon as all of the user's tabs have it, and no sooner.
import assert from 'node:assert/strict';
import test from 'node:test';
import { CuttingProxy } from '../lib/cutting_proxy.mjs';
import { sleep, until } from '../lib/harness.mjs';
import { RawTab, SLOTS, scene } from '../lib/raw_tab.mjs';

const numbers = (n, from = 0) => [...Array(n).keys()].map((i) => String(i + from));

for (const tail of ['acked', 'last-ping', 'none'])
  test(`${tail}: what the tabs have is not kept, and one cut off right then misses nothing`, async (t) => {
    const short = tail === 'last-ping' ? { 'PushBridge:Hub:KeepAliveSeconds': 2 } : {};
    const { bridge, live, say, metric } = await scene(t, { 'PushBridge:Shards': 3, 'PushBridge:Replay:Tail': tail, ...short });
    const proxy = await CuttingProxy.start(t, bridge.port);
    const cut = await RawTab.open(proxy.port, 'cut');
    const tabs = [cut, await RawTab.open(bridge.port, 'A'), await RawTab.open(bridge.port, 'B')];
    const pings = setInterval(() => tabs.forEach((tab) => tab.ping()), 1000);
    t.after(() => clearInterval(pings));
    await live('alice');
    for (const text of numbers(10)) say(text);
    for (const tab of tabs) await tab.until(10);
    await until('nothing is kept', async () => (await metric('pushbridge_replay_bytes')) === 0, 60_000);
    await proxy.cut();
    for (const text of numbers(15, 10)) say(text); // so much that it is asked at once
    for (const tab of tabs.slice(1)) await tab.until(25);
    if (tail === 'acked') await sleep(3000); // the others have them: they are kept for the one that has not
    if (tail !== 'none') assert.ok((await metric('pushbridge_replay_bytes')) > 0);
    await proxy.reset();
    await proxy.mend();
    await until('its slot', async () => (await metric(SLOTS('left'))) === 1);
    const back = await RawTab.open(bridge.port, 'cut');
    if (tail !== 'none') await back.until(15); // that reached the kernel, and no client
    say('after');
    await until('the last', () => back.texts.at(-1) === 'after');
    assert.deepEqual(back.texts, [...(tail === 'none' ? [] : numbers(15, 10)), 'after']);
    assert.deepEqual(back.resyncs, []);
    assert.deepEqual(cut.texts, numbers(10));
    for (const tab of [...tabs.slice(1), back]) await tab.leave();
  });
