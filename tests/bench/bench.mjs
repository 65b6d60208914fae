// The table of tests/bench/run. Nothing here passes or fails: speed drifts between minutes, so only
// the ratios within one run say something.
import os from 'node:os';
import { measureConnections } from './connections.mjs';
import { measureDelivery } from './delivery.mjs';
import { measureInterference } from './interference.mjs';
import { measureLeaving } from './leaving.mjs';
import { measureLogins } from './logins.mjs';
import { stopAll } from './programs.mjs';
import { measureProxy } from './proxy.mjs';
import { measureRoom } from './room.mjs';
import { measureSessions } from './sessions.mjs';

class Report {
  rows = [];

  /** ours against the reference: the pump, where the note says nothing else; null: there is none. */
  row(what, unit, reference, ours, bar = '', note = '') {
    const number = (n) => (n === null ? '-' : n >= 1000 ? Math.round(n).toLocaleString('en') : n.toFixed(n >= 100 ? 0 : 1));
    const ratio = reference === null ? '-' : (ours / reference).toFixed(2);
    this.rows.push([what, unit, number(reference), number(ours), ratio, bar ?? '', note]);
    console.error(`  ${this.rows.at(-1).join(' | ')}`);
  }

  print() {
    const rows = [['', 'unit', 'reference', 'ours', 'ratio', 'bar', 'note'], ...this.rows];
    const widths = rows[0].map((_, i) => Math.max(...rows.map((r) => r[i].length)));
    rows.splice(1, 0, widths.map((w) => '-'.repeat(w)));
    for (const row of rows) {
      console.log(`| ${row.map((cell, i) => (i >= 2 && i <= 4 ? cell.padStart(widths[i]) : cell.padEnd(widths[i]))).join(' | ')} |`);
    }
  }
}

const PARTS = { connections: measureConnections, sessions: measureSessions, delivery: measureDelivery, interference: measureInterference, leaving: measureLeaving, logins: measureLogins, room: measureRoom, proxy: measureProxy };
const wanted = process.argv.slice(2).filter((word) => !word.startsWith('--'));
const options = Object.fromEntries(
  process.argv.slice(2).filter((word) => word.startsWith('--')).map((word) => word.slice(2).split('=')).map(([k, v]) => [k, Number(v)]),
);
const report = new Report();

for (const word of wanted.filter((w) => !(w in PARTS))) {
  console.error(`unknown part ${word}; there are: ${Object.keys(PARTS).join(', ')}`);
  process.exit(2);
}
try {
  for (const [name, measure] of Object.entries(PARTS)) {
    if (wanted.length > 0 && !wanted.includes(name)) continue;
    console.error(name);
    await measure(report, options);
  }
} finally {
  await stopAll();
}
console.log(`${os.cpus().length} cores (${os.cpus()[0].model}), Linux ${os.release()}, ${new Date().toISOString().slice(0, 10)}`);
report.print();
