// The REST face: routing, limits, who is calling, and the envelopes in which 6, 7 and 8 answer.
import { MeteorError, RestAnswer } from './codec.mjs';
import { may } from './permissions.mjs';
import { readForm } from './rest_files.mjs';
import { routes } from './rest_routes.mjs';

const BODY_LIMIT = 1024 * 1024;
const FORM_SLACK = 1024 * 1024; // what a form may hold besides its file

export class Rest {
  #server;

  constructor(server) {
    this.#server = server;
  }

  async handle(req, res, path, query, ip) {
    const server = this.#server;
    const { faults } = server;
    server.countCall(`${req.method} ${path}`);
    const user = this.#caller(req)?.user;
    const rule = faults.watches('rest') ? faults.take('rest', { path, method: req.method, user: user?.username }) : undefined;
    if (rule) {
      await faults.act(rule);
      if (rule.do === 'stall') return;
      if (rule.do === 'reset') return void req.socket.resetAndDestroy();
      if (rule.do === 'respond') return send(res, rule.status, rule.body, rule.headers);
    }
    if (server.echo.wants(path, user)) return server.echo.answer(req, res, user);
    const { status, body, headers } = await this.#answer(req, path, query, ip);
    if (rule?.do === 'drip') return drip(res, status, body, rule, headers);
    if (rule?.do === 'truncate') return truncate(res, status, body);
    send(res, status, body, headers);
  }

  async #answer(req, path, query, ip) {
    const { restLimiter, options, store } = this.#server;
    const { known, name, route, urlParams } = findRoute(req.method, path, options.version);
    if (!route) return { status: known ? 405 : 404, body: { success: false, error: 'Resource not found' } };

    const caller = this.#caller(req);
    let limit = null;
    try {
      const exempt = !path.startsWith('/api/v1/') || (caller && may(store, caller.user, 'api-bypass-rate-limit'));
      limit = exempt ? null : restLimiter.check(ip, name, req.method, route.limits?.(options));
      if (limit && !limit.allowed) {
        this.#server.countCall(`limited ${req.method} ${name}`);
        const text = `Error, too many requests. Please slow down. You must wait ${limit.seconds} seconds before trying this endpoint again.`;
        throw new RestAnswer(429, { success: false, error: `${text} [error-too-many-requests]` });
      }
      if (!route.open && !caller) throw notLoggedIn(options.version);
      if (route.permission && !may(store, caller.user, route.permission)) throw notPermitted(options.version);
      if (route.twoFactor) this.#checkSecondFactor(caller.user, req.headers);
      const context = { ...this.#context(), user: caller?.user, token: caller?.hash, ip, query, urlParams, headers: req.headers };
      if (route.upload) context.form = readForm(req.headers['content-type'], await readBytes(req, options.maxFileSize + FORM_SLACK));
      else context.body = req.method === 'GET' ? {} : await readBody(req);
      const result = (await route.run(context)) ?? {};
      return { status: 200, body: route.bare ? result : { ...result, success: true }, headers: limit?.headers };
    } catch (error) {
      return { ...failure(error), headers: limit?.headers };
    }
  }

  #context() {
    const { store, accounts, options, streams, presence } = this.#server;
    return { store, accounts, options, streams, presence };
  }

  /** Who has no factor of their own confirms by the password's digest, where that is asked for. */
  #checkSecondFactor(user, headers) {
    const { accounts, options, store } = this.#server;
    const code = headers['x-2fa-code'];
    if (user.totp) return accounts.checkSecondFactor(user, code);
    if (!options.passwordFallback) return;
    const details = { method: 'password', codeGenerated: false, availableMethods: [] };
    if (code === undefined) throw new MeteorError('totp-required', 'TOTP Required', details);
    if (!store.passwordMatches(user, { digest: code, algorithm: 'sha-256' })) throw new MeteorError('totp-invalid', 'TOTP Invalid', details);
  }

  /** By id and token; the token's expiry is not looked at on this road. */
  #caller(req) {
    const found = this.#server.store.findToken(req.headers['x-auth-token']);
    return found && found.user._id === req.headers['x-user-id'] ? { user: found.user, hash: found.entry.hash } : undefined;
  }
}

function notLoggedIn(version) {
  const text = 'You must be logged in to do this.';
  return new RestAnswer(401, version < 8 ? { status: 'error', message: text, success: false, error: text } : { success: false, error: text });
}

function notPermitted(version) {
  const code = version < 8 ? 'error-unauthorized' : 'error-forbidden';
  return new RestAnswer(403, { success: false, error: `User does not have the permissions required for this action [${code}]` });
}

function failure(error) {
  if (error instanceof RestAnswer) return { status: error.status, body: error.body };
  if (error instanceof MeteorError)
    return { status: 400, body: { success: false, error: error.message, errorType: error.error, ...(error.details && { details: error.details }) } };
  if (error instanceof TypeError || error instanceof RangeError)
    return { status: 500, body: { success: false, error: 'Internal server error' } }; // a client's odd body
  throw error;
}

/** `rooms.media/RID` is the route `rooms.media` with one parameter; the limiter counts by route. */
function findRoute(method, path, version) {
  if (!path.startsWith('/api/v1/')) return { known: routes[path], route: routes[path]?.[method], name: path };
  const [first, ...rest] = path.slice('/api/v1/'.length).split('/');
  const known = Object.hasOwn(routes, first) ? routes[first] : undefined;
  const route = known?.[method];
  const names = route?.params ?? [];
  if (!route || names.length !== rest.length || version >= route.until) return { known: route ? undefined : known };
  return { known, route, name: `/api/v1/${first}`, urlParams: Object.fromEntries(names.map((key, i) => [key, decodeURIComponent(rest[i])])) };
}

async function readBytes(req, limit) {
  const chunks = [];
  let size = 0;
  for await (const chunk of req) {
    size += chunk.length;
    if (size > limit) throw new RestAnswer(413, { success: false, error: 'Request Entity Too Large' });
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

async function readBody(req) {
  const text = (await readBytes(req, BODY_LIMIT)).toString();
  if (text === '') return {};
  try {
    if ((req.headers['content-type'] ?? '').startsWith('application/x-www-form-urlencoded')) return Object.fromEntries(new URLSearchParams(text));
    const body = JSON.parse(text);
    if (body !== null && typeof body === 'object') return body;
  } catch {
    // falls through to the answer below
  }
  throw new RestAnswer(400, { success: false, error: 'Invalid JSON' });
}

const encode = (body) => (typeof body === 'string' ? body : JSON.stringify(body ?? {}));

export function send(res, status, body, headers = {}) {
  const text = encode(body);
  res.writeHead(status, { 'Content-Type': 'application/json', ...headers, 'Content-Length': Buffer.byteLength(text) });
  res.end(text);
}

/** A slow body: `size` bytes every `ms`. */
function drip(res, status, body, { size = 1, ms = 10 }, headers) {
  const bytes = Buffer.from(encode(body));
  res.writeHead(status, { 'Content-Type': 'application/json', ...headers, 'Content-Length': bytes.length });
  let at = 0;
  const timer = setInterval(() => {
    res.write(bytes.subarray(at, (at += size)));
    if (at >= bytes.length) {
      clearInterval(timer);
      res.end();
    }
  }, ms);
  res.on('close', () => clearInterval(timer));
}

/** Half of the announced body, then the connection ends. */
function truncate(res, status, body) {
  const bytes = Buffer.from(encode(body));
  res.writeHead(status, { 'Content-Type': 'application/json', 'Content-Length': bytes.length });
  res.write(bytes.subarray(0, bytes.length >> 1), () => res.socket?.destroy());
}
