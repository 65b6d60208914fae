// The demonstration of deploy/run, as its user meets it: a message of one tab in the other, Ctrl-C.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import * as signalR from '@microsoft/signalr-latest';
import { freePort, until } from '../lib/harness.mjs';

const ROOT = path.join(path.dirname(fileURLToPath(import.meta.url)), '..', '..');

test('the demonstration pushes a message from alice to bob and stops', { timeout: 60_000 }, async (t) => {
  const [BRIDGE_PORT, PAGE_PORT] = [await freePort(), await freePort()];
  const demo = spawn('node', [path.join(ROOT, 'deploy/demo.mjs'), path.join(ROOT, 'build/release/pushbridge')], {
    env: { ...process.env, BRIDGE_PORT, PAGE_PORT, PushBridge__AdminUrls: `http://127.0.0.1:${await freePort()}` },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true, // a process group, as a terminal makes one
  });
  t.after(() => demo.kill('SIGTERM'));
  let text = '';
  for (const stream of [demo.stdout, demo.stderr]) stream.on('data', (data) => (text += data));
  await until('the address', () => text.includes(`http://127.0.0.1:${PAGE_PORT}`), 20_000);

  const page = (name, body) =>
    fetch(`http://127.0.0.1:${PAGE_PORT}/backend/${name}`, { method: 'POST', body: JSON.stringify(body) }).then((r) => r.json());
  const { accessToken } = await page('authenticate', { user: 'bob' });
  const { channels } = await page('channels', { user: 'bob' });
  const connection = new signalR.HubConnectionBuilder()
    .withUrl(`http://127.0.0.1:${BRIDGE_PORT}/signalr`, { accessTokenFactory: () => accessToken })
    .configureLogging(signalR.LogLevel.None)
    .build();
  const got = [];
  connection.on('getRoomMessageNotification', (message) => got.push(message.msg));
  await connection.start();
  // The session goes live a moment behind the connection: write until one line has come through.
  let n = 0;
  await until('a message of alice at bob', async () => {
    await page('send', { user: 'alice', room: channels[0]._id, msg: `hello ${n++}` });
    return got.length > 0;
  });
  assert.match(got[0], /^hello \d+$/);
  await connection.stop();
  process.kill(-demo.pid, 'SIGINT'); // Ctrl-C goes to the whole group
  const [code] = await once(demo, 'close');
  assert.equal(code, 0, text);
  assert.match(text, /stopped\n$/, 'the bridge has drained');
  assert.doesNotMatch(text, /stopping_at_once|WARN|ERROR/);
  await assert.rejects(fetch(`http://127.0.0.1:${BRIDGE_PORT}/healthz`));
});

test('deploy/run with an address of Rocket.Chat is the bridge, and ends as it does', { timeout: 120_000 }, async (t) => {
  const [port, adminPort, nobody] = [await freePort(), await freePort(), await freePort()];
  const run = spawn(path.join(ROOT, 'deploy/run'), [], {
    env: {
      ...process.env,
      Im__Address: `http://127.0.0.1:${nobody}`,
      Im__DefaultPassword: 'x',
      Authentication__JwtBearer__SecurityKey: 'a-key-for-this-test-that-is-long',
      Urls: `http://127.0.0.1:${port}`,
      PushBridge__AdminUrls: `http://127.0.0.1:${adminPort}`,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  t.after(() => run.kill('SIGKILL'));
  let text = '';
  for (const stream of [run.stdout, run.stderr]) stream.on('data', (data) => (text += data));
  await until('the bridge serves', () => text.includes('serving'), 100_000);
  assert.equal((await fetch(`http://127.0.0.1:${port}/readyz`)).status, 200);
  run.kill('SIGTERM'); // to the script's own process: it has become the bridge
  assert.deepEqual(await once(run, 'close'), [0, null], text);
});
