// Everybody comes at once: how long until all are live, with the limits that Rocket.Chat has by
// default and our own default pace. What that does to users who are there is in interference.mjs.
import { RocketChatDouble } from '../rocketchat_double/double.mjs';
import { ISSUER, KEY, sleep, startBridge, startLoad } from './programs.mjs';
import { open } from './sessions.mjs';

const PASSWORD = 'any'; // programs.mjs
const SAMPLE_MS = 100;
const REST_ALONE_SECONDS = 130; // two of its windows

export const DEFAULT_PACE = { 'Im:LoginVia': undefined, 'PushBridge:Logins:RestPerMinute': undefined, 'PushBridge:Logins:DdpPerSecond': undefined };

/** A double with `count` users named as tests/bench/load names them, all in one room. */
export async function startCrowd(count, options = {}) {
  const double = new RocketChatDouble(options);
  const people = Array.from({ length: count }, (_, i) => double.store.createUser({ username: `u${i}`, password: PASSWORD }));
  const room = double.store.createRoom({ name: 'everybody', owner: people[0], members: people });
  await double.start();
  return { double, people, room };
}

/** Live sessions, until all are or the time is over: [[seconds, how many]]. */
async function curve(bridge, begun, users, seconds) {
  const points = [];
  for (;;) {
    const live = (await bridge.metrics())['pushbridge_sessions{state="live"}'];
    points.push([(Date.now() - begun) / 1000, live]);
    if (live >= users || Date.now() - begun > seconds * 1000) return points;
    await sleep(SAMPLE_MS);
  }
}

async function measure(users, settings, seconds) {
  const { double } = await startCrowd(users);
  const bridge = await startBridge(double, { ...DEFAULT_PACE, ...settings });
  const load = await startLoad(bridge.port, { path: '/signalr', key: KEY, issuer: ISSUER, users });
  const begun = Date.now();
  const opening = open(load, users, 256);
  const points = await curve(bridge, begun, users, seconds);
  await opening;
  const calls = (name) => double.calls.get(name) ?? 0;
  const how = { rest: calls('POST /api/v1/login'), ddp: double.accounts.attempts.filter((a) => a.via === 'ddp' && a.type === 'password').length };
  await load.stop();
  await bridge.stop();
  await double.stop();
  return { points, how };
}

export async function measureLogins(report, { users = 1000, seconds = REST_ALONE_SECONDS } = {}) {
  const auto = await measure(users, {}, 300);
  const [when, live] = auto.points.at(-1);
  const at = (share) => auto.points.find(([, n]) => n >= share * users)?.[0].toFixed(1) ?? '-';
  const note = `10 % at ${at(0.1)} s, half at ${at(0.5)} s, 90 % at ${at(0.9)} s; ${auto.how.rest} by REST, ${auto.how.ddp} by DDP`;
  report.row(`${users} users at once: all live`, 's', null, live >= users ? when : Infinity, 'at most 60 s', note);
  const rest = await measure(users, { 'Im:LoginVia': 'rest' }, seconds);
  const by = (second) => rest.points.findLast(([t]) => t <= second)?.[1] ?? 0;
  const curveText = [5, 30, 59, 65, 90, 119, 125].filter((s) => s <= seconds).map((s) => `${s} s: ${by(s)}`).join(', ');
  report.row(`the same with LoginVia=rest: live after ${seconds} s`, 'users', null, rest.points.at(-1)[1], '', curveText);
}
