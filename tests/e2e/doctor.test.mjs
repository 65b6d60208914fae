// pushbridge doctor against the double: all well, and then one thing wrong at a time.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'node:test';
import { makeCertificates } from '../lib/certificates.mjs';
import { ISSUER, KEY, ORIGIN, PASSWORD, PROGRAM, freePort, startBridge, startDouble, tokenFor } from '../lib/harness.mjs';

const ADMIN_PASSWORD = 'only-the-admin-knows';
const BY_PASSWORD = { Im: { AdminUserName: 'root', AdminPassword: ADMIN_PASSWORD } };

/** Runs the doctor; {code, lines: [[mark, check, text]], out}. Nothing secret may be in what it says. */
async function examine(t, double, { settings = {}, token, input, port, secrets = [] } = {}) {
  const dir = mkdtempSync(path.join(tmpdir(), 'pushbridge-doctor-'));
  t.after(() => rmSync(dir, { recursive: true }));
  const file = path.join(dir, 'appsettings.json');
  const { Im, App, Authentication, PushBridge } = settings;
  writeFileSync(file, JSON.stringify({
    Urls: `http://127.0.0.1:${port ?? (await freePort())}`,
    Im: { Address: double.url, DefaultPassword: PASSWORD, ...Im },
    App: { CorsOrigins: ORIGIN, ...App },
    Authentication: { JwtBearer: { SecurityKey: KEY, Issuer: ISSUER, Audience: ISSUER, ...Authentication } },
    PushBridge: { Session: { ConnectTimeoutSeconds: 5 }, ...PushBridge },
  }));
  const args = ['doctor', '--config', file, ...(token === undefined ? [] : ['--token', token])];
  const child = spawn(PROGRAM, args, { env: { PATH: process.env.PATH, HOME: process.env.HOME, ASAN_OPTIONS: process.env.ASAN_OPTIONS ?? '' }, stdio: ['pipe', 'pipe', 'pipe'] });
  let out = '';
  child.stdout.on('data', (text) => (out += text));
  child.stderr.on('data', (text) => (out += text));
  child.stdin.end(input ?? '');
  const code = await new Promise((resolve) => child.on('close', resolve));
  for (const secret of [KEY, PASSWORD, ADMIN_PASSWORD, token, ...(token?.split('.').slice(1) ?? []), ...secrets])
    if (secret && secret.length > 3) assert.equal(out.includes(secret), false, `a secret in:\n${out}`);
  const lines = [...out.matchAll(/^(ok|warn|FAIL) +([\w. ]+): (.*)$/gm)].map(([, ...parts]) => parts);
  assert.match(out, /\d+ ok, \d+ warnings, \d+ failures\n$/, out);
  return { code, lines, out };
}

/** Asserts that there is such a line. */
function says({ lines, out }, mark, check, pattern) {
  assert.ok(lines.some(([m, c, text]) => m === mark && c === check && pattern.test(text)), `no "${mark} ${check}: ${pattern}" in:\n${out}`);
}
const only = ({ lines, out }, mark, ...checks) => assert.deepEqual([...new Set(lines.filter(([m]) => m === mark).map(([, check]) => check))], checks, out);

async function withAdmin(t, options) {
  const rc = await startDouble(t, options);
  rc.admin = rc.store.createUser({ username: 'root', password: ADMIN_PASSWORD, roles: ['admin'] });
  return rc;
}
const leftOver = (rc) => [...rc.store.users.values()].reduce((n, user) => n + user.tokens.length, 0);

test('all is well: every check is ok, what fires fires, and nothing is left behind', async (t) => {
  const rc = await withAdmin(t, { rateLimits: { rest: { limit: 50 } } });
  const { double } = rc;
  const bridge = await startBridge(t, double, { 'PushBridge:Auth:EncryptedTokenPassPhrases': '' });
  const before = JSON.stringify(rc.store.subscription(rc.general._id, rc.user('alice')._id).f ?? false);
  const seen = await examine(t, double, { settings: { ...BY_PASSWORD, Authentication: { SecurityKey: KEY } }, token: tokenFor('alice'), port: bridge.port });
  only(seen, 'FAIL');
  only(seen, 'warn', 'key'); // ABP's sample key has 30 bytes
  assert.equal(seen.code, 1);
  says(seen, 'ok', 'token', /verified by key 0/);
  says(seen, 'ok', 'claim', /^exp: good for another \d+ s/);
  says(seen, 'ok', 'claim', /user key id-alice, name alice, tenant none/);
  says(seen, 'ok', 'carriers', /Authorization, access_token$/);
  says(seen, 'ok', 'account', /is alice$/);
  says(seen, 'ok', 'bridge', /is ready/);
  says(seen, 'ok', 'cors', /http:\/\/app\.example: the bridge lets its pages/);
  says(seen, 'ok', 'cors', /not listed is refused/);
  says(seen, 'ok', 'negotiate', /takes the token/);
  says(seen, 'ok', 'clock', /within/);
  says(seen, 'ok', 'rocket.chat', /version 7\./);
  says(seen, 'ok', 'limits', /takes 50 REST logins.* 49 are left/);
  says(seen, 'ok', 'admin', /root logs in/);
  says(seen, 'ok', 'ddp', /monolith/);
  says(seen, 'ok', 'login', /alice logs in by REST/);
  says(seen, 'ok', 'subscription', /^message: ready; not fired/);
  says(seen, 'ok', 'subscription', /^rooms-changed: ready; not fired/);
  says(seen, 'ok', 'subscription', /^subscriptions-changed: ready, and it fired/);
  says(seen, 'ok', 'logout', /gone again/);
  assert.equal(leftOver(rc), 0);
  assert.equal(JSON.stringify(rc.store.subscription(rc.general._id, rc.user('alice')._id).f ?? false), before);
});

test('a good key gives exit code 0; the token may come from stdin', async (t) => {
  const rc = await startDouble(t);
  const key = 'a key that has at least thirty-two bytes';
  const seen = await examine(t, rc.double, { settings: { Authentication: { SecurityKey: key } }, token: '-', input: `${tokenFor('alice', { key })}\n`, secrets: [key] });
  only(seen, 'FAIL');
  only(seen, 'warn');
  assert.equal(seen.code, 0);
  says(seen, 'ok', 'bridge', /none runs at .* judged by these settings/);
  says(seen, 'ok', 'cors', /listed in App:CorsOrigins/);
  says(seen, 'ok', 'limits', /names no limit/);
  says(seen, 'ok', 'admin', /none is configured/);
});

test('an answer that is there at once is not slept through', { timeout: 120_000 }, async (t) => {
  const rc = await withAdmin(t);
  const settings = { ...BY_PASSWORD, PushBridge: { Session: { ConnectTimeoutSeconds: 300 }, Logins: { TimeoutSeconds: 300 } } };
  for (let i = 0; i < 25; i++) only(await examine(t, rc.double, { settings, token: tokenFor('alice') }), 'FAIL');
});

test('the wrong key, and each claim that does not fit', async (t) => {
  const rc = await startDouble(t);
  const wrong = await examine(t, rc.double, { token: tokenFor('alice', { key: 'another key of sixteen bytes' }) });
  assert.equal(wrong.code, 2);
  says(wrong, 'FAIL', 'token', /bad signature; .*SecurityKey must be the backend's/);
  says(wrong, 'ok', 'claim', /it says: user key id-alice/);
  says(wrong, 'warn', 'login', /not tried/);
  says(wrong, 'ok', 'ddp', /connected/);
  const cases = [
    [{ issuer: 'somebody' }, /iss is "somebody"; .*Issuer is another/],
    [{ audience: 'something' }, /aud is "something"; .*Audience has none/],
    [{ lifetimeSeconds: -600 }, /exp: the token ended [56]\d\d s ago/],
    [{ claims: { nbf: Math.floor(Date.now() / 1000) + 600 } }, /nbf: .*not valid yet/],
  ];
  for (const [more, pattern] of cases) {
    const seen = await examine(t, rc.double, { token: tokenFor('alice', more) });
    assert.equal(seen.code, 2);
    only(seen, 'FAIL', 'token', 'claim');
    says(seen, 'FAIL', 'claim', pattern);
  }
  const tenant = await examine(t, rc.double, { token: tokenFor('alice', { tenant: 3 }) });
  says(tenant, 'FAIL', 'account', /tenant-template.*Im:UserNameTemplate/);
  const junk = await examine(t, rc.double, { token: 'no\x1b[31m.jwt' });
  says(junk, 'FAIL', 'token', /malformed/);
  assert.equal(junk.out.includes('\x1b'), false);
});

test('an origin that the running bridge does not know; a bridge with another key', async (t) => {
  const rc = await startDouble(t);
  const bridge = await startBridge(t, rc.double, { 'Authentication:JwtBearer:SecurityKey': 'the running one has another key' });
  const seen = await examine(t, rc.double, { settings: { App: { CorsOrigins: `${ORIGIN},https://new.example` } }, token: tokenFor('alice'), port: bridge.port });
  assert.equal(seen.code, 2);
  says(seen, 'ok', 'cors', /app\.example: the bridge lets/);
  says(seen, 'FAIL', 'cors', /new\.example: the running bridge does not allow it/);
  says(seen, 'FAIL', 'negotiate', /refuses the token, these settings don't/);
  only(seen, 'FAIL', 'cors', 'negotiate');
});

test('the second factor, a wrong password, a deactivated user', async (t) => {
  const rc = await withAdmin(t);
  rc.admin.totp = true;
  rc.user('alice').totp = true;
  const twice = await examine(t, rc.double, { settings: BY_PASSWORD, token: tokenFor('alice') });
  assert.equal(twice.code, 2);
  says(twice, 'FAIL', 'admin', /totp-required.*Im:AdminToken/);
  says(twice, 'FAIL', 'login', /alice can't log in \(totp-required\): .*second factor/);
  only(twice, 'FAIL', 'admin', 'login');
  const { token } = rc.store.addToken(rc.admin);
  rc.user('alice').totp = false;
  rc.user('alice').password = 'other';
  const wrong = await examine(t, rc.double, { settings: { Im: { AdminUserId: rc.admin._id, AdminToken: token } }, token: tokenFor('alice'), secrets: [token] });
  says(wrong, 'ok', 'admin', /the token is root's/);
  says(wrong, 'FAIL', 'login', /Im:DefaultPassword/);
  assert.equal(leftOver(rc), 1, "the admin's own token stays");
  rc.store.setActive(rc.user('bob'), false);
  says(await examine(t, rc.double, { token: tokenFor('bob') }), 'FAIL', 'login', /deactivated/);
});

test('a user whom the bridge will create is no failure', async (t) => {
  const rc = await withAdmin(t);
  const seen = await examine(t, rc.double, { settings: { ...BY_PASSWORD, PushBridge: { Provisioning: { Enabled: true } } }, token: tokenFor('carol') });
  says(seen, 'warn', 'login', /carol can't log in .*: the bridge creates the account when the user comes/);
  only(seen, 'FAIL');
});

test('REST logins are limited: told, and the user goes by DDP', async (t) => {
  const rc = await withAdmin(t, { rateLimits: { rest: { limit: 1 } } });
  const seen = await examine(t, rc.double, { settings: BY_PASSWORD, token: tokenFor('alice') });
  assert.equal(seen.code, 1);
  says(seen, 'warn', 'limits', /takes 1 REST logins.* 0 are left; .*RestPerMinute is higher/);
  says(seen, 'warn', 'login', /at their limit/);
  says(seen, 'ok', 'login', /alice logs in by DDP/);
  says(seen, 'ok', 'subscription', /fired$/);
  assert.equal(leftOver(rc), 0);
});

test('subscriptions that are refused, and one that never fires', async (t) => {
  const rc = await startDouble(t);
  rc.double.faults.add({ on: 'in', match: { msg: 'sub', name: 'stream-notify-user' }, skip: 1, times: 1, do: 'error', error: 'not-allowed' });
  const refused = await examine(t, rc.double, { token: tokenFor('alice') });
  says(refused, 'FAIL', 'subscription', /^rooms-changed: refused \(not-allowed\)/);
  rc.double.faults.clear();
  rc.double.faults.add({ on: 'out', match: { msg: 'changed' }, times: 0, do: 'ignore' });
  const mute = await examine(t, rc.double, { token: tokenFor('alice') });
  assert.equal(mute.code, 2);
  says(mute, 'FAIL', 'subscription', /subscriptions-changed: ready, but a change of the user's was not told/);
  assert.notEqual(rc.store.subscription(rc.general._id, rc.user('alice')._id).f, true, 'put back all the same');
  assert.equal(leftOver(rc), 0);
});

test('TLS: an authority nobody knows, then named', async (t) => {
  const certificates = makeCertificates(t);
  const rc = await startDouble(t, { tls: certificates });
  const unknown = await examine(t, rc.double, { token: tokenFor('alice') });
  assert.equal(unknown.code, 2);
  says(unknown, 'FAIL', 'tls', /refused: .*Im:CaFile/);
  says(unknown, 'FAIL', 'ddp', /wss:/);
  const known = await examine(t, rc.double, { settings: { Im: { CaFile: certificates.caFile } }, token: tokenFor('alice') });
  says(known, 'ok', 'tls', /chain and name are good, issuer .*Test authority/);
  says(known, 'warn', 'tls', /the certificate ends .*: renew it/);
  says(known, 'ok', 'subscription', /fired$/);
  only(known, 'FAIL');
  const open = await examine(t, rc.double, { settings: { Im: { TlsVerify: false } } });
  says(open, 'warn', 'tls', /anybody on the way can read/);
});

test('Rocket.Chat is down, or is no Rocket.Chat, or its clock is wrong', async (t) => {
  const rc = await startDouble(t);
  rc.double.faults.add({ on: 'rest', match: { path: '/api/info' }, times: 1, do: 'respond', status: 302, headers: { Location: 'https://elsewhere.example/' }, body: '' });
  says(await examine(t, rc.double), 'FAIL', 'rocket.chat', /redirects to https:\/\/elsewhere\.example/);
  rc.double.faults.add({ on: 'rest', match: { path: '/api/info' }, times: 1, do: 'respond', status: 200, headers: { Date: new Date(Date.now() - 3600_000).toUTCString() }, body: '<html>hello</html>' });
  const page = await examine(t, rc.double);
  says(page, 'FAIL', 'rocket.chat', /is not Rocket\.Chat's/);
  says(page, 'FAIL', 'clock', /^3[56]\d\d s from Rocket\.Chat's/);
  const url = rc.double.url;
  await rc.double.stop();
  const down = await examine(t, { url }, { token: tokenFor('alice') });
  assert.equal(down.code, 2);
  says(down, 'FAIL', 'rocket.chat', /can't be reached/);
  says(down, 'FAIL', 'ddp', /gives no Rocket\.Chat connection/);
  only(down, 'FAIL', 'rocket.chat', 'ddp');
});
