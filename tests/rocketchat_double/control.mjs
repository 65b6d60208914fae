// The control interface: POST /__double/OPERATION with a JSON object, answered by JSON; GET
// /__double/state, calls, counts, echoes, subscriptions?user=, messages?room= to look. Users are named by name or id, rooms by name or id.
// Only loopback may use it. An operation that can't be done answers 400 {"error": text}.
import { MeteorError } from './codec.mjs';

const LOOPBACK = /^(::ffff:)?127\.|^::1$/;
const BODY_LIMIT = 64 * 1024 * 1024;

export class Control {
  #server;

  constructor(server) {
    this.#server = server;
  }

  async handle(req, res, url) {
    if (!LOOPBACK.test(req.socket.remoteAddress ?? '')) return reply(res, 403, { error: 'loopback only' });
    const name = url.pathname.slice('/__double/'.length);
    const run = (req.method === 'GET' ? VIEWS : OPERATIONS)[name];
    if (!run) return reply(res, 404, { error: `unknown: ${req.method} ${name}` });
    try {
      const args = req.method === 'GET' ? url.searchParams : await readJson(req);
      const answer = (await run(this.#server, args, this)) ?? {};
      return reply(res, 200, answer);
    } catch (error) {
      if (!(error instanceof MeteorError || error instanceof TypeError || error instanceof SyntaxError)) throw error;
      return reply(res, 400, { error: error.message });
    }
  }

  /** The same operations from a script: an array of {"op": NAME, ...} carried out in order. */
  async run(steps) {
    for (const step of steps) await this.#runStep(step);
  }

  /** The same where none of them has to wait: nothing comes in between. */
  runNow(steps) {
    for (const step of steps) this.#runStep(step);
  }

  #runStep({ op, ...args }) {
    if (!OPERATIONS[op]) throw new TypeError(`unknown operation ${op}`);
    return OPERATIONS[op](this.#server, args, this);
  }
}

function reply(res, status, body) {
  const text = JSON.stringify(body);
  res.writeHead(status, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(text) });
  res.end(text);
}

async function readJson(req) {
  const chunks = [];
  let size = 0;
  for await (const chunk of req) {
    size += chunk.length;
    if (size > BODY_LIMIT) throw new TypeError('body too large');
    chunks.push(chunk);
  }
  return size === 0 ? {} : JSON.parse(Buffer.concat(chunks).toString());
}

function messageOf(store, id) {
  const message = store.messages.get(id);
  if (!message) throw new TypeError(`no message ${id}`);
  return message;
}

/** The live sessions an operation is about: one user's, one session's, or all. */
function targets(server, { user, session }) {
  if (user !== undefined) return server.sessionsOf(server.store.requireUser(user)._id);
  return [...server.sessions].filter((s) => session === undefined || s.id === session);
}

const each = (act) => (server, args) => {
  const sessions = targets(server, args);
  for (const session of sessions) act(session, args);
  return { sessions: sessions.length };
};

/** One text frame padded to `bytes`: an unknown `msg`, or a message in a room of `rid`. */
function bigFrame({ bytes = 5 * 1024 * 1024, rid, uid }) {
  const pad = 'x'.repeat(bytes);
  if (rid === undefined) return JSON.stringify({ msg: 'unheard-of', pad });
  const lastMessage = { _id: `big${Date.now()}`, rid, msg: pad, ts: { $date: Date.now() }, u: { _id: uid, username: 'big' } };
  const args = ['updated', { _id: rid, msgs: 1, lastMessage }];
  return JSON.stringify({ msg: 'changed', collection: 'stream-notify-user', id: 'id', fields: { eventName: `${uid}/rooms-changed`, args } });
}

const OPERATIONS = {
  // data
  'create-user': ({ store }, args) => {
    const user = store.createUser(args);
    return { _id: user._id, username: user.username };
  },
  // Many at once, members of a room where one is named; their tokens come back where asked for.
  'create-users': ({ store }, { prefix, count, password, room, tokens = false }) => {
    const users = Array.from({ length: count }, (_, i) => store.createUser({ username: `${prefix}${i}`, _id: `${prefix}id${i}`, password }));
    if (room !== undefined) for (const user of users) store.subscribe(store.requireRoom(room)._id, user);
    return tokens ? { tokens: users.map((user) => store.addToken(user).token) } : {};
  },
  'create-room': ({ store }, { t, name, owner, members = [], _id }) => {
    const users = members.map((m) => store.requireUser(m));
    const room = t === 'd' ? store.directRoom(users[0], users[1]) : store.createRoom({ t, name, _id, owner: owner && store.requireUser(owner), members: users });
    return { _id: room._id };
  },
  'delete-room': ({ store }, { room }) => store.deleteRoom(store.requireRoom(room)._id),
  join: ({ store }, { room, user }) => ({ _id: store.subscribe(store.requireRoom(room)._id, store.requireUser(user))._id }),
  kick: ({ store }, { room, user }) => store.unsubscribe(store.requireRoom(room)._id, store.requireUser(user)),
  read: ({ store }, { room, user }) => store.readMessages(store.requireRoom(room)._id, store.requireUser(user)._id),
  topic: ({ store }, { room, user, topic }) => ({ _id: store.setTopic(store.requireRoom(room)._id, store.requireUser(user), topic)._id }),

  // messages; `ts` is epoch ms
  post: ({ store }, { room, user, ts, times = 1, ...rest }) => {
    const rid = store.requireRoom(room)._id;
    let message;
    for (let i = 0; i < times; i++)
      message = store.post({ ...rest, rid, user: store.requireUser(user), ...(ts !== undefined && { ts: new Date(ts) }) });
    return { _id: message?._id ?? null, rid };
  },
  edit: ({ store }, { id, user, msg }) => {
    const message = messageOf(store, id);
    store.edit(message, user === undefined ? store.users.get(message.u._id) : store.requireUser(user), msg);
  },
  react: ({ store }, { id, user, emoji, add }) => void store.react(messageOf(store, id), store.requireUser(user), emoji, add),
  attach: ({ store }, { id, change }) => void store.attach(messageOf(store, id), change),
  // Several operations within one millisecond.
  together: ({ store }, { steps }, control) => store.together(() => control.runNow(steps)),
  prune: ({ store }, { room, oldest = 0, latest = Number.MAX_SAFE_INTEGER, ...rest }) => ({
    count: store.prune(store.requireRoom(room)._id, { oldest: new Date(oldest), latest: new Date(Math.min(latest, 8.64e15)), ...rest }),
  }),
  delete: ({ store }, { id, keepHistory }) => {
    const message = messageOf(store, id);
    store.remove(message, store.users.get(message.u._id), { keepHistory });
  },
  ephemeral: ({ store, streams }, { room, user, msg }) => {
    const now = store.now();
    const u = { _id: 'rocket.cat', username: 'rocket.cat' };
    const message = { _id: String(now.getTime()), rid: store.requireRoom(room)._id, msg, private: true, groupable: false, u, ts: now, _updatedAt: now };
    streams.notifyUser(store.requireUser(user)._id, 'message', [message]);
    return { _id: message._id };
  },
  emit: ({ streams }, { stream, event, args }) => streams.emit(stream, event, args),

  // accounts
  'add-token': ({ store }, { user, personal }) => ({ token: store.addToken(store.requireUser(user), { personal }).token }),
  'revoke-tokens': ({ store }, { user }) => store.removeAllTokens(store.requireUser(user)),
  'set-active': ({ store }, { user, active }) => store.setActive(store.requireUser(user), active),
  'change-user': ({ store }, { user, ...diff }) => store.changeUser(store.requireUser(user), diff),
  'delete-user': ({ store }, { user }) => store.deleteUser(store.requireUser(user)),
  'set-status': ({ store, presence }, { user, status, text }) => presence.choose(store.requireUser(user), status, text),
  // Tells a user's connections to log out; those of a streamer from 8 on are ended as well.
  'force-logout': (server, { user, session }) => {
    const { _id } = server.store.requireUser(user);
    server.streams.notifyUser(_id, 'force_logout', []);
    const told = server.sessionsOf(_id).filter((s) => session === undefined || s.id === session);
    for (const each of told) each.forceLogout();
    return { sessions: told.length };
  },

  // faults and the connections themselves: of a user, of a session id, or all
  advance: ({ clock }, { ms }) => clock.advance(ms),
  fault: ({ faults }, rule) => ({ id: faults.add(rule) }),
  'clear-faults': ({ faults }) => faults.clear(),
  options: ({ options }, change) => {
    for (const key of Object.keys(change)) if (!(key in options)) throw new TypeError(`unknown option ${key}`);
    Object.assign(options, change);
  },
  close: each((session, { code = 1000, reason = '' }) => session.close(code, reason)),
  drop: each((session) => session.drop()),
  reset: each((session) => session.reset()),
  'half-open': each((session) => session.halfOpen()),
  'send-raw': each((session, { text, base64, binary = false }) => {
    const bytes = base64 === undefined ? text : Buffer.from(base64, 'base64');
    if (binary) session.sendBinary(bytes);
    else session.sendRaw(bytes);
  }),
  'send-fragmented': each((session, { text, size = 1 }) => session.sendFragmented(text, size)),
  'send-big': each((session, args) => session.sendRaw(bigFrame({ ...args, uid: session.userId }))),
  pings: each((session, how) => session.sendPings(how)),
  restart: async (server, how) => {
    setImmediate(() => server.restart(how)); // answer first: the restart ends this connection too
  },
};

const VIEWS = {
  echoes: (server) => server.echo.records,
  state: (server) => ({
    accepted: server.accepted,
    sessions: [...server.sessions].map((s) => s.describe()),
    users: [...server.store.users.values()].map((u) => ({
      _id: u._id,
      username: u.username,
      active: u.active,
      tokens: u.tokens.length,
      sessions: server.sessionsOf(u._id).length,
    })),
    rooms: [...server.store.rooms.values()].map(({ _id, t, name, usersCount, msgs }) => ({ _id, t, name, usersCount, msgs })),
    faults: server.faults.list(),
  }),
  calls: ({ calls, accounts }) => ({ calls: Object.fromEntries(calls), logins: accounts.attempts }),
  subscriptions: ({ store }, query) => ({ subscriptions: store.subscriptionsOf(store.requireUser(query.get('user'))._id) }),
  messages: ({ store }, query) => {
    const all = store.messagesOf(store.requireRoom(query.get('room'))._id);
    return { messages: query.has('last') ? all.slice(-Number(query.get('last'))) : all };
  },
  counts: (server) => ({ accepted: server.accepted, sessions: server.sessions.size, logins: server.accounts.attempts.length }),
};
