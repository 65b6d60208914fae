// Rocket.Chat's REST through the bridge: as whom, what passes, and what must not.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import http from 'node:http';
import net from 'node:net';
import test from 'node:test';
import { cleanUp, ORIGIN, PASSWORD, sleep, startBridge, startDouble, tokenFor, until } from '../lib/harness.mjs';
import { makeCertificates } from '../lib/certificates.mjs';
import { call, valuesOf } from '../lib/rest_call.mjs';

const ADMIN = { 'Im:AdminUserName': 'super', 'Im:AdminPassword': PASSWORD };
const bearer = (name, more) => ({ Authorization: `Bearer ${tokenFor(name, more)}` });
const api = (path) => `/im/api/v1/${path}`;

async function start(t, settings = {}, options = {}) {
  const rc = await startDouble(t, { echo: true, ...options });
  const admin = rc.store.createUser({ username: 'super', password: PASSWORD, roles: ['admin'] });
  const bridge = await startBridge(t, rc.double, { ...ADMIN, ...settings });
  const logins = () => rc.double.calls.get('POST /api/v1/login') ?? 0;
  await until('the admin is in', () => admin.tokens.length > 0);
  return { rc, bridge, admin, logins, echoes: rc.double.echo.records, get: (path, headers, more) => call(bridge.url, path, { headers, ...more }) };
}

/** Rocket.Chat credentials as a frontend holds them. */
async function credentials(rc, name) {
  const res = await call(rc.double.url, '/api/v1/login', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ user: name, password: PASSWORD }) });
  const { userId, authToken } = res.json().data;
  return { id: userId, token: authToken, headers: { 'X-User-Id': userId, 'X-Auth-Token': authToken }, cookies: { Cookie: `theme=dark; chat_token=${authToken}; chat_uid=${userId}` } };
}

const echoOf = (res) => res.json().echo;
const metric = async (bridge, line) => (await (await fetch(`${bridge.adminUrl}/metrics`)).text()).split('\n').find((l) => l.startsWith(`${line} `))?.split(' ').at(-1);

test('as the user of the JWT, whichever way it comes; one login for all calls at once', async (t) => {
  const { bridge, logins, get } = await start(t);
  const before = logins();
  const answers = await Promise.all(Array.from({ length: 8 }, (_, i) => get(api(`channels.list?n=${i}`), bearer('alice'))));
  for (const res of answers) {
    assert.equal(res.status, 200);
    assert.equal(echoOf(res).user, 'alice');
  }
  assert.equal(logins() - before, 1);
  const token = tokenFor('bob');
  for (const path of [`x?access_token=${token}`, `x?a=1&access_token=${token}&b=2`, `x?ACCESS_TOKEN=${token}`]) {
    const echo = echoOf(await get(api(path)));
    assert.equal(echo.user, 'bob');
    assert.ok(!JSON.stringify(echo).includes(token), 'the JWT stays here');
    assert.equal(echo.url, path.includes('a=1') ? '/api/v1/x?a=1&b=2' : '/api/v1/x');
  }
  assert.equal(await metric(bridge, 'pushbridge_proxy_calls_total{result="answered"}'), '11');
});

test('two users never get each other\'s token', async (t) => {
  const { get } = await start(t, {}, { users: ['alice', 'bob', 'carol', 'dave'] });
  const agent = new http.Agent({ keepAlive: true, maxSockets: 2 });
  t.after(() => agent.destroy());
  const names = ['alice', 'bob', 'carol', 'dave'];
  await Promise.all(
    Array.from({ length: 120 }, async (_, i) => {
      const name = names[(i * 7) % 4];
      assert.equal(echoOf(await get(api(`n${i}`), bearer(name), { agent })).user, name);
    }),
  );
});

test('what does not pass on the way there', async (t) => {
  const { get } = await start(t);
  const sent = {
    ...bearer('alice'),
    'X-Auth-Token': 'stolen',
    'X-User-Id': 'someone',
    'X-XSRF-TOKEN': tokenFor('alice'),
    Cookie: 'chat_token=a; chat_uid=b; main_token=c',
    Origin: ORIGIN,
    Connection: 'close, x-hop',
    'X-Hop': '1',
    'Keep-Alive': 'timeout=5',
    TE: 'trailers',
    'Proxy-Authorization': 'Basic eA==',
    'X-Forwarded-For': '9.9.9.9',
    'X-Forwarded-Host': 'evil.example',
    Forwarded: 'for=9.9.9.9',
    'X-Real-Ip': '9.9.9.9',
    'X-Kept': 'yes',
    'X-2fa-Code': '123456',
    'X-Empty': '',
    Accept: 'a/b',
  };
  const { headers } = echoOf(await get(api('x'), sent));
  const name = (i) => headers[i].toLowerCase();
  const passed = Object.fromEntries(headers.flatMap((_, i) => (i % 2 === 0 ? [[name(i), headers[i + 1]]] : [])));
  for (const gone of ['authorization', 'cookie', 'x-xsrf-token', 'origin', 'x-hop', 'keep-alive', 'te', 'proxy-authorization', 'x-forwarded-host', 'forwarded', 'x-real-ip', 'user-agent', 'expect'])
    assert.equal(passed[gone], undefined, gone);
  assert.equal(passed['x-kept'], 'yes');
  assert.equal(passed['x-2fa-code'], '123456');
  assert.equal(passed['x-empty'], '');
  assert.equal(passed.accept, 'a/b');
  assert.equal(passed['x-forwarded-for'], '127.0.0.1');
  assert.equal(valuesOf(headers, 'x-auth-token').length, 1);
  assert.notEqual(passed['x-auth-token'], 'stolen');
  assert.notEqual(passed['x-user-id'], 'someone');
  assert.match(passed.host, /^127\.0\.0\.1:\d+$/);
});

test('the address of the user behind a proxy is told, or not', async (t) => {
  const { get } = await start(t, { 'PushBridge:TrustedProxies': '127.0.0.1' });
  const headers = { ...bearer('alice'), 'X-Forwarded-For': '203.0.113.7' };
  assert.deepEqual(valuesOf(echoOf(await get(api('x'), headers)).headers, 'x-forwarded-for'), ['203.0.113.7']);
  const silent = await start(t, { 'Im:ForwardClientAddress': false });
  assert.deepEqual(valuesOf(echoOf(await silent.get(api('x'), bearer('alice'))).headers, 'x-forwarded-for'), []);
});

test('what does not pass on the way back', async (t) => {
  const { get } = await start(t);
  const steer = {
    status: 201,
    headers: {
      'Set-Cookie': ['a=1', 'b=2'],
      'Access-Control-Allow-Origin': '*',
      'Access-Control-Allow-Credentials': 'false',
      'Strict-Transport-Security': 'max-age=9',
      Connection: 'x-hop',
      'X-Hop': '1',
      'X-Kept': 'yes',
      Vary: 'Accept',
      'Content-Disposition': 'attachment; filename="a b.txt"',
    },
  };
  const res = await get(api('x'), { ...bearer('alice'), Origin: ORIGIN, 'X-Echo': JSON.stringify(steer) });
  assert.equal(res.status, 201);
  assert.equal(res.headers['set-cookie'], undefined);
  assert.deepEqual(valuesOf(res.rawHeaders, 'access-control-allow-origin'), [ORIGIN]);
  assert.deepEqual(valuesOf(res.rawHeaders, 'access-control-allow-credentials'), ['true']);
  assert.match(res.headers['access-control-expose-headers'], /Retry-After/);
  assert.equal(res.headers['strict-transport-security'], undefined);
  assert.equal(res.headers['x-hop'], undefined);
  assert.equal(res.headers['x-kept'], 'yes');
  assert.equal(res.headers['content-disposition'], 'attachment; filename="a b.txt"');
  assert.equal(res.headers['cache-control'], 'no-store');
  assert.deepEqual(valuesOf(res.rawHeaders, 'date').length, 1);
  const stranger = await get(api('x'), { ...bearer('alice'), Origin: 'http://evil.example', 'X-Echo': JSON.stringify(steer) });
  assert.equal(stranger.headers['access-control-allow-origin'], undefined);
});

test('preflights are answered here, for every header the app sends', async (t) => {
  const { echoes, get } = await start(t);
  const asked = 'authorization, x-requested-with, x-xsrf-token, content-type, x-auth-token, x-user-id, abp-tenantid, abp.tenantid, .aspnetcore.culture';
  const headers = { Origin: ORIGIN, 'Access-Control-Request-Method': 'DELETE', 'Access-Control-Request-Headers': asked };
  const res = await get(api('chat.delete'), headers, { method: 'OPTIONS' });
  assert.equal(res.status, 204);
  assert.equal(res.headers['access-control-allow-headers'], asked);
  assert.equal(res.headers['access-control-allow-methods'], 'DELETE');
  assert.equal(res.headers['access-control-allow-credentials'], 'true');
  assert.equal(echoes.length, 0);
});

test('paths that can be read two ways are refused; nothing but the API is reached', async (t) => {
  const { rc, bridge, echoes } = await start(t);
  const cases = [
    ['../../x', 400], ['..', 400], ['a/../b', 400], ['./a', 400], ['a/.', 400], ['%2e%2e/x', 400], ['%2E%2e/x', 400], ['.%2e/x', 400], ['a%2fb', 400], ['a%2Fb', 400],
    ['%252e%252e/x', 400], ['%25', 400], ['a//b', 400], ['/a', 400], ['a\\b', 400], ['a%5cb', 400], ['a%5C..', 400], ['a%00', 400], ['a%0d%0ab', 400], ['a%0Ax', 400], ['a%7f', 400], ['a%', 400], ['a%2', 400], ['a%zz', 400],
    ['', 404], ['a%20b', 200], ['a;b', 200], ['rooms.upload/GENERAL', 200], ['x?u=../..%2f%2e%0d%0a', 200], ['a/', 200],
  ];
  for (const [path, status] of cases) {
    const seen = echoes.length;
    const res = await call(bridge.url, api(path), { headers: bearer('alice') });
    assert.equal(res.status, status, path);
    assert.equal(echoes.length - seen, status === 200 ? 1 : 0, path);
    if (status === 200) assert.equal(echoes.at(-1).url, `/api/v1/${path}`);
    else assert.equal(res.json().success, false);
  }
  const outside = [['/im', 404], ['/im/', 404], ['/im/api', 404], ['/im/api/v1', 404], ['/im/api/v2/x', 404], ['/im/API/v1/x', 404], ['/im/api/info', 404], ['/im/../api/v1/x', 400], ['/im/x/../api/v1/x', 400], ['/imx/api/v1/x', 404], ['/im%2fapi/v1/x', 404], ['/im/websocket', 404], ['/im/__double/state', 404], ['/api/v1/x', 404]];
  const calls = rc.double.calls.size;
  for (const [path, status] of outside) assert.equal((await call(bridge.url, path, { headers: bearer('alice') })).status, status, path);
  assert.equal(rc.double.calls.size, calls);
  // Not on the operator's listener.
  assert.equal((await call(bridge.adminUrl, api('x'), { headers: bearer('alice') })).status, 404);
});

/** Sends bytes as they are; resolves to all that came back. */
function raw(url, text) {
  return new Promise((resolve) => {
    const socket = net.connect(Number(new URL(url).port), '127.0.0.1');
    let got = '';
    socket.setEncoding('latin1').on('data', (data) => (got += data));
    socket.on('close', () => resolve(got));
    socket.on('error', () => {});
    socket.end(text, 'latin1');
  });
}

test('smuggling and injection do not get through', async (t) => {
  const { bridge, echoes } = await start(t);
  const auth = `Authorization: Bearer ${tokenFor('alice')}\r\n`;
  const inner = 'GET /im/api/v1/inner HTTP/1.1\r\nHost: a\r\n\r\n';
  const cases = {
    'two lengths': `POST ${api('x')} HTTP/1.1\r\nHost: a\r\n${auth}Content-Length: 3\r\nContent-Length: 40\r\n\r\nabc${inner}`,
    'length and chunks': `POST ${api('x')} HTTP/1.1\r\nHost: a\r\n${auth}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${inner}`,
    'odd coding': `POST ${api('x')} HTTP/1.1\r\nHost: a\r\n${auth}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n${inner}`,
    'folded coding': `POST ${api('x')} HTTP/1.1\r\nHost: a\r\n${auth}X: y\r\n Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n`,
    'bare CR': `GET ${api('x')} HTTP/1.1\r\nHost: a\r\n${auth}X: a\rX-Auth-Token: b\r\n\r\n`,
    'LF in a chunk line': `POST ${api('x')} HTTP/1.1\r\nHost: a\r\n${auth}Transfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n`,
    'NUL': `GET ${api('x')} HTTP/1.1\r\nHost: a\r\n${auth}X: a\0b\r\n\r\n`,
    'space before the colon': `POST ${api('x')} HTTP/1.1\r\nHost: a\r\n${auth}Content-Length : 5\r\n\r\nhello`,
    'a line break in the path': `GET ${api('x')}\r\nX-Auth-Token: a HTTP/1.1\r\nHost: a\r\n${auth}\r\n`,
  };
  for (const [name, text] of Object.entries(cases)) {
    const seen = echoes.length;
    assert.match(await raw(bridge.url, text), /^HTTP\/1\.1 (400|501|505) /, name);
    assert.equal(echoes.length, seen, name);
  }
});

test('a frontend\'s own credentials: by header, by cookie, asked about once', async (t) => {
  const { rc, bridge, get, echoes } = await start(t);
  const alice = await credentials(rc, 'alice');
  const asked = () => rc.double.calls.get('GET /api/v1/me') ?? 0;
  const before = asked();
  await Promise.all(Array.from({ length: 5 }, async () => assert.equal(echoOf(await get(api('x'), alice.headers)).user, 'alice')));
  const [first] = valuesOf(echoes.at(-1).headers, 'x-auth-token');
  assert.equal(first, alice.token, 'the caller\'s own token, not another');
  // Two shards remember for themselves.
  assert.ok(asked() - before <= 2, `${asked() - before}`);
  assert.equal(echoOf(await get(api('x'), alice.cookies)).user, 'alice');
  const post = (headers) => get(api('chat.sendMessage'), headers, { method: 'POST', body: '{}' });
  const { Cookie } = alice.cookies;
  assert.equal((await post({ Cookie })).status, 403);
  assert.equal((await post({ Cookie, Origin: 'http://evil.example' })).status, 403);
  assert.equal((await post({ Cookie, Origin: 'null' })).status, 403);
  assert.equal((await post({ Cookie, Origin: ORIGIN })).status, 200);
  assert.equal((await post({ Cookie, Origin: bridge.url })).status, 200);
  assert.equal((await get(api('chat.ignoreUser'), { Cookie, 'Sec-Fetch-Site': 'cross-site' })).status, 403);
  assert.equal((await get(api('x'), { Cookie, 'Sec-Fetch-Site': 'same-site' })).status, 200);
  assert.equal((await post(alice.headers)).status, 200, 'headers are not sent without the page\'s doing');

  for (const headers of [
    { 'X-User-Id': alice.id, 'X-Auth-Token': 'wrong' },
    { 'X-User-Id': rc.user('bob')._id, 'X-Auth-Token': alice.token },
    { 'X-User-Id': alice.id },
    { 'X-User-Id': 'a b', 'X-Auth-Token': 'c d' },
    { Cookie: `chat_token=${'x'.repeat(400)}; chat_uid=u` },
    { Cookie: 'chat_token=null; chat_uid=undefined' },
    {},
  ]) {
    const seen = echoes.length;
    const res = await get(api('x'), headers);
    assert.equal(res.status, 401, JSON.stringify(headers));
    assert.equal(res.json().error, 'You must be logged in to do this.');
    assert.equal(echoes.length, seen);
  }
  // Nobody waits for the body of a caller who is refused.
  const slow = await get(api('x'), { 'X-User-Id': alice.id, 'X-Auth-Token': 'wrong-too', 'Content-Length': 9 }, { method: 'POST', body: (req) => req.write('part') });
  assert.equal(slow.status, 401);
  // A bad JWT is not made good by what comes beside it; a good one wins.
  assert.equal((await get(api('x'), { ...alice.headers, Authorization: 'Bearer a.b.c' })).status, 401);
  assert.equal(echoOf(await get(api('x'), { ...alice.headers, ...bearer('bob') })).user, 'bob');
  assert.equal(echoOf(await get(api('x'), { ...alice.headers, Authorization: 'Bearer null' })).user, 'alice');
});

test('credentials are asked about again when their time is over', async (t) => {
  const { rc, get } = await start(t, { 'PushBridge:Proxy:IdentitySeconds': 0.3, 'PushBridge:Shards': 1 });
  const alice = await credentials(rc, 'alice');
  const asked = () => rc.double.calls.get('GET /api/v1/me') ?? 0;
  await get(api('x'), alice.headers);
  const before = asked();
  await sleep(500);
  await get(api('x'), alice.headers);
  assert.equal(asked(), before + 1);
  // Where Rocket.Chat can't be asked, it looks at the call itself.
  await sleep(500);
  await fetch(`${rc.double.url}/__double/fault`, { method: 'POST', body: JSON.stringify({ on: 'rest', match: { path: '/api/v1/me' }, do: 'respond', status: 429, body: { success: false, error: 'too many [error-too-many-requests]' }, times: 1 }) });
  assert.equal(echoOf(await get(api('x'), alice.headers)).user, 'alice');
});

test('Proxy:Identities: so many callers are remembered; the oldest is asked about again', async (t) => {
  const { rc, get } = await start(t, { 'PushBridge:Proxy:Identities': 1, 'PushBridge:Proxy:IdentitySeconds': 3600, 'PushBridge:Shards': 1 });
  const [alice, bob] = [await credentials(rc, 'alice'), await credentials(rc, 'bob')];
  const before = rc.double.calls.get('GET /api/v1/me') ?? 0;
  for (const [own, asked] of [[alice, 1], [alice, 1], [bob, 2], [bob, 2], [alice, 3]]) {
    assert.equal((await get(api('x'), own.headers)).status, 200);
    assert.equal(rc.double.calls.get('GET /api/v1/me') - before, asked);
  }
});

test('a logout with a JWT ends nothing, and never reaches Rocket.Chat', async (t) => {
  const { get, logins, echoes } = await start(t);
  const before = logins();
  const first = valuesOf(echoOf(await get(api('x'), bearer('alice'))).headers, 'x-auth-token')[0];
  for (const path of ['logout', 'LOGOUT', '%6cogout', 'logout/'])
    for (let i = 0; i < 5; i++) {
      const res = await get(api(path), bearer('alice'), { method: 'POST', body: '{}' });
      assert.equal(res.status, 200, path);
      assert.deepEqual(res.json(), { status: 'success', data: { message: 'You\'ve been logged out!' } });
    }
  assert.equal((await get(api('logout'), { Authorization: 'Bearer a.b.c' }, { method: 'POST' })).status, 401);
  assert.equal(echoes.length, 1);
  assert.equal(valuesOf(echoOf(await get(api('x'), bearer('alice'))).headers, 'x-auth-token')[0], first);
  assert.equal(logins() - before, 1);
});

test('logins by way of the proxy: a few a minute for all, one for each account, and the bridge has the rest', async (t) => {
  const names = ['alice', 'bob', 'carol', 'dave', 'erin', 'frank'];
  const { rc, get, logins, echoes } = await start(t, { 'Im:LoginVia': 'rest' }, { users: names });
  const logIn = (name, headers, path = 'login') => get(api(path), { ...headers, 'Content-Type': 'application/json' }, { method: 'POST', body: JSON.stringify({ user: name, password: PASSWORD }) });
  const passed = () => echoes.filter((echo) => /^\/api\/v1\/(login|%6c)/i.test(echo.url)).length;
  const own = await credentials(rc, 'dave');
  const before = logins();
  assert.equal((await logIn('alice', bearer('alice'))).status, 200);
  for (const path of ['login', 'LOGIN', '%6cogin', 'login/']) {
    const res = await logIn('alice', bearer('alice'), path);
    assert.equal(res.status, 429, path);
    assert.ok(Number(res.headers['retry-after']) > 1, path);
    assert.equal(res.json().errorType, 'error-too-many-requests');
  }
  assert.equal((await logIn('bob', bearer('bob'))).status, 200);
  // Credentials that are none use nothing up.
  for (let i = 0; i < 5; i++) assert.equal((await logIn('dave', { ...own.headers, 'X-Auth-Token': `wrong${i}` })).status, 401);
  assert.equal((await logIn('dave', own.headers)).status, 200);
  assert.equal((await logIn('carol', bearer('carol'))).status, 429, 'three were let through');
  assert.equal(passed(), 3);
  // Alice, bob and carol are logged in by the bridge besides, and what is left is for those who come.
  assert.equal(logins() - before, 3 + 3);
  for (const name of ['erin', 'frank']) assert.equal((await get(api('x'), bearer(name))).status, 200, name);
});

test('logins by method.call and method.callAnon count as such, by what the body says; other methods do not', async (t) => {
  const { get, echoes } = await start(t, { 'PushBridge:Proxy:LoginsPerMinute': 1 });
  const message = (method) => JSON.stringify({ message: JSON.stringify({ msg: 'method', id: '1', method, params: [] }) });
  const post = (path, body, type = 'application/json', name = 'alice') => get(api(path), { ...bearer(name), 'Content-Type': type }, { method: 'POST', body });
  for (const path of ['method.call/rooms:get', 'method.callAnon/login']) assert.equal((await post(path, message('rooms/get'))).status, 200, path);
  assert.equal((await post('method.callAnon/login', message('login'))).status, 200);
  const seen = echoes.length;
  const inPieces = (req) => {
    req.flushHeaders();
    setTimeout(() => req.end(message('login')), 100); // behind the token
  };
  for (const [path, body, type] of [
    ['method.callAnon/login', message('login')],
    ['method.call/login', message('login')],
    ['method.callAnon/rooms:get', message('login')],
    ['Method.Call/x', message('login').replace('login', String.raw`log\\u0069n`)],
    ['method.callAnon/x', inPieces],
    ['method.callAnon/x', new URLSearchParams(JSON.parse(message('login'))).toString(), 'application/x-www-form-urlencoded'],
    ['method.callAnon/x', message('x'.repeat(70_000))], // too long to be looked into
  ]) {
    const res = await post(path, body, type, 'bob');
    assert.equal(res.status, 429, `${path} ${body}`);
    assert.equal(res.json().errorType, 'error-too-many-requests');
  }
  assert.equal((await post('login', '{}')).status, 429, 'they are of one count');
  assert.equal(echoes.length, seen);
  assert.equal((await post('method.call/rooms:get', message('rooms/get'))).status, 200);
});

test('a wrong password in a proxied login is no end of the session\'s token', async (t) => {
  const { rc, get, logins } = await start(t, {}, { echo: false });
  const asked = () => rc.double.calls.get('GET /api/v1/me') ?? 0;
  assert.equal((await get(api('me'), bearer('alice'))).status, 200);
  const [before, looks] = [logins(), asked()];
  const res = await get(api('login'), { ...bearer('alice'), 'Content-Type': 'application/json' }, { method: 'POST', body: JSON.stringify({ user: 'alice', password: 'wrong' }) });
  assert.equal(res.status, 401);
  assert.equal(logins() - before, 1);
  assert.equal(asked() - looks, 0);
});

test('an enc_auth_token that nobody can open is a bad JWT, whatever comes beside it', async (t) => {
  for (const phrases of [[], ['gsKnGZ041HLL4IM8']]) {
    const { rc, get } = await start(t, { 'PushBridge:Proxy:AnonymousRoutes': ['GET channels.list'], 'PushBridge:Auth:EncryptedTokenPassPhrases': phrases });
    const own = await credentials(rc, 'bob');
    for (const headers of [{}, own.headers, own.cookies]) assert.equal((await get(api('channels.list?enc_auth_token=garbage'), headers)).status, 401);
    assert.equal(echoOf(await get(api('channels.list?enc_auth_token=null'))).user, 'super');
    assert.equal(echoOf(await get(api('channels.list?enc_auth_token=garbage'), bearer('alice'))).user, 'alice', 'another carrier has one');
  }
});

test('a user who ends token after token waits for the next login, and nobody else does', async (t) => {
  const { rc, get } = await start(t, { 'Im:LoginVia': 'ddp' });
  const asks = async (name) => (await get(api('x'), bearer(name))).status;
  const statuses = [];
  do {
    statuses.push(await asks('alice'));
    rc.store.removeAllTokens(rc.store.requireUser('alice'));
  } while (statuses.at(-1) === 200 && statuses.length < 20);
  assert.deepEqual(statuses, [200, 200, 200, 200, 200, 200, 200, 401]);
  const first = await get(api('x'), bearer('alice'));
  if (first.status !== 200) {
    assert.equal(first.status, 503);
    assert.ok(Number(first.headers['retry-after']) >= 1);
  }
  assert.equal(await asks('bob'), 200);
  await until('her pause is over', async () => (await asks('alice')) === 200, 30_000);
});

test('the administrator: by the agent\'s token for the admin, on listed routes for nobody, never else', async (t) => {
  const routes = ['GET channels.list', 'GET channels.info*'];
  const { rc, get, echoes } = await start(t, { 'PushBridge:Proxy:AnonymousRoutes': routes });
  const own = await credentials(rc, 'super');
  const res = echoOf(await get(api('x'), own.headers));
  assert.equal(res.user, 'super');
  assert.notEqual(valuesOf(res.headers, 'x-auth-token')[0], own.token, 'the agent\'s');
  assert.equal((await get(api('x'), { ...own.headers, 'X-Auth-Token': 'wrong' })).status, 401);
  const out = echoOf(await get(api('logout'), own.headers, { method: 'POST', body: '{}' }));
  assert.deepEqual(valuesOf(out.headers, 'x-auth-token'), [own.token], 'who logs out ends a login of their own, not the agent\'s');

  const cases = [['GET', 'channels.list', 200], ['GET', 'channels.list?count=0', 200], ['HEAD', 'channels.list', 401], ['POST', 'channels.list', 401], ['GET', 'channels.lists', 401], ['GET', 'channels.list/', 401], ['GET', 'Channels.list', 401], ['GET', 'channels.info', 200], ['GET', 'channels.info/x', 200], ['GET', 'channels.inf', 401], ['GET', 'channels%2elist', 400]];
  for (const [method, path, status] of cases) {
    const seen = echoes.length;
    assert.equal((await get(api(path), {}, { method })).status, status, `${method} ${path}`);
    assert.equal(echoes.length - seen, status === 200 ? 1 : 0);
    if (status === 200) assert.equal(echoes.at(-1).user, 'super');
  }
  // Whoever says who they are and is refused does not become the administrator.
  const listed = api('channels.list');
  assert.equal((await get(listed, { Authorization: 'Bearer a.b.c' })).status, 401);
  assert.equal((await get(listed, { 'X-User-Id': 'u', 'X-Auth-Token': 'wrong' })).status, 401);
  assert.equal((await get(listed, bearer('nobody'))).status, 403);
  assert.equal((await get(listed, bearer('super'))).status, 403, 'a JWT that names the administrator');
  assert.equal((await get(listed, bearer('alice', { tenant: '7' }))).status, 403);
});

test('a dead token costs one login and no call; a call\'s own 401 is passed on', async (t) => {
  const { rc, bridge, get, logins, echoes } = await start(t);
  await get(api('x'), bearer('alice'));
  const before = logins();
  rc.store.removeAllTokens(rc.user('alice'));
  const body = 'x'.repeat(40_000);
  const res = await get(api('y'), bearer('alice'), { method: 'POST', body });
  assert.equal(res.status, 200);
  assert.equal(echoOf(res).bytes, body.length);
  assert.equal(logins(), before + 1);
  assert.equal(await metric(bridge, 'pushbridge_proxy_retries_total'), '1');
  // A small body in chunks is whole, too.
  rc.store.removeAllTokens(rc.user('alice'));
  const chunks = await get(api('y'), bearer('alice'), { method: 'POST', body: (req) => (req.write('a'), req.end('b')) });
  assert.deepEqual([chunks.status, echoOf(chunks).body], [200, 'ab']);
  // Too long to be sent again by us; by the caller it can be.
  rc.store.removeAllTokens(rc.user('alice'));
  const long = { method: 'POST', body: 'x'.repeat(100_000) };
  const big = await get(api('y'), bearer('alice'), long);
  assert.deepEqual([big.status, big.headers['retry-after']], [503, '1']);
  assert.equal(echoOf(await get(api('y'), bearer('alice'), long)).bytes, 100_000);
  assert.equal(logins(), before + 3);
  // The token is good: the route says 401.
  const seen = echoes.length;
  const own = await get(api('z'), { ...bearer('alice'), 'X-Echo': JSON.stringify({ status: 401, text: '{"success":false,"error":"mine"}' }) });
  assert.equal(own.status, 401);
  assert.equal(own.json().error, 'mine');
  assert.equal(logins(), before + 3);
  assert.equal(echoes.length, seen + 1);
  const bigOwn = await get(api('z'), { ...bearer('alice'), 'X-Echo': JSON.stringify({ status: 401, text: '{"success":false,"error":"mine"}' }) }, long);
  assert.deepEqual([bigOwn.status, bigOwn.json().error], [401, 'mine']);
});

test("the administrator's dead token costs one login and no call", async (t) => {
  const { rc, admin, get, logins } = await start(t, { 'PushBridge:Proxy:AnonymousRoutes': ['GET channels.list', 'POST chat.postMessage'] });
  const own = await credentials(rc, 'super');
  assert.equal(echoOf(await get(api('x'), own.headers)).user, 'super');
  const before = logins();
  rc.store.removeOtherTokens(admin, rc.store.findToken(own.token).entry.hash);
  const answers = await Promise.all([get(api('channels.list')), get(api('chat.postMessage'), {}, { method: 'POST', body: 'x'.repeat(40_000) }), get(api('y'), own.headers)]);
  for (const res of answers) assert.deepEqual([res.status, echoOf(res).user], [200, 'super']);
  assert.equal(logins(), before + 1);
});

test('an administrator who has logged out is nobody, on every thread, at once', async (t) => {
  const { rc, bridge, get } = await start(t, { 'PushBridge:Shards': 4, 'PushBridge:Proxy:IdentitySeconds': 3600 });
  const own = await credentials(rc, 'super');
  const everywhere = () => Promise.all(Array.from({ length: 24 }, () => get(api('x'), own.headers)));
  for (const res of await everywhere()) assert.equal(echoOf(res).user, 'super');
  rc.double.echo.enabled = false; // this one is to be carried out
  assert.equal((await get(api('logout'), own.headers, { method: 'POST' })).status, 200);
  rc.double.echo.enabled = true;
  assert.equal(rc.store.findToken(own.token), undefined);
  await until('nobody takes it any more', async () => (await everywhere()).every((res) => res.status === 401));
  assert.equal(bridge.logs.some((line) => line.includes(own.token)), false);
});

test('429 says when to come back, by header or by words', async (t) => {
  const { get } = await start(t);
  const ask = async (steer) => get(api('x'), { ...bearer('alice'), 'X-Echo': JSON.stringify({ status: 429, ...steer }) });
  const words = { text: '{"success":false,"error":"Error, too many requests. Please slow down. You must wait 41 seconds before trying this endpoint again. [error-too-many-requests]"}' };
  const byHeader = await ask({ ...words, headers: { 'X-RateLimit-Limit': '10', 'X-RateLimit-Remaining': '0', 'X-RateLimit-Reset': String(Date.now() + 20_000) } });
  assert.equal(byHeader.status, 429);
  assert.ok(Number(byHeader.headers['retry-after']) >= 15 && Number(byHeader.headers['retry-after']) <= 41, byHeader.headers['retry-after']);
  assert.equal(byHeader.body.toString(), words.text);
  assert.equal(byHeader.headers['x-ratelimit-limit'], '10');
  assert.equal((await ask(words)).headers['retry-after'], '41');
  assert.equal((await ask({ ...words, headers: { 'Retry-After': '7' } })).headers['retry-after'], '7');
});

test('limits count for each user where Rocket.Chat believes the address', async (t) => {
  const rc = await startDouble(t, { rateLimits: { rest: { limit: 3, intervalMs: 60_000 } }, believeForwarded: true });
  const bridge = await startBridge(t, rc.double, { 'PushBridge:TrustedProxies': '127.0.0.1' });
  const from = async (name, address) => (await call(bridge.url, api('rooms.get'), { headers: { ...bearer(name), 'X-Forwarded-For': address } })).status;
  for (let i = 0; i < 3; i++) assert.equal(await from('alice', '203.0.113.1'), 200);
  assert.equal(await from('alice', '203.0.113.1'), 429);
  assert.equal(await from('bob', '203.0.113.2'), 200);
});

const sha = (...parts) => parts.reduce((hash, part) => hash.update(part), createHash('sha256')).digest('hex');

test('uploads and downloads pass in pieces, whatever they hold', async (t) => {
  const { get, echoes } = await start(t);
  const piece = Buffer.alloc(1 << 20, 0).map((_, i) => (i * 31) & 0xff);
  const upload = (headers, pieces) => get(api('rooms.media/GENERAL'), { ...bearer('alice'), ...headers }, {
    method: 'POST',
    body: async (req) => {
      for (let i = 0; i < pieces; i++) if (!req.write(piece)) await new Promise((resolve) => req.once('drain', resolve));
      req.end();
    },
  });
  const want = sha(...Array(8).fill(piece));
  for (const headers of [{ 'Content-Length': 8 << 20, 'Content-Type': 'multipart/form-data; boundary=x' }, {}]) {
    const res = await upload(headers, 8);
    assert.equal(res.status, 200);
    assert.deepEqual([echoOf(res).bytes, echoOf(res).sha256], [8 << 20, want]);
    assert.deepEqual(valuesOf(echoes.at(-1).headers, 'content-length'), headers['Content-Length'] ? [String(8 << 20)] : []);
  }
  for (const chunked of [false, true]) {
    const res = await get(api('x'), { ...bearer('alice'), 'X-Echo': JSON.stringify({ bytes: 8 << 20, chunked }) });
    assert.equal(res.body.length, 8 << 20);
    assert.equal(res.headers['content-length'], chunked ? undefined : String(8 << 20));
  }
  const head = await get(api('x'), { ...bearer('alice'), 'X-Echo': JSON.stringify({ bytes: 99 }) }, { method: 'HEAD' });
  assert.deepEqual([head.status, head.headers['content-length'], head.body.length], [200, '99', 0]);
  for (const body of ['xy', 'x'.repeat(200_000)]) {
    const odd = await get(api('x'), bearer('alice'), { method: 'HEAD', body });
    assert.deepEqual([odd.status, odd.body.length], [200, 0], 'a body means nothing here, and holds nothing up');
  }
  const strange = await get(api('x'), { ...bearer('alice'), 'X-Echo': JSON.stringify({ status: 600 }) });
  assert.equal(strange.status, 502);
  // The body is asked for when Rocket.Chat is there to take it.
  const expecting = await get(api('x'), { ...bearer('alice'), Expect: '100-continue', 'Content-Length': 5 }, {
    method: 'POST',
    body: (req) => req.once('continue', () => req.end('hello')),
  });
  assert.equal(echoOf(expecting).body, 'hello');
});

test('a connection is kept through calls of every kind', async (t) => {
  const { get } = await start(t);
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  t.after(() => agent.destroy());
  const sockets = new Set();
  agent.on('free', (socket) => sockets.add(socket));
  const one = (path, more, headers) => get(api(path), { ...bearer('alice'), ...headers }, { agent, ...more });
  for (let i = 0; i < 3; i++) {
    assert.equal((await one('a')).status, 200);
    assert.equal((await one('b', { method: 'POST', body: 'small' })).status, 200);
    assert.equal((await one('c', { method: 'PUT', body: 'x'.repeat(300_000) })).status, 200);
    assert.equal((await one('..%2f', { method: 'POST', body: 'small' })).status, 400);
    assert.equal((await one('d', { method: 'DELETE' })).status, 200);
    assert.equal((await one('e', { method: 'HEAD' })).status, 200);
    assert.equal((await one('f', {}, { 'X-Echo': '{"bytes":300000,"chunked":true}' })).body.length, 300_000);
  }
  await until('the socket is free again', () => sockets.size > 0);
  assert.equal(sockets.size, 1);
});

test('an answer before the body\'s end; a body too long; an answer that breaks off', async (t) => {
  const { bridge, get, rc } = await start(t, { 'PushBridge:Proxy:BodyBytes': 2_000_000 });
  const early = await get(api('x'), { ...bearer('alice'), 'Content-Length': 1_500_000, 'X-Echo': '{"early":true,"status":413,"text":"no"}' }, {
    method: 'POST',
    body: (req) => req.write('x'.repeat(200_000)), // and no more
  });
  assert.deepEqual([early.status, early.body.toString()], [413, 'no']);
  const long = await get(api('x'), { ...bearer('alice'), 'Content-Length': 2_000_001 }, { method: 'POST', body: (req) => req.flushHeaders() });
  assert.equal(long.status, 413);
  const cut = await raw(bridge.url, `GET ${api('x')} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${tokenFor('alice')}\r\nX-Echo: {"bytes":9}\r\n\r\n`);
  assert.equal(cut, '', 'half-closed: nobody waits any more');
  await fetch(`${rc.double.url}/__double/fault`, { method: 'POST', body: JSON.stringify({ on: 'rest', match: { path: '/api/v1/gone' }, do: 'reset', times: 1 }) });
  const reset = await get(api('gone'), bearer('alice'));
  assert.equal(reset.status, 502);
  assert.equal(reset.json().success, false);
});

test('nobody waits for ever: a stalled server, a stalled caller, a caller that left', async (t) => {
  const { bridge, get } = await start(t, { 'PushBridge:Proxy:IdleSeconds': 0.5 });
  await get(api('x'), bearer('alice'));
  await assert.rejects(get(api('x'), { ...bearer('alice'), 'X-Echo': '{"bytes":1000,"stall":100}' }), 'an answer that has begun breaks off');
  const slow = await get(api('x'), { ...bearer('alice'), 'Content-Length': 200_000 }, { method: 'POST', body: (req) => req.write('x'.repeat(100_000)) });
  assert.equal(slow.status, 408);
  const gone = http.request({ host: '127.0.0.1', port: new URL(bridge.url).port, path: api('x'), headers: { ...bearer('alice'), 'X-Echo': '{"bytes":100000000}' } }, (res) => res.once('data', () => gone.destroy()));
  gone.on('error', () => {});
  gone.end();
  await until('nothing runs any more', async () => (await metric(bridge, 'pushbridge_proxy_calls_running')) === '0');
});

test('a Rocket.Chat that does not say who a caller is: waited for no longer than for an answer', async (t) => {
  const { rc, get } = await start(t, { 'PushBridge:Proxy:IdleSeconds': 0.5, 'PushBridge:Logins:TimeoutSeconds': 600 });
  const own = await credentials(rc, 'super');
  rc.double.faults.add({ on: 'rest', match: { path: '/api/v1/me' }, do: 'stall', times: 1 });
  const res = await get(api('x'), own.headers);
  assert.deepEqual([res.status, res.json().success], [503, false]);
  assert.equal(rc.double.faults.list().length, 0);
  assert.equal(echoOf(await get(api('x'), own.headers)).user, 'super', 'who it is can be asked again');
});

/** Small steps from a seed, the same each time. */
function dice(seed) {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state >>> 8) % below;
  };
}

test('a storm of calls of every size, many of them cut off by either side, leaves nothing behind', async (t) => {
  const { bridge, get, echoes } = await start(t, { 'PushBridge:Proxy:IdleSeconds': 2, 'PushBridge:Proxy:CallsPerCaller': 100 });
  const roll = dice(Number(process.env.SEED ?? 1));
  const agent = new http.Agent({ keepAlive: true, maxSockets: 12 });
  t.after(() => agent.destroy());
  const names = ['alice', 'bob'];
  let whole = 0;
  const one = async (i) => {
    const name = names[roll(2)];
    const up = [0, 1, 1000, 65_536, 65_537, 400_000][roll(6)];
    const down = [0, 1, 70_000, 1_000_000][roll(4)];
    const fate = roll(8); // 0: the caller leaves on the way up, 1: on the way down, 2: Rocket.Chat stops, 3: answers early
    const steer = { bytes: down, chunked: roll(2) === 1, ...(fate === 2 && down > 1 && { stall: down >> 1 }), ...(fate === 3 && { early: true }) };
    const body = Buffer.alloc(up, i);
    const headers = { ...bearer(name), 'X-Echo': JSON.stringify(steer), ...(roll(2) === 1 && { 'Content-Length': up }) };
    await new Promise((resolve, reject) => {
      const req = http.request({ agent, host: '127.0.0.1', port: new URL(bridge.url).port, path: api(`storm/${i}`), method: 'POST', headers }, (res) => {
        let got = 0;
        res.on('data', (chunk) => {
          got += chunk.length;
          if (fate === 1) res.destroy();
        });
        res.on('end', () => {
          if (fate > 3) assert.equal(got, down);
          whole += fate > 3;
        });
        res.on('close', resolve);
        res.on('error', () => {});
      });
      req.on('error', fate > 3 ? reject : resolve);
      if (fate === 0) {
        req.write(body.subarray(0, up >> 1));
        setTimeout(() => req.destroy(), roll(20));
      } else {
        req.end(body);
      }
    });
    const record = echoes.findLast((echo) => echo.url === `/api/v1/storm/${i}`);
    if (fate > 3) assert.deepEqual([record.user, record.bytes, record.sha256], [name, up, sha(body)]);
  };
  for (let round = 0; round < 5; round++) await Promise.all(Array.from({ length: 30 }, (_, i) => one(round * 30 + i)));
  assert.ok(whole > 40, `${whole} went through`);
  await until('nothing runs any more', async () => (await metric(bridge, 'pushbridge_proxy_calls_running')) === '0');
  assert.equal((await get(api('x'), bearer('alice'))).status, 200);
});

test('so many calls of one caller, so many in all', async (t) => {
  const { get, bridge } = await start(t, { 'PushBridge:Proxy:CallsPerCaller': 2, 'PushBridge:Proxy:Calls': 3 });
  await get(api('x'), bearer('alice'));
  const hang = (name) => {
    const req = http.request({ host: '127.0.0.1', port: new URL(bridge.url).port, path: api('hang'), headers: { ...bearer(name), 'X-Echo': '{"bytes":10,"stall":5}' } });
    req.on('error', () => {}).end();
    cleanUp(t, () => req.destroy());
    return new Promise((resolve) => req.on('response', resolve));
  };
  await Promise.all([hang('alice'), hang('alice')]);
  const third = await get(api('x'), bearer('alice'));
  assert.deepEqual([third.status, third.headers['retry-after']], [429, '1']);
  await hang('bob');
  assert.equal((await get(api('x'), bearer('bob'))).status, 503);
});

test('Rocket.Chat behind TLS and a prefix: both ways, and not without its authority', async (t) => {
  const { key, cert, caFile } = makeCertificates(t);
  const rc = await startDouble(t, { echo: true, prefix: '/chat', tls: { key, cert } });
  const bridge = await startBridge(t, rc.double, { 'Im:CaFile': caFile });
  const body = Buffer.alloc(3_000_000, 7);
  const steer = JSON.stringify({ bytes: 3_000_000 });
  const res = await call(bridge.url, api('x?a=b'), { method: 'POST', headers: { ...bearer('alice'), 'X-Echo': steer }, body });
  assert.deepEqual([res.status, res.body.length], [200, 3_000_000]);
  const record = rc.double.echo.records.at(-1);
  assert.deepEqual([record.url, record.bytes, record.sha256], ['/chat/api/v1/x?a=b', 3_000_000, sha(body)]);
  const stranger = await startBridge(t, rc.double);
  assert.equal((await call(stranger.url, api('x'), { headers: bearer('alice') })).status, 503);
  const own = { 'X-User-Id': 'u', 'X-Auth-Token': 't' };
  assert.equal((await call(stranger.url, api('x'), { headers: own })).status, 502);
});

test('no Rocket.Chat: the answer is an error in its own envelope; no path: no proxy', async (t) => {
  const bridge = await startBridge(t, null, { 'PushBridge:Proxy:Path': '/chat/rest' });
  const res = await call(bridge.url, '/chat/rest/api/v1/x', { headers: bearer('alice') });
  assert.equal(res.status, 503);
  assert.equal(res.json().success, false);
  assert.ok(res.headers['retry-after']);
  assert.equal((await call(bridge.url, api('x'), { headers: bearer('alice') })).status, 404);
  const off = await startBridge(t, null, { 'PushBridge:Proxy:Path': '' });
  assert.equal((await call(off.url, api('x'), { headers: bearer('alice') })).status, 404);
});
