// The routes of ABP's shape, as the app's axios layer sees them and as Rocket.Chat sees what comes of them.
import assert from 'node:assert/strict';
import test from 'node:test';
import { ORIGIN, PASSWORD, sleep, startBridge, startDouble, tokenFor, until } from '../lib/harness.mjs';
import { CLAIM } from '../lib/jwt.mjs';
import { RawConnection } from '../lib/raw_connection.mjs';
import { CLIENTS, Tab } from '../lib/signalr_clients.mjs';

const BASE = '/api/services/app/';
const ADMIN = { 'Im:AdminUserName': 'root', 'Im:AdminPassword': 'only-the-admin-knows' };
const asAdmin = (name = 'boss', more = {}) => tokenFor(name, { claims: { [CLAIM.role]: ['User', 'Admin'] }, ...more });

async function startWithAdmin(t, options) {
  const rc = await startDouble(t, options);
  rc.admin = rc.store.createUser({ username: 'root', password: ADMIN['Im:AdminPassword'], roles: ['admin'] });
  return rc;
}

const adminReady = (bridge) => until('the admin', () => bridge.logged('admin_ready').length > 0);

/** Calls a route; checks what every answer has in common. */
async function call(bridge, verb, action, { token, body, query = '', headers = {}, base = BASE } = {}) {
  const res = await fetch(`${bridge.url}${base}${action}${query}`, {
    method: verb,
    headers: { ...(token && { Authorization: `Bearer ${token}` }), ...(body !== undefined && { 'Content-Type': 'application/json' }), ...headers },
    ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  const json = await res.json();
  const { result, error, success, ...rest } = json;
  assert.equal(rest.__abp, true);
  assert.equal(rest.targetUrl, null);
  assert.equal(success, error === null);
  assert.equal(success, res.status === 200);
  assert.equal(rest.unAuthorizedRequest, res.status === 401 || res.status === 403);
  if (error) assert.deepEqual(Object.keys(error), ['code', 'message', 'details', 'validationErrors']);
  return { status: res.status, result, error, headers: res.headers };
}

const me = (rc, { accessToken, userId }) => fetch(`${rc.double.url}/api/v1/me`, { headers: { 'X-Auth-Token': accessToken, 'X-User-Id': userId } });
const logout = (rc, { accessToken, userId }) => fetch(`${rc.double.url}/api/v1/logout`, { method: 'POST', headers: { 'X-Auth-Token': accessToken, 'X-User-Id': userId } });

test('an operator who ends a user\'s session ends what Authenticate handed out, too', async (t) => {
  const rc = await startDouble(t);
  const bridge = await startBridge(t, rc.double, { 'PushBridge:Shards': 3 });
  const end = async (who) => (await fetch(`${bridge.adminUrl}/admin/users/${who}/session`, { method: 'DELETE', headers: { 'X-Api-Key': 'test-api-key-0123456789' } })).status;
  const token = tokenFor('alice');
  await Tab.open(t, CLIENTS.latest, bridge.hubUrl, token);
  await rc.live('alice');
  const { result } = await call(bridge, 'POST', 'Im/Authenticate', { token });
  assert.equal((await me(rc, result)).status, 200);
  assert.equal(await end('alice'), 204);
  await until('both tokens are gone', () => rc.user('alice').tokens.length === 0);
  assert.equal((await me(rc, result)).status, 401);

  const handed = (await call(bridge, 'POST', 'Im/Authenticate', { token: tokenFor('bob') })).result;
  assert.equal((await me(rc, handed)).status, 200);
  assert.equal(await end('bob'), 404, 'no session, and a name is no key');
  assert.equal((await me(rc, handed)).status, 200);
  assert.equal(await end('id-bob'), 404);
  await until('the token is gone all the same', () => rc.user('bob').tokens.length === 0);
  assert.notEqual((await call(bridge, 'POST', 'Im/Authenticate', { token: tokenFor('bob') })).result.accessToken, handed.accessToken);
});

test('Authenticate hands out a token of its own, and the session keeps its', async (t) => {
  const rc = await startDouble(t);
  const bridge = await startBridge(t, rc.double);
  const token = tokenFor('alice');
  await Tab.open(t, CLIENTS.latest, bridge.hubUrl, token);
  await rc.live('alice');
  const { status, result, headers } = await call(bridge, 'POST', 'Im/Authenticate', { token, body: {} });
  assert.equal(status, 200);
  assert.deepEqual(Object.keys(result), ['accessToken', 'userId']);
  assert.equal(headers.get('cache-control'), 'no-store');
  assert.equal((await (await me(rc, result)).json()).username, 'alice');
  assert.equal(rc.user('alice').tokens.length, 2);
  const again = await call(bridge, 'POST', 'Im/authenticate', { token, base: '/API/Services/App/' });
  assert.deepEqual(again.result, result, 'one handed-out token a user');

  assert.equal((await call(bridge, 'POST', 'Im/Logout', { token })).result, null);
  await until('the handed-out token is gone', () => rc.user('alice').tokens.length === 1);
  assert.equal((await me(rc, result)).status, 401);
  await sleep(200);
  const status2 = await call(bridge, 'GET', 'Im/GetStatus', { token });
  assert.deepEqual(status2.result, { state: 'live', code: null, retryAfter: null, connections: 1 }, 'the session never noticed');

  const third = (await call(bridge, 'POST', 'Im/Authenticate', { token })).result;
  assert.notEqual(third.accessToken, result.accessToken);
  assert.equal((await me(rc, third)).status, 200);
  await bridge.stop();
  assert.equal(rc.user('alice').tokens.length, 0, 'logged out at shutdown');
  assert.equal(bridge.logs.join('\n').includes(third.accessToken), false);
});

test('rotation of the session spares the handed-out token, whose own time ends it', async (t) => {
  const rc = await startDouble(t);
  const bridge = await startBridge(t, rc.double, {
    'PushBridge:TokenCache:TtlSeconds': 1,
    'PushBridge:TokenCache:OnExpiry': 'login',
    'PushBridge:Session:LingerSeconds': 0.2,
    'PushBridge:Abp:HandedOutTtlSeconds': 15,
  });
  const token = tokenFor('alice');
  const tab = await Tab.open(t, CLIENTS.latest, bridge.hubUrl, token);
  const { result } = await call(bridge, 'POST', 'Im/Authenticate', { token });
  const logins = () => rc.double.accounts.attempts.filter((a) => a.user === 'alice' && a.type === 'password').length;
  const before = logins();
  await until('two rotations', () => logins() >= before + 2);
  assert.equal((await me(rc, result)).status, 200);
  await tab.connection.stop();
  await until('the session ended, the handed-out token did not', () => rc.user('alice').tokens.length === 1);
  assert.equal((await me(rc, result)).status, 200);
  await until('its own end', async () => (await me(rc, result)).status === 401, 30_000);
});

test('a handed-out token that died at Rocket.Chat is not handed out again', async (t) => {
  const rc = await startDouble(t);
  const bridge = await startBridge(t, rc.double);
  const token = tokenFor('alice');
  const first = (await call(bridge, 'POST', 'Im/Authenticate', { token })).result;
  assert.equal((await logout(rc, first)).status, 200);
  const second = (await call(bridge, 'POST', 'Im/Authenticate', { token })).result;
  assert.equal((await me(rc, second)).status, 200);
  assert.notEqual(second.accessToken, first.accessToken);
});

test('who is not let in hears it in the envelope', async (t) => {
  const rc = await startWithAdmin(t);
  const bridge = await startBridge(t, rc.double, ADMIN);
  await adminReady(bridge);
  const anonymous = await call(bridge, 'POST', 'Im/Authenticate');
  assert.deepEqual([anonymous.status, anonymous.error.message], [401, 'You are not logged in.']);
  assert.equal((await call(bridge, 'POST', 'Im/Authenticate', { token: 'null' })).status, 401);
  const notAdmin = await call(bridge, 'POST', 'Im/CreateUser', { token: tokenFor('alice'), body: { username: 'x', email: 'x@y.z' } });
  assert.equal(notAdmin.status, 403);
  const ofTenant = await call(bridge, 'DELETE', 'Im/DeleteUser', { token: asAdmin('boss', { tenant: 1 }), query: '?username=bob' });
  assert.equal(ofTenant.status, 403, "a tenant's administrator is not everybody's");
  assert.equal((await call(bridge, 'POST', 'Im/Nothing', { token: tokenFor('alice') })).status, 404);
  const verb = await call(bridge, 'GET', 'Im/Authenticate', { token: tokenFor('alice') });
  assert.deepEqual([verb.status, verb.headers.get('allow')], [405, 'POST']);
  const stranger = await call(bridge, 'POST', 'Im/Authenticate', { token: tokenFor('nobody') });
  assert.deepEqual([stranger.status, stranger.error.code], [500, 403]);
  assert.ok(Number(stranger.headers.get('retry-after')) > 30);
  const tenant = await call(bridge, 'POST', 'Im/Authenticate', { token: tokenFor('alice', { tenant: 7 }) });
  assert.deepEqual([tenant.status, tenant.error.details], [500, 'tenant-template']);
  const cors = await call(bridge, 'GET', 'Im/GetStatus', { token: tokenFor('alice'), headers: { Origin: ORIGIN } });
  assert.equal(cors.headers.get('access-control-allow-origin'), ORIGIN);
  const preflight = await fetch(`${bridge.url}${BASE}Im/DeleteUser`, { method: 'OPTIONS', headers: { Origin: ORIGIN, 'Access-Control-Request-Method': 'DELETE', 'Access-Control-Request-Headers': 'authorization,x-auth-token' } });
  assert.equal(preflight.headers.get('access-control-allow-headers'), 'authorization,x-auth-token');
});

test('CreateUser and DeleteUser by an administrator', async (t) => {
  const rc = await startWithAdmin(t);
  const bridge = await startBridge(t, rc.double, ADMIN);
  await adminReady(bridge);
  const create = (body, token = asAdmin()) => call(bridge, 'POST', 'Im/CreateUser', { token, body });
  const made = await create({ userName: 'carol', EmailAddress: 'carol@example.org', name: 'Carol "C" Ñ', roles: ['user'], surname: 'left out' });
  assert.equal(made.status, 200);
  assert.equal(made.result.username, 'carol');
  const carol = rc.user('carol');
  assert.deepEqual([carol.name, carol.emails[0].address, carol.password], ['Carol "C" Ñ', 'carol@example.org', PASSWORD]);
  assert.equal((await call(bridge, 'POST', 'Im/Authenticate', { token: tokenFor('carol') })).status, 200);

  const twice = await create({ username: 'carol', email: 'other@example.org' });
  assert.deepEqual([twice.status, twice.error.code, twice.error.details], [500, 400, 'error-field-unavailable']);
  assert.match(twice.error.message, /already in use/);
  const noMail = await create({ username: 'dave' });
  assert.deepEqual([noMail.status, noMail.error.validationErrors], [400, [{ message: 'This is required.', members: ['email'] }]]);
  assert.equal((await create('[1]')).status, 400);
  assert.equal((await create('{"username":"x"')).status, 400);
  assert.equal((await create({ username: 7, email: 'a@b.c' })).error.validationErrors[0].members[0], 'username');
  for (const username of ['root', 'ROOT', 'rocket.cat']) assert.equal((await create({ username, email: 'r@example.org' })).status, 400, username);
  assert.equal((await create('{"username":"\\u0072oot","email":"r@example.org"}')).status, 400);

  const remove = (query) => call(bridge, 'DELETE', 'Im/DeleteUser', { token: asAdmin(), query });
  assert.equal((await remove('')).status, 400);
  assert.equal((await remove('?username=Root')).status, 400);
  const ownAccount = await remove(`?userId=${rc.admin._id}`);
  assert.deepEqual([ownAccount.status, ownAccount.error.validationErrors[0].members], [400, ['userId']]);
  assert.equal((await remove('?userId=rocket.cat')).status, 400);
  assert.equal((await remove('?userId=nobody')).status, 404);
  const owner = await remove(`?userId=${rc.user('alice')._id}`);
  assert.deepEqual([owner.status, owner.error.details], [500, 'user-last-owner']);
  assert.equal((await remove(`?userId=${rc.user('alice')._id}&confirmRelinquish=True`)).status, 200);
  assert.equal(rc.store.userByName('alice'), undefined);
  const gone = await call(bridge, 'DELETE', 'im/deleteuser', { token: asAdmin(), query: `?USERID=${carol._id}` });
  assert.deepEqual([gone.status, gone.result], [200, null]);
});

test('an administrator whom the settings name by id and token alone is not removed either', async (t) => {
  const rc = await startWithAdmin(t);
  const { userId, authToken } = (await (await fetch(`${rc.double.url}/api/v1/login`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ user: 'root', password: ADMIN['Im:AdminPassword'] }) })).json()).data;
  const bridge = await startBridge(t, rc.double, { 'Im:AdminUserId': userId, 'Im:AdminToken': authToken });
  await adminReady(bridge);
  for (const query of [`?userId=${userId}`, '?username=root', '?username=ROOT'])
    assert.equal((await call(bridge, 'DELETE', 'Im/DeleteUser', { token: asAdmin(), query })).status, 400, query);
  assert.notEqual(rc.store.userByName('root'), undefined);
});

test("the administrator's troubles are not the caller's rights", async (t) => {
  const rc = await startWithAdmin(t);
  const none = await startBridge(t, rc.double);
  const create = (bridge) => call(bridge, 'POST', 'Im/CreateUser', { token: asAdmin(), body: { username: 'carol', email: 'c@example.org' } });
  const off = await create(none);
  assert.deepEqual([off.status, off.error.code, off.error.details], [500, 403, 'admin-off']);
  const bridge = await startBridge(t, rc.double, ADMIN);
  await adminReady(bridge);
  rc.admin.roles = ['user'];
  const mayNot = await create(bridge);
  assert.deepEqual([mayNot.status, mayNot.error.code], [500, 403]);
  rc.admin.roles = ['admin'];
  rc.double.faults.add({ on: 'rest', match: { path: '/api/v1/users.create' }, do: 'respond', status: 429, body: { success: false, error: 'Error, too many requests. Please slow down. You must wait 7 seconds before trying this endpoint again. [error-too-many-requests]' } });
  const limited = await create(bridge);
  assert.deepEqual([limited.status, limited.error.code, limited.headers.get('retry-after')], [500, 429, '7']);
  rc.store.removeAllTokens(rc.admin); // the call waits for the new login
  await until('the new login', async () => (await create(bridge)).status === 200);
  assert.equal(rc.user('carol').username, 'carol');
});

test('Rocket.Chat is slow: an answer in time all the same, and the login is there for the next try', async (t) => {
  const rc = await startDouble(t, { users: ['alice', 'bob'] });
  const bridge = await startBridge(t, rc.double, { 'PushBridge:Abp:TimeoutSeconds': 1, 'PushBridge:Abp:Routes': ['GET Chat/GetRooms -> GET rooms.get user'] });
  rc.double.faults.add({ on: 'login', match: { user: 'alice' }, do: 'delay', ms: 4000 });
  const slow = await call(bridge, 'POST', 'Im/Authenticate', { token: tokenFor('alice') });
  assert.deepEqual([slow.status, slow.error.code], [500, 504]);
  assert.match(slow.error.message, /try again/);
  await until('the next try', async () => (await call(bridge, 'POST', 'Im/Authenticate', { token: tokenFor('alice') })).status === 200, 10_000);
  assert.equal(rc.user('alice').tokens.length, 1, 'one login');
  rc.double.faults.add({ on: 'rest', match: { path: '/api/v1/rooms.get' }, do: 'stall' });
  const stalled = await call(bridge, 'GET', 'Chat/GetRooms', { token: tokenFor('bob') });
  assert.deepEqual([stalled.status, stalled.error.code], [500, 504]);
  const metrics = await (await fetch(`${bridge.adminUrl}/metrics`)).text();
  assert.match(metrics, /pushbridge_abp_timeouts_total [1-9]/);
});

test('what is no answer of the API is told as such, with a code that says so', async (t) => {
  const rc = await startDouble(t);
  const bridge = await startBridge(t, rc.double, { 'PushBridge:Abp:Routes': ['GET Chat/GetRooms -> GET rooms.get user'] });
  for (const [status, body, code] of [[200, '<html>', 503], [200, '[1]', 503], [302, '', 503], [502, '<html>', 502], [200, { success: false, error: 'not today' }, 400]]) {
    rc.double.faults.add({ on: 'rest', match: { path: '/api/v1/rooms.get' }, do: 'respond', status, body });
    const answer = await call(bridge, 'GET', 'Chat/GetRooms', { token: tokenFor('alice') });
    assert.deepEqual([answer.status, answer.error.code], [500, code], JSON.stringify(answer.error));
  }
});

test('calls at once are bounded, and nobody holds up the logins', async (t) => {
  const rc = await startDouble(t);
  const bridge = await startBridge(t, rc.double, { 'PushBridge:Abp:TimeoutSeconds': 6, 'PushBridge:Abp:CallsPerUser': 18, 'PushBridge:Abp:Routes': ['GET Chat/GetRooms -> GET rooms.get user'] });
  rc.double.faults.add({ on: 'rest', match: { path: '/api/v1/rooms.get' }, do: 'stall', times: 0 });
  const stalled = Array.from({ length: 24 }, () => call(bridge, 'GET', 'Chat/GetRooms', { token: tokenFor('alice') }));
  const first = await Promise.race(stalled);
  assert.deepEqual([first.status, first.error.code, first.headers.get('retry-after')], [500, 429, '1']);
  assert.equal((await call(bridge, 'POST', 'Im/Authenticate', { token: tokenFor('bob') })).status, 200);
  const codes = (await Promise.all(stalled)).map(({ error }) => error.code);
  assert.deepEqual([...new Set(codes)].sort(), [429, 504]);
});

test("an operator's routes: parameters there, answers back, roles asked for", async (t) => {
  const rc = await startWithAdmin(t);
  const bridge = await startBridge(t, rc.double, {
    ...ADMIN,
    'PushBridge:Abp:Routes': [
      'GET Chat/GetRooms -> GET rooms.get user',
      'POST Chat/Send -> POST chat.postMessage user role=User|Writer',
      'DELETE Chat/DeleteRoom -> POST rooms.delete admin role=Janitor',
      'POST Chat/History -> GET channels.history user',
      'GET Users/GetAll -> GET users.list admin',
    ],
  });
  await adminReady(bridge);
  const token = tokenFor('alice');
  const rooms = await call(bridge, 'GET', 'chat/getrooms', { token });
  assert.deepEqual(rooms.result.update.map((r) => r.name), ['general']);
  const sent = await call(bridge, 'POST', 'Chat/Send', { token, body: { roomId: rc.general._id, text: 'a "quoted" word' }, query: `?tmid=` });
  assert.equal(sent.result.message.msg, 'a "quoted" word');
  const reader = tokenFor('bob', { claims: { [CLAIM.role]: 'Reader' } });
  assert.equal((await call(bridge, 'POST', 'Chat/Send', { token: reader, body: { roomId: rc.general._id, text: 'x' } })).status, 403);
  const short = await call(bridge, 'POST', 'Chat/Send', { token: tokenFor('bob', { claims: { [CLAIM.role]: undefined, role: ['Writer'] } }), body: { roomId: rc.general._id, text: 'x' } });
  assert.equal(short.status, 200, 'the short claim name counts as well');
  const history = await call(bridge, 'POST', 'Chat/History', { token, body: { roomId: rc.general._id, count: 1 } });
  assert.equal(history.result.messages.length, 1);
  const missing = await call(bridge, 'POST', 'Chat/History', { token, body: { roomId: 'nowhere' } });
  assert.equal(missing.status, 500);
  assert.equal((await call(bridge, 'POST', 'Chat/Send', { token, body: '{"a":' })).status, 400);

  assert.equal((await call(bridge, 'GET', 'Users/GetAll', { token })).status, 403);
  assert.ok((await call(bridge, 'GET', 'Users/GetAll', { token: asAdmin() })).result.total >= 3);
  const janitor = tokenFor('bob', { claims: { [CLAIM.role]: 'Janitor' } });
  assert.equal((await call(bridge, 'DELETE', 'Chat/DeleteRoom', { token: asAdmin(), query: `?roomId=${rc.general._id}` })).status, 403);
  assert.equal((await call(bridge, 'DELETE', 'Chat/DeleteRoom', { token: janitor, query: `?roomId=${rc.general._id}&access_token=secret` })).status, 200);
  assert.equal(rc.store.rooms.has(rc.general._id), false);
});

test('the session token of a mapped call: made without a tab, and renewed when it died', async (t) => {
  const rc = await startDouble(t);
  const bridge = await startBridge(t, rc.double, { 'PushBridge:Abp:Routes': ['GET Chat/GetRooms -> GET rooms.get user'] });
  const token = tokenFor('alice');
  const get = () => call(bridge, 'GET', 'Chat/GetRooms', { token });
  assert.equal((await get()).status, 200);
  assert.equal(rc.double.sessionsOf(rc.user('alice')._id).length, 0, 'no DDP connection for a request alone');
  rc.store.removeAllTokens(rc.user('alice'));
  assert.equal((await get()).status, 200);
  assert.equal(rc.user('alice').tokens.length, 1);
  const logins = rc.double.accounts.attempts.length;
  assert.equal((await get()).status, 200);
  assert.equal(rc.double.accounts.attempts.length, logins, 'kept');
});

test('whose roles count, and under which claims', async (t) => {
  const rc = await startWithAdmin(t);
  const bridge = await startBridge(t, rc.double, { ...ADMIN, 'PushBridge:Abp:AdminRoles': ['Chief', 'Boss'], 'PushBridge:Abp:TenantAdmins': true, 'PushBridge:Auth:RoleClaims': 'duties', 'Im:UserNameTemplate': '{name}' });
  await adminReady(bridge);
  const remove = (name, claims, more) => call(bridge, 'DELETE', 'Im/DeleteUser', { token: tokenFor('alice', { claims, ...more }), query: `?username=${name}` });
  rc.store.createUser({ username: 'carol', password: PASSWORD });
  assert.equal((await remove('carol', { [CLAIM.role]: 'Boss' })).status, 403, 'not a claim for roles any more');
  assert.equal((await remove('carol', { duties: ['Admin'] })).status, 403, 'not a role that may');
  assert.equal((await remove('carol', { duties: 'Boss' }, { tenant: 3 })).status, 200);
});

test('tokens in browsers are bounded: the oldest makes room', async (t) => {
  const rc = await startDouble(t, { users: ['alice', 'bob', 'carol'] });
  const bridge = await startBridge(t, rc.double, { 'PushBridge:Shards': 1, 'PushBridge:Limits:HandedOutTokens': 2 });
  const hand = async (name) => {
    const { result } = await call(bridge, 'POST', 'Im/Authenticate', { token: tokenFor(name) });
    await sleep(200); // the login's session goes: only the entry is left
    return result;
  };
  const first = await hand('alice');
  await hand('bob');
  const third = await hand('carol');
  await until("alice's is logged out", async () => (await me(rc, first)).status === 401);
  assert.equal((await me(rc, third)).status, 200);
  assert.match(await (await fetch(`${bridge.adminUrl}/metrics`)).text(), /pushbridge_handed_out_tokens 2/);
});

test('all calls together are bounded, too', async (t) => {
  const rc = await startDouble(t);
  const bridge = await startBridge(t, rc.double, { 'PushBridge:Abp:TimeoutSeconds': 4, 'PushBridge:Abp:Calls': 1, 'PushBridge:Abp:Routes': ['GET Chat/GetRooms -> GET rooms.get user'] });
  rc.double.faults.add({ on: 'rest', match: { path: '/api/v1/rooms.get' }, do: 'stall', times: 0 });
  const answers = ['alice', 'bob', 'alice'].map((name) => call(bridge, 'GET', 'Chat/GetRooms', { token: tokenFor(name) }));
  assert.deepEqual((await Promise.all(answers)).map(({ error }) => error.code).sort(), [503, 503, 504]);
});

test('routes can be switched off, and moved', async (t) => {
  const rc = await startDouble(t);
  const off = await startBridge(t, rc.double, { 'PushBridge:Abp:Enabled': false });
  assert.equal((await fetch(`${off.url}${BASE}Im/GetStatus`)).status, 404);
  const moved = await startBridge(t, rc.double, { 'PushBridge:Abp:BasePath': '/chat/api/' });
  const { result } = await call(moved, 'GET', 'Im/GetStatus', { token: tokenFor('alice'), base: '/chat/api/' });
  assert.deepEqual(result, { state: 'idle', code: null, retryAfter: null, connections: 0 });
  assert.equal((await fetch(`${moved.url}${BASE}Im/GetStatus`)).status, 404);
});

test('what the server itself refuses on these routes has the envelope, too', async (t) => {
  const bridge = await startBridge(t, null, {
    'PushBridge:Limits:BodyBytes': 10,
    'PushBridge:Limits:BodyTimeoutSeconds': 0.2,
    'PushBridge:Limits:HeadTimeoutSeconds': 0.2,
    'PushBridge:Limits:HeadBytes': 1024,
    'PushBridge:Limits:RequestLineBytes': 512,
  });
  const long = await call(bridge, 'POST', 'Im/CreateUser', { token: tokenFor('alice'), body: { user: 'a name too long' } });
  assert.deepEqual([long.status, long.error.message], [413, 'body too large']);
  const route = `${BASE}Im/Authenticate`;
  const [lines, json, text] = ['Content-Length: 5\r\n\r\n', 'application/json', 'text/plain'];
  for (const [path, body, status, type] of [
    [route, '\r\n', 411, json],
    [route, `${lines}abc`, 408, json],
    [route, 'Transfer-Encoding: chunked\r\n\r\nb\r\nhello world\r\n', 413, json],
    ['/signalr/negotiate', '\r\n', 411, text],
    // Heads that broke behind the path:
    [route, 'X-Half: ', 408, json],
    [route, `X-Big: ${'a'.repeat(1024)}\r\n${lines}`, 431, json],
    [route, `not a field\r\n${lines}`, 400, json],
    [route, `Content-Length: 4\r\n${lines}`, 400, json],
    [route, `Host: b\r\n${lines}`, 400, json],
    [route, `X: a\r\n folded\r\n${lines}`, 400, json],
    [route, `Expect: wonders\r\n${lines}`, 417, json],
    ['/signalr/negotiate', `not a field\r\n${lines}`, 400, text],
    // and before it, where no field was read either:
    [`${route}?${'a'.repeat(512)}`, lines, 414, text],
    [`${route} HTTP/3.0\r\nX:`, lines, 505, text],
  ]) {
    const raw = await RawConnection.open(bridge.port);
    raw.write(`POST ${path} HTTP/1.1\r\nHost: a\r\nOrigin: ${ORIGIN}\r\n${body}`);
    const res = await raw.response();
    const [what, read] = [`${status}: ${path} ${body}`, status !== 414 && status !== 505];
    assert.deepEqual([res.status, res.headers.get('content-type')], [status, type], what);
    assert.equal(res.headers.get('access-control-allow-origin'), read ? ORIGIN : undefined, `${what}: may a page read it?`);
    if (type === json) assert.equal(JSON.parse(res.body).__abp, true);
    raw.destroy();
  }
});
