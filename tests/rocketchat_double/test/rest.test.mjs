import assert from 'node:assert/strict';
import test from 'node:test';
import { Probe, api, startDouble, withLogin } from '../../lib/ddp_probe.mjs';

test('login, me, logout: envelopes; one token for REST and DDP', async (t) => {
  const { double, call, as, alice } = await withLogin(t);
  assert.deepEqual([as.userId, as.me.username], [alice._id, 'alice']);
  assert.equal('password' in as.me || 'tokens' in as.me, false);
  const me = await call('GET', 'me', { as });
  assert.deepEqual([me.body.success, me.body._id, me.body.username], [true, alice._id, 'alice']);
  assert.match(me.body.createdAt, /^\d{4}-\d\d-\d\dT/);
  const probe = await Probe.connect(double, { resume: as.authToken });
  const out = await call('POST', 'logout', { as });
  assert.deepEqual(out.body, { status: 'success', data: { message: "You've been logged out!" } });
  assert.equal((await probe.closed).code, 1000);
  assert.equal((await call('GET', 'me', { as })).status, 401);
});

test('login refusals in the flavours of 6/7 and 8', async (t) => {
  for (const version of [6, 7, 8]) {
    const { double, store } = await startDouble(t, { version });
    store.createUser({ username: 'dora', password: 'x', active: false });
    store.createUser({ username: 'tina', password: 'x', totp: true });
    const call = api(double);
    const cases = [
      [{ user: 'alice', password: 'no' }, 'Unauthorized', 'unauthorized'],
      [{ user: 'nobody', password: 'no' }, 'Unauthorized', 'unauthorized'],
      [{ user: 'dora', password: 'x' }, 'error-user-is-not-activated', 'error-user-is-not-activated'],
      [{ user: 'tina', password: 'x' }, 'totp-required', 'totp-required'],
    ];
    for (const [body, old, now] of cases) {
      const answer = await call('POST', 'login', { body });
      assert.equal(answer.status, 401);
      assert.equal(answer.body.error, version === 8 ? now : old);
      assert.equal(answer.body.status, version === 8 ? undefined : 'error');
      assert.equal(answer.body.success, version === 8 ? false : undefined);
    }
    const ok = await call('POST', 'login', { body: { username: 'tina', password: 'x', code: '123456' } });
    assert.equal(ok.status, 200);
  }
});

test('401 and 403 by version; unknown routes', async (t) => {
  for (const version of [7, 8]) {
    const { call, as } = await withLogin(t, { version });
    const anonymous = await call('GET', 'me');
    assert.equal(anonymous.status, 401);
    assert.equal(anonymous.body.status, version < 8 ? 'error' : undefined);
    assert.equal(anonymous.body.error, 'You must be logged in to do this.');
    assert.equal((await call('GET', 'me', { as: { ...as, userId: 'someone' } })).status, 401);
    const refused = await call('POST', 'users.create', { as, body: {} });
    assert.equal(refused.status, 403);
    assert.match(refused.body.error, version < 8 ? /\[error-unauthorized\]/ : /\[error-forbidden\]/);
    assert.equal((await call('GET', 'no.such')).status, 404);
  }
});

test('ten a minute for each route and address, login included; admins pass', async (t) => {
  const { double, store, call, as } = await withLogin(t);
  for (let i = 0; i < 9; i++) await call('POST', 'login', { body: { resume: as.authToken } });
  const over = await call('POST', 'login', { body: { user: 'alice', password: 'pw-a' } });
  assert.equal(over.status, 429);
  assert.match(over.body.error, /You must wait \d+ seconds before trying this endpoint again\. \[error-too-many-requests\]/);
  assert.deepEqual([over.headers.get('x-ratelimit-limit'), over.headers.get('x-ratelimit-remaining'), over.headers.get('retry-after')], ['10', '0', null]);
  assert.ok(Number(over.headers.get('x-ratelimit-reset')) > Date.now());
  assert.equal((await call('GET', 'me', { as })).status, 200, 'another route has its own count');
  const admin = store.createUser({ username: 'root', password: 'x', roles: ['admin'] });
  const root = { userId: admin._id, authToken: store.addToken(admin).token };
  for (let i = 0; i < 15; i++) assert.equal((await call('GET', 'rooms.get', { as: root })).status, 200);
  assert.equal(double.calls.get('POST /api/v1/login'), 11);
});

test('failed logins block the user, then the address', async (t) => {
  const { double } = await startDouble(t, { rateLimits: false });
  const call = api(double);
  const login = (user, password) => call('POST', 'login', { body: { user, password } });
  for (let i = 0; i < 10; i++) await login('alice', 'no');
  assert.equal((await login('alice', 'pw-a')).body.error, 'error-login-blocked-for-user');
  for (let i = 0; i < 40; i++) await login(`nobody${i}`, 'no');
  assert.equal((await login('bob', 'pw-b')).body.error, 'error-login-blocked-for-ip');
});

test('subscriptions.get and rooms.get: everything, then since; removals without rid', async (t) => {
  const { store, call, as, alice, general, bob } = await withLogin(t);
  const direct = store.directRoom(alice, bob);
  const all = await call('GET', 'subscriptions.get', { as });
  assert.deepEqual(all.body.update.map((s) => s.rid), [general._id, direct._id]);
  assert.deepEqual([all.body.remove, all.body.success], [[], true]);
  const since = encodeURIComponent(all.body.update.at(-1)._updatedAt);
  store.post({ rid: general._id, user: bob, msg: 'x' });
  store.unsubscribe(direct._id, alice);
  const later = await call('GET', `subscriptions.get?updatedSince=${since}`, { as });
  assert.deepEqual(later.body.update.map((s) => [s.rid, s.alert]), [[general._id, true]]);
  assert.deepEqual(Object.keys(later.body.remove[0]), ['_id', '_deletedAt']);
  const rooms = await call('GET', `rooms.get?updatedSince=${since}`, { as });
  assert.deepEqual(rooms.body.update.map((r) => [r._id, r.msgs, r.lastMessage.msg]), [[general._id, 1, 'x']]);
  const invalid = await call('GET', 'rooms.get?updatedSince=yesterday', { as });
  assert.deepEqual([invalid.status, invalid.body.errorType], [400, 'error-updatedSince-param-invalid']);
});

test('sending: sendMessage keeps its id and does not post twice; postMessage by name', async (t) => {
  const { store, call, as, general, bob } = await withLogin(t);
  const message = { _id: 'chosen-id-4567890', rid: general._id, msg: 'x' };
  assert.equal((await call('POST', 'chat.sendMessage', { as, body: { message } })).body.message._id, message._id);
  const again = await call('POST', 'chat.sendMessage', { as, body: { message } });
  assert.equal(again.body.message, undefined);
  assert.equal(store.rooms.get(general._id).msgs, 1);
  const posted = await call('POST', 'chat.postMessage', { as, body: { channel: '#general', text: 'y' } });
  assert.deepEqual([posted.body.channel, posted.body.message.msg], [general._id, 'y']);
  assert.equal((await call('POST', 'chat.postMessage', { as, body: { channel: '@bob', text: 'z' } })).status, 200);
  const secret = store.createRoom({ t: 'p', name: 'secret', owner: bob });
  const refused = await call('POST', 'chat.sendMessage', { as, body: { message: { rid: secret._id, msg: 'x' } } });
  assert.deepEqual([refused.status, refused.body.errorType], [400, 'error-not-allowed']);
});

test('chat.syncMessages: strict comparison, pages, deletions', async (t) => {
  const { store, call, as, alice, general } = await withLogin(t, { rateLimits: false });
  const posted = Array.from({ length: 5 }, (_, i) => store.post({ rid: general._id, user: alice, msg: String(i) }));
  store.remove(posted[0], alice);
  const since = posted[1]._updatedAt;
  const sync = async (query) => (await call('GET', `chat.syncMessages?roomId=${general._id}&${query}`, { as })).body;
  const { result } = await sync(`lastUpdate=${since.toISOString()}`);
  assert.deepEqual(result.updated.map((m) => m.msg), ['4', '3', '2']);
  assert.deepEqual(result.deleted.map((m) => m._id), [posted[0]._id]);
  const first = (await sync(`type=UPDATED&next=${since.getTime()}&count=2`)).result;
  assert.deepEqual(first.updated.map((m) => m.msg), ['2', '3']);
  const second = (await sync(`type=UPDATED&next=${first.cursor.next}&count=2`)).result;
  assert.deepEqual([second.updated.map((m) => m.msg), second.cursor.next], [['4'], null]);
  assert.equal((await sync('')).errorType, 'error-param-required');
  assert.equal((await sync('type=UPDATED&next=1&previous=2')).errorType, 'error-cursor-conflict');
});

test('users.createToken needs the switch, and in 8 the secret', async (t) => {
  for (const [version, createTokens, secret, want] of [[7, false, undefined, 400], [7, true, undefined, 200], [8, 's3cret', 'no', 400], [8, 's3cret', 's3cret', 200]]) {
    const { double, store, alice } = await startDouble(t, { version, createTokens });
    const admin = store.createUser({ username: 'root', password: 'x', roles: ['admin'] });
    const as = { userId: admin._id, authToken: store.addToken(admin).token };
    const answer = await api(double)('POST', 'users.createToken', { as, body: { userId: alice._id, secret } });
    assert.equal(answer.status, want);
    if (want === 200) assert.equal(store.findToken(answer.body.data.authToken).user, alice);
  }
});

test('bad bodies are answered', async (t) => {
  const { double, as } = await withLogin(t);
  const headers = { 'X-Auth-Token': as.authToken, 'X-User-Id': as.userId };
  for (const body of ['{', '"x"', 'null'])
    assert.equal((await fetch(`${double.url}/api/v1/chat.sendMessage`, { method: 'POST', headers, body })).status, 400, body);
  for (const body of ['{"message":null}', '{"message":{"rid":7}}'])
    assert.ok((await fetch(`${double.url}/api/v1/chat.sendMessage`, { method: 'POST', headers, body })).status >= 400, body);
});
