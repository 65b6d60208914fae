// The test host (tests/signalr_host) as a process of its own, and connections to it.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export { sleep, until } from '../lib/wait.mjs';

const ROOT = path.join(path.dirname(fileURLToPath(import.meta.url)), '..', '..');
const BINARY = path.join(process.env.BUILD ?? path.join(ROOT, 'build/asan'), 'signalr_host');
const EXIT_WITHIN_MS = 60_000;

/** A running host. options: its command line, `{ shards: 2 }` for `--shards 2`. It must end by itself
 *  on SIGTERM, with nothing for the sanitizers to say. */
export async function startHost(t, options = {}) {
  const host = new Host(options);
  t.after(() => host.stop());
  await host.ready;
  return host;
}

class Host {
  #stderr = '';

  constructor(options) {
    const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
    this.process = spawn(BINARY, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    this.process.stderr.on('data', (data) => (this.#stderr += data));
    this.exited = once(this.process, 'exit');
    this.ready = this.#ready();
  }

  async #ready() {
    for await (const line of createInterface(this.process.stdout)) {
      const port = /^listening on (\d+)$/.exec(line)?.[1];
      if (!port) continue;
      this.port = Number(port);
      this.url = `http://127.0.0.1:${port}`;
      return;
    }
    throw new Error(`the host ended: ${this.#stderr}`);
  }

  async #post(target, body = '') {
    const answer = await fetch(this.url + target, { method: 'POST', body });
    assert.equal(answer.status, 202);
  }

  /** Invokes `target` with these arguments on every connection of the user. */
  push(user, target, ...args) {
    return this.#post(`/push?user=${encodeURIComponent(user)}&target=${target}`, JSON.stringify(args).slice(1, -1));
  }

  broadcast(target, ...args) {
    return this.#post(`/broadcast?target=${target}`, JSON.stringify(args).slice(1, -1));
  }

  async stats() {
    return (await fetch(`${this.url}/stats`)).json();
  }

  async stop() {
    this.process.kill('SIGTERM');
    const killer = setTimeout(() => this.process.kill('SIGKILL'), EXIT_WITHIN_MS);
    const [code, signal] = await this.exited;
    clearTimeout(killer);
    assert.deepEqual({ code, signal, stderr: this.#stderr }, { code: 0, signal: null, stderr: '' });
  }
}

/** A connection by that client library; `retryMs` switches automatic reconnecting on. */
export function connectionTo(host, signalR, token, { retryMs, ...options } = {}) {
  const builder = new signalR.HubConnectionBuilder()
    .withUrl(`${host.url}/hub`, { ...(token && { accessTokenFactory: () => token }), ...options })
    .configureLogging(signalR.LogLevel.None);
  if (retryMs) builder.withAutomaticReconnect(retryMs);
  return builder.build();
}

/** The same, started, and stopped with the test. */
export async function connect(t, host, signalR, token, options) {
  const connection = connectionTo(host, signalR, token, options);
  t.after(() => connection.stop());
  await connection.start();
  return connection;
}

/** The first arguments of the next event of that name. */
export const heard = (connection, target) => new Promise((resolve) => connection.on(target, (...args) => resolve(args)));

export const closed = (connection) => new Promise((resolve) => connection.onclose((error) => resolve(error)));

