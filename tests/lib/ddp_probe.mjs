// A bare DDP client for tests: sends what it is told, keeps every frame, waits for the one asked for.
import { WebSocket } from 'ws';
import { RocketChatDouble } from '../rocketchat_double/double.mjs';

export { sleep } from './wait.mjs';

export async function startDouble(t, options = {}) {
  const double = new RocketChatDouble(options);
  await double.start();
  t.after(() => double.stop());
  const { store } = double;
  const alice = store.createUser({ username: 'alice', password: 'pw-a' });
  const bob = store.createUser({ username: 'bob', password: 'pw-b' });
  const general = store.createRoom({ name: 'general', owner: alice, members: [bob] });
  return { double, store, alice, bob, general };
}

export class Probe {
  frames = []; // parsed, in order of arrival
  closed; // resolves to {code, reason}
  #waiting = [];
  #nextId = 1;

  constructor(url, options) {
    this.ws = new WebSocket(url, options);
    this.closed = new Promise((resolve) => this.ws.on('close', (code, reason) => resolve({ code, reason: reason.toString() })));
    this.ws.on('error', () => {});
    this.ws.on('message', (data) => this.#received(data.toString()));
  }

  static async open(url, options) {
    const probe = new Probe(url, options);
    await new Promise((resolve, reject) => probe.ws.once('open', resolve).once('error', reject));
    return probe;
  }

  /** Connected and, with a login, logged in. */
  static async connect(double, login, options) {
    const probe = await Probe.open(double.webSocketUrl, options);
    probe.send({ msg: 'connect', version: '1', support: ['1'] });
    await probe.next({ msg: 'connected' });
    if (login) probe.login = (await probe.call('login', login)).result;
    return probe;
  }

  #received(text) {
    let frame;
    try {
      frame = JSON.parse(text);
    } catch {
      frame = { unparsed: text };
    }
    frame.at = this.frames.push(frame) - 1;
    for (const waiter of [...this.#waiting]) waiter(frame);
  }

  send(message) {
    this.ws.send(typeof message === 'string' ? message : JSON.stringify(message));
  }

  /** The first frame, past or to come from index `from` on, that has all of `want`. */
  next(want, { from = 0, timeoutMs = 2000 } = {}) {
    const fits = (frame) => frame.at >= from && includes(frame, want);
    const found = this.frames.find(fits);
    if (found) return Promise.resolve(found);
    return new Promise((resolve, reject) => {
      const waiter = (frame) => {
        if (!fits(frame)) return;
        clearTimeout(timer);
        this.#waiting.splice(this.#waiting.indexOf(waiter), 1);
        resolve(frame);
      };
      const timer = setTimeout(() => reject(new Error(`no ${JSON.stringify(want)} in ${JSON.stringify(this.frames).slice(0, 2000)}`)), timeoutMs);
      this.#waiting.push(waiter);
    });
  }

  call(method, ...params) {
    const id = String(this.#nextId++);
    this.send({ msg: 'method', method, id, params });
    return this.next({ msg: 'result', id });
  }

  /** Resolves to the `ready` or `nosub` frame. */
  sub(id, name, ...params) {
    const from = this.frames.length;
    this.send({ msg: 'sub', id, name, params });
    return Promise.race([this.next({ msg: 'ready', subs: [id] }, { from }), this.next({ msg: 'nosub', id }, { from })]);
  }

  event(eventName, options) {
    return this.next({ msg: 'changed', fields: { eventName } }, options);
  }

  events(eventName) {
    return this.frames.filter((f) => f.msg === 'changed' && f.fields.eventName === eventName).map((f) => f.fields.args);
  }

  /** Waits until everything sent before now has been answered: frames are handled in order. */
  async settle() {
    const from = this.frames.length;
    this.send({ msg: 'ping', id: `settle${from}` });
    await this.next({ msg: 'pong', id: `settle${from}` }, { from });
  }
}

export const password = (username, text) => ({ user: { username }, password: text });

function includes(have, want) {
  if (want === null || typeof want !== 'object') return have === want;
  if (have === null || typeof have !== 'object') return false;
  if (Array.isArray(want)) return want.every((w) => have.some?.((h) => includes(h, w)));
  return Object.entries(want).every(([key, value]) => includes(have[key], value));
}

/** REST calls to the double: (method, path, {as: {userId, authToken}, body, headers}) -> {status, headers, body}. A FormData body goes as it is. */
export const api = (double) => async (method, path, { as, body, headers = {} } = {}) => {
  const form = body instanceof FormData;
  const sent = { ...(!form && { 'Content-Type': 'application/json' }), ...(as && { 'X-Auth-Token': as.authToken, 'X-User-Id': as.userId }), ...headers };
  const res = await fetch(`${double.url}/api/v1/${path}`, { method, headers: sent, body: form ? body : body && JSON.stringify(body) });
  return { status: res.status, headers: res.headers, body: await res.json() };
};

/** startDouble(), logged in by REST as alice. `root()` is an admin's login. */
export async function withLogin(t, options) {
  const all = await startDouble(t, options);
  const call = api(all.double);
  const { body } = await call('POST', 'login', { body: { user: 'alice', password: 'pw-a' } });
  const asUser = (user) => ({ userId: user._id, authToken: all.store.addToken(user).token });
  const root = () => asUser(all.store.createUser({ username: 'root', password: 'x', roles: ['admin'] }));
  return { ...all, call, as: body.data, asUser, root };
}
