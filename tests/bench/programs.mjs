// Starts, commands, measures and stops the programs of tests/bench and tests/soak. None outlives
// this process.
import { execFileSync, spawn } from 'node:child_process';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { until } from '../lib/wait.mjs';

export { sleep, until } from '../lib/wait.mjs';

export const ROOT = path.join(path.dirname(fileURLToPath(import.meta.url)), '..', '..');
export const BUILD = path.resolve(process.env.BUILD ?? path.join(ROOT, 'build/bench'));
export const KEY = 'bench-key-of-no-secret-whatsoever-0123456789';
export const ISSUER = 'bench';
const ANSWER_WITHIN_MS = 120_000;
const STOP_WITHIN_MS = 30_000;

/** The server has core 0 to itself; who loads and measures it shares the last one. */
export const SERVER_CORE = 0;
export const CLIENT_CORE = os.cpus().length - 1;
if (os.cpus().length > 1) execFileSync('taskset', ['-apc', String(CLIENT_CORE), String(process.pid)]);

/** A process that answers each line of stdin by one of JSON, those of `{"done":...}` when they come. */
class Program {
  constructor(file, args = [], { core = CLIENT_CORE, env = process.env, stderr = 'inherit' } = {}) {
    this.name = path.basename(file);
    this.waiting = [];
    const pinned = os.cpus().length > 1 ? ['taskset', '-c', String(core), file] : [file];
    this.process = spawn(pinned[0], [...pinned.slice(1), ...args], { env, stdio: ['pipe', 'pipe', stderr] });
    this.pid = this.process.pid;
    this.exited = new Promise((resolve) => this.process.once('exit', (code, signal) => resolve(code ?? signal)));
    createInterface({ input: this.process.stdout }).on('line', (line) => this.onLine(line));
    this.exited.then((how) => {
      this.ended = how;
      for (const w of this.waiting.splice(0)) w.reject(new Error(`${this.name} ended (${how}) before its answer`));
    });
  }

  onLine(line) {
    if (!line.startsWith('{')) return;
    const answer = JSON.parse(line);
    const at = this.waiting.findIndex((w) => w.done === ('done' in answer));
    if (at >= 0) this.waiting.splice(at, 1)[0].resolve(answer);
  }

  answer(done, timeoutMs) {
    return new Promise((resolve, reject) => {
      const waiter = { done };
      const timer = setTimeout(() => reject(new Error(`${this.name}: no answer within ${timeoutMs} ms`)), timeoutMs);
      waiter.resolve = (value) => (clearTimeout(timer), resolve(value));
      waiter.reject = (error) => (clearTimeout(timer), reject(error));
      if (this.ended !== undefined) waiter.reject(new Error(`${this.name} has ended (${this.ended})`));
      else this.waiting.push(waiter);
    });
  }

  /** Sends a command; done: its answer is a {"done":...}. */
  ask(command, { done = false, timeoutMs = ANSWER_WITHIN_MS } = {}) {
    const answer = this.answer(done, timeoutMs);
    this.process.stdin.write(`${command}\n`);
    return answer;
  }

  async stop() {
    const timer = setTimeout(() => this.process.kill('SIGKILL'), STOP_WITHIN_MS);
    this.process.stdin.end();
    if (this.ended === undefined) this.process.kill('SIGTERM');
    const how = await this.exited;
    clearTimeout(timer);
    return how;
  }
}

const started = [];
const keep = (program) => (started.push(program), program);
process.on('exit', () => started.forEach((program) => program.ended === undefined && program.process.kill('SIGKILL')));

/** Stops whatever still runs, youngest first. */
export async function stopAll() {
  for (const program of started.splice(0).reverse()) await program.stop();
}

export async function startPump() {
  const pump = keep(new Program(path.join(BUILD, 'bench/pump'), [], { core: SERVER_CORE }));
  pump.port = (await pump.answer(false, 5000)).port;
  return pump;
}

export async function startLoad(port, options = {}) {
  const args = Object.entries({ port, ...options }).flatMap(([k, v]) => [`--${k}`, String(v)]);
  return keep(new Program(path.join(BUILD, 'bench/load'), args));
}

export async function startSource({ rooms = 20, cert, key } = {}) {
  const args = ['--rooms', String(rooms), ...(cert ? ['--cert', cert, '--key', key] : [])];
  const source = keep(new Program(path.join(BUILD, 'bench/ddp_source'), args));
  Object.assign(source, await source.answer(false, 5000));
  return source;
}

/** What the proxies of proxy.mjs have behind them. */
export async function startSink() {
  const sink = keep(new Program(path.join(BUILD, 'bench/rest_sink')));
  return Object.assign(sink, await sink.answer(false, 5000));
}

/** Small calls, one after the other on each connection: ask(`run PORT CONNECTIONS CALLS`). */
export async function startHammer(options) {
  const hammer = keep(new Program(path.join(BUILD, 'bench/hammer'), Object.entries(options).flatMap(([k, v]) => [`--${k}`, v])));
  await hammer.answer(false, 5000);
  return hammer;
}

/** nginx as a proxy of one worker in front of `port`, streaming both ways; files in `folder`. */
export async function startNginx(folder, port) {
  const listen = await freePort();
  const settings = `
daemon off; master_process off; pid ${folder}/pid; error_log ${folder}/error.log;
events {}
http {
  access_log off; client_max_body_size 0;
  client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy; fastcgi_temp_path ${folder}/f; uwsgi_temp_path ${folder}/u; scgi_temp_path ${folder}/s;
  upstream sink { server 127.0.0.1:${port}; keepalive 16; }
  server {
    listen 127.0.0.1:${listen};
    location /im/ {
      proxy_pass http://sink/; proxy_http_version 1.1; proxy_request_buffering off; proxy_max_temp_file_size 0;
      proxy_set_header Connection ''; proxy_set_header Authorization ''; proxy_set_header Cookie '';
      proxy_set_header X-Auth-Token token-of-the-bench; proxy_set_header X-User-Id u1; proxy_set_header X-Forwarded-For $remote_addr;
    }
  }
}`;
  writeFileSync(path.join(folder, 'nginx.conf'), settings);
  const nginx = keep(new Program('/usr/sbin/nginx', ['-c', path.join(folder, 'nginx.conf'), '-e', path.join(folder, 'error.log')], { core: SERVER_CORE }));
  nginx.port = listen;
  await until('nginx listens', () => fetch(`http://127.0.0.1:${listen}/`).then(() => true, () => false), 10_000);
  return nginx;
}

async function freePort() {
  const server = net.createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** signalr/ alone. Timers so long that the connections are idle. */
export async function startHost() {
  const args = ['--keepalive-ms', '600000', '--client-timeout-ms', '1200000'];
  const host = keep(new Program(path.join(BUILD, 'signalr_host'), args, { core: SERVER_CORE }));
  const [line] = await once(createInterface({ input: host.process.stdout }), 'line');
  host.port = Number(/listening on (\d+)/.exec(line)[1]);
  host.post = async (route) => {
    const response = await fetch(`http://127.0.0.1:${host.port}${route}`, { method: 'POST' });
    if (!response.ok) throw new Error(`${route}: ${response.status}`);
  };
  host.stats = async () => (await fetch(`http://127.0.0.1:${host.port}/stats`)).json();
  return host;
}

const once = (emitter, event) => new Promise((resolve) => emitter.once(event, (...args) => resolve(args)));

/** The product, one shard, against `source`. settings: more, as {'PushBridge:Shards': 1}; undefined: as by default. */
export async function startBridge(source, settings = {}, { env = {} } = {}) {
  const all = {
    Urls: 'http://127.0.0.1:0',
    'Im:Address': `http://127.0.0.1:${source.port}/`,
    'Im:DefaultPassword': 'any',
    'Im:LoginVia': 'rest',
    'Authentication:JwtBearer:SecurityKey': KEY,
    'Authentication:JwtBearer:Issuer': ISSUER,
    'Authentication:JwtBearer:Audience': ISSUER,
    'PushBridge:AdminUrls': 'http://127.0.0.1:0',
    'PushBridge:Shards': 1,
    'PushBridge:Log:Format': 'json',
    'PushBridge:Log:Level': 'info',
    'PushBridge:Hub:KeepAliveSeconds': 600,
    'PushBridge:Hub:ClientTimeoutSeconds': 1200,
    'PushBridge:Logins:RestPerMinute': 1_000_000,
    'PushBridge:Logins:DdpPerSecond': 10_000,
    'PushBridge:Drain:Seconds': 10,
    ...settings,
  };
  const variables = Object.fromEntries(Object.entries(all).filter(([, v]) => v !== undefined).map(([k, v]) => [k.replaceAll(':', '__'), String(v)]));
  const bridge = keep(
    new Program(path.join(BUILD, 'pushbridge'), [], {
      core: SERVER_CORE,
      env: { PATH: process.env.PATH, ...variables, ...env },
      stderr: 'pipe',
    }),
  );
  bridge.log = [];
  createInterface({ input: bridge.process.stderr }).on('line', (line) => {
    bridge.log.push(line);
    if (bridge.log.length > 2000) bridge.log.shift();
    if (process.env.BENCH_VERBOSE) console.error(line);
  });
  const port = (what) => Number(bridge.log.map((l) => /"port":(\d+).*"for":"(\w+)"/.exec(l)).find((m) => m?.[2] === what)?.[1]);
  await until('the bridge listens', () => {
    if (bridge.ended !== undefined) throw new Error(`the bridge ended (${bridge.ended}):\n${bridge.log.join('\n')}`);
    return port('clients') && port('operators');
  });
  bridge.port = port('clients');
  bridge.adminPort = port('operators');
  bridge.metrics = async () => {
    const text = await (await fetch(`http://127.0.0.1:${bridge.adminPort}/metrics`)).text();
    return Object.fromEntries([...text.matchAll(/^([a-z_]+(?:\{[^}]*\})?) (\S+)$/gm)].map((m) => [m[1], Number(m[2])]));
  };
  return bridge;
}

/** A certificate for `localhost` and 127.0.0.1, in `folder`. */
export function makeCertificate(folder) {
  const cert = path.join(folder, 'cert.pem');
  const key = path.join(folder, 'key.pem');
  execFileSync('openssl', [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj', '/CN=localhost'],
    ...['-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1', '-keyout', key, '-out', cert],
  ], { stdio: 'ignore' });
  return { cert, key };
}

/** Seconds of CPU the process has used, all its threads. */
export function cpuSeconds(pid) {
  let ns = 0;
  for (const task of readdirSync(`/proc/${pid}/task`)) {
    ns += Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ')[0]);
  }
  return ns / 1e9;
}

/** Resident bytes. */
export function rssBytes(pid) {
  return 1024 * Number(/^Rss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))[1]);
}

export function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
