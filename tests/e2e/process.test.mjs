// The process: where it listens, what its exit codes say, whom it takes a caller for behind a proxy.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import net from 'node:net';
import test from 'node:test';
import { freePort, sleep, startBridge, startDouble, tokenFor, until } from '../lib/harness.mjs';
import { RawConnection, encodeFrame, openHub, upgradeRequest } from '../lib/raw_connection.mjs';

/** A second program with the first one's settings, and some of its own: {code, log}. */
async function run(bridge, settings) {
  const variables = Object.fromEntries(Object.entries(settings).map(([name, value]) => [name.replaceAll(':', '__'), String(value)]));
  const child = spawn(process.env.PUSHBRIDGE, [], { env: { ...bridge.env, ...variables }, stdio: ['ignore', 'ignore', 'pipe'] });
  let log = '';
  child.stderr.setEncoding('utf8').on('data', (text) => (log += text));
  const late = setTimeout(() => child.kill('SIGKILL'), 30_000);
  const code = await new Promise((resolve) => child.once('close', resolve));
  clearTimeout(late);
  return { code, log };
}

test('exit codes: 1 for a busy port, 2 for settings, and the message says which', async (t) => {
  const bridge = await startBridge(t, null);
  const busy = await run(bridge, { 'PushBridge:AdminUrls': '' });
  assert.equal(busy.code, 1);
  assert.match(busy.log, new RegExp(`listen_failed.*${bridge.port}.*address already in use`));
  const operators = await run(bridge, { Urls: `http://127.0.0.1:${await freePort()}` });
  assert.equal(operators.code, 1);
  for (const [settings, says] of [
    [{ 'PushBridge:Shard': 2 }, /PushBridge:Shard: unknown; did you mean PushBridge:Shards\?/],
    [{ 'Im:Provider': 'Zulip' }, /Im:Provider: "Zulip" must be RocketChat/],
    [{ 'Authentication:JwtBearer:IsEnabled': false }, /IsEnabled: false needs PushBridge:Auth:Anonymous=mute/],
    [{ 'PushBridge:TokenCache:Provider': 'Disk' }, /Provider: "Disk" must be/],
  ]) {
    const wrong = await run(bridge, settings);
    assert.equal(wrong.code, 2, JSON.stringify(settings));
    assert.match(wrong.log, says);
  }
});

test('exit code 3: a second signal does not wait for the drain', async (t) => {
  const bridge = await startBridge(t, null, { 'PushBridge:Drain:Seconds': 60, 'PushBridge:Hub:CloseWaitSeconds': 60 });
  const raw = await openHub(bridge.port, tokenFor('alice')); // answers no close
  t.after(() => raw.destroy());
  process.kill(bridge.pid, 'SIGTERM');
  await until('draining', () => bridge.logged('draining').length === 1);
  assert.equal((await fetch(`${bridge.adminUrl}/readyz`)).status, 503);
  process.kill(bridge.pid, 'SIGTERM');
  assert.deepEqual(await bridge.ended(), { code: 3, signal: null });
});

/** How often the process's threads have gone to sleep. */
function sleeps(pid) {
  const tasks = readdirSync(`/proc/${pid}/task`).map((task) => readFileSync(`/proc/${pid}/task/${task}/status`, 'utf8'));
  return tasks.reduce((sum, status) => sum + Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(status)[1]), 0);
}

test('idle it sleeps, with a tab, too', async (t) => {
  const rc = await startDouble(t);
  const bridge = await startBridge(t, rc.double, { 'PushBridge:Shards': 4 });
  for (const tab of [false, true]) {
    if (tab) {
      const raw = await openHub(bridge.port, tokenFor('alice'));
      t.after(() => raw.destroy());
      await rc.live('alice');
    }
    await sleep(2000); // what the start left to do
    const before = sleeps(bridge.pid);
    await sleep(3000);
    const times = sleeps(bridge.pid) - before;
    assert.ok(times < 60, `woke ${times} times in 3 s ${tab ? 'with a tab' : 'alone'}`); // four ticking shards: over 240
  }
});

test('several addresses in Urls, all served', async (t) => {
  const second = await freePort();
  const third = await freePort();
  const bridge = await startBridge(t, null, { Urls: [`http://127.0.0.2:${second}`, `http://localhost:${third}`] });
  for (const at of [`127.0.0.1:${bridge.port}`, `127.0.0.2:${second}`, `127.0.0.1:${third}`]) assert.equal((await fetch(`http://${at}/healthz`)).status, 200, at);
  await until('the log says so', () => bridge.logged('listening').filter((line) => line.for === 'clients').length >= 3);
});

/** The addresses of a user's tabs, as the operator sees them. */
const addresses = async (bridge, key) =>
  (await (await fetch(`${bridge.adminUrl}/admin/users/${key}`, { headers: { 'X-Api-Key': 'test-api-key-0123456789' } })).json()).tabs?.map((tab) => tab.address) ?? [];

async function connect(t, bridge, name, { before = '', headers = {}, from = {} } = {}) {
  const raw = await RawConnection.open(bridge.port, from);
  t.after(() => raw.destroy());
  if (before !== '') raw.write(before);
  raw.write(upgradeRequest({ port: bridge.port, query: `?access_token=${tokenFor(name)}`, headers }));
  const answer = await raw.response();
  if (answer?.status === 101) raw.write(encodeFrame({ payload: '{"protocol":"json","version":1}\x1e' }));
  return answer?.status;
}

test('X-Forwarded-For is believed from TrustedProxies, and from nobody else', async (t) => {
  const rc = await startDouble(t);
  const forwarded = { headers: { 'X-Forwarded-For': '198.51.100.9, 203.0.113.7' } };
  const trusting = await startBridge(t, rc.double, { 'PushBridge:TrustedProxies': ['127.0.0.0/8'], 'PushBridge:Limits:ConnectionsPerAddress': 2, 'PushBridge:Limits:IdleTimeoutSeconds': 0.1 });
  assert.equal(await connect(t, trusting, 'alice', forwarded), 101);
  await until('seen', async () => (await addresses(trusting, 'id-alice')).join() === '203.0.113.7');
  assert.equal(await connect(t, trusting, 'alice', forwarded), 101);
  assert.equal(await connect(t, trusting, 'alice', forwarded), 503, 'the limit is of the address behind the proxy');
  assert.equal(await connect(t, trusting, 'alice', { headers: { 'X-Forwarded-For': '203.0.113.8' } }), 101);
  const wary = await startBridge(t, rc.double, { 'PushBridge:TrustedProxies': ['10.0.0.0/8'] });
  assert.equal(await connect(t, wary, 'bob', forwarded), 101);
  await until('seen', async () => (await addresses(wary, 'id-bob')).join() === '127.0.0.1');
});

test('ProxyProtocol: both versions name the caller, and a proxy that leaves it out is refused', async (t) => {
  const rc = await startDouble(t);
  const bridge = await startBridge(t, rc.double, { 'PushBridge:ProxyProtocol': true, 'PushBridge:TrustedProxies': ['127.0.0.2'] });
  const proxied = (name, before) => connect(t, bridge, name, { before, from: { localAddress: '127.0.0.2' } });
  assert.equal(await proxied('alice', 'PROXY TCP4 203.0.113.7 192.0.2.1 4711 80\r\n'), 101);
  await until('seen', async () => (await addresses(bridge, 'id-alice')).join() === '203.0.113.7');
  const v2 = Buffer.concat([Buffer.from('0d0a0d0a000d0a515549540a2111000c', 'hex'), Buffer.from([203, 0, 113, 8, 192, 0, 2, 1, 0x12, 0x67, 0, 80])]);
  assert.equal(await proxied('bob', v2), 101);
  await until('seen', async () => (await addresses(bridge, 'id-bob')).join() === '203.0.113.8');
  assert.equal(await proxied('alice', ''), undefined, 'closed without an answer');
  assert.equal(await connect(t, bridge, 'alice'), 101, 'who is no proxy needs none');
});
