// DDP as Meteor serves it in Rocket.Chat's monolith: tolerant of bad frames, with rate limits,
// closes with 1000.
import { DdpSession, wireError } from './ddp_session.mjs';
import { ddpStringify } from './codec.mjs';

const VERSIONS = ['1', 'pre2', 'pre1'];
const HEARTBEAT_MS = 15_000;
const CONNECT_WITHIN_MS = 45_000;
const isStrings = (value) => Array.isArray(value) && value.every((v) => typeof v === 'string');

export class MonolithSession extends DdpSession {
  #seen = true;
  #tick = null;
  #timeout = null;
  #readyBatch = [];

  constructor(server, ws, how) {
    super(server, ws, how);
    this.#timeout = server.clock.after(CONNECT_WITHIN_MS * server.options.timeFactor, () => this.close(1000, ''));
    const first = server.options.preConnected;
    if (first !== null) this.sendRaw(JSON.stringify(first));
  }

  // ---- heartbeat ----

  heard() {
    this.#seen = true;
    if (this.id === null) return;
    this.#stopTimeout();
  }

  #stopTimeout() {
    this.server.clock.cancel(this.#timeout);
    this.#timeout = null;
  }

  written() {}

  #startHeartbeat() {
    this.#stopTimeout();
    const { clock } = this.server;
    const interval = HEARTBEAT_MS * this.server.options.timeFactor;
    this.#tick = clock.every(interval, () => {
      if (!this.#seen && this.#timeout === null) {
        this.send({ msg: 'ping' });
        this.#timeout = clock.after(interval, () => this.close(1000, 'Normal closure'));
      }
      this.#seen = false;
    });
  }

  stopTimers() {
    this.server.clock.cancel(this.#tick);
    this.#stopTimeout();
  }

  // ---- frames ----

  refuseBinary() {
    return false; // read as text
  }

  accept(message) {
    if (message === null || typeof message.msg !== 'string') return this.#complain('Bad request', message);
    if (message.msg === 'connect') {
      if (this.id !== null) return this.#complain('Already connected', message);
      return this.#connect(message);
    }
    if (this.id === null) return this.#complain('Must connect first', message);
    switch (message.msg) {
      case 'ping': // not queued: a pong says nothing about methods
        return this.send(message.id === undefined ? { msg: 'pong' } : { msg: 'pong', id: message.id });
      case 'pong':
        return undefined;
      case 'method':
        return this.enqueue(() => this.#method(message));
      case 'sub':
        return this.enqueue(() => this.#sub(message));
      case 'unsub':
        return this.enqueue(async () => this.#unsub(message));
      default:
        return this.enqueue(async () => this.#complain('Bad request', message));
    }
  }

  #complain(reason, offendingMessage) {
    this.send({ msg: 'error', reason, ...(offendingMessage && { offendingMessage }) });
  }

  #connect({ version, support }) {
    const best = (isStrings(support) && support.find((v) => VERSIONS.includes(v))) || VERSIONS[0];
    if (!isStrings(support) || !support.includes(version) || version !== best) {
      this.send({ msg: 'failed', version: best });
      return this.close(1000, 'Normal closure');
    }
    this.id = this.server.store.ids.id();
    this.#startHeartbeat();
    this.send({ msg: 'connected', session: this.id });
  }

  checkRate(type, name) {
    this.server.ddpLimiter.check({ type, name, userId: this.userId, session: this.id, ip: this.ip });
  }

  async #method(message) {
    const { id, method, params, randomSeed } = message;
    const bad = typeof id !== 'string' || typeof method !== 'string' || (params !== undefined && !Array.isArray(params));
    if (bad || (randomSeed !== undefined && typeof randomSeed !== 'string')) return this.#complain('Malformed method invocation', message);
    await this.runMethod(message);
  }

  /** `result` and `updated` come in no promised order. */
  answer(id, answer) {
    const result = () => this.send({ msg: 'result', id, ...answer });
    const updated = () => this.send({ msg: 'updated', methods: [id] });
    switch (this.server.options.resultOrder) {
      case 'result-first':
        result();
        return updated();
      case 'updated-late':
        result();
        return void setTimeout(updated, 500);
      case 'updated-never':
        return result();
      default:
        updated();
        return result();
    }
  }

  async #sub(message) {
    const { id, name, params } = message;
    if (typeof id !== 'string' || typeof name !== 'string' || (params !== undefined && !Array.isArray(params)))
      return this.#complain('Malformed subscription', message);
    if (this.subs.has(id)) return; // a live id again: silently nothing
    await this.runSub(message);
  }

  #unsub({ id }) {
    this.dropSub(id);
    this.send({ msg: 'nosub', id });
  }

  ready(id) {
    if (!this.server.options.batchReady) return super.ready(id);
    this.#readyBatch.push(id);
    if (this.#readyBatch.length === 1) setTimeout(() => this.#flushReady(), 5);
  }

  #flushReady() {
    this.send({ msg: 'ready', subs: this.#readyBatch });
    this.#readyBatch = [];
  }

  // ---- login ----

  /** Subscriptions are run again as the new user; what they may not have any more ends. */
  setUser(login) {
    const before = this.user;
    this.bind(login);
    if (before && before !== this.user) this.send({ msg: 'removed', collection: 'users', id: before._id });
    const order = this.server.options.usersAdded;
    if (this.user && before !== this.user) {
      if (order === 'before') this.send(this.usersDocument());
      if (order === 'after') setImmediate(() => this.user && this.send(this.usersDocument()));
    }
    if (before === this.user) return;
    const again = [];
    for (const [id, subs] of [...this.subs]) {
      const [{ stream, params }] = subs;
      this.dropSub(id);
      try {
        const sub = this.server.streams.open(this, id, stream, params);
        this.subs.set(id, new Set([sub]));
        again.push(id);
      } catch (error) {
        this.send({ msg: 'nosub', id, error: wireError(error) });
      }
    }
    if (again.length > 0) this.sendFrame(ddpStringify({ msg: 'ready', subs: again }), { msg: 'ready' });
  }

  /** Later versions of the `users` document, which only carry what changed. */
  documentChanged(fields) {
    this.send({ msg: 'changed', collection: 'users', id: this.user._id, fields });
  }

  /** Logging out leaves the connection open, as nobody. */
  loggedOut() {
    this.setUser(null);
  }

  /** The client is told and expected to leave. */
  forceLogout() {}

  tokenGone() {
    this.close(1000, 'Normal closure');
  }
}
