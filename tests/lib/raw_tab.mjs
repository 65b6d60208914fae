// A tab on the wire, for tests in which connections are lost, and what stands around it.
import assert from 'node:assert/strict';
import { startBridge, startDouble, tokenFor, until } from './harness.mjs';
import { RS, RawConnection, encodeFrame, upgradeRequest } from './raw_connection.mjs';

/** The double, a bridge, and `say`, by which bob writes to everybody. */
export async function scene(t, settings = {}) {
  const rc = await startDouble(t);
  const bridge = await startBridge(t, rc.double, settings);
  return { ...rc, bridge, say: (text) => rc.post(rc.general, 'bob', text), metric: (name) => metric(bridge, name) };
}

async function metric(bridge, name) {
  const text = await (await fetch(`${bridge.adminUrl}/metrics`)).text();
  const line = text.split('\n').find((l) => l.startsWith(`${name} `));
  return Number(line.slice(name.length + 1));
}
export const SLOTS = (event) => `pushbridge_replay_slots_total{event="${event}"}`;

/** A tab of that browser, on the wire. texts: what it was told as new. */
export class RawTab {
  texts = [];
  resyncs = [];
  frames = []; // of those messages, whole

  static async open(port, userAgent = 'A', name = 'alice') {
    const tab = new RawTab();
    tab.raw = await RawConnection.open(port);
    tab.raw.write(upgradeRequest({ port, query: `?access_token=${tokenFor(name)}`, headers: { 'User-Agent': userAgent } }));
    assert.equal((await tab.raw.response()).status, 101);
    tab.raw.write(encodeFrame({ payload: `{"protocol":"json","version":1}${RS}` }));
    await tab.raw.frame();
    tab.reading = tab.#read();
    return tab;
  }

  async #read() {
    for (;;) {
      const frame = await this.raw.frame(60_000).catch(() => null);
      if (frame === null) return;
      if (frame.op !== 'text') continue;
      for (const record of frame.payload.toString().split(RS).slice(0, -1)) {
        const message = JSON.parse(record);
        if (message.target === 'resyncRequired') this.resyncs.push(message.arguments[0]);
        if (message.target !== 'getRoomMessageNotification') continue;
        this.texts.push(message.arguments[0].msg);
        this.frames.push(record);
      }
    }
  }

  ping = () => this.raw.write(encodeFrame({ payload: `{"type":6}${RS}` }));
  until = (n) => until(`${n} messages`, () => this.texts.length >= n);
  lose = () => this.raw.socket.resetAndDestroy();
  async leave(code = 1000) {
    this.raw.write(encodeFrame({ op: 'close', payload: Buffer.from([code >> 8, code & 255]) }));
    await this.reading; // to its end
  }
}
