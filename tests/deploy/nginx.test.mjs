// The sample for nginx in front of the bridge: what goes through it, and who the bridge takes the
// caller for. Skipped where nginx is not installed.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'node:test';
import { ORIGIN, cleanUp, freePort, startBridge, startDouble, tokenFor, until } from '../lib/harness.mjs';
import { upgradeRequest } from '../lib/raw_connection.mjs';
import { call } from '../lib/rest_call.mjs';

const SAMPLE = new URL('../../deploy/nginx/pushbridge.conf', import.meta.url);
const missing = spawnSync('nginx', ['-v']).status !== 0 && 'nginx is not installed';

/** nginx with the sample, for this bridge; its port. */
async function startNginx(t, bridge) {
  const dir = mkdtempSync(path.join(tmpdir(), 'pushbridge-nginx-'));
  const port = await freePort();
  const sample = readFileSync(SAMPLE, 'utf8').replace('127.0.0.1:5080', `127.0.0.1:${bridge.port}`).replace('listen 8080', `listen 127.0.0.1:${port}`);
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${dir}/${name};`).join(' ');
  writeFileSync(`${dir}/nginx.conf`, `daemon off; master_process off; pid ${dir}/pid; error_log ${dir}/error.log; events {}\nhttp { ${paths}\n${sample} }\n`);
  const nginx = spawn('nginx', ['-e', `${dir}/error.log`, '-c', `${dir}/nginx.conf`], { stdio: 'ignore' });
  const gone = new Promise((resolve) => nginx.once('close', resolve));
  cleanUp(t, async () => {
    nginx.kill();
    await gone;
    rmSync(dir, { recursive: true });
  });
  const url = `http://127.0.0.1:${port}`;
  await until('nginx serves', () => call(url, '/signalr').then(() => true, () => false), 15_000);
  return { port, url };
}

/** The status of an upgrade that a page of this origin asks for. */
function upgrade(port, origin) {
  return new Promise((resolve, reject) => {
    const socket = net.connect(port, '127.0.0.1', () => socket.write(upgradeRequest({ port, query: `?access_token=${tokenFor('alice')}`, headers: { Origin: origin } })));
    socket.on('error', reject);
    socket.once('data', (data) => {
      socket.destroy();
      resolve(Number(data.toString().split(' ')[1]));
    });
  });
}

test('the hub, the proxy and the routes behind nginx', { skip: missing }, async (t) => {
  const { double } = await startDouble(t);
  const bridge = await startBridge(t, double, { 'PushBridge:TrustedProxies': '127.0.0.1' });
  const { port, url } = await startNginx(t, bridge);
  const headers = { Authorization: `Bearer ${tokenFor('alice')}` };
  assert.equal(await upgrade(port, url), 101, 'a page of the same server, whose Origin has the port');
  assert.equal(await upgrade(port, ORIGIN), 101, 'a listed one');
  assert.equal(await upgrade(port, 'http://127.0.0.1'), 403, 'one of another port');
  assert.equal((await call(url, '/signalr/negotiate?negotiateVersion=1', { method: 'POST', headers, body: '' })).status, 200);
  assert.equal((await call(url, '/im/api/v1/rooms.get', { headers })).status, 200);
  assert.equal((await call(url, '/API/services/app/im/GetStatus', { headers })).json().success, true);
});
