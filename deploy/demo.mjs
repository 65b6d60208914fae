// The demonstration of deploy/run: the Rocket.Chat test double with two users, the bridge, and the
// page. Everything listens on loopback and ends with this process.
//
//   node deploy/demo.mjs BRIDGE_BINARY
//
// Ports are busy? BRIDGE_PORT=5090 PAGE_PORT=8090 PushBridge__AdminUrls=http://127.0.0.1:5091 move them.
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { startPageServer } from '../tests/e2e/page_server.mjs';
import { RocketChatDouble } from '../tests/rocketchat_double/double.mjs';

const USERS = ['alice', 'bob'];
const PASSWORD = '123qwe';
const ISSUER = 'pushbridge-demo';
const port = (name, fallback) => Number(process.env[name] ?? fallback);

const binary = process.argv[2];
const key = randomBytes(32).toString('hex');
const bridgePort = port('BRIDGE_PORT', 5080);
const pagePort = port('PAGE_PORT', 8080);
const adminUrl = process.env.PushBridge__AdminUrls ?? 'http://127.0.0.1:5081';

const double = new RocketChatDouble({ port: port('ROCKETCHAT_PORT', 0) });
const { store } = double;
const people = USERS.map((username) => store.createUser({ username, password: PASSWORD }));
for (const name of ['general', 'random']) store.createRoom({ name, owner: people[0], members: people });
const address = await double.start();

const pageOf = (host) => `http://${host}:${pagePort}`;
const page = await startPageServer({
  control: `${new URL(address).origin}/__double/`,
  bridge: `http://*:${bridgePort}/signalr`,
  key,
  issuer: ISSUER,
  audience: ISSUER,
  users: USERS,
  port: pagePort,
}).catch((error) => {
  console.error(`The page cannot be served: ${error.message}. PAGE_PORT=${pagePort + 10} deploy/run uses another port.`);
  process.exit(1);
});

const bridge = spawn(binary, [], {
  stdio: ['ignore', 'inherit', 'inherit'],
  detached: true, // out of the terminal's reach: Ctrl-C is ours to pass on, once
  env: {
    ...process.env,
    Urls: `http://127.0.0.1:${bridgePort}`,
    PushBridge__AdminUrls: adminUrl,
    Im__Address: address,
    Im__DefaultPassword: PASSWORD,
    App__CorsOrigins: `${pageOf('127.0.0.1')},${pageOf('localhost')}`,
    Authentication__JwtBearer__SecurityKey: key,
    Authentication__JwtBearer__Issuer: ISSUER,
    Authentication__JwtBearer__Audience: ISSUER,
  },
});

let stopping = false;
async function stop(code) {
  if (stopping) return void bridge.kill('SIGTERM'); // asked twice: at once, then
  stopping = true;
  if (bridge.exitCode === null) {
    const exited = new Promise((resolve) => bridge.once('exit', resolve));
    bridge.kill('SIGTERM');
    await exited;
  }
  await page.stop();
  await double.stop();
  process.exit(code);
}
process.once('exit', () => bridge.kill('SIGKILL'));
bridge.once('exit', (code) => {
  if (!stopping) stop(code ?? 1);
});
for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => stop(0));

async function ready() {
  while (!stopping) {
    const answer = await fetch(`http://127.0.0.1:${bridgePort}/readyz`).catch(() => null);
    if (answer?.ok) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
await ready();
if (!stopping)
  console.log(`
No Rocket.Chat configured: this is a demonstration with a test double in its place.

  open ${page.url} in two tabs, be alice in one and bob in the other, and write

The hub is http://127.0.0.1:${bridgePort}/signalr, metrics are at ${adminUrl}/metrics.
With a Rocket.Chat server: Im__Address=https://chat.example.org deploy/run --config appsettings.json
Ctrl-C stops it all.`);
