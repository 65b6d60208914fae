// DDP as the separate ddp-streamer service speaks it: strict about the first frame, no version
// negotiation, no rate limits, its own close codes.
import { DdpSession } from './ddp_session.mjs';

const FIRST_IDLE_MS = 30; // so a ping may come before `connect` was read
const IDLE_MS = 30_000;
const MAX_BUFFERED_BYTES = 4 * 1024 * 1024;
const CLOSE = { PROTOCOL_ERROR: 1002, UNSUPPORTED_DATA: 1007, SLOW_CONSUMER: 1013, TIMEOUT: 4000 };

export class StreamerSession extends DdpSession {
  #timer = null;
  #pinged = false;

  constructor(server, ws, how) {
    super(server, ws, how);
    const { preConnected, version } = server.options;
    const first = preConnected ?? (version < 8 ? { server_id: '0' } : { msg: 'server_id', server_id: '0' });
    this.sendRaw(JSON.stringify(first));
    this.#arm(FIRST_IDLE_MS);
  }

  // ---- idle timer ----

  #arm(ms) {
    const { clock } = this.server;
    clock.cancel(this.#timer);
    this.#timer = clock.after(ms, () => this.#idle());
  }

  #idle() {
    if (this.#pinged) return this.close(CLOSE.TIMEOUT, 'TIMEOUT');
    this.#pinged = true;
    this.send({ msg: 'ping' });
    this.#arm(IDLE_MS * this.server.options.timeFactor);
  }

  heard() {
    this.#pinged = false;
    this.#arm(IDLE_MS * this.server.options.timeFactor);
  }

  written() {
    if (this.server.options.version >= 8 && this.ws.bufferedAmount > MAX_BUFFERED_BYTES) this.close(CLOSE.SLOW_CONSUMER, 'SLOW_CONSUMER');
  }

  stopTimers() {
    this.server.clock.cancel(this.#timer);
  }

  // ---- frames ----

  refuseBinary() {
    this.close(CLOSE.UNSUPPORTED_DATA, 'UNSUPPORTED_DATA');
    return true;
  }

  accept(message) {
    if (message === null) return this.close(CLOSE.UNSUPPORTED_DATA, 'UNSUPPORTED_DATA');
    if (this.id === null) {
      if (message.msg !== 'connect') return this.#protocolError();
      this.id = this.server.store.ids.uuid();
      return this.send({ msg: 'connected', session: this.id });
    }
    switch (message.msg) {
      case 'ping': // not queued
        return this.send(message.id === undefined ? { msg: 'pong' } : { msg: 'pong', id: message.id });
      case 'method':
        if (!message.id || !message.method) return this.#protocolError();
        return this.enqueue(() => this.runMethod(message));
      case 'sub':
        if (!message.id || !message.name) return this.#protocolError();
        return this.enqueue(() => this.runSub(message));
      case 'unsub': // not queued, and an unknown id gets no answer
        if (!message.id) return this.#protocolError();
        return this.dropSub(message.id) ? this.send({ msg: 'nosub', id: message.id }) : undefined;
      default:
        return undefined;
    }
  }

  #protocolError() {
    this.close(CLOSE.PROTOCOL_ERROR, 'CLOSE_PROTOCOL_ERROR');
  }

  checkRate() {}

  answer(id, { result, error }) {
    this.send({ msg: 'result', id, ...(result && { result }), ...(error && { error }) });
    this.send({ msg: 'updated', methods: [id] });
  }

  // ---- login ----

  setUser(login) {
    this.bind(login);
    if (this.server.options.usersAdded !== 'none') setImmediate(() => this.user && this.send(this.usersDocument()));
  }

  documentChanged() {} // it publishes no changes

  loggedOut() {
    setTimeout(() => this.close(CLOSE.PROTOCOL_ERROR, ''), 1);
  }

  /** Before 8 nobody told the streamer. */
  tokenGone() {
    if (this.server.options.version < 8) return;
    this.server.streams.notifyUser(this.userId, 'force_logout', []);
    this.forceLogout();
  }

  forceLogout() {
    if (this.server.options.version >= 8) this.close(1000, '');
  }
}
