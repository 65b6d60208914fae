// One DDP connection: what both servers have in common. The monolith's and the streamer's own rules
// are in ddp_monolith.mjs and ddp_streamer.mjs.
//
//   OPEN --connect--> CONNECTED --login--> CONNECTED with a user --> GONE
import { MeteorError, changedFrame, ddpParse, ddpStringify, hashToken, internalError } from './codec.mjs';
import { methods } from './methods.mjs';

export class DdpSession {
  id = null; // set by connect
  user = null; // the logged-in user's document
  tokenHash = null;
  subs = new Map(); // client's id -> Set of subscriptions (a set, because the streamer takes an id twice)
  frames = { in: 0, out: 0 };
  gone = false;
  #silent = false; // half-open: hears nothing, says nothing
  #held = null; // a frame that waits to be overtaken
  #queue = [];
  #running = false;

  /** server: the RocketChatDouble; sockjs: the peer came by a path that is framed by SockJS */
  constructor(server, ws, { ip, sockjs = false }) {
    this.server = server;
    this.ws = ws;
    this.ip = ip;
    this.sockjs = sockjs;
    ws.on('message', (data, isBinary) => this.#received(data, isBinary));
    ws.on('close', () => this.#end());
    ws.on('error', () => {}); // 'close' follows
    if (sockjs) this.#write('o', true);
  }

  get userId() {
    return this.user ? this.user._id : null;
  }

  // ---- receiving ----

  async #received(data, isBinary) {
    if (this.gone || this.#silent) return;
    this.frames.in++;
    this.heard();
    if (isBinary && this.refuseBinary()) return;
    const text = data.toString();
    const faults = this.server.faults;
    if (!this.sockjs && !faults.watches('in')) return this.accept(ddpParse(text));
    for (const frame of this.sockjs ? unframe(text) : [text]) {
      const message = ddpParse(frame);
      const fields = { msg: message?.msg, method: message?.method, name: message?.name, user: this.user?.username };
      const rule = faults.watches('in') ? faults.take('in', fields) : undefined;
      if (!rule) this.accept(message);
      else if (rule.do === 'error') this.#answerError(message, rule);
      else if (rule.do === 'answer') this.answer(message.id, { result: rule.result });
      else if (rule.do === 'delay') this.enqueue(() => faults.act(rule)), this.accept(message);
      else if (rule.do !== 'ignore') this.#breakOff(rule);
    }
  }

  #answerError(message, { error, reason, details }) {
    const wire = new MeteorError(error, reason, details).toWire();
    if (message.msg === 'sub') this.send({ msg: 'nosub', id: message.id, error: wire });
    else this.answer(message.id, { error: wire });
  }

  /** Methods and subscriptions run strictly one after the other, each to its end. */
  enqueue(task) {
    this.#queue.push(task);
    if (!this.#running) this.#run();
  }

  async #run() {
    this.#running = true;
    while (this.#queue.length > 0 && !this.gone) await this.#queue.shift()();
    this.#running = false;
  }

  // ---- methods and subscriptions ----

  async runMethod({ id, method, params = [] }) {
    let answer;
    try {
      this.server.countCall(`ddp ${method}`);
      this.checkRate('method', method);
      const missing = this.server.options.missingMethods.includes(method);
      const run = missing ? undefined : methods[method];
      if (!run) throw new MeteorError(404, `Method '${method}' not found`);
      const { store, streams, accounts, presence, options } = this.server;
      answer = { result: await run({ session: this, user: this.user, store, streams, accounts, presence, options }, ...params) };
    } catch (error) {
      answer = { error: this.#refusal(method, error) };
    }
    this.answer(id, answer);
  }

  /** Opens a subscription; `ready` or `nosub` is the answer. */
  async runSub({ id, name, params = [] }) {
    try {
      this.checkRate('subscription', name);
      const sub = this.server.streams.open(this, id, name, params);
      if (sub === null) return this.send({ msg: 'nosub', id });
      if (!this.subs.has(id)) this.subs.set(id, new Set());
      this.subs.get(id).add(sub);
      this.ready(id);
    } catch (error) {
      this.send({ msg: 'nosub', id, error: this.#refusal(name, error) });
    }
  }

  /** The error on the wire. What the limiter refused is counted, for tests that ask who ran into it. */
  #refusal(name, error) {
    if (error.error === 'too-many-requests') this.server.countCall(`limited ddp ${name}`);
    return wireError(error);
  }

  dropSub(id) {
    for (const sub of this.subs.get(id) ?? []) this.server.streams.close(sub);
    return this.subs.delete(id);
  }

  ready(id) {
    this.send({ msg: 'ready', subs: [id] });
  }

  countSubs(stream) {
    let n = 0;
    for (const set of this.subs.values()) for (const sub of set) if (sub.stream === stream && !sub.closed) n++;
    return n;
  }

  /** Binds the session to a login, or to nobody (null). */
  bind(login) {
    this.server.unbind(this);
    this.user = login && this.server.store.users.get(login.id);
    this.tokenHash = login && hashToken(login.token);
    if (login) this.server.bind(this);
  }

  /** Stops watching the token, so that its removal ends only the others on it. Returns its hash. */
  releaseToken() {
    this.server.unbind(this);
    return this.tokenHash;
  }

  usersDocument() {
    const { username, name, emails, roles, type, active, createdAt } = this.user;
    const fields = this.server.options.version < 7 ? { username, emails } : { username, name, emails, roles, type, active, createdAt };
    return { msg: 'added', collection: 'users', id: this.user._id, fields };
  }

  // ---- sending ----

  send(message) {
    const meta = { msg: message.msg, id: message.id, collection: message.collection, subs: message.subs };
    this.sendFrame(ddpStringify(message), meta);
  }

  /** A frame that is text already: one text serves all receivers of an event. */
  sendFrame(text, meta) {
    if (this.gone || this.#silent) return;
    if (this.server.faults.watches('out')) {
      const rule = this.server.faults.take('out', { ...meta, user: this.user?.username });
      if (rule) return this.#sendFaulty(text, meta, rule);
    }
    this.#write(text);
    this.#release(meta);
  }

  #sendFaulty(text, meta, rule) {
    switch (rule.do) {
      case 'ignore':
        return;
      case 'delay':
        setTimeout(() => this.#write(text), rule.ms);
        return;
      case 'swap':
        this.#release(meta);
        this.#held = text;
        return;
      case 'fragment':
        return this.sendFragmented(text, rule.size);
      case 'replace':
        return this.sendRaw(bytesOf(rule));
      case 'insert':
        this.sendRaw(bytesOf(rule));
        break;
      case 'args':
        return this.#write(changedFrame(meta.collection, meta.event, rule.args && ddpStringify(rule.args)));
      case 'big':
        this.sendRaw(JSON.stringify({ msg: 'unheard-of', pad: 'x'.repeat(rule.bytes) }));
        break;
      case 'pings':
        this.sendPings(rule);
        break;
      case 'duplicate':
        this.#write(text);
        this.#write(text);
        return;
      default:
        this.#write(text);
        return this.#breakOff(rule);
    }
    this.#write(text);
    this.#release(meta);
  }

  #release(meta) {
    if (this.#held === null || meta.msg !== 'changed') return;
    const text = this.#held;
    this.#held = null;
    this.#write(text);
  }

  #write(text, control = false) {
    if (this.gone || this.#silent) return;
    this.frames.out++;
    this.ws.send(this.sockjs && !control ? `a${JSON.stringify([text])}` : text);
    this.written();
  }

  /** One text frame of any bytes, valid or not. */
  sendRaw(bytes) {
    if (this.gone || this.#silent) return;
    this.frames.out++;
    this.ws.send(bytes, { binary: false });
  }

  /** `control`: of the WebSocket, else of DDP. Past the fault script. */
  sendPings({ count = 1000, control = false }) {
    for (let i = 0; i < count; i++)
      if (control) this.ws.ping();
      else this.#write(`{"msg":"ping","id":"${i}"}`);
  }

  sendBinary(bytes) {
    this.ws.send(bytes, { binary: true });
  }

  sendFragmented(text, size) {
    const bytes = Buffer.from(text);
    this.frames.out++;
    for (let i = 0; i < bytes.length; i += size)
      this.ws.send(bytes.subarray(i, i + size), { binary: false, fin: i + size >= bytes.length });
  }

  // ---- ending ----

  #breakOff(rule) {
    if (rule.do === 'close') this.close(rule.code ?? 1000, rule.reason ?? '');
    else if (rule.do === 'drop') this.drop();
    else if (rule.do === 'reset') this.reset();
    else this.halfOpen();
  }

  close(code, reason) {
    if (this.gone) return;
    this.ws.close(code, reason);
    this.#end(); // nothing more may leave after the close frame
  }

  /** TCP ends without a close frame: the peer sees 1006. */
  drop() {
    this.ws.terminate();
    this.#end();
  }

  reset() {
    const socket = this.ws._socket;
    if (socket?.resetAndDestroy) socket.resetAndDestroy();
    else this.ws.terminate();
    this.#end();
  }

  /** As if the cable were cut: no FIN, no frames, and nothing that arrives is read. */
  halfOpen() {
    this.#silent = true;
    this.stopTimers();
    this.ws.pause();
  }

  #end() {
    if (this.gone) return;
    this.gone = true;
    this.#queue.length = 0;
    this.stopTimers();
    for (const id of [...this.subs.keys()]) this.dropSub(id);
    this.server.unbind(this);
    this.server.sessionEnded(this);
  }

  /** For the control interface: what this connection looks like. */
  describe() {
    const subs = [];
    for (const [id, set] of this.subs) for (const { stream, event } of set) subs.push({ id, stream, event });
    return { id: this.id, user: this.user?.username ?? null, ip: this.ip, subs, frames: this.frames, silent: this.#silent };
  }
}

export function wireError(error) {
  if (error instanceof MeteorError) return error.toWire();
  if (error instanceof TypeError || error instanceof RangeError) return internalError().toWire(); // a client's odd params
  throw error;
}

const bytesOf = ({ text, base64 }) => (base64 === undefined ? text : Buffer.from(base64, 'base64'));

function unframe(text) {
  try {
    const value = JSON.parse(text);
    return Array.isArray(value) ? value.map(String) : [String(value)];
  } catch {
    return [text];
  }
}
