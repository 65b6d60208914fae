// Logins where the DDP side is Rocket.Chat's streamer.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startBridge, startDouble, tokenFor, until } from '../lib/harness.mjs';
import { CLIENTS, Tab } from '../lib/signalr_clients.mjs';

test('a streamer is never asked with a password: beyond the REST window logins wait for it', async (t) => {
  const users = Array.from({ length: 14 }, (_, i) => `user${i}`);
  const rc = await startDouble(t, { flavour: 'streamer', version: 8, users, rateLimits: true });
  const bridge = await startBridge(t, rc.double, { 'PushBridge:Session:BackoffMinSeconds': 0.05 });
  await Promise.all(users.map((name) => Tab.open(t, CLIENTS.latest, bridge.hubUrl, tokenFor(name))));
  const live = () => bridge.logs.filter((line) => line.includes('"session_live"')).length;
  await until('as many as REST lets in', () => live() === 10);
  await until('the road to be closed', () => bridge.logs.some((line) => line.includes('ddp_takes_no_passwords')));
  const passwords = rc.double.accounts.attempts.filter((l) => l.via === 'ddp' && l.type === 'password');
  assert.deepEqual(passwords, []);
  assert.equal(bridge.logs.filter((line) => line.includes('"session_refused"')).length, 0);
});
