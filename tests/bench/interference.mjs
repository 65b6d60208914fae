// Whose trouble is whose: one bridge, a steady stream to most users, and in turn nothing wrong, a
// few readers that stop, a Rocket.Chat that stalls for some, names that take 3 s to resolve, a thousand
// users who come at once, in the pace that logins have by default. In every round the same happens:
// new users come, and a few users get a stream of their own; only the p99 of all the others counts.
// A thousand clients load the machine, whoever serves them: so in one more round the same thousand
// come to a second bridge on the same core, and what that does to the others here is the reference.
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { DEFAULT_PACE } from './logins.mjs';
import { BUILD, ISSUER, KEY, median, sleep, startBridge, startLoad, until } from './programs.mjs';
import { open, allLive } from './sessions.mjs';
import { send, startBridgeSide, stopSide } from './delivery.mjs';

const RATE = 4000; // messages a second to the others
const READERS = 2;
const READER_RATE = 4000; // a second, to the readers together: megabytes each in a round
const QUEUE_BYTES = 65_536; // so that a reader that stopped is a slow consumer within a round
const NEWCOMERS = 20;
const CROWD = 1000;
const CROWD_SECONDS = 50; // until all of it have logged in
const STALLED = 100; // of the users that are there

export async function measureInterference(report, { users = 1000, rounds = 5, seconds = 5 } = {}) {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'bench-'));
  const slowFile = path.join(folder, 'slow');
  const settings = { ...DEFAULT_PACE, 'PushBridge:Session:LingerSeconds': 0.5, 'PushBridge:Limits:QueueBytes': QUEUE_BYTES };
  const side = await startBridgeSide(
    users,
    { ...settings, 'Im:Address': 'http://localhost:PORT/' },
    { env: { LD_PRELOAD: path.join(BUILD, 'bench/libslow_resolver.so'), SLOW_RESOLVER: slowFile } },
  );
  const { source, server } = side;
  const second = await startBridge(source, settings);
  const load = (first, count, to = server) => startLoad(to.port, { path: '/signalr', key: KEY, issuer: ISSUER, first, users: count });
  let nextUser = users;
  const someUsers = (count) => (nextUser += count) - count;

  async function round(trouble, time = seconds) {
    const readersFirst = someUsers(READERS);
    const newFirst = someUsers(NEWCOMERS);
    const readers = await load(readersFirst, READERS);
    const newcomers = await load(newFirst, NEWCOMERS);
    const crowd = trouble === 'logins' || trouble === 'elsewhere' ? await load(someUsers(CROWD), CROWD, trouble === 'logins' ? server : second) : null;
    const before = (await source.ask('stats')).live;
    await open(readers, READERS);
    await allLive(source, before + READERS);
    await source.ask(`side ${readersFirst} ${readersFirst + READERS - 1} ${READER_RATE}`);
    if (trouble === 'reader') await readers.ask(`stall ${READERS}`);
    if (trouble === 'rocketchat') await source.ask(`stall ${users - STALLED} ${newFirst + NEWCOMERS}`);
    if (trouble === 'resolver') closeSync(openSync(slowFile, 'w'));
    await sleep(200);
    const coming = [open(newcomers, NEWCOMERS), ...(crowd ? [open(crowd, CROWD, 256)] : [])];
    const found = await send(side, RATE, time);
    await Promise.all(coming);
    await source.ask('side 0 0 0');
    if (trouble === 'rocketchat') await source.ask('unstall');
    if (trouble === 'resolver') rmSync(slowFile);
    for (const left of [readers, newcomers, ...(crowd ? [crowd] : [])]) {
      await left.ask('close clean'); // cut off, their sessions would wait for them, and log in in later rounds
      await left.stop();
    }
    await sleep(3500); // slow look-ups end
    const slow = READERS * rounds; // may come back for a while: their sessions are kept
    await until('the sessions of those who left end', async () => (await source.ask('stats')).live <= users + slow);
    return found;
  }

  const troubles = {
    reader: 'a reader stalls',
    rocketchat: 'Rocket.Chat stalls for some',
    resolver: 'names take 3 s',
    logins: `${CROWD} users come at once`,
  };
  let slow, untilLive;
  const found = { none: [], reader: [], rocketchat: [], resolver: [], logins: [], elsewhere: [] };
  try {
    for (let i = 0; i < rounds; i++) for (const trouble of Object.keys(found)) found[trouble].push(await round(trouble));
    untilLive = await round('logins', CROWD_SECONDS);
    slow = (await server.metrics())['pushbridge_connections_ended_total{reason="slow"}'];
    await second.stop();
    await stopSide(side);
  } finally {
    rmSync(folder, { recursive: true });
  }
  const p99 = (trouble) => median(found[trouble].map((r) => r.p99));
  for (const [trouble, text] of Object.entries(troubles)) {
    const notes = { reader: `; ${slow} of ${READERS * rounds} closed as slow`, logins: `, in the first ${seconds} s` };
    const note = `against a round without${notes[trouble] ?? ''}`;
    report.row(`others' p99 while ${text}`, 'us', p99('none'), p99(trouble), 'ratio at most 1.5', note);
  }
  report.row('... until they are live', 'us', p99('none'), untilLive.p99, 'ratio at most 1.5', `against a round without, in ${CROWD_SECONDS} s`);
  report.row('... against the same at another process', 'us', p99('elsewhere'), p99('logins'), 'ratio at most 1.5', 'they come to a second bridge on this core: the machine alone');
}
