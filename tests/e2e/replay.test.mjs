// A tab whose connection was lost comes back: it is sent what it missed, once, and nothing when
// there is nothing to repeat.
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'node:test';
import { CuttingProxy } from '../lib/cutting_proxy.mjs';
import { cleanUp, sleep, startBridge, startDouble, tokenFor, until } from '../lib/harness.mjs';
import { RS, RawConnection, encodeFrame, openHub, upgradeRequest } from '../lib/raw_connection.mjs';
import { RawTab, SLOTS, scene } from '../lib/raw_tab.mjs';
import { CLIENTS, Tab } from '../lib/signalr_clients.mjs';
import { FAST } from '../lib/trouble.mjs';

const SEED = Number(process.env.SEED ?? 1);
const RETRY = Array(60).fill(100);
const numbers = (n, from = 0) => [...Array(n).keys()].map((i) => String(i + from));

test('on the wire: a lost connection is followed by the same bytes, others hear nothing of it', async (t) => {
  const { bridge, live, say, metric } = await scene(t);
  const lost = await RawTab.open(bridge.port);
  const stays = await RawTab.open(bridge.port);
  const other = await RawTab.open(bridge.port, 'B');
  await live('alice');
  say('before');
  for (const tab of [lost, stays, other]) await tab.until(1);
  lost.lose();
  await until('its slot', async () => (await metric(SLOTS('left'))) === 1);
  for (const text of numbers(3)) say(text);
  await stays.until(4);
  const stranger = await RawTab.open(bridge.port, 'C');
  const back = await RawTab.open(bridge.port);
  await back.until(3);
  say('after');
  for (const tab of [stays, other, stranger, back]) await until('the last', () => tab.texts.at(-1) === 'after');
  assert.deepEqual(back.texts, ['0', '1', '2', 'after']);
  assert.deepEqual(back.frames.slice(0, 3), stays.frames.slice(1, 4), 'byte for byte');
  assert.deepEqual(stays.texts, ['before', '0', '1', '2', 'after']);
  assert.deepEqual(other.texts, stays.texts);
  assert.deepEqual(stranger.texts, ['after']);
  await sleep(300); // acknowledged: else the next could be the successor of one of these
  const again = await RawTab.open(bridge.port);
  say('end');
  await until('the end', () => again.texts.includes('end'));
  assert.deepEqual(again.texts, ['end'], 'a slot is used once');
  for (const tab of [stays, other, stranger, back, again]) await tab.leave();
});

test('on the wire: a reload leaves no slot, whatever close code it sends', async (t) => {
  const { bridge, live, say, metric } = await scene(t);
  const witness = await RawTab.open(bridge.port, 'B');
  await live('alice');
  for (const code of [1000, 1001]) {
    const tab = await RawTab.open(bridge.port);
    say(`before ${code}`);
    await tab.until(1);
    await tab.leave(code);
    say(`between ${code}`);
    await until('it is out', () => witness.texts.at(-1) === `between ${code}`);
    const reloaded = await RawTab.open(bridge.port);
    say(`after ${code}`);
    await reloaded.until(1);
    assert.deepEqual(reloaded.texts, [`after ${code}`]);
    await reloaded.leave();
  }
  assert.equal(await metric(SLOTS('left')), 0);
  await witness.leave();
});

for (const [version, signalR] of Object.entries(CLIENTS))
  for (const tail of ['acked', 'none'])
    test(`${version}, ${tail}: a page is left and loaded again: nothing is repeated`, async (t) => {
      const { bridge, live, say, metric } = await scene(t, { 'PushBridge:Replay:Tail': tail });
      const witness = await RawTab.open(bridge.port, 'B');
      await live('alice');
      for (let i = 0; i < 3; i++) {
        const tab = await Tab.open(t, signalR, bridge.hubUrl, tokenFor('alice'));
        say(`seen ${i}`);
        await tab.until('it', (x) => x.texts().length === 1);
        await tab.connection.stop();
        say(`missed ${i}`);
        await until('it is out', () => witness.texts.at(-1) === `missed ${i}`);
        assert.deepEqual(tab.texts(), [`seen ${i}`]);
      }
      assert.equal(await metric(SLOTS('left')), 0);
      await witness.leave();
    });

test('on the wire: the night in between: nothing is repeated', async (t) => {
  const { bridge, live, say, metric } = await scene(t, { 'PushBridge:Replay:Seconds': 0.5 });
  const lost = await RawTab.open(bridge.port);
  const witness = await RawTab.open(bridge.port, 'B');
  await live('alice');
  lost.lose();
  await until('its slot', async () => (await metric(SLOTS('left'))) === 1);
  say('by night');
  await witness.until(1);
  await until('the slot is over', async () => (await metric(SLOTS('expired'))) === 1);
  const back = await RawTab.open(bridge.port);
  say('in the morning');
  await back.until(1);
  assert.deepEqual(back.texts, ['in the morning']);
  await back.leave();
  await witness.leave();
});

const TOO_MUCH = [
  [{ 'PushBridge:Replay:RingEvents': 5 }, numbers(10)],
  [{ 'PushBridge:Replay:RingBytes': 4096 }, numbers(10).map((n) => n.repeat(1000))],
  [{ 'PushBridge:Replay:TotalBytes': 65_536, 'PushBridge:Shards': 1 }, numbers(10).map((n) => n.repeat(10_000))],
];
for (const [settings, texts] of TOO_MUCH) test(`more than is kept is told, not repeated: ${Object.keys(settings)[0]}`, async (t) => {
  const { bridge, live, say, metric } = await scene(t, settings);
  const lost = await RawTab.open(bridge.port);
  const witness = await RawTab.open(bridge.port, 'B');
  await live('alice');
  lost.lose();
  await until('its slot', async () => (await metric(SLOTS('left'))) === 1);
  for (const text of texts) say(text);
  await witness.until(10);
  const raw = await openHub(bridge.port, tokenFor('alice')); // another kind of client, without a User-Agent
  const back = await RawConnection.open(bridge.port);
  back.write(upgradeRequest({ port: bridge.port, query: `?access_token=${tokenFor('alice')}`, headers: { 'User-Agent': 'A' } }));
  assert.equal((await back.response()).status, 101);
  back.write(encodeFrame({ payload: `{"protocol":"json","version":1}${RS}` }));
  await back.frame();
  assert.equal((await back.frame()).payload.toString(), `{"type":1,"target":"resyncRequired","arguments":[{"rid":null,"reason":"replay-too-long"}]}${RS}`);
  assert.equal(await metric('pushbridge_replay_overruns_total'), 1);
  for (const each of [raw, back]) each.destroy();
  await witness.leave();
});

const opened = (tab) => tab.changes.filter(([what]) => what === 'reconnected').length;

for (const [version, signalR] of Object.entries(CLIENTS))
  test(`${version}: connections are reset again and again: everything arrives once, in order`, async (t) => {
    const { bridge, live, say } = await scene(t);
    const proxy = await CuttingProxy.start(t, bridge.port);
    const tab = await Tab.open(t, signalR, `${proxy.url}/signalr`, tokenFor('alice'), { retryMs: RETRY });
    await live('alice');
    let random = SEED;
    const below = (n) => ((random = (random * 48271) % 2147483647) % n);
    for (let i = 0; i < 60; i++) {
      say(String(i));
      if (below(10) === 0) await proxy.reset();
      await sleep(below(40));
    }
    await tab.until('all of them', (x) => x.texts().length >= 60, 20_000);
    assert.deepEqual(tab.texts(), numbers(60), `SEED=${SEED}`);
    assert.deepEqual(tab.of('resyncRequired'), []);
    assert.ok(opened(tab) >= 2, `it was reconnected ${opened(tab)} times, SEED=${SEED}`);
  });

// The times of the real thing, a twentieth: 40 s without a network, client and server giving up after 30.
const SHORT = {
  'PushBridge:Hub:KeepAliveSeconds': 0.5,
  'PushBridge:Hub:ClientTimeoutSeconds': 1.5,
  'PushBridge:Replay:Seconds': 20,
};

async function shortTab(t, signalR, proxy) {
  const tab = new Tab(signalR, `${proxy.url}/signalr`, tokenFor('alice'), { retryMs: RETRY });
  tab.connection.serverTimeoutInMilliseconds = 1500;
  tab.connection.keepAliveIntervalInMilliseconds = 500;
  t.after(() => tab.connection.stop());
  await tab.connection.start();
  return tab;
}

for (const [version, signalR] of Object.entries(CLIENTS))
  for (const downMs of [1000, 1450, 2000, 3000])
    test(`${version}: the network is gone for ${downMs * 20} ms in twentieths: everything arrives once`, async (t) => {
      const { bridge, live, say } = await scene(t, SHORT);
      const proxy = await CuttingProxy.start(t, bridge.port);
      const tab = await shortTab(t, signalR, proxy);
      await live('alice');
      say('before');
      await tab.until('the first', (x) => x.texts().length === 1);
      await proxy.cut();
      for (const text of numbers(5)) {
        say(text);
        await sleep(downMs / 5);
      }
      await proxy.mend();
      await tab.until('all', (x) => x.texts().length >= 6, 20_000);
      say('after');
      await tab.until('the last', (x) => x.texts().includes('after'), 20_000);
      assert.deepEqual(tab.texts(), ['before', ...numbers(5), 'after']);
      assert.deepEqual(tab.of('resyncRequired'), []);
    });

test('the network is back just after the bridge gave the tab up: what comes again comes to the new connection alone', async (t) => {
  const { bridge, live, say, metric } = await scene(t, SHORT);
  const proxy = await CuttingProxy.start(t, bridge.port);
  const tab = await RawTab.open(proxy.port);
  await live('alice');
  say('before');
  await tab.until(1);
  tab.ping(); // from now on it is expected to
  await sleep(300);
  await proxy.cut();
  for (const text of numbers(5)) say(text);
  await until('it is given up', async () => (await metric('pushbridge_connections_ended_total{reason="timeout"}')) === 1);
  await proxy.mend();
  tab.ping(); // else it would hear of its end by its kernel's next try
  await tab.reading;
  assert.deepEqual(tab.texts, ['before']);
  const back = await RawTab.open(proxy.port);
  await back.until(5);
  assert.deepEqual(back.texts, numbers(5));
  await back.leave();
});

test('one of two tabs drops, then both: nobody comes short, the one that stayed hears nothing twice', async (t) => {
  const { bridge, live, say, metric } = await scene(t);
  const proxies = [await CuttingProxy.start(t, bridge.port), await CuttingProxy.start(t, bridge.port)];
  const open = (proxy) => Tab.open(t, CLIENTS.latest, `${proxy.url}/signalr`, tokenFor('alice'), { retryMs: [1000, ...RETRY] });
  const tabs = [await open(proxies[0]), await open(proxies[1])];
  await live('alice');
  say('a');
  for (const tab of tabs) await tab.until('a', (x) => x.texts().length === 1);
  await proxies[0].reset();
  await until('its slot', async () => (await metric(SLOTS('left'))) === 1);
  say('b');
  await until('it is back', () => opened(tabs[0]) === 1);
  await tabs[0].until('b', (x) => x.texts().length === 2);
  assert.deepEqual(tabs.map((tab) => tab.texts()), [['a', 'b'], ['a', 'b']]);
  await proxies[0].reset();
  await until('a slot', async () => (await metric(SLOTS('left'))) === 2);
  say('c');
  await tabs[1].until('c', (x) => x.texts().length === 3);
  await proxies[1].reset();
  await until('two slots', async () => (await metric(SLOTS('left'))) === 3);
  say('d');
  for (const tab of tabs) await tab.until('d', (x) => x.texts().includes('d'), 10_000);
  assert.deepEqual(tabs[0].texts(), ['a', 'b', 'c', 'd']);
  assert.deepEqual(tabs[1].texts(), ['a', 'b', 'c', 'c', 'd'], 'nobody can tell which of them came back');
});

for (const [how, noticed] of [['reset', 'noticed at once'], ['abandon', 'not noticed when the tab is back']])
  test(`behind a proxy that acknowledges for its client, last-ping loses nothing: a loss ${noticed}`, async (t) => {
    const { bridge, live, say } = await scene(t, { ...SHORT, 'PushBridge:Replay:Tail': 'last-ping' });
    const proxy = await CuttingProxy.start(t, bridge.port);
    const tab = await shortTab(t, CLIENTS.latest, proxy);
    await live('alice');
    for (const text of numbers(5)) say(text);
    await tab.until('five', (x) => x.texts().length === 5);
    await proxy[how]();
    for (const text of numbers(5, 5)) say(text);
    await tab.until('all', (x) => new Set(x.texts()).size === 10, 20_000);
    const repeated = tab.texts().slice(5);
    assert.deepEqual(repeated, numbers(10).slice(10 - repeated.length), 'the tail again, in order, then the rest');
  });

test('Rocket.Chat is away: a page that is opened meanwhile hears only what came after it', async (t) => {
  const { bridge, double, user, live, say, metric } = await scene(t, { ...FAST, 'Im:LoginVia': 'rest' });
  const old = await RawTab.open(bridge.port, 'old');
  await live('alice');
  await sleep(1200); // the second look at the rooms
  say('before');
  await old.until(1);
  double.faults.add({ preset: 'ddp-refused-html', times: 10_000 });
  double.sessionsOf(user('alice')._id).at(-1).drop();
  await until('the loss', async () => (await metric('pushbridge_ddp_ended_total{how="connection-lost"}')) === 1);
  for (const text of numbers(3)) say(text);
  await sleep(4000); // clocks are told to the second
  const page = await RawTab.open(bridge.port, 'page');
  say('between');
  double.faults.clear();
  await old.until(5);
  say('after');
  for (const tab of [old, page]) await until('the last', () => tab.texts.includes('after'));
  assert.deepEqual(page.texts, ['between', 'after']);
  assert.deepEqual(old.texts, ['before', ...numbers(3), 'between', 'after']);
  for (const tab of [old, page]) {
    assert.deepEqual(tab.resyncs, []);
    await tab.leave();
  }
});

function stateFile(t) {
  const folder = mkdtempSync(path.join(tmpdir(), 'pushbridge-state-'));
  cleanUp(t, () => rmSync(folder, { recursive: true }));
  return path.join(folder, 'replay.state');
}

for (const [version, signalR] of Object.entries(CLIENTS))
  test(`${version}: the bridge is restarted, with a state file: what was missed arrives once, in order`, async (t) => {
    const file = stateFile(t);
    const { bridge, live, say, store, user, post } = await scene(t, { 'PushBridge:Replay:StateFile': file });
    const other = store.createRoom({ name: 'other', owner: user('bob'), members: [user('alice')] });
    const quiet = store.createRoom({ name: 'quiet', owner: user('bob'), members: [user('alice')] });
    const tab = await Tab.open(t, signalR, bridge.hubUrl, tokenFor('alice'), { retryMs: RETRY });
    const second = await Tab.open(t, signalR, bridge.hubUrl, tokenFor('alice'), { retryMs: [1500, ...RETRY] });
    await live('alice');
    await sleep(1200); // the second look at the rooms
    post(quiet, 'bob', 'quiet');
    for (const text of numbers(3)) say(text);
    for (const each of [tab, second]) await each.until('the first', (x) => x.texts().length === 4);
    await sleep(1200);
    await bridge.stop();
    assert.equal(statSync(file).mode & 0o777, 0o600);
    const bytes = readFileSync(file, 'latin1');
    assert.ok(bytes.includes('id-alice') && bytes.includes(other._id));
    for (const secret of ['quiet', tokenFor('alice').slice(0, 20)]) assert.ok(!bytes.includes(secret));
    for (const text of numbers(5, 3)) say(text);
    post(other, 'bob', 'elsewhere');
    await bridge.start();
    assert.ok(!existsSync(file), 'it acts once');
    for (const each of [tab, second]) await each.until('all', (x) => x.texts().length >= 10, 20_000);
    say('after');
    for (const each of [tab, second]) await each.until('the last', (x) => x.texts().includes('after'), 20_000);
    await sleep(1500);
    for (const each of [tab, second]) {
      const of = (room) => each.of('getRoomMessageNotification').filter((m) => m.rid === room._id).map((m) => m.msg);
      assert.deepEqual(each.of('getRoomMessageNotification').length, 11);
      assert.deepEqual(of(other), ['elsewhere']);
      assert.deepEqual(of(quiet), ['quiet']);
      assert.deepEqual(each.texts().filter((text) => /^(\d|after)$/.test(text)), [...numbers(8), 'after']);
      assert.deepEqual(each.of('resyncRequired'), []);
    }
  });

test('a restart: a page that is opened before what was missed is there hears only what came after it', async (t) => {
  const file = stateFile(t);
  const { bridge, live, say, store, user, post } = await scene(t, { 'PushBridge:Replay:StateFile': file, 'Im:LoginVia': 'rest' });
  const cut = await RawTab.open(bridge.port, 'cut');
  await live('alice');
  await sleep(1200);
  say('before');
  await cut.until(1);
  await bridge.stop();
  for (const text of numbers(3)) say(text);
  const joined = store.createRoom({ name: 'joined', owner: user('bob'), members: [user('alice')] });
  post(joined, 'bob', 'in another');
  await sleep(4000); // clocks are told to the second
  await bridge.start();
  const fresh = await RawTab.open(bridge.port, 'fresh');
  await live('alice');
  const again = await RawTab.open(bridge.port, 'cut');
  await again.until(4);
  say('after');
  for (const tab of [fresh, again]) await until('the last', () => tab.texts.includes('after'));
  assert.deepEqual(fresh.texts, ['after']);
  assert.deepEqual(again.texts.filter((text) => text !== 'in another'), [...numbers(3), 'after']);
  for (const tab of [fresh, again]) {
    assert.deepEqual(tab.resyncs, []);
    await tab.leave();
  }
});

test('a restart: what the tab had not acknowledged is repeated, and a tab lost before is told to load anew', async (t) => {
  const file = stateFile(t);
  const { bridge, live, say, metric } = await scene(t, { 'PushBridge:Replay:StateFile': file });
  const proxy = await CuttingProxy.start(t, bridge.port);
  const cut = await RawTab.open(proxy.port, 'cut');
  const lost = await RawTab.open(bridge.port, 'lost');
  await live('alice');
  await sleep(1200);
  say('had by both');
  for (const tab of [cut, lost]) await tab.until(1);
  await sleep(200);
  lost.lose();
  await until('its slot', async () => (await metric(SLOTS('left'))) === 1);
  say('had by the other');
  await cut.until(2);
  await sleep(1200);
  await proxy.cut();
  say('not acknowledged');
  await until('it is sent', async () => (await metric('pushbridge_events_out_total{target="getRoomMessageNotification"}')) === 3);
  await bridge.stop();
  await bridge.start();
  const cutAgain = await RawTab.open(bridge.port, 'cut');
  const lostAgain = await RawTab.open(bridge.port, 'lost');
  await cutAgain.until(1);
  await until('the word for the other', () => lostAgain.resyncs.length === 1, 10_000);
  assert.deepEqual(cutAgain.texts, ['not acknowledged']);
  assert.deepEqual(cutAgain.resyncs, []);
  assert.deepEqual(lostAgain.resyncs, [{ rid: null, reason: 'replay-too-long' }]);
  for (const tab of [cutAgain, lostAgain]) await tab.leave();
});

test('a state file that is broken or too old is a warning, and goes', async (t) => {
  const file = stateFile(t);
  const rc = await startDouble(t);
  const settings = { 'PushBridge:Replay:StateFile': file, 'PushBridge:Replay:Seconds': 0.3 };
  writeFileSync(file, 'nonsense');
  const bridge = await startBridge(t, rc.double, settings);
  const told = (n, reason) => until(`${n} warnings, the last: ${reason}`, () => {
    const reasons = bridge.logged('replay_state_ignored').map((entry) => entry.reason);
    return reasons.length === n && reasons.at(-1) === reason;
  });
  await told(1, 'it is no state file');
  assert.ok(!existsSync(file));
  await RawTab.open(bridge.port);
  await rc.live('alice');
  await bridge.stop();
  const good = readFileSync(file);
  const bad = Buffer.from(good);
  bad[bad.length / 2 | 0] ^= 1;
  writeFileSync(file, bad);
  await bridge.start();
  await told(2, 'its checksum is wrong');
  await bridge.stop();
  writeFileSync(file, good);
  await sleep(400);
  await bridge.start();
  await told(3, 'it is too old');
});
