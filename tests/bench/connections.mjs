// Connections without sessions: memory, accept rate, targeted pushes, broadcasts. The product's
// SignalR server (tests/signalr_host) and the pump stand side by side with as many clients each,
// and take turns.
import { cpuSeconds, median, rssBytes, startBridge, startHost, startLoad, startPump, until } from './programs.mjs';

const MESSAGE_BYTES = 400;
const PARALLEL = 64;

const openAll = async (load, count) => {
  const opened = await load.ask(`open ${count} ${PARALLEL}`);
  if (opened.failed > 0) throw new Error(`${opened.failed} of ${count} connections failed`);
  return opened;
};

async function connect(server, load, count) {
  const cpu = cpuSeconds(server.pid);
  const rss = rssBytes(server.pid);
  const opened = await openAll(load, count);
  return {
    perSecond: count / opened.seconds,
    acceptMicros: ((cpuSeconds(server.pid) - cpu) * 1e6) / count,
    bytes: (rssBytes(server.pid) - rss) / count,
  };
}

/** One round: `flood` makes the server send, `count` messages arrive. */
async function push(side, flood, count) {
  await side.load.ask('reset');
  const cpu = cpuSeconds(side.server.pid);
  const all = side.load.ask(`wait ${count} 60000`);
  await flood();
  const got = await all;
  if (got.messages !== count) throw new Error(`${got.messages} of ${count} messages arrived`);
  return { rate: count / got.seconds, cpuMicros: ((cpuSeconds(side.server.pid) - cpu) * 1e6) / count };
}

const side = async (server, path) => ({ server, path, rounds: { accept: [], one: [], all: [] } });

const floods = {
  pump: (server, to, count) => server.ask(`${to} ${count} ${MESSAGE_BYTES}`, { done: true }),
  host: (server, to, count) => server.post(`/flood?count=${count}&to=${to}&bytes=${MESSAGE_BYTES}`),
};

/** Memory of the whole program with connections that have no session. */
async function idleInBridge(count) {
  const bridge = await startBridge({ port: 1 }, { 'PushBridge:Auth:Anonymous': 'mute', 'PushBridge:Limits:ConnectionsPerAddress': 0 });
  const load = await startLoad(bridge.port, { path: '/signalr' });
  const result = await connect(bridge, load, count);
  await load.stop();
  await bridge.stop();
  return result;
}

export async function measureConnections(report, { connections = 10_000, rounds = 5, messages = 200_000 } = {}) {
  const sides = { pump: await side(await startPump()), host: await side(await startHost()) };
  const acceptRounds = 3;

  for (let round = 0; round < acceptRounds; round++) {
    for (const s of Object.values(sides)) {
      s.load = await startLoad(s.server.port);
      s.rounds.accept.push(await connect(s.server, s.load, connections));
      if (round === acceptRounds - 1) continue; // these stay
      await s.load.ask('close clean');
      await s.load.stop();
      await until('the connections are gone', async () => (s.server.stats ? (await s.server.stats()).open : (await s.server.ask('stats')).connections) === 0);
    }
  }
  const broadcasts = Math.max(1, Math.round(messages / connections));
  for (let round = 0; round < rounds; round++) {
    for (const [name, s] of Object.entries(sides)) {
      s.rounds.one.push(await push(s, () => floods[name](s.server, 'one', messages), messages));
      s.rounds.all.push(await push(s, () => floods[name](s.server, 'all', broadcasts), broadcasts * connections));
    }
  }
  for (const s of Object.values(sides)) {
    await s.load.stop();
    await s.server.stop();
  }
  const bridge = await idleInBridge(connections);
  const { pump, host } = sides;
  const of = (s, kind, what) => median(s.rounds[kind].map((r) => r[what]));
  // The first time: later rounds find the memory of the connections before them.
  report.row('memory of an idle connection', 'bytes', pump.rounds.accept[0].bytes, host.rounds.accept[0].bytes, null, 'signalr/ alone');
  report.row('', 'bytes', pump.rounds.accept[0].bytes, bridge.bytes, 'at most 1,500 bytes', 'pushbridge');
  report.row('accept, WebSocket and handshake', 'connections/s', of(pump, 'accept', 'perSecond'), of(host, 'accept', 'perSecond'));
  report.row('', 'CPU us each', of(pump, 'accept', 'acceptMicros'), of(host, 'accept', 'acceptMicros'));
  for (const [label, kind] of [['push to single connections', 'one'], ['broadcast', 'all']]) {
    const cpu = [of(pump, kind, 'cpuMicros'), of(host, kind, 'cpuMicros')];
    report.row(label, 'messages/s of a core', ...cpu.map((us) => 1e6 / us), 'ratio at least 0.85', `${cpu.map((us) => us.toFixed(1)).join(' and ')} us of CPU each`);
    report.row('', 'messages/s by the clock', of(pump, kind, 'rate'), of(host, kind, 'rate'), '', 'the client may be the limit');
  }
}
