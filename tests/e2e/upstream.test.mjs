// The way to Rocket.Chat: TLS, proxies, the token's time, and what settings make of events.
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import http from 'node:http';
import net from 'node:net';
import test from 'node:test';
import { makeCertificates } from '../lib/certificates.mjs';
import { sleep, startBridge, startDouble, tokenFor, until } from '../lib/harness.mjs';
import { CLIENTS, Tab } from '../lib/signalr_clients.mjs';

const latest = CLIENTS.latest;
const FAST = { 'PushBridge:Session:BackoffMinSeconds': 0.05, 'PushBridge:Session:BackoffMaxSeconds': 0.3 };

const attempts = (rc, user, type) => rc.double.accounts.attempts.filter((a) => a.user === user && a.type === type);

async function hears(rc, tab, text) {
  rc.post(rc.general, 'bob', text);
  await tab.until(`"${text}"`, (x) => x.texts().includes(text));
}

test("TLS: another authority's certificate is refused, and the log says so", async (t) => {
  const { key, cert } = makeCertificates(t);
  const { caFile } = makeCertificates(t);
  const rc = await startDouble(t, { tls: { key, cert } });
  for (const road of ['rest', 'ddp']) {
    const bridge = await startBridge(t, rc.double, { ...FAST, 'Im:CaFile': caFile, 'Im:LoginVia': road });
    const tab = await Tab.open(t, latest, bridge.hubUrl, tokenFor('alice'));
    await until(`${road}: told`, () => bridge.logs.some((line) => /certificate/i.test(line)));
    assert.equal(tab.connection.state, 'Connected');
    await bridge.stop();
  }
  assert.deepEqual([...rc.double.calls.keys()], [], 'nothing was asked over that connection');
  assert.equal(rc.double.accepted, 0);
});

test('TLS: a certificate for another name is refused', async (t) => {
  const { caFile, key, cert } = makeCertificates(t);
  const rc = await startDouble(t, { tls: { key, cert }, host: '127.0.0.2' });
  for (const road of ['rest', 'ddp']) {
    const bridge = await startBridge(t, rc.double, { ...FAST, 'Im:CaFile': caFile, 'Im:LoginVia': road });
    await Tab.open(t, latest, bridge.hubUrl, tokenFor('alice'));
    await until(`${road}: told`, () => bridge.logs.some((line) => /certificate|subject|host ?name/i.test(line)));
    await bridge.stop();
  }
  assert.deepEqual([...rc.double.calls.keys()], []);
  assert.equal(rc.double.accepted, 0);
});

test('Im:TlsVerify=false: any certificate will do, and a warning says what that means', async (t) => {
  const { key, cert } = makeCertificates(t);
  const rc = await startDouble(t, { tls: { key, cert } });
  const bridge = await startBridge(t, rc.double, { ...FAST, 'Im:TlsVerify': false });
  await until('the warning', () => bridge.logs.some((line) => /TlsVerify/.test(line) && /warn/.test(line)));
  const tab = await Tab.open(t, latest, bridge.hubUrl, tokenFor('alice'));
  await rc.live('alice');
  await hears(rc, tab, 'unverified');
});

test('a Rocket.Chat that asks for our certificate is shown it, on both roads; without one nobody gets in', async (t) => {
  const { caFile, ca, key, cert, keyFile, certFile } = makeCertificates(t);
  const rc = await startDouble(t, { tls: { key, cert, ca, requestCert: true, rejectUnauthorized: true } });
  for (const road of ['rest', 'ddp']) {
    const bare = await startBridge(t, rc.double, { ...FAST, 'Im:CaFile': caFile, 'Im:LoginVia': road });
    const waiting = await Tab.open(t, latest, bare.hubUrl, tokenFor('alice'));
    await waiting.until('told', (x) => x.of('bridgeStatus').some((s) => s.state === 'backoff'));
    await bare.stop();
    assert.equal(rc.double.accounts.attempts.length, 0);
    const bridge = await startBridge(t, rc.double, { ...FAST, 'Im:CaFile': caFile, 'Im:ClientCertFile': certFile, 'Im:ClientKeyFile': keyFile, 'Im:LoginVia': road });
    const tab = await Tab.open(t, latest, bridge.hubUrl, tokenFor('alice'));
    await rc.live('alice');
    await hears(rc, tab, `by ${road}`);
    await bridge.stop();
    rc.double.accounts.attempts.length = 0;
  }
});

test('Im:WebSocketAddress: DDP goes there, REST stays', async (t) => {
  const rc = await startDouble(t, { prefix: '/chat' });
  const address = `ws://127.0.0.1:${rc.double.port}/chat`;
  for (const given of [address, `${address}/`, `${address}/websocket`]) {
    const bridge = await startBridge(t, rc.double, { ...FAST, 'Im:WebSocketAddress': given, 'Im:LoginVia': 'rest' });
    const tab = await Tab.open(t, latest, bridge.hubUrl, tokenFor('alice'));
    await rc.live('alice');
    await hears(rc, tab, given);
    await bridge.stop();
  }
  const accepted = rc.double.accepted;
  const bridge = await startBridge(t, rc.double, { ...FAST, 'Im:WebSocketAddress': `ws://127.0.0.1:${rc.double.port}/elsewhere`, 'Im:LoginVia': 'rest' });
  const tab = await Tab.open(t, latest, bridge.hubUrl, tokenFor('alice'));
  await tab.until('told', (x) => x.of('bridgeStatus').some((s) => s.state === 'backoff'));
  assert.equal(rc.double.accepted, accepted);
});

const GARBAGE = Object.fromEntries(['http_proxy', 'https_proxy', 'all_proxy', 'socks_proxy', 'no_proxy'].flatMap((name) => [[name, 'http://127.0.0.1:1/'], [name.toUpperCase(), '127.0.0.1:1']]));

test("the environment's proxy variables are ignored, with TLS and without", async (t) => {
  for (const tls of [undefined, makeCertificates(t)]) {
    const rc = await startDouble(t, tls && { tls });
    for (const road of ['rest', 'ddp']) {
      const bridge = await startBridge(t, rc.double, { ...FAST, 'Im:LoginVia': road, ...(tls && { 'Im:CaFile': tls.caFile }) }, GARBAGE);
      const tab = await Tab.open(t, latest, bridge.hubUrl, tokenFor('alice'));
      await rc.live('alice');
      await hears(rc, tab, `${road} ${Boolean(tls)}`);
      await bridge.stop();
    }
  }
});

/** An HTTP proxy. asked: the targets, as 'POST http://...' or 'CONNECT host:port'. */
async function startProxy(t) {
  const asked = [];
  const sockets = new Set();
  const server = http.createServer((req, res) => {
    asked.push(`${req.method} ${req.url}`);
    const url = new URL(req.url);
    const onward = http.request({ host: url.hostname, port: url.port, path: url.pathname + url.search, method: req.method, headers: req.headers }, (answer) => {
      res.writeHead(answer.statusCode, answer.headers);
      answer.pipe(res);
    });
    onward.on('error', () => res.destroy());
    req.pipe(onward);
  });
  server.on('connect', (req, socket, head) => {
    asked.push(`CONNECT ${req.url}`);
    const [host, port] = req.url.split(':');
    const onward = net.connect(Number(port), host, () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
      onward.write(head);
      onward.pipe(socket).pipe(onward);
    });
    for (const [one, other] of [[socket, onward], [onward, socket]]) one.on('error', () => other.destroy()).on('close', () => other.destroy());
  });
  server.on('connection', (socket) => sockets.add(socket));
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    return new Promise((resolve) => server.close(resolve));
  });
  return { asked, url: `http://127.0.0.1:${server.address().port}` };
}

test('Im:Proxy: REST and DDP go through it, with TLS and without', async (t) => {
  for (const tls of [undefined, makeCertificates(t)]) {
    const proxy = await startProxy(t);
    const rc = await startDouble(t, tls && { tls });
    const bridge = await startBridge(t, rc.double, { ...FAST, 'Im:LoginVia': 'rest', 'Im:Proxy': proxy.url, ...(tls && { 'Im:CaFile': tls.caFile }) }, GARBAGE);
    const tab = await Tab.open(t, latest, bridge.hubUrl, tokenFor('alice'));
    await rc.live('alice');
    await hears(rc, tab, 'through the proxy');
    const target = new URL(rc.double.url).host;
    assert.ok(proxy.asked.includes(`CONNECT ${target}`), proxy.asked.join());
    assert.equal(proxy.asked.filter((line) => line.includes('/api/v1/login')).length, tls ? 0 : 1, proxy.asked.join());
    await bridge.stop();
  }
});

test('Auth:JwksProxy: the key set is fetched through it, and nothing goes around it', async (t) => {
  let fetches = 0;
  const server = http.createServer((req, res) => {
    fetches++;
    res.end(JSON.stringify({ keys: [{ kid: '1', use: 'sig', alg: 'ES256', ...generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'jwk' }) }] }));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close().closeAllConnections());
  const url = `http://127.0.0.1:${server.address().port}/keys`;
  const settings = { 'Authentication:JwtBearer:SecurityKey': undefined, 'PushBridge:Auth:Algorithms': ['ES256'], 'PushBridge:Auth:Jwks': url };
  const proxy = await startProxy(t);
  const bridge = await startBridge(t, null, { ...settings, 'PushBridge:Auth:JwksProxy': proxy.url }, GARBAGE);
  await until('the keys', () => bridge.logged('jwks_loaded').length > 0);
  assert.ok(proxy.asked.includes(`GET ${url}`), proxy.asked.join());
  const before = fetches;
  const cutOff = await startBridge(t, null, { ...settings, 'PushBridge:Auth:JwksProxy': 'http://127.0.0.1:1' });
  await until('told', () => cutOff.logged('jwks_failed').length > 0);
  assert.equal(fetches, before);
});

test('a proxy that is not there: the session backs off, nothing goes around it', async (t) => {
  const rc = await startDouble(t);
  for (const road of ['rest', 'ddp']) {
    const bridge = await startBridge(t, rc.double, { ...FAST, 'Im:LoginVia': road, 'Im:Proxy': 'http://127.0.0.1:1' });
    const tab = await Tab.open(t, latest, bridge.hubUrl, tokenFor('alice'));
    await tab.until('told', (x) => x.of('bridgeStatus').some((s) => s.state === 'backoff'));
    await bridge.stop();
  }
  assert.deepEqual([...rc.double.calls.keys()], []);
  assert.equal(rc.double.accepted, 0);
});

test("Events:RawSubscriptionMethods keeps Rocket.Chat's own words", async (t) => {
  const rc = await startDouble(t);
  const bridge = await startBridge(t, rc.double, { 'PushBridge:Events:RawSubscriptionMethods': true });
  const tab = await Tab.open(t, latest, bridge.hubUrl, tokenFor('alice'));
  await rc.live('alice');
  const room = rc.store.createRoom({ name: 'side', owner: rc.user('bob'), members: [rc.user('bob')] });
  rc.store.subscribe(room._id, rc.user('alice'));
  rc.post(room, 'bob', 'hi');
  await tab.until('updated', (x) => x.of('getRoomSubscriptionChangedNotification').some((s) => s.method === 'updated'));
  rc.store.unsubscribe(room._id, rc.user('alice'));
  await tab.until('removed', (x) => x.of('getRoomSubscriptionChangedNotification').some((s) => s.method === 'removed'));
  const methods = new Set(tab.of('getRoomSubscriptionChangedNotification').map((s) => s.method));
  assert.deepEqual([...methods].sort(), ['inserted', 'removed', 'updated']);
});

test('OnExpiry=login: a fresh token each time, the old one logged out, nothing piles up', async (t) => {
  const rc = await startDouble(t);
  const bridge = await startBridge(t, rc.double, { ...FAST, 'PushBridge:TokenCache:TtlSeconds': 1, 'PushBridge:TokenCache:OnExpiry': 'login' });
  const tab = await Tab.open(t, latest, bridge.hubUrl, tokenFor('alice'));
  await rc.live('alice');
  await until('a third login', () => attempts(rc, 'alice', 'password').length >= 3);
  await until('one token', () => rc.user('alice').tokens.length <= 1);
  await rc.live('alice');
  await hears(rc, tab, 'renewed');
  assert.deepEqual(tab.changes, []);
  await bridge.stop();
  assert.equal(rc.user('alice').tokens.length, 0, 'what only we knew is logged out at stop');
});

test('Sliding: use starts the time again; without use it ends', async (t) => {
  const rc = await startDouble(t);
  const bridge = await startBridge(t, rc.double, { ...FAST, 'PushBridge:TokenCache:TtlSeconds': 1.5, 'PushBridge:TokenCache:Sliding': true });
  await Tab.open(t, latest, bridge.hubUrl, tokenFor('alice'));
  await rc.live('alice');
  for (let i = 0; i < 20; i++) {
    rc.post(rc.general, 'bob', `${i}`);
    await sleep(200);
  }
  assert.equal(rc.double.accepted, 1, 'kept by use');
  await until('ended without use', () => rc.double.accepted === 2);
});

test('the last tab leaves and the time ends: the token is logged out', async (t) => {
  const rc = await startDouble(t);
  const bridge = await startBridge(t, rc.double, { ...FAST, 'PushBridge:TokenCache:TtlSeconds': 2, 'PushBridge:Session:LingerSeconds': 0.2 });
  const tab = await Tab.open(t, latest, bridge.hubUrl, tokenFor('alice'));
  await rc.live('alice');
  await tab.connection.stop();
  await until('no connection', () => rc.double.sessions.size === 0);
  await until('no token', () => rc.user('alice').tokens.length === 0);
});
