// What a user's session costs in memory: 20 rooms, one DDP connection, the delivery memory.
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { ISSUER, KEY, makeCertificate, rssBytes, sleep, startBridge, startLoad, startSource, until } from './programs.mjs';

const MESSAGES = { each: 130, perSecond: 5000 }; // more than a session remembers: its memory is full then
const KEPT = 'pushbridge_replay_bytes'; // what the tabs were sent and may not have yet
const TRIMMED_MS = 4500; // what has become free is given back by then (bridge/heap_trim.h)
const WARM_UP = 100; // sessions that pay for what is there once: pools, caches, the allocator's own

export async function open(load, count, parallel = 64) {
  const opened = await load.ask(`open ${count} ${parallel}`);
  if (opened.failed > 0) throw new Error(`${opened.failed} of ${count} connections failed`);
}

export const allLive = (source, count) =>
  until(`${count} live sessions`, async () => (await source.ask('stats')).live >= count, 120_000);

async function measureOne(source, settings, users) {
  const bridge = await startBridge(source, { 'PushBridge:Limits:ConnectionsPerUser': 0, ...settings });
  const load = (options) => startLoad(bridge.port, { path: '/signalr', key: KEY, issuer: ISSUER, ...options });
  const people = await load({ users: WARM_UP + users });
  await open(people, WARM_UP);
  await allLive(source, WARM_UP);
  await sleep(500);
  const warm = rssBytes(bridge.pid);
  const tabs = await load({ users: 1 }); // of one user that has a session
  await open(tabs, users);
  await sleep(500);
  const before = rssBytes(bridge.pid);
  await open(people, users);
  await allLive(source, WARM_UP + users);
  await people.ask('reset');
  const count = MESSAGES.each * (WARM_UP + users);
  const all = people.ask(`wait ${count} 120000`).finally(() => (over = true));
  let kept = 0;
  let over = false;
  const watch = (async () => {
    for (; !over; await sleep(200)) kept = Math.max(kept, (await bridge.metrics())[KEPT]);
  })();
  await source.ask(`send ${count} ${MESSAGES.perSecond} ${WARM_UP + users}`, { done: true });
  await all;
  await watch;
  await until('nothing is kept', async () => (await bridge.metrics())[KEPT] === 0, 60_000);
  await sleep(TRIMMED_MS);
  const after = rssBytes(bridge.pid);
  for (const program of [people, tabs, bridge]) await program.stop();
  return { session: (after - before - (before - warm)) / users, tab: (before - warm) / users, kept: kept / (WARM_UP + users) };
}

export async function measureSessions(report, { users = 1000 } = {}) {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'bench-'));
  try {
    const certificate = makeCertificate(folder);
    const plain = await startSource();
    const ws = await measureOne(plain, {}, users);
    await plain.stop();
    const secure = await startSource(certificate);
    const wss = await measureOne(secure, { 'Im:Address': `https://localhost:${secure.tlsPort}/`, 'Im:CaFile': certificate.cert }, users);
    await secure.stop();
    report.row('memory of a session, ws', 'bytes', null, ws.session, 'at most 9 KB', `${users} users, 20 rooms each`);
    report.row('memory of a session, wss', 'bytes', null, wss.session);
    report.row('kept of what a tab was sent, at most', 'bytes', null, ws.kept, '', `until it has it: during ${MESSAGES.each} messages of ${(MESSAGES.perSecond / (WARM_UP + users)).toFixed(1)} a second`);
    report.row("memory of a user's tab", 'bytes', null, ws.tab, '', 'subtracted above');
  } finally {
    rmSync(folder, { recursive: true });
  }
}
