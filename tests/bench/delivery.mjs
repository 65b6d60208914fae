// From a DDP frame to the browser: the bridge with a session for each user, beside the pump that
// receives the same frames and sends what the bridge sends. Each has a source of its own; they
// take turns at the same rate, half of what the bridge's CPU allows.
import { cpuSeconds, ISSUER, KEY, median, sleep, startBridge, startLoad, startPump, startSource } from './programs.mjs';
import { allLive, open } from './sessions.mjs';

const INVOCATION = ['{"type":1,"target":"getRoomMessageNotification","arguments":[', ']}'];
const LATEST_MS = 10_000;
const FLAT_OUT = 100_000; // messages
const CALIBRATION = { rate: 2000, seconds: 1.5, steps: 4 };

/** `count` messages at `rate` a second; 0: as fast as they are taken. */
async function stream(side, count, rate) {
  await side.load.ask('reset');
  const cpu = cpuSeconds(side.server.pid);
  const all = side.load.ask(`wait ${count} ${LATEST_MS + (rate && (count * 1000) / rate)}`);
  await side.source.ask(`send ${count} ${rate} ${side.users}`, { done: true });
  const got = await all;
  return { ...got, lost: count - got.messages, cpuMicros: ((cpuSeconds(side.server.pid) - cpu) * 1e6) / got.messages };
}

export const send = (side, rate, seconds) => stream(side, Math.round(rate * seconds), rate);

async function startPumpSide(users) {
  const source = await startSource();
  const server = await startPump();
  const load = await startLoad(server.port);
  await open(load, users);
  await server.ask(`relay ${source.port} ${users} ${source.offset} ${source.length} ${INVOCATION.join(' ')}`, { done: true });
  return { source, server, load, users };
}

export async function startBridgeSide(users, settings = {}, options = {}) {
  const source = await startSource();
  const at = settings['Im:Address']?.replace('PORT', source.port);
  const server = await startBridge(source, { ...settings, ...(at && { 'Im:Address': at }) }, options);
  const load = await startLoad(server.port, { path: '/signalr', key: KEY, issuer: ISSUER, users });
  await open(load, users);
  await allLive(source, users);
  await sleep(1000);
  return { source, server, load, users };
}

export async function stopSide(side) {
  for (const program of [side.load, side.server, side.source]) await program.stop();
}

/** The faster it goes, the less a message costs: fewer wake-ups. So the half is found in steps. */
async function halfRate(side) {
  let rate = CALIBRATION.rate;
  for (let step = 0; step < CALIBRATION.steps; step++) {
    const { cpuMicros } = await send(side, rate, CALIBRATION.seconds);
    rate = Math.round(0.5e6 / cpuMicros);
  }
  return rate;
}

export async function measureDelivery(report, { users = 1000, rounds = 5, seconds = 4 } = {}) {
  const sides = { pump: await startPumpSide(users), bridge: await startBridgeSide(users) };
  const found = { pump: [], bridge: [] };
  const first = {};

  for (const [name, side] of Object.entries(sides)) first[name] = await send(side, CALIBRATION.rate, CALIBRATION.seconds);
  if (first.pump.bytes !== first.bridge.bytes) {
    throw new Error(`the pump sent ${first.pump.bytes} bytes, the bridge ${first.bridge.bytes}: not the same frames`);
  }
  const rate = await halfRate(sides.bridge);
  for (let round = 0; round < rounds; round++) {
    for (const [name, side] of Object.entries(sides)) found[name].push(await send(side, rate, seconds));
  }
  const flatOut = {};
  for (const [name, side] of Object.entries(sides)) flatOut[name] = await stream(side, FLAT_OUT, 0);
  for (const side of Object.values(sides)) await stopSide(side);
  const of = (name, what) => median(found[name].map((r) => r[what]));
  const lost = found.bridge.reduce((sum, r) => sum + r.lost, 0);
  const note = `${users} DDP sockets, ${rate.toLocaleString('en')} messages/s${lost > 0 ? `, ${lost} lost` : ''}`;
  report.row('DDP frame (1.2 KB) to browser', 'CPU us each', of('pump', 'cpuMicros'), of('bridge', 'cpuMicros'), 'ratio at most 2.2', note);
  for (const [label, what] of [['p50', 'p50'], ['p99', 'p99'], ['p99.9', 'p999']]) {
    report.row('', `${label} us`, of('pump', what), of('bridge', what), '', what === 'p50' ? 'half of the CPU' : '');
  }
  const [fastest, ours] = [flatOut.pump, flatOut.bridge].map((r) => r.messages / r.seconds);
  report.row('', 'messages/s flat out', fastest, ours, '', `${flatOut.bridge.lost} of ${FLAT_OUT.toLocaleString('en')} lost`);
}
