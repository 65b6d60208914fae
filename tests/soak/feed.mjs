// The feed under trouble: a day in ten minutes, for hundreds of users at a Rocket.Chat whose limits
// are on, and an oracle that knows what each of them was to get (oracle.mjs).
//
//   node tests/soak/feed.mjs [--seconds 600] [--users 200] [--rooms 100] [--seed N] [--keep FILE]
//
// A run does not repeat another's times, whatever its seed. So what it finds is kept with all that
// happened around it, in FILE: tests/out/feed_SEED.json, if none is named.
import { parseArgs } from 'node:util';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { PASSWORD, sleep, startBridge, tokenFor, until } from '../lib/harness.mjs';
import { RocketChatDouble } from '../rocketchat_double/double.mjs';
import { Browsers } from './browsers.mjs';
import { Oracle } from './oracle.mjs';
import { Random } from './random.mjs';
import { Scenario, populate, schedule } from './scenario.mjs';

const LINGER_MS = 9000;
const DEAD_MS = 6000; // a Rocket.Chat that is silent for so long
const START_WITHIN_MS = 120_000;
const QUIET_WITHIN_MS = 120_000;
const QUIET_MS = 8000; // no news for so long: longer than a hold, a burst, and a message's way

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '600' },
    users: { type: 'string', default: '200' },
    rooms: { type: 'string', default: '100' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    keep: { type: 'string' },
  },
});
const [seconds, users, rooms, seed] = ['seconds', 'users', 'rooms', 'seed'].map((name) => Number(values[name]));
const keep = values.keep ?? path.join(path.dirname(fileURLToPath(import.meta.url)), '..', 'out', `feed_${seed}.json`);

async function metrics(bridge) {
  const text = await (await fetch(`${bridge.adminUrl}/metrics`)).text();
  return Object.fromEntries([...text.matchAll(/^([a-z_]+(?:\{[^}]*\})?) (\S+)$/gm)].map((m) => [m[1], Number(m[2])]));
}

/** The bridge's own view of a user. */
const why = async (bridge, user) => (await fetch(`${bridge.adminUrl}/admin/users/id-${user}`, { headers: { 'X-Api-Key': bridge.env.PushBridge__AdminApiKey } })).text();

const byStep = (map) => [...map].sort().map(([name, times]) => `${name} ${times}`).join(', ');

async function soak(t) {
  const random = new Random(seed);
  const double = new RocketChatDouble({ seed });
  const people = populate(random, double.store, { users, rooms, password: PASSWORD });
  await double.start();
  t.after(() => double.stop());
  const oracle = new Oracle(double);
  const bridge = await startBridge(t, double, {
    'PushBridge:Log:Level': 'warn',
    'PushBridge:Session:LingerSeconds': LINGER_MS / 1000,
    'PushBridge:Limits:ConnectionsPerAddress': 0,
    'PushBridge:Ddp:PingSeconds': DEAD_MS / 2000,
    'PushBridge:Ddp:DeadSeconds': DEAD_MS / 1000,
  });
  const browsers = new Browsers({ url: bridge.hubUrl, tokenFor, lingerMs: LINGER_MS });
  t.after(() => browsers.stop());
  await browsers.start(people.map((u) => u.username), random);
  await until('every session is live', async () => (await metrics(bridge))['pushbridge_sessions{state="live"}'] === users, START_WITHIN_MS);
  await sleep(2000);

  const steps = schedule(random, { seconds, users });
  const scenario = new Scenario(double, browsers, { lingerMs: LINGER_MS });
  const limit = (seconds + 300) * 1000;
  await Promise.race([scenario.run(steps), sleep(limit).then(() => Promise.reject(new Error('the schedule does not end')))]);

  double.faults.clear();
  await browsers.settle();
  // A held frame goes out before the next one.
  for (const u of people) for (const { rid } of double.store.subscriptionsOf(u._id).slice(0, 1)) double.store.readMessages(rid, u._id);
  await sleep(DEAD_MS + 1000);
  const wanted = browsers.usersWithTabs();
  await until('every session is live again', async () => (await metrics(bridge))['pushbridge_sessions{state="live"}'] >= wanted, QUIET_WITHIN_MS);
  // A room that waits for its turn (Rocket.Chat allows a connection ten queries in ten seconds) is silent, not done.
  const settled = async () => browsers.lastHeardAt() < Date.now() - QUIET_MS && (await metrics(bridge)).pushbridge_rooms_in_repair === 0;
  await until('no room is under repair, and the tabs hear no more', settled, QUIET_WITHIN_MS);

  const verdict = oracle.judge(browsers.tabs, browsers.sessions());
  for (const user of new Set(verdict.violations.map((v) => v.user))) console.log(`${user}: ${await why(bridge, user)}`);
  const m = await metrics(bridge);
  report({ verdict, scenario, oracle, browsers, m, double });
  if (verdict.violations.length > 0) {
    mkdirSync(path.dirname(keep), { recursive: true });
    writeFileSync(keep, JSON.stringify(verdict.violations.map((v) => ({ ...v, trace: v.trace?.() })), null, 1));
    console.log(`kept: ${path.relative('.', keep)}`);
  }
  // No account is bad here: whatever is revoked is cured by a login.
  const refused = bridge.logs.filter((line) => line.includes('"session_refused"'));
  for (const line of refused) console.log(`refused: ${line}`);
  return verdict.violations.length === 0 && refused.length === 0;
}

function report({ verdict, scenario, oracle, browsers, m, double }) {
  const sum = (pattern) => Object.entries(m).filter(([name]) => pattern.test(name)).map(([name, value]) => `${/"([^"]*)"/.exec(name)?.[1] ?? name} ${value}`).join(', ');
  console.log(`happened: ${byStep(scenario.done)}`);
  console.log(`tabs: ${browsers.tabs.length} with ${browsers.tabs.reduce((n, tab) => n + tab.lives.length, 0)} connections`);
  console.log(`written: ${oracle.messages.size} messages; ${byStep(verdict.counts)}`);
  console.log(`repairs asked for: ${sum(/repairs_asked/)}; run: ${m.pushbridge_repairs_run_total}; answers: ${sum(/repairs_answered/)}; catch-ups: ${m.pushbridge_catch_ups_total}`);
  console.log(`held: ${m.pushbridge_events_held_total} messages, holds cut: ${m.pushbridge_holds_cut_total}; dropped: ${sum(/events_dropped/)}`);
  console.log(`calls: ${byStep(new Map([...double.calls].filter(([name]) => /get$|login/.test(name))))}`);
  console.log(`excused by resyncRequired: ${byStep(verdict.excuses) || 'nothing'}`);
  console.log(`after a kick and before the bridge could know of it: ${verdict.windows} messages, at most ${verdict.longestWindowMs} ms`);
  const kinds = new Map();
  for (const v of verdict.violations) kinds.set(v.what, (kinds.get(v.what) ?? 0) + 1);
  console.log(`violations: ${verdict.violations.length}${kinds.size > 0 ? ` (${byStep(kinds)})` : ''}`);
  for (const v of verdict.violations.slice(0, 20)) console.log(`  ${JSON.stringify(v)}`);
}

const cleanups = [];
const t = { name: `soak_${seed}`, after: (fn) => cleanups.push(fn) };
console.log(`feed soak: seed ${seed}, ${seconds} s, ${users} users, ${rooms} rooms`);
let ok = false;
try {
  ok = await soak(t);
} catch (error) {
  console.log(error.stack);
}
for (const fn of cleanups.reverse())
  await fn().catch((error) => {
    ok = false;
    console.log(error.stack);
  });
console.log(ok ? `passed feed soak, seed ${seed}` : `FAILED feed soak, seed ${seed}`);
process.exit(ok ? 0 : 1);
