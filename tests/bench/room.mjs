// One message in a room whose members are all there: what the bridge adds to what Rocket.Chat sends
// each of them anyway, and what a burst that Rocket.Chat coalesces costs. Counted at the double, whose
// limits are those of a Rocket.Chat by default.
import { ISSUER, KEY, sleep, startBridge, startLoad, until } from './programs.mjs';
import { startCrowd } from './logins.mjs';
import { open } from './sessions.mjs';

const LOOKED_AGAIN_MS = 3000; // after the last session went live
const SETTLED_MS = 5000; // longer than a burst, and the look behind it
const BURST = 20;

/** Frames and calls at the double while `act` happens, and until all is over. Pings left out. */
async function counted(double, act) {
  const sessions = [...double.sessions];
  const sum = (which) => sessions.reduce((n, s) => n + s.frames[which], 0);
  const calls = new Map(double.calls);
  const before = { in: sum('in'), out: sum('out') };
  act();
  await sleep(SETTLED_MS);
  const made = [...double.calls].map(([name, n]) => [name, n - (calls.get(name) ?? 0)]).filter(([, n]) => n > 0);
  return { in: sum('in') - before.in, out: sum('out') - before.out, calls: Object.fromEntries(made) };
}

export async function measureRoom(report, { users = 1000 } = {}) {
  const { double, people, room } = await startCrowd(users, { rateLimits: { rest: { limit: 1_000_000 } }, timeFactor: 100 });
  const bridge = await startBridge(double, { 'PushBridge:Ddp:PingSeconds': 3000, 'PushBridge:Ddp:DeadSeconds': 3600 });
  const load = await startLoad(bridge.port, { path: '/signalr', key: KEY, issuer: ISSUER, users });
  await open(load, users);
  await until('all live', async () => (await bridge.metrics())['pushbridge_sessions{state="live"}'] >= users, 120_000);
  await sleep(LOOKED_AGAIN_MS);
  const heard = async () => (await bridge.metrics())['pushbridge_events_out_total{target="getRoomMessageNotification"}'];
  const post = (i) => double.store.post({ rid: room._id, user: people[i % users], msg: `message ${i}` });

  const one = await counted(double, () => post(0));
  report.row(`one message, ${users} members: frames Rocket.Chat sends each`, 'frames', null, one.out / users, '', `${await heard()} users were sent the message`);
  report.row('... frames the bridge sends Rocket.Chat for it', 'frames', null, one.in, 'none', JSON.stringify(one.calls));

  double.faults.add({ on: 'room', match: { rid: room._id, action: 'updated' }, do: 'coalesce', times: BURST - 1 });
  const burst = await counted(double, () => Array.from({ length: BURST }, (_, i) => post(i + 1)));
  const had = await heard();
  report.row(`a burst of ${BURST}, coalesced to its last: queries`, 'queries', null, burst.calls['ddp messages/get'] ?? 0, 'one a room and instance', `${had - users} of ${BURST * users} sent; answered once, shared by ${users}`);
  report.row('... frames the bridge sends Rocket.Chat for it', 'frames', null, burst.in, '', JSON.stringify(burst.calls));

  const apart = await counted(double, () => Array.from({ length: BURST }, (_, i) => post(i)));
  report.row(`a burst of ${BURST}, nothing coalesced: queries`, 'queries', null, apart.calls['ddp messages/get'] ?? 0, 'the look behind it', `${(await heard()) - had} of ${BURST * users} sent`);
  await load.stop();
  await bridge.stop();
  await double.stop();
}
