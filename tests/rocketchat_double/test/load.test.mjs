// Ten thousand connections: one message to all of them, a restart, and all of them back.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { openCrowd } from '../../lib/ddp_crowd.mjs';
import { sleep } from '../../lib/ddp_probe.mjs';

const CONNECTIONS = Number(process.env.CROWD ?? 10_000);

const residentKb = (pid) => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]);

async function control(server, op, body) {
  const res = await fetch(`${server.control}${op}`, body && { method: 'POST', body: JSON.stringify(body) });
  assert.equal(res.status, 200, op);
  return res.json();
}

async function allHeard(members, n) {
  for (let i = 0; members.some((m) => m.heard < n); i++) {
    if (i > 600) throw new Error(`${members.filter((m) => m.heard < n).length} have not heard it`);
    await sleep(50);
  }
}

test('ten thousand sockets, one message to all, a restart and the storm after it', async (t) => {
  const child = spawn(process.execPath, [fileURLToPath(new URL('../main.mjs', import.meta.url)), '--users', 'owner', '--rooms', 'general']);
  t.after(() => child.kill());
  child.stderr.pipe(process.stderr);
  const server = JSON.parse((await once(child.stdout, 'data'))[0]);
  const { tokens } = await control(server, 'create-users', { prefix: 'm', count: CONNECTIONS, room: 'general', tokens: true });
  const logins = tokens.map((token, i) => [`mid${i}`, token]);
  const port = Number(new URL(server.url).port);
  const empty = residentKb(child.pid);

  let start = Date.now();
  const members = await openCrowd(port, logins);
  t.diagnostic(`${CONNECTIONS} logged in and subscribed in ${Date.now() - start} ms, ${((residentKb(child.pid) - empty) / CONNECTIONS).toFixed(1)} KB each`);
  await sleep(100);
  start = Date.now();
  await control(server, 'post', { room: 'general', user: 'owner', msg: 'to all' });
  await allHeard(members, 1);
  t.diagnostic(`one message reached all in ${Date.now() - start} ms`);
  assert.equal((await control(server, 'counts')).sessions, CONNECTIONS);

  await control(server, 'restart', {});
  await Promise.all(members.map((m) => m.closed));
  assert.equal((await control(server, 'counts')).sessions, 0);
  start = Date.now();
  const again = await openCrowd(port, logins); // the tokens live on
  t.diagnostic(`all back in ${Date.now() - start} ms`);
  await sleep(100);
  await control(server, 'post', { room: 'general', user: 'owner', msg: 'to all again' });
  await allHeard(again, 1);
  for (const { socket } of again) socket.destroy();
});
