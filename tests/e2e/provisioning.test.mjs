// Users whom Rocket.Chat does not know are made as they come, by the bridge's own account; what the
// app says of them later follows.
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import test from 'node:test';
import { PASSWORD, sleep, startBridge, startDouble, tokenFor, until } from '../lib/harness.mjs';
import { CLIENTS, Tab } from '../lib/signalr_clients.mjs';

const ADMIN_PASSWORD = 'only-the-admin-knows';
const ON = { 'Im:AdminUserName': 'root', 'Im:AdminPassword': ADMIN_PASSWORD, 'PushBridge:Provisioning:Enabled': true };
const EMAIL = 'http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress';
const SECRET = 'a secret of thirty-two bytes, or more';

async function begin(t, settings = {}, options = {}) {
  const rc = await startDouble(t, options);
  rc.admin = rc.store.createUser({ username: 'root', password: ADMIN_PASSWORD, roles: ['admin'] });
  const bridge = await startBridge(t, rc.double, { ...ON, ...settings });
  await until('the admin', () => bridge.logged('admin_ready').length > 0);
  const counter = async (text) => Number((await (await fetch(`${bridge.adminUrl}/metrics`)).text()).split('\n').find((l) => l.startsWith(text))?.split(' ').pop());
  return { rc, bridge, counter };
}

const carol = (claims = {}) => tokenFor('carol', { claims: { [EMAIL]: 'carol@app.example', ...claims } });
const status = async (bridge, token) => (await (await fetch(`${bridge.url}/api/services/app/Im/GetStatus`, { headers: { Authorization: `Bearer ${token}` } })).json()).result;

test('an unknown user is created with what the claims say, and live', async (t) => {
  const { rc, bridge, counter } = await begin(t, { 'PushBridge:Provisioning:Roles': ['user', 'abp-{claim:http://schemas.microsoft.com/ws/2008/06/identity/claims/role}'] });
  const token = carol({ 'http://schemas.xmlsoap.org/ws/2005/05/identity/claims/givenname': 'Carol', 'http://schemas.xmlsoap.org/ws/2005/05/identity/claims/surname': 'Ünal', 'http://schemas.microsoft.com/ws/2008/06/identity/claims/role': ['Admin', 'User'] });
  await Tab.open(t, CLIENTS.latest, bridge.hubUrl, token);
  const user = await until('the user', () => rc.store.userByName('carol'));
  assert.deepEqual([user.name, user.emails, user.roles, user.password], ['Carol Ünal', [{ address: 'carol@app.example', verified: true }], ['user', 'abp-Admin', 'abp-User'], PASSWORD]);
  await rc.live('carol');
  assert.equal(await counter('pushbridge_provisions_total{result="created"}'), 1);
  await until('the log says so', () => bridge.logged('user_created').length === 1);
  const all = bridge.logs.join('\n');
  for (const secret of [ADMIN_PASSWORD, PASSWORD]) assert.equal(all.includes(secret), false);
});

test('templates, and what else is said of a new user', async (t) => {
  const { rc, bridge } = await begin(t, {
    'PushBridge:Provisioning:EmailTemplates': ['{claim:mail}', '{name}@made-up.example'],
    'PushBridge:Provisioning:NameTemplates': ['{claim:nick} ({id})'],
    'PushBridge:Provisioning:VerifiedEmails': false,
    'PushBridge:Provisioning:JoinDefaultChannels': false,
    'PushBridge:Provisioning:Follow': false,
  });
  const lobby = rc.store.createRoom({ name: 'lobby', isDefault: true });
  const token = (mail) => tokenFor('carol', { claims: { nick: 'Caro', mail } });
  await Tab.open(t, CLIENTS.latest, bridge.hubUrl, token());
  const user = await until('the user', () => rc.store.userByName('carol'));
  assert.deepEqual([user.name, user.emails, user.roles], ['Caro (id-carol)', [{ address: 'carol@made-up.example', verified: false }], ['user']]);
  assert.equal(rc.store.subscription(lobby._id, user._id), undefined);
  await rc.live('carol');
  await Tab.open(t, CLIENTS.latest, bridge.hubUrl, token('new@app.example'));
  await sleep(700);
  assert.equal(user.emails[0].address, 'carol@made-up.example', 'not followed');
});

test('a new user joins the default channels', async (t) => {
  const { rc, bridge } = await begin(t);
  const lobby = rc.store.createRoom({ name: 'lobby', isDefault: true });
  await Tab.open(t, CLIENTS.latest, bridge.hubUrl, carol());
  const user = await until('the user', () => rc.store.userByName('carol'));
  assert.ok(rc.store.subscription(lobby._id, user._id));
});

test('tabs, a request and Authenticate of a new user at once: one account', async (t) => {
  const { rc, bridge } = await begin(t, { 'PushBridge:Abp:TimeoutSeconds': 10, 'PushBridge:Abp:Routes': ['GET Chat/GetRooms -> GET rooms.get user'] });
  const headers = { Authorization: `Bearer ${carol()}` };
  const [one, two] = await Promise.all([
    fetch(`${bridge.url}/api/services/app/Im/Authenticate`, { method: 'POST', headers }),
    fetch(`${bridge.url}/api/services/app/Chat/GetRooms`, { headers }),
    Tab.open(t, CLIENTS.latest, bridge.hubUrl, carol()),
    Tab.open(t, CLIENTS.latest, bridge.hubUrl, carol()),
  ]);
  assert.deepEqual([one.status, two.status], [200, 200], JSON.stringify([await one.json(), await two.json()]));
  await rc.live('carol');
  assert.equal([...rc.store.users.values()].filter((u) => u.username === 'carol').length, 1);
});

test('the first that comes of a user is a call by the proxy', async (t) => {
  const { rc, bridge } = await begin(t);
  const res = await fetch(`${bridge.url}/im/api/v1/me`, { headers: { Authorization: `Bearer ${carol()}` } });
  assert.deepEqual([res.status, (await res.json()).username], [200, 'carol']);
  assert.equal(rc.user('carol').emails[0].address, 'carol@app.example');
});

test('a wrong password is no unknown user: asked, not guessed', async (t) => {
  const { rc, bridge } = await begin(t);
  rc.store.createUser({ username: 'carol', password: 'her own' });
  await Tab.open(t, CLIENTS.latest, bridge.hubUrl, carol());
  await until('refused', async () => (await status(bridge, carol())).state === 'refused');
  assert.equal(rc.user('carol').password, 'her own');
  await sleep(500);
  assert.equal(rc.double.accounts.attempts.filter((a) => a.user === 'carol').length, 1, 'not tried again');
});

test('by DDP, where REST has no room', async (t) => {
  const { rc, bridge } = await begin(t, { 'Im:LoginVia': 'ddp' });
  await Tab.open(t, CLIENTS.latest, bridge.hubUrl, carol());
  await until('the user', () => rc.store.userByName('carol'));
  await rc.live('carol');
});

test('switched off, nobody is created', async (t) => {
  const { rc, bridge } = await begin(t, { 'PushBridge:Provisioning:Enabled': false });
  await Tab.open(t, CLIENTS.latest, bridge.hubUrl, carol());
  await until('refused', async () => (await status(bridge, carol())).state === 'refused');
  assert.equal(rc.store.userByName('carol'), undefined);
});

test("the administrator's failures leave the user refused, and never lend its identity", async (t) => {
  const { rc, bridge, counter } = await begin(t);
  const refusedWith = async (token, code) => {
    const tab = await Tab.open(t, CLIENTS.latest, bridge.hubUrl, token);
    await until(code, async () => (await status(bridge, token)).code === code);
    await tab.connection.stop();
  };
  rc.admin.roles = ['user']; // no permission
  await refusedWith(carol(), 'provision-failed');
  rc.admin.roles = ['admin'];
  await refusedWith(tokenFor('dave'), 'provision-no-email');
  rc.double.faults.add({ on: 'rest', match: { path: '/api/v1/users.create' }, do: 'respond', status: 429, body: { success: false, error: 'Error, too many requests. Please slow down. You must wait 7 seconds before trying this endpoint again. [error-too-many-requests]' } });
  await refusedWith(tokenFor('erin', { claims: { [EMAIL]: 'erin@app.example' } }), 'provision-unavailable');
  await refusedWith(tokenFor('frank', { claims: { [EMAIL]: 'alice@example.org' } }), 'provision-failed'); // the address is alice's
  assert.equal(rc.double.sessionsOf(rc.admin._id).length, 0);
  assert.equal(await counter('pushbridge_provisions_total{result="failed"}'), 3);
});

test('the administrator is away: known users are not the worse for it', async (t) => {
  const rc = await startDouble(t);
  const bridge = await startBridge(t, rc.double, ON); // there is no such administrator
  await until('refused', () => bridge.logged('admin_login_refused').length > 0);
  await Tab.open(t, CLIENTS.latest, bridge.hubUrl, tokenFor('alice'));
  await Tab.open(t, CLIENTS.latest, bridge.hubUrl, carol());
  await rc.live('alice');
  await until('why', async () => (await status(bridge, carol())).code === 'provision-failed' || (await status(bridge, carol())).code === 'provision-unavailable');
});

test('passwords derived for each user: only the bridge can make them', async (t) => {
  const { rc, bridge } = await begin(t, { 'PushBridge:Provisioning:PasswordPolicy': 'derived', 'PushBridge:Provisioning:PasswordSecret': SECRET, 'Im:DefaultPassword': undefined });
  await Tab.open(t, CLIENTS.latest, bridge.hubUrl, carol());
  await until('the user', () => rc.store.userByName('carol'));
  assert.equal(rc.user('carol').password, `${createHmac('sha256', SECRET).update('carol').digest('base64url')}aA1!`);
  await rc.live('carol');
  const created = await fetch(`${bridge.url}/api/services/app/Im/CreateUser`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${tokenFor('boss', { claims: { role: 'Admin' } })}`, 'Content-Type': 'application/json' },
    body: JSON.stringify({ username: 'dave', email: 'dave@app.example' }),
  });
  assert.equal(created.status, 200);
  await Tab.open(t, CLIENTS.latest, bridge.hubUrl, tokenFor('dave'));
  await rc.live('dave');
});

for (const [version, createTokens, secret] of [[7, true, undefined], [8, 'the-server-secret', 'the-server-secret']])
  test(`logins by users.createToken, as ${version} has it`, async (t) => {
    const { rc, bridge, counter } = await begin(t, { 'PushBridge:Provisioning:PasswordPolicy': 'token', 'PushBridge:Provisioning:TokenSecret': secret, 'Im:DefaultPassword': undefined }, { version, createTokens });
    rc.user('alice').password = 'nobody knows';
    await Tab.open(t, CLIENTS.latest, bridge.hubUrl, tokenFor('alice'));
    await Tab.open(t, CLIENTS.latest, bridge.hubUrl, carol());
    await rc.live('alice');
    await until('the user', () => rc.store.userByName('carol'));
    await rc.live('carol');
    assert.notEqual(rc.user('carol').password, PASSWORD);
    assert.equal(await counter('pushbridge_logins_total{road="token",result="ok"}'), 2);
    assert.deepEqual(rc.double.accounts.attempts.filter((a) => a.type === 'password').map((a) => a.user), ['root']);
    await bridge.stop();
    assert.deepEqual([rc.user('alice').tokens, rc.user('carol').tokens], [[], []]);
  });

test('users.createToken switched off at Rocket.Chat, or another secret: refused, with pauses', async (t) => {
  const { rc, bridge } = await begin(t, { 'PushBridge:Provisioning:PasswordPolicy': 'token', 'PushBridge:Provisioning:TokenSecret': 'wrong' }, { version: 8, createTokens: 'right' });
  await Tab.open(t, CLIENTS.latest, bridge.hubUrl, tokenFor('alice'));
  await until('refused', async () => (await status(bridge, tokenFor('alice'))).code === 'provision-failed');
  assert.equal(rc.user('alice').tokens.length, 0);
});

test("the administrator's token is dead: users wait for its renewal, and are not the worse for it", async (t) => {
  const users = [...Array(12).keys()].map((i) => `user${i}`);
  const { rc, bridge } = await begin(t, { 'PushBridge:Provisioning:PasswordPolicy': 'token', 'Im:DefaultPassword': undefined }, { createTokens: true, users });
  rc.store.removeAllTokens(rc.admin);
  const tabs = await Promise.all([...users, 'carol'].map((name) => Tab.open(t, CLIENTS.latest, bridge.hubUrl, name === 'carol' ? carol() : tokenFor(name))));
  await until('the user', () => rc.store.userByName('carol'));
  for (const name of [...users, 'carol']) await rc.live(name);
  for (const tab of tabs) assert.deepEqual(tab.of('bridgeStatus').filter((s) => s.state === 'refused'), []);
  assert.equal(rc.admin.tokens.length, 1, 'one login');
});

test('profile changes follow, once for a change', async (t) => {
  const { rc, bridge, counter } = await begin(t, {}, { passwordFallback: true });
  const open = (name, email) => Tab.open(t, CLIENTS.latest, bridge.hubUrl, tokenFor('alice', { claims: { [EMAIL]: email, given_name: name } }));
  await open('x', 'alice@example.org');
  await rc.live('alice');
  await sleep(300);
  assert.equal(await counter('pushbridge_profile_updates_total{result="ok"}'), 0, 'as it is');
  await open('x', 'alice@new.example');
  await until('the new address', () => rc.user('alice').emails[0].address === 'alice@new.example');
  rc.store.changeUser(rc.user('alice'), { emails: [{ address: 'her@own.example', verified: true }] });
  await open('x', 'alice@new.example');
  await sleep(1500);
  assert.equal(rc.user('alice').emails[0].address, 'her@own.example', 'what she changes herself stays');
  assert.equal(await counter('pushbridge_profile_updates_total{result="ok"}'), 1);
});

test('FollowsPerMinute: one profile, and the next waits', async (t) => {
  const { rc, bridge, counter } = await begin(t, { 'PushBridge:Provisioning:FollowsPerMinute': 1, 'PushBridge:Shards': 1 }, { passwordFallback: true });
  for (const name of ['alice', 'bob']) {
    await Tab.open(t, CLIENTS.latest, bridge.hubUrl, tokenFor(name, { claims: { [EMAIL]: `${name}@new.example` } }));
    await rc.live(name);
  }
  await until('the first', () => rc.user('alice').emails[0].address === 'alice@new.example');
  await sleep(1500);
  assert.notEqual(rc.user('bob').emails[0].address, 'bob@new.example');
  assert.equal(await counter('pushbridge_profile_updates_total{result="ok"}'), 1);
});

test('a second factor on users.update: said once, nobody suffers', async (t) => {
  const { rc, bridge, counter } = await begin(t, {}, { createTokens: true });
  rc.admin.totp = true; // set up behind the login
  await Tab.open(t, CLIENTS.latest, bridge.hubUrl, tokenFor('alice', { claims: { [EMAIL]: 'alice@new.example' } }));
  await rc.live('alice');
  await until('the hint', () => bridge.logged('profiles_need_a_second_factor').length === 1);
  assert.equal(await counter('pushbridge_profile_updates_total{result="failed"}'), 1);
  assert.equal(rc.user('alice').emails[0].address, 'alice@example.org');
});
