// A Rocket.Chat test double: DDP and REST on one port, with the rules, limits and oddities of a real
// server (reference: the wire facts in this folder's comments), plus a fault script and a control
// interface under /__double/.
import http from 'node:http';
import https from 'node:https';
import { WebSocketServer } from 'ws';
import { Accounts } from './accounts.mjs';
import { Clock } from './clock.mjs';
import { Control } from './control.mjs';
import { MonolithSession } from './ddp_monolith.mjs';
import { StreamerSession } from './ddp_streamer.mjs';
import { Faults } from './faults.mjs';
import { Presence } from './presence.mjs';
import { DdpRateLimiter, RestRateLimiter } from './rate_limit.mjs';
import { Rest } from './rest.mjs';
import { Echo } from './rest_echo.mjs';
import { download } from './rest_files.mjs';
import { Store } from './store.mjs';
import { Streams } from './streams.mjs';

const SOCKJS_PATH = /^\/sockjs\/[^/]+\/[^/]+\/websocket$/;
const MAX_PAYLOAD = { monolith: 0x3ffffff, streamer: 100 * 1024 * 1024 };

const DEFAULTS = {
  host: '127.0.0.1',
  port: 0,
  prefix: '', // ROOT_URL's path
  tls: null, // {key, cert}: PEM; or more of https.createServer()'s options
  flavour: 'monolith', // or 'streamer'
  version: 7, // 6, 7 or 8
  seed: 1,
  start: undefined, // epoch ms: a virtual clock (clock.mjs); else real time
  equalStamps: false,
  timeFactor: 1, // multiplies heartbeats, limiter windows and block times
  echo: false, // see rest_echo.mjs
  believeForwarded: false, // HTTP_FORWARDED_COUNT=1: the last X-Forwarded-For is the client
  rateLimits: true, // or {rest: {limit, intervalMs}, ddp: {name: count}}; false switches them off
  blockFailedLogins: true,
  emailVerification: false, // who has no verified address is refused
  deflate: undefined, // permessage-deflate; default: as the flavour does
  historyLimit: 10_000,
  storeLastMessage: true,
  showDeletedStatus: false, // Message_ShowDeletedStatus
  keepHistory: false, // Message_KeepHistory
  hideSystemMessages: [], // Hide_System_Messages: types that the message streams leave out
  readReceipts: false,
  notifications: 'mentions', // desktop notifications: mentions (and direct messages), all, none
  useRealName: false, // UI_Use_Real_Name: what typing is told under
  presenceLimit: 200, // connections beyond which presence is not told; 0: a licence
  maxFileSize: 100 * 1024 * 1024, // FileUpload_MaxFileSize
  passwordFallback: false, // guarded REST calls ask who has no second factor for the password
  createTokens: false, // users.createToken: true, or for 8 the secret
  missingMethods: undefined, // DDP methods that answer 404; default: the catch-up ones on the 8.x streamer
  preConnected: null, // a frame before `connected`
  resultOrder: 'updated-first', // result-first, updated-late, updated-never
  usersAdded: undefined, // before, after, none: the `users` document around the login's result
  batchReady: false,
  hookDelayMs: 5, // from `ready` to the first delivered rooms-changed
  removedShape: undefined, // full, rid, u: what a removed subscription carries; none: not told
  subscriptionStamps: undefined, // does an updated subscription carry _updatedAt?
  keepRoomStreamOnKick: false, // true, or 'several': only where a session follows several rooms
};

function withDefaults(given) {
  for (const key of Object.keys(given)) if (!(key in DEFAULTS)) throw new TypeError(`unknown option ${key}`);
  const o = { ...DEFAULTS, ...given };
  if (!['monolith', 'streamer'].includes(o.flavour)) throw new TypeError(`flavour ${o.flavour}: monolith or streamer`);
  if (![6, 7, 8].includes(o.version)) throw new TypeError(`version ${o.version}: 6, 7 or 8`);
  const streamer = o.flavour === 'streamer';
  o.deflate ??= !streamer;
  o.missingMethods ??= streamer && o.version === 8 ? ['subscriptions/get', 'rooms/get', 'messages/get'] : [];
  o.usersAdded ??= streamer ? (o.version === 8 ? 'after' : 'none') : o.version === 6 ? 'before' : 'after';
  o.removedShape ??= o.version === 6 ? 'rid' : 'full';
  o.subscriptionStamps ??= o.version < 8;
  return o;
}

export class RocketChatDouble {
  sessions = new Set();
  calls = new Map(); // 'GET /api/v1/me', 'ddp login' -> times
  accepted = 0; // DDP sockets so far
  #byUser = new Map();
  #byToken = new Map();
  #sockets = new Set(); // upgraded and stalled ones too, which http.Server forgets
  #given;
  #server = null;
  #wss = null;

  constructor(options = {}) {
    this.#given = options;
    this.options = withDefaults(options);
    this.faults = new Faults();
    this.clock = new Clock(this.options.start);
    this.store = new Store(this.options, this.clock);
    this.presence = new Presence(this.store, this.options);
    this.accounts = new Accounts(this.store, this.faults, this.options);
    this.streams = new Streams(this.store, this.faults, this.options);
    this.rest = new Rest(this);
    this.echo = new Echo(this.options.echo);
    this.control = new Control(this);
    this.#resetLimits();
    this.store.on('token-removed', ({ hash }) => {
      for (const session of [...(this.#byToken.get(hash) ?? [])]) session.tokenGone();
    });
    const documentChanged = ({ user, diff }) => {
      for (const session of this.sessionsOf(user._id)) session.documentChanged(diff);
    };
    this.store.on('user-updated', documentChanged);
  }

  /** Listens; resolves to the address, without a slash at its end. */
  async start() {
    const { tls, host } = this.options;
    this.#server = tls ? https.createServer(tls) : http.createServer();
    this.#server.on('request', (req, res) => this.#request(req, res).catch((error) => this.#broken(error, res)));
    this.#server.on('upgrade', (req, socket, head) => this.#upgrade(req, socket, head));
    this.#server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
    this.#server.keepAliveTimeout = 60_000;
    this.#makeWebSocketServer();
    await this.#listen(this.options.port);
    this.port = this.#server.address().port;
    const name = host.includes(':') ? `[${host}]` : host;
    this.url = `${tls ? 'https' : 'http'}://${name}:${this.port}${this.options.prefix}`;
    this.webSocketUrl = `${this.url.replace(/^http/, 'ws')}/websocket`;
    return this.url;
  }

  #makeWebSocketServer() {
    const { flavour, deflate } = this.options;
    this.#wss = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      maxPayload: MAX_PAYLOAD[flavour],
      perMessageDeflate: deflate ? { threshold: 1024, serverNoContextTakeover: true, clientNoContextTakeover: true } : false,
    });
  }

  #listen(port) {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen({ port, host: this.options.host, backlog: 4096 }, () => {
        this.#server.off('error', reject);
        resolve();
      });
    });
  }

  async stop() {
    for (const session of [...this.sessions]) session.drop();
    await this.#closePort();
  }

  async #closePort() {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  /**
   * As if the server process were started again: every socket ends with 1006, sessions and limiter
   * windows are gone, data and tokens stay. With `downMs` the port refuses for that long. Other
   * options change with it: {version: 8} is an upgrade.
   */
  async restart({ downMs = 0, ...change } = {}) {
    for (const session of [...this.sessions]) session.drop();
    if (Object.keys(change).length > 0) {
      this.#given = { ...this.#given, ...change };
      Object.assign(this.options, withDefaults({ ...this.#given, port: this.port }));
      this.#makeWebSocketServer();
    }
    this.#resetLimits();
    if (downMs === 0) return;
    await this.#closePort();
    await new Promise((resolve) => setTimeout(resolve, downMs));
    await this.#listen(this.port);
  }

  #resetLimits() {
    const { rateLimits, timeFactor } = this.options;
    const enabled = rateLimits !== false;
    const { clock } = this;
    this.restLimiter = new RestRateLimiter({ clock, enabled, timeFactor, ...rateLimits.rest });
    this.ddpLimiter = new DdpRateLimiter({ clock, enabled, timeFactor, counts: rateLimits.ddp });
  }

  countCall(name) {
    this.calls.set(name, (this.calls.get(name) ?? 0) + 1);
  }

  // ---- sessions by user and by token ----

  bind(session) {
    addTo(this.#byUser, session.userId, session);
    addTo(this.#byToken, session.tokenHash, session);
    this.presence.connected(session.user);
  }

  unbind(session) {
    if (!session.user || !this.#byUser.get(session.userId)?.has(session)) return;
    removeFrom(this.#byUser, session.userId, session);
    removeFrom(this.#byToken, session.tokenHash, session);
    this.presence.gone(session.user, this.sessionsOf(session.userId).length);
  }

  sessionsOf(uid) {
    return [...(this.#byUser.get(uid) ?? [])];
  }

  sessionEnded(session) {
    this.sessions.delete(session);
  }

  // ---- the port ----

  #clientAddress(req) {
    const forwarded = this.options.believeForwarded ? req.headers['x-forwarded-for'] : undefined;
    return forwarded?.split(',').at(-1).trim() ?? (req.socket.remoteAddress ?? '').replace(/^::ffff:/, ''); // none once the peer has reset
  }

  /** The request's path without the prefix, or null where it lies outside. */
  #pathOf(url) {
    const { prefix } = this.options;
    return url.pathname.startsWith(`${prefix}/`) ? url.pathname.slice(prefix.length) : null;
  }

  async #request(req, res) {
    const url = new URL(req.url, 'http://double');
    const path = this.#pathOf(url);
    if (url.pathname.startsWith('/__double/')) return this.control.handle(req, res, url);
    if (path === '/health') return void res.writeHead(200, { 'Content-Type': 'text/plain' }).end('ok');
    if (path?.startsWith('/file-upload/') && req.method === 'GET') return download(this.store, req, res, path, url.searchParams);
    if (path?.startsWith('/api/')) return this.rest.handle(req, res, path, url.searchParams, this.#clientAddress(req));
    // Whatever else is the web client's page.
    return void res.writeHead(200, { 'Content-Type': 'text/html' }).end('<!DOCTYPE html><title>Rocket.Chat</title>');
  }

  #broken(error, res) {
    if (res.req.destroyed && error.code === 'ECONNRESET') return; // the client left in the middle of its body
    process.stderr.write(`double: ${error.stack}\n`);
    if (!res.headersSent) res.writeHead(500, { 'Content-Type': 'application/json' });
    res.end('{"success":false,"error":"Internal server error"}');
  }

  async #upgrade(req, socket, head) {
    socket.on('error', () => {}); // a reset while a fault holds the request
    const ip = this.#clientAddress(req);
    const rule = this.faults.watches('accept') ? this.faults.take('accept', { url: req.url, ip }) : undefined;
    if (rule) await this.faults.act(rule);
    if (rule?.do === 'stall') return;
    if (rule?.do === 'reset') return void socket.resetAndDestroy();
    if (rule?.do === 'refuse') return refuse(socket, rule);
    const url = new URL(req.url, 'http://double');
    const path = this.#pathOf(url);
    const monolith = this.options.flavour === 'monolith';
    // The streamer takes everything but exactly `/websocket` for a SockJS client.
    const plain = path === '/websocket' && (monolith || url.search === '');
    if (!plain && monolith && !SOCKJS_PATH.test(path)) return refuse(socket, { status: 404 });
    this.#wss.handleUpgrade(req, socket, head, (ws) => {
      this.accepted++;
      this.sessions.add(new (monolith ? MonolithSession : StreamerSession)(this, ws, { ip, sockjs: !plain }));
    });
  }
}

function refuse(socket, { status, body = '', headers = {} }) {
  const lines = Object.entries({ 'Content-Type': 'text/plain', ...headers, 'Content-Length': Buffer.byteLength(body), Connection: 'close' });
  socket.end(`HTTP/1.1 ${status} ${http.STATUS_CODES[status] ?? 'Refused'}\r\n${lines.map(([k, v]) => `${k}: ${v}\r\n`).join('')}\r\n${body}`);
}

function addTo(map, key, value) {
  if (!map.has(key)) map.set(key, new Set());
  map.get(key).add(value);
}

function removeFrom(map, key, value) {
  const set = map.get(key);
  set?.delete(value);
  if (set?.size === 0) map.delete(key);
}
