// Starts and stops what end-to-end and protocol tests need: the bridge (the real binary, named by
// PUSHBRIDGE), the Rocket.Chat double, free ports. Everything is stopped by its own process id, and
// a bridge that leaks, trips a sanitizer or does not end by itself fails its test.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { RocketChatDouble } from '../rocketchat_double/double.mjs';
import { abpToken } from './jwt.mjs';
import { sleep, until } from './wait.mjs';

export { sleep, until } from './wait.mjs';

const ROOT = path.join(path.dirname(fileURLToPath(import.meta.url)), '..', '..');
export const PROGRAM = path.resolve(process.env.PUSHBRIDGE ?? path.join(ROOT, 'build/asan/pushbridge'));
const LOG_DIR = path.join(ROOT, 'tests/out/bridge');
const EXIT_WITHIN_MS = 60_000;
const LOG_LINES_KEPT = 5000;
const SANITIZER = /ERROR: (Address|Leak|Thread)Sanitizer|WARNING: ThreadSanitizer|runtime error:|Assertion .* failed/;

export const KEY = 'MatoAppSample_C421AAEE0D114E9C';
export const ISSUER = 'MatoAppSample';
export const PASSWORD = '123qwe';
export const ORIGIN = 'http://app.example';

/** A token for the double's user of that name. `more` as in abpToken(). */
export const tokenFor = (name, more = {}) => abpToken({ key: KEY, issuer: ISSUER, audience: ISSUER, id: `id-${name}`, name, ...more });

const cleanups = new WeakMap();

/** Undoes what a test started, all of it, the last first: the bridge before its Rocket.Chat. */
export function cleanUp(t, fn) {
  if (!cleanups.has(t)) {
    cleanups.set(t, []);
    t.after(async () => {
      const failures = [];
      for (const each of cleanups.get(t).reverse()) await (async () => each())().catch((error) => failures.push(error));
      if (failures.length > 0) throw failures[0];
    });
  }
  cleanups.get(t).push(fn);
}

// From behind 10080 on, which fetch and browsers don't go to (the last of the Fetch standard's bad ports).
const FIRST_PORT = 10_081;
let nextPort = FIRST_PORT + ((process.pid * 97) % 20_000);

/** A port below the ephemeral range, so that no outgoing connection takes it meanwhile. */
export async function freePort() {
  for (;;) {
    const port = nextPort++;
    if (nextPort > 32_000) nextPort = FIRST_PORT;
    const server = net.createServer();
    const free = await new Promise((resolve) => {
      server.once('error', () => resolve(false));
      server.listen(port, '127.0.0.1', () => resolve(true));
    });
    if (!free) continue;
    await new Promise((resolve) => server.close(resolve));
    return port;
  }
}

/** A double with users of the default password, all of them in `general`. */
export async function startDouble(t, { users = ['alice', 'bob'], ...options } = {}) {
  const double = new RocketChatDouble({ rateLimits: false, ...options });
  const { store } = double;
  const people = users.map((username) => store.createUser({ username, password: PASSWORD }));
  const general = store.createRoom({ name: 'general', owner: people[0], members: people });
  await double.start();
  cleanUp(t, async () => double.stop());
  const user = (name) => store.requireUser(name);
  return {
    double,
    store,
    general,
    user,
    post: (room, name, msg, more) => store.post({ rid: room._id, user: user(name), msg, ...more }),
    /** Until the bridge follows this user's rooms: a message is not lost any more. */
    live: (name) => until(`a live session of ${name}`, () => isLive(double, user(name)._id)),
  };
}

async function isLive(double, uid) {
  const events = double.sessionsOf(uid).flatMap((s) => [...s.subs.values()].flatMap((set) => [...set].map((sub) => sub.event)));
  if (!events.includes(`${uid}/rooms-changed`)) return false;
  await sleep(double.options.hookDelayMs + 150); // the double's hooking gap, and the bridge's first lists
  return true;
}

class Bridge {
  logs = []; // stderr, line by line
  #child = null;

  constructor(name, env, port, adminPort) {
    this.name = name;
    this.env = env;
    this.port = port;
    this.url = `http://127.0.0.1:${port}`;
    this.hubUrl = `${this.url}/signalr`;
    this.adminUrl = `http://127.0.0.1:${adminPort}`;
  }

  get pid() {
    return this.#child?.pid;
  }

  async start() {
    const child = spawn(PROGRAM, [], { env: this.env, stdio: ['ignore', 'inherit', 'pipe'] });
    this.#child = child;
    this.exited = once(child, 'close').then(([code, signal]) => ({ code, signal }));
    let rest = '';
    child.stderr.setEncoding('utf8').on('data', (text) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop();
      this.logs.push(...lines);
      this.logs.splice(0, this.logs.length - LOG_LINES_KEPT);
    });
    child.on('error', (error) => this.logs.push(`cannot start ${PROGRAM}: ${error.message}`));
    let gone = false;
    this.exited.then(() => (gone = true));
    await until('the bridge is ready', async () => {
      if (gone) throw new Error(`the bridge ended at start:\n${this.logs.slice(-30).join('\n')}`);
      return fetch(`${this.url}/readyz`).then((res) => res.status === 200, () => false);
    });
  }

  /** SIGTERM; the exit must come in time and be clean. */
  async stop() {
    if (!this.#child) return;
    const child = this.#child;
    this.#child = null;
    child.kill('SIGTERM');
    const late = setTimeout(() => child.kill('SIGKILL'), EXIT_WITHIN_MS);
    const { code, signal } = await this.exited;
    clearTimeout(late);
    this.#keepLog();
    const tail = this.logs.slice(-60).join('\n');
    const complaint = this.logs.find((line) => SANITIZER.test(line));
    assert.equal(complaint, undefined, tail);
    assert.deepEqual({ code, signal }, { code: 0, signal: null }, tail);
  }

  /** Resolves when it has ended by itself: {code, signal}. */
  async ended() {
    const how = await this.exited;
    this.#child = null;
    this.#keepLog();
    return how;
  }

  /** The last lines, for whoever wonders why a test failed. */
  #keepLog() {
    mkdirSync(LOG_DIR, { recursive: true });
    const file = `${this.name.replace(/[^\w.-]+/g, '_').slice(0, 100)}.${this.port}.log`;
    writeFileSync(path.join(LOG_DIR, file), `${this.logs.join('\n')}\n`);
  }

  /** As a crash: nothing is said to anybody. */
  async kill() {
    const child = this.#child;
    this.#child = null;
    child.kill('SIGKILL');
    await this.exited;
  }

  async restart() {
    await this.stop();
    await this.start();
  }

  /** The parsed log lines of an event. */
  logged(event) {
    return this.logs.flatMap((line) => {
      try {
        const entry = JSON.parse(line);
        return entry.event === event ? [entry] : [];
      } catch {
        return [];
      }
    });
  }
}

/**
 * The bridge, ready, in front of `double` (null: an address where nobody answers). `settings` by
 * name: {'PushBridge:Shards': 2}; a list as an array; Urls are addresses beside the first. `env`
 * are more environment variables.
 */
export async function startBridge(t, double, settings = {}, env = {}) {
  const port = await freePort();
  const adminPort = await freePort();
  const all = {
    'PushBridge:AdminUrls': `http://127.0.0.1:${adminPort}`,
    'PushBridge:AdminApiKey': 'test-api-key-0123456789',
    'PushBridge:Log:Format': 'json',
    'PushBridge:Log:Level': 'debug',
    'PushBridge:Shards': 2,
    'PushBridge:Drain:Seconds': 5,
    'PushBridge:Hub:CloseWaitSeconds': 0.5,
    'App:CorsOrigins': ORIGIN,
    'Authentication:JwtBearer:SecurityKey': KEY,
    'Authentication:JwtBearer:Issuer': ISSUER,
    'Authentication:JwtBearer:Audience': ISSUER,
    'Im:Address': double ? double.url : `http://127.0.0.1:${await freePort()}`,
    'Im:DefaultPassword': PASSWORD,
    ...settings,
    Urls: [`http://127.0.0.1:${port}`, ...(settings.Urls ?? [])].join(';'),
  };
  const bridge = new Bridge(t.name ?? 'suite', { ...inherited(), ...environment(all), ...env }, port, adminPort);
  cleanUp(t, () => bridge.stop());
  await bridge.start();
  return bridge;
}

function inherited() {
  const { PATH, HOME, TMPDIR, ASAN_OPTIONS, UBSAN_OPTIONS, TSAN_OPTIONS, LSAN_OPTIONS } = process.env;
  return { PATH, HOME, ...Object.fromEntries(Object.entries({ TMPDIR, ASAN_OPTIONS, UBSAN_OPTIONS, TSAN_OPTIONS, LSAN_OPTIONS }).filter(([, v]) => v !== undefined)) };
}

function environment(settings) {
  const env = {};
  for (const [name, value] of Object.entries(settings)) {
    const key = name.replaceAll(':', '__');
    if (Array.isArray(value)) value.forEach((v, i) => (env[`${key}__${i}`] = String(v)));
    else if (value !== undefined) env[key] = String(value);
  }
  return env;
}
