// A crowd that leaves: a thousand tabs closed at once, while a few users get a steady stream. What
// that does to the stream shows in its slowest messages, within a second. The same crowd at a second
// bridge on the same core is the reference: what the machine and the clients that close cost anyway.
import { ISSUER, KEY, median, sleep, startBridge, startLoad, until } from './programs.mjs';
import { send, startBridgeSide, stopSide } from './delivery.mjs';
import { open } from './sessions.mjs';

const STAY = 200;
const RATE = 1000; // messages a second to those who stay
const WINDOW_SECONDS = 1;
const CLOSE_AFTER_MS = 200;
const SETTINGS = { 'PushBridge:Session:LingerSeconds': 60 }; // the sessions outlive the window

export async function measureLeaving(report, { users = 1000, rounds = 5 } = {}) {
  const side = await startBridgeSide(STAY, SETTINGS);
  const second = await startBridge(side.source, SETTINGS);
  const found = { none: [], here: [], elsewhere: [] };

  async function round(bridge) {
    const crowd = await startLoad(bridge.port, { path: '/signalr', key: KEY, issuer: ISSUER, first: STAY, users });
    await open(crowd, users);
    await sleep(1500); // their sessions have begun
    found.none.push(await send(side, RATE, WINDOW_SECONDS));
    const sending = send(side, RATE, WINDOW_SECONDS);
    await sleep(CLOSE_AFTER_MS);
    await crowd.ask('close clean');
    found[bridge === second ? 'elsewhere' : 'here'].push(await sending);
    await crowd.stop();
    const stay = bridge === second ? 0 : STAY;
    await until('they have left', async () => (await bridge.metrics())['pushbridge_connections{state="open"}'] <= stay);
  }

  for (let i = 0; i < rounds; i++) for (const bridge of [side.server, second]) await round(bridge);
  await second.stop();
  await stopSide(side);
  const of = (name, what) => median(found[name].map((r) => r[what]));
  report.row(`others' p99 while ${users} tabs close`, 'us', of('none', 'p99'), of('here', 'p99'), '', 'against a second without');
  report.row('... against the same at another process', 'us', of('elsewhere', 'p99'), of('here', 'p99'), 'ratio at most 1.5', 'they leave a second bridge on this core: the machine alone');
  report.row('... the slowest message', 'us', of('elsewhere', 'max'), of('here', 'max'), '', 'likewise');
}
