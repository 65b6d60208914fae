// node main.mjs [--port 0] [--host 127.0.0.1] [--flavour monolith|streamer] [--version 6|7|8]
//   [--users alice,bob:secret] [--rooms general,p:ops] [--password 123qwe] [--admin super]
//   [--rate-limits on|off] [--time-factor 1] [--seed 1] [--prefix /chat] [--key FILE --cert FILE]
//   [--options JSON] [--script FILE]
//
// Every user joins every room; every pair of users has a direct room when --direct is given. The
// script is a JSON array of control operations (control.mjs). Prints one JSON line with the address
// when it listens, and serves until SIGTERM or SIGINT.
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { RocketChatDouble } from './double.mjs';

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '0' },
    host: { type: 'string', default: '127.0.0.1' },
    flavour: { type: 'string', default: 'monolith' },
    version: { type: 'string', default: '7' },
    users: { type: 'string', default: '' },
    rooms: { type: 'string', default: '' },
    direct: { type: 'boolean', default: false },
    password: { type: 'string', default: '123qwe' },
    admin: { type: 'string', default: '' },
    'rate-limits': { type: 'string', default: 'on' },
    'time-factor': { type: 'string', default: '1' },
    seed: { type: 'string', default: '1' },
    prefix: { type: 'string', default: '' },
    key: { type: 'string' },
    cert: { type: 'string' },
    options: { type: 'string', default: '{}' },
    script: { type: 'string' },
  },
});

const list = (text) => text.split(',').filter(Boolean);

const double = new RocketChatDouble({
  host: values.host,
  port: Number(values.port),
  flavour: values.flavour,
  version: Number(values.version),
  seed: Number(values.seed),
  prefix: values.prefix,
  timeFactor: Number(values['time-factor']),
  rateLimits: values['rate-limits'] !== 'off',
  tls: values.key ? { key: readFileSync(values.key), cert: readFileSync(values.cert) } : null,
  ...JSON.parse(values.options),
});

const { store } = double;
const users = list(values.users).map((entry) => {
  const [username, password = values.password] = entry.split(':');
  return store.createUser({ username, password });
});
if (values.admin) {
  const [username, password = values.password] = values.admin.split(':');
  store.createUser({ username, password, roles: ['admin'] });
}
for (const entry of list(values.rooms)) {
  const [t, name] = entry.includes(':') ? entry.split(':') : ['c', entry];
  store.createRoom({ t, name, owner: users[0], members: users });
}
if (values.direct) for (const a of users) for (const b of users) if (a._id < b._id) store.directRoom(a, b);
if (values.script) await double.control.run(JSON.parse(readFileSync(values.script, 'utf8')));

const url = await double.start();
process.stdout.write(`${JSON.stringify({ url, webSocketUrl: double.webSocketUrl, control: `${new URL(url).origin}/__double/`, pid: process.pid })}\n`);

for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => double.stop().then(() => process.exit(0)));
