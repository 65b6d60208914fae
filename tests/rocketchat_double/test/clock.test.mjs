import assert from 'node:assert/strict';
import test from 'node:test';
import { Clock } from '../clock.mjs';
import { Probe, password, startDouble } from '../../lib/ddp_probe.mjs';

const START = 1_700_000_000_000;

test('virtual time stands still, and what waits for it comes in its order', () => {
  const clock = new Clock(START);
  const seen = [];
  clock.after(30, () => seen.push(`once ${clock.now() - START}`));
  const tick = clock.every(20, () => seen.push(`tick ${clock.now() - START}`));
  clock.cancel(clock.after(25, () => seen.push('never')));
  clock.cancel(null);
  clock.advance(45);
  assert.deepEqual(seen, ['tick 20', 'once 30', 'tick 40']);
  clock.cancel(tick);
  clock.advance(100);
  assert.equal(seen.length, 3);
  assert.equal(clock.now(), START + 145);
});

test('real time can be moved on as well', () => {
  const clock = new Clock(undefined);
  clock.advance(86_400_000);
  assert.ok(Math.abs(clock.now() - Date.now() - 86_400_000) < 1000);
});

test('heartbeats, limiter windows, blocks and expiry go by the virtual clock', async (t) => {
  const { double, clock, alice } = await startDouble(t, { start: START }).then((all) => ({ ...all, clock: all.double.clock }));
  const probe = await Probe.connect(double, password('alice', 'pw-a'));
  for (let i = 0; i < 10; i++) assert.equal((await probe.call('rooms/get')).error, undefined);
  assert.equal((await probe.call('rooms/get')).error.details.timeToReset, 10_000);
  clock.advance(10_001);
  assert.equal((await probe.call('rooms/get')).error, undefined);

  for (let i = 0; i < 10; i++) await fetch(`${double.url}/api/v1/login`, { method: 'POST', body: '{"user":"bob","password":"no"}' });
  clock.advance(60_001);
  const login = () => fetch(`${double.url}/api/v1/login`, { method: 'POST', body: '{"user":"bob","password":"pw-b"}' }).then((res) => res.status);
  assert.equal(await login(), 401);
  clock.advance(300_000);
  assert.equal(await login(), 200);

  clock.advance(15_000);
  clock.advance(15_000);
  await probe.next({ msg: 'ping' });
  clock.advance(15_000);
  assert.equal((await probe.closed).code, 1000);

  const { token } = double.store.addToken(alice);
  clock.advance(90 * 86_400_000);
  const late = await Probe.connect(double);
  assert.match((await late.call('login', { resume: token })).error.reason, /session has expired/);
});

test('changes made together share a millisecond', async (t) => {
  const { double, store, alice, general } = await startDouble(t);
  await double.control.run([{ op: 'together', steps: [1, 2, 3].map((i) => ({ op: 'post', room: 'general', user: 'alice', msg: `${i}` })) }]);
  const after = store.post({ rid: general._id, user: alice, msg: 'later' });
  const stamps = store.messagesOf(general._id).map((m) => m._updatedAt.getTime());
  assert.equal(new Set(stamps.slice(0, 3)).size, 1);
  assert.ok(after._updatedAt.getTime() > stamps[0]);
});
