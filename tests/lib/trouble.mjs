// A scene for the bridge's failures: alice is the one who has trouble, bob writes, carol is there to
// show that others notice nothing.
import assert from 'node:assert/strict';
import { cleanUp, startBridge, startDouble, tokenFor, until } from './harness.mjs';
import { CLIENTS, Tab } from './signalr_clients.mjs';

export const FAST = { 'PushBridge:Session:BackoffMinSeconds': 0.05, 'PushBridge:Session:BackoffMaxSeconds': 0.3 };
const KNOWS_ITS_ROOMS_MS = 2000;

/**
 * Double, bridge and a tab of each user, all live and past the first lists of rooms. options: those
 * of the double, and `users`, `settings`.
 */
export async function troubleScene(t, { users = ['alice', 'bob', 'carol'], settings = {}, ...options } = {}) {
  const rc = await startDouble(t, { users, ...options });
  const bridge = await startBridge(t, rc.double, { ...FAST, ...settings });
  const scene = new Scene(rc, bridge);
  await Promise.all(users.map((name) => scene.openTab(t, name)));
  for (const name of users) await rc.live(name);
  await scene.settled(users);
  scene.others = users.slice(2).map((name) => ({ name, session: rc.double.sessionsOf(rc.user(name)._id)[0], heard: scene.tabs[name].heard.length }));
  scene.pid = bridge.pid;
  cleanUp(t, () => scene.checkOthers());
  return scene;
}

class Scene {
  tabs = {};
  others = []; // whoever has no trouble
  #posted = 0;

  constructor(rc, bridge) {
    Object.assign(this, rc);
    this.rc = rc;
    this.bridge = bridge;
  }

  async openTab(t, name) {
    this.tabs[name] = await Tab.open(t, CLIENTS.latest, this.bridge.hubUrl, tokenFor(name));
    return this.tabs[name];
  }

  session(name) {
    return this.double.sessionsOf(this.user(name)._id).at(-1); // half-open ones stay
  }

  fault(rule) {
    return this.double.faults.add(rule);
  }

  calls(name) {
    return this.double.calls.get(name) ?? 0;
  }

  attempts(name, type) {
    return this.double.accounts.attempts.filter((a) => a.user === name && (type === undefined || a.type === type));
  }

  /** Each session has seen its rooms: what comes now is no news from before. */
  async settled(names) {
    const asked = () => this.calls('ddp rooms/get') + this.calls('GET /api/v1/rooms.get');
    await until('the first lists of rooms', () => asked() >= names.length, KNOWS_ITS_ROOMS_MS * 5);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }

  /** A message of bob's, numbered, so that each is told from the others. */
  say(what = 'message') {
    const text = `${what} ${++this.#posted}`;
    this.post(this.general, 'bob', text);
    return text;
  }

  /** Everything bob has written so far is with this user once, in each room's order. */
  async hasAllOf(name, rooms, timeoutMs = 15_000) {
    const tab = this.tabs[name];
    for (const room of rooms) {
      const written = this.store.messagesOf(room._id).map((m) => m.msg);
      const heard = () => tab.of('getRoomMessageNotification').filter((m) => m.rid === room._id);
      await tab.until(`${written.length} messages at ${name}`, () => heard().length >= written.length, timeoutMs);
      assert.deepEqual(heard().map((m) => m.msg), written, name);
    }
  }

  hasAll(name, timeoutMs) {
    return this.hasAllOf(name, [this.general], timeoutMs);
  }

  /** bridgeStatus of the tab, without repetitions: ['backoff', 'live']. */
  states(name) {
    const all = this.tabs[name].of('bridgeStatus').map((s) => s.state);
    return all.filter((state, i) => state !== all[i - 1]);
  }

  /** A new DDP connection of the user follows its rooms, and the old one is over in the double too, unless it is half-open. */
  async backAgain(name, ended) {
    await until(`the end of ${name}'s old connection`, () => ended.gone || ended.describe().silent);
    await until(`another connection of ${name}`, () => this.session(name) && this.session(name) !== ended);
    await this.live(name);
  }

  /** A metric's value; label: 'state="live"'; 0 where there is no such row. */
  async metric(name, label) {
    const text = await (await fetch(`${this.bridge.adminUrl}/metrics`)).text();
    const row = `${name}${label === undefined ? '' : `{${label}}`} `;
    const line = text.split('\n').find((l) => l.startsWith(row));
    return line === undefined ? 0 : Number(line.slice(row.length));
  }

  /** Whoever had no trouble has the same connection as before, heard of none, and has all messages. */
  async checkOthers() {
    for (const { name, session } of this.others) {
      assert.equal(this.session(name), session, `${name}'s connection`);
      assert.deepEqual(this.tabs[name].of('bridgeStatus'), [], name);
      assert.deepEqual(this.tabs[name].of('resyncRequired'), [], name);
      await this.hasAll(name);
    }
    assert.equal(this.bridge.pid, this.pid, 'the process lives');
    assert.equal((await fetch(`${this.bridge.url}/healthz`)).status, 200);
  }
}
