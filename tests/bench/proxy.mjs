// The proxy of Rocket.Chat's REST beside nginx doing the same: one core each, the same server behind
// them, curl in front, a gigabyte up and down; and small calls. Rounds of the two are interleaved.
import { execFile } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { cpuSeconds, ISSUER, KEY, median, rssBytes, startBridge, startHammer, startNginx, startSink } from './programs.mjs';

const run = promisify(execFile);
const MIB = 1 << 20;

function token() {
  const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const now = Math.floor(Date.now() / 1000);
  const signed = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode({ sub: '1', name: 'alice', iss: ISSUER, aud: ISSUER, nbf: now, exp: now + 86400 })}`;
  return `${signed}.${createHmac('sha256', KEY).update(signed).digest('base64url')}`;
}

/** Seconds of one transfer; what came back must be an answer. */
async function transfer(port, file, bytes, authorization) {
  const url = `http://127.0.0.1:${port}/im/api/v1/rooms.media/GENERAL${file ? '' : `?bytes=${bytes}`}`;
  const args = ['-sS', '-o', '/dev/null', '-w', '%{http_code} %{time_total} %{size_download} %{size_upload}', '-H', 'Expect:', '-H', `Authorization: ${authorization}`, ...(file ? ['-X', 'POST', '-T', file] : []), url];
  const [code, seconds, down, up] = (await run('curl', args)).stdout.split(' ').map(Number);
  if (code !== 200 || (file ? up : down) !== bytes) throw new Error(`${url}: ${code}, ${down} down, ${up} up`);
  return seconds;
}

/** The highest resident size since the last call, in bytes. */
function peak(pid) {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  writeFileSync(`/proc/${pid}/clear_refs`, '5');
  return 1024 * Number(/^VmHWM:\s+(\d+)/m.exec(status)[1]);
}

const SMALL = { connections: 32, calls: 20_000 };

/** Calls a second, and microseconds of CPU each. */
async function smallCalls(hammer, server) {
  const cpu = cpuSeconds(server.pid);
  const { done, seconds, failed } = await hammer.ask(`run ${server.port} ${SMALL.connections} ${SMALL.calls}`, { done: true });
  if (failed > 0) throw new Error(`${failed} of ${done} small calls failed`);
  return { rate: done / seconds, cpu: (1e6 * (cpuSeconds(server.pid) - cpu)) / done };
}

export async function measureProxy(report, { megabytes = 1024, rounds = 3 } = {}) {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'bench-'));
  try {
    const bytes = megabytes * MIB;
    const file = path.join(folder, 'upload'); // a hole: nothing is read from a disk
    writeFileSync(file, '');
    truncateSync(file, bytes);
    const sink = await startSink();
    const bridge = await startBridge(sink, { 'Im:WebSocketAddress': 'ws://127.0.0.1:9/', 'PushBridge:Proxy:CallsPerCaller': 100 });
    const nginx = await startNginx(folder, sink.port);
    const authorization = `Bearer ${token()}`;
    const servers = { bridge, nginx };
    for (const server of Object.values(servers)) {
      await transfer(server.port, file, bytes, authorization); // logged in, and the allocator's own is there
      peak(server.pid);
      server.resident = rssBytes(server.pid);
      await transfer(server.port, file, bytes, authorization);
      server.growth = Math.max(0, peak(server.pid) - server.resident);
      server.runs = { up: [], down: [] };
      server.cpu = { up: 0, down: 0 };
    }
    for (let round = 0; round < rounds; round++)
      for (const way of ['up', 'down'])
        for (const server of Object.values(servers)) {
          const cpu = cpuSeconds(server.pid);
          server.runs[way].push(await transfer(server.port, way === 'up' ? file : null, bytes, authorization));
          server.cpu[way] += cpuSeconds(server.pid) - cpu;
        }
    const note = `nginx; ${megabytes} MiB, ${rounds} rounds`;
    report.row('memory a proxied upload adds', 'KB', null, bridge.growth / 1024, 'less than 2 MB', `${megabytes} MiB; nginx: ${Math.round(nginx.growth / 1024)} KB`);
    for (const way of ['up', 'down']) {
      const rate = (server) => megabytes / median(server.runs[way]);
      const cost = (server) => (1000 * server.cpu[way]) / rounds / (megabytes / 1024);
      report.row(`proxied ${way}load`, 'MiB/s', rate(nginx), rate(bridge), 'side by side', note);
      report.row(`proxied ${way}load, CPU`, 'ms/GiB', cost(nginx), cost(bridge), '', note);
    }
    const hammer = await startHammer({ path: '/im/api/v1/rooms.get?bytes=400', authorization });
    for (const server of Object.values(servers)) server.small = [];
    for (let round = 0; round <= rounds; round++) for (const server of Object.values(servers)) server.small.push(await smallCalls(hammer, server));
    const small = (server, what) => median(server.small.slice(1).map((s) => s[what]));
    const smallNote = `nginx (looks at no token); ${SMALL.connections} connections, 400 bytes`;
    report.row('proxied small calls', 'calls/s', small(nginx, 'rate'), small(bridge, 'rate'), 'side by side', smallNote);
    report.row('proxied small calls, CPU', 'µs', small(nginx, 'cpu'), small(bridge, 'cpu'), '', smallNote);
    for (const server of [hammer, nginx, bridge, sink]) await server.stop();
  } finally {
    rmSync(folder, { recursive: true });
  }
}
