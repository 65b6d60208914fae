// Serves the demo page, and stands for the app's own backend: it lets users in (a JWT as ABP makes
// it) and gives channels and history, which it has from the double's control interface.
//
//   node page_server.mjs --control http://127.0.0.1:3000/__double/ --bridge 'http://*:5080/signalr'
//     --key SECRET [--issuer I --audience A] [--users alice,bob] [--host 127.0.0.1] [--port 0]
//
// The `*` in the bridge's address becomes the name by which the browser reached this page. Prints
// its own address as one JSON line.
import { createReadStream } from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { abpToken } from '../lib/jwt.mjs';

const HERE = path.dirname(fileURLToPath(import.meta.url));
const MODULES = path.join(HERE, '..', 'node_modules');
const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.woff': 'font/woff', '.ttf': 'font/ttf' };
const BODY_LIMIT = 64 * 1024;

const FILES = new Map([
  ['/lib/vue.js', path.join(MODULES, 'vue/dist/vue.min.js')],
  ['/lib/vuex.js', path.join(MODULES, 'vuex/dist/vuex.min.js')],
  ['/lib/signalr.js', path.join(MODULES, '@microsoft/signalr-5/dist/browser/signalr.min.js')],
  ['/lib/element-ui/index.js', path.join(MODULES, 'element-ui/lib/index.js')],
  ['/lib/element-ui/theme-chalk/index.css', path.join(MODULES, 'element-ui/lib/theme-chalk/index.css')],
  ...['woff', 'ttf'].map((ext) => [`/lib/element-ui/theme-chalk/fonts/element-icons.${ext}`, path.join(MODULES, `element-ui/lib/theme-chalk/fonts/element-icons.${ext}`)]),
  ['/', path.join(HERE, 'page/index.html')],
  ...['page.js', 'page.css', 'store.js', 'chat_hub.js'].map((name) => [`/${name}`, path.join(HERE, 'page', name)]),
]);

/** A user's ABP id: its place in the list, from 1. */
const idOf = (users, user) => users.indexOf(user) + 1;

function makeBackend({ control, bridge, key, issuer, audience, users }) {
  const double = async (operation, body) => {
    const res = await fetch(control + operation, body && { method: 'POST', body: JSON.stringify(body) });
    const answer = await res.json();
    if (!res.ok) throw new TypeError(answer.error);
    return answer;
  };
  const known = (user) => {
    if (!users.includes(user)) throw new TypeError('no such user');
    return user;
  };
  return {
    config: () => ({ bridge, users }),
    authenticate: ({ user }) => ({ accessToken: abpToken({ key, issuer, audience, id: idOf(users, known(user)), name: user }) }),
    channels: async ({ user }) => {
      const rows = await double(`subscriptions?user=${encodeURIComponent(known(user))}`);
      return { channels: rows.subscriptions.map(({ rid, name, fname, t, unread }) => ({ _id: rid, name, fname, t, unread })) };
    },
    history: ({ room }) => double(`messages?room=${encodeURIComponent(room)}&last=50`),
    send: ({ user, room, msg }) => double('post', { user: known(user), room, msg: String(msg) }),
  };
}

async function readBody(req) {
  let text = '';
  for await (const chunk of req) {
    text += chunk;
    if (text.length > BODY_LIMIT) throw new TypeError('too long');
  }
  return text === '' ? {} : JSON.parse(text);
}

/** Resolves to {url, stop}. */
export async function startPageServer({ host = '127.0.0.1', port = 0, ...options }) {
  const backend = makeBackend(options);
  const answer = (res, status, body) => res.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
  const server = http.createServer(async (req, res) => {
    const { pathname } = new URL(req.url, 'http://page');
    const name = pathname.startsWith('/backend/') ? pathname.slice('/backend/'.length) : undefined;
    if (name !== undefined && Object.hasOwn(backend, name)) {
      try {
        return answer(res, 200, await backend[name](await readBody(req)));
      } catch (error) {
        return answer(res, 400, { error: error.message });
      }
    }
    const file = FILES.get(pathname);
    if (!file) return answer(res, 404, { error: 'not found' });
    res.writeHead(200, { 'Content-Type': TYPES[path.extname(file)] });
    return createReadStream(file).on('error', () => res.destroy()).pipe(res);
  });
  await new Promise((resolve, reject) => server.once('error', reject).listen(port, host, resolve));
  const stop = () => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  };
  return { url: `http://${host}:${server.address().port}`, stop };
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { values } = parseArgs({
    options: {
      control: { type: 'string' },
      bridge: { type: 'string' },
      key: { type: 'string' },
      issuer: { type: 'string' },
      audience: { type: 'string' },
      users: { type: 'string', default: 'alice,bob' },
      host: { type: 'string', default: '127.0.0.1' },
      port: { type: 'string', default: '0' },
    },
  });
  const page = await startPageServer({ ...values, users: values.users.split(','), port: Number(values.port) });
  process.stdout.write(`${JSON.stringify({ url: page.url, pid: process.pid })}\n`);
  for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => page.stop().then(() => process.exit(0)));
}
