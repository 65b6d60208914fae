// What happens to a user's account while the user is connected: tokens revoked, forced logouts,
// deactivation, another password, a second factor, blocked logins. The tabs stay and are told.
import assert from 'node:assert/strict';
import test from 'node:test';
import { PASSWORD, sleep, startBridge, startDouble, tokenFor, until } from '../lib/harness.mjs';
import { CLIENTS, Tab } from '../lib/signalr_clients.mjs';
import { FAST, troubleScene } from '../lib/trouble.mjs';

const SERVERS = [
  { version: 6 },
  { version: 8 },
  { flavour: 'streamer', version: 8 },
];

const refused = (x) => x.of('bridgeStatus').some((s) => s.state === 'refused');

for (const options of SERVERS)
  test(`a revoked token: ${JSON.stringify(options)}`, async (t) => {
    const scene = await troubleScene(t, options);
    const revocations = [
      () => scene.store.removeAllTokens(scene.user('alice')),
      () => scene.store.changeUser(scene.user('alice'), { password: PASSWORD }), // set anew: ends all logins
    ];
    for (const revoke of revocations) {
      const ended = scene.session('alice');
      revoke();
      scene.say('meanwhile');
      await scene.backAgain('alice', ended);
      await scene.hasAll('alice');
    }
    assert.equal(scene.attempts('alice', 'password').length, 3, 'one fresh login each time');
    assert.deepEqual(scene.tabs.alice.changes, []);
    assert.equal(scene.states('alice').includes('refused'), false);
    assert.equal(await scene.metric('pushbridge_resumes_total', 'result="refused"'), 2);
    assert.equal(scene.user('alice').tokens.length, 1, 'no token is left behind');
  });

test('a token that is ended between its login and its use: one more login, and nobody is refused', async (t) => {
  const rc = await startDouble(t);
  rc.double.faults.add({ on: 'login', match: { user: 'alice', type: 'resume' }, do: 'delay', ms: 1000 });
  const bridge = await startBridge(t, rc.double, { ...FAST, 'Im:LoginVia': 'rest' });
  const tab = await Tab.open(t, CLIENTS.latest, bridge.hubUrl, tokenFor('alice'));
  await until('the login', () => rc.user('alice').tokens.length === 1);
  rc.double.store.removeAllTokens(rc.user('alice'));
  await rc.live('alice');
  const attempts = rc.double.accounts.attempts.map((a) => [a.type, a.error]);
  assert.deepEqual(attempts, [['password', null], ['resume', 403], ['password', null], ['resume', null]]);
  assert.ok(tab.of('bridgeStatus').every((status) => status.state !== 'refused'), JSON.stringify(tab.of('bridgeStatus')));
});

test('a streamer before 8 does not act on a revoked token: the next connection finds out', async (t) => {
  const scene = await troubleScene(t, { flavour: 'streamer', version: 7 });
  const session = scene.session('alice');
  scene.store.removeAllTokens(scene.user('alice'));
  scene.say('the old connection still hears');
  await scene.hasAll('alice');
  assert.equal(scene.session('alice'), session);
  session.close(4000, 'TIMEOUT');
  scene.say('and the new one catches up');
  await scene.backAgain('alice', session);
  await scene.hasAll('alice');
  assert.equal(scene.attempts('alice', 'password').length, 2);
});

test('forced logout that is only told leaves the session; one that ends the connection renews it', async (t) => {
  const scene = await troubleScene(t);
  const session = scene.session('alice');
  await scene.double.control.run([{ op: 'force-logout', user: 'alice' }]);
  scene.say('after the notice');
  await scene.hasAll('alice');
  assert.equal(scene.session('alice'), session);
  session.close(1000, 'Normal closure'); // by name of the session: the token lives
  scene.say('after the end');
  await scene.backAgain('alice', session);
  await scene.hasAll('alice');
  assert.equal(scene.attempts('alice', 'password').length, 1);
});

const REFUSALS = {
  deactivated: [(scene, user) => scene.store.setActive(user, false), 'error-user-is-not-activated'],
  deleted: [(scene, user) => scene.store.deleteUser(user), /./],
  'another password': [(scene, user) => scene.store.changeUser(user, { password: 'theirs alone' }), /./],
  'a second factor': [(scene, user) => scene.store.changeUser(user, { totp: true }), 'totp-required'],
  'without roles': [(scene, user) => (user.roles.splice(0), scene.store.removeAllTokens(user)), 'error-user-has-no-roles'],
};

for (const road of ['rest', 'ddp'])
  test(`refused for good while connected, by ${road}: told once, not tried in a loop`, async (t) => {
    const victims = Object.keys(REFUSALS).map((_, i) => `victim${i}`);
    const scene = await troubleScene(t, { users: ['alice', 'bob', 'carol', ...victims], settings: { 'Im:LoginVia': road, 'PushBridge:Logins:RestPerMinute': 1000 } });
    scene.others.splice(1); // carol; the victims are none of them
    for (const [i, [what, [act, code]]] of Object.entries(REFUSALS).entries()) {
      const name = victims[i];
      const tab = scene.tabs[name];
      const before = scene.double.accounts.attempts.length;
      act(scene, scene.user(name));
      await tab.until(`${what}: told`, refused);
      const status = tab.of('bridgeStatus').find((s) => s.state === 'refused');
      if (code instanceof RegExp) assert.match(status.code, code);
      else assert.equal(status.code, code, what);
      assert.ok(status.retryAfter >= 50 && status.retryAfter <= 70, `${what}: ${status.retryAfter} s`);
      await sleep(300);
      // The kept token, then the password.
      assert.ok(scene.double.accounts.attempts.length - before <= 2, `${what}: ${scene.double.accounts.attempts.length - before} attempts`);
      assert.equal(tab.connection.state, 'Connected');
      assert.deepEqual(tab.changes, []);
      const late = await scene.openTab(t, name);
      await late.until(`${what}: a later tab is told as well`, refused);
    }
    scene.say('to those who are left');
    await scene.hasAll('carol');
    await until('counted', async () => (await scene.metric('pushbridge_sessions', 'state="refused"')) === victims.length);
    assert.equal(await scene.metric('pushbridge_logins_total', `road="${road}",result="refused"`), victims.length);
  });

test('logins of this address blocked: nobody new is tried, whoever is live stays so', async (t) => {
  const scene = await troubleScene(t, { users: ['alice', 'bob', 'carol'] });
  scene.store.createUser({ username: 'newcomer', password: PASSWORD });
  scene.fault({ preset: 'blocked-for-ip', match: { user: 'alice', type: 'password' } });
  scene.store.removeAllTokens(scene.user('alice'));
  const { alice } = scene.tabs;
  await alice.until('backoff', (x) => x.of('bridgeStatus').some((s) => s.code === 'error-login-blocked-for-ip'));
  const told = alice.of('bridgeStatus').find((s) => s.code === 'error-login-blocked-for-ip');
  assert.deepEqual([told.state, told.retryAfter >= 250], ['backoff', true]);
  const before = scene.double.accounts.attempts.length;
  const newcomer = await scene.openTab(t, 'newcomer');
  await newcomer.until('that it waits', (x) => x.of('bridgeStatus').length > 0);
  assert.equal(scene.double.accounts.attempts.length, before, 'to try would prolong the block');
  scene.say('to those who are live');
  await scene.hasAll('carol');
  assert.equal(await scene.metric('pushbridge_login_queue'), 1);
});

test('logins of one user blocked: the others log in', async (t) => {
  const scene = await troubleScene(t);
  scene.store.createUser({ username: 'newcomer', password: PASSWORD });
  scene.fault({ preset: 'blocked-for-user', match: { user: 'alice', type: 'password' } });
  scene.store.removeAllTokens(scene.user('alice'));
  await scene.tabs.alice.until('refused', refused);
  const { code, retryAfter } = scene.tabs.alice.of('bridgeStatus').find((s) => s.state === 'refused');
  assert.deepEqual([code, retryAfter >= 50], ['error-login-blocked-for-user', true]);
  await scene.openTab(t, 'newcomer');
  await scene.live('newcomer');
});

test('a block that meets the resume: the token is kept, and the wait is as long as the block', async (t) => {
  const scene = await troubleScene(t);
  const ended = scene.session('alice');
  scene.fault({ preset: 'blocked-for-ip', match: { user: 'alice', type: 'resume' } });
  ended.drop();
  await scene.tabs.alice.until('told', (x) => x.of('bridgeStatus').some((s) => s.code === 'error-login-blocked-for-ip'));
  assert.ok(scene.tabs.alice.of('bridgeStatus').at(-1).retryAfter >= 250);
  assert.equal(scene.user('alice').tokens.length, 1);
  assert.equal(await scene.metric('pushbridge_resumes_total', 'result="failed"'), 1);
});
