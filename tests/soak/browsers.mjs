// The tabs of all users: who has which, what becomes of them, and when each user had any.
import { sleep } from '../lib/harness.mjs';
import { RawTab, SignalrTab } from './tabs.mjs';

const PARALLEL = 20;
const REAL_EVERY = 20; // one tab in so many is Microsoft's client
const REOPEN_TRIES = 20;

export class Browsers {
  tabs = [];
  #url;
  #tokenFor;
  #lingerMs;
  #pending = new Set(); // tabs that come back
  #present = new Map(); // user -> [{from, to}] with at least one tab connected

  constructor({ url, tokenFor, lingerMs }) {
    this.#url = url;
    this.#tokenFor = tokenFor;
    this.#lingerMs = lingerMs;
  }

  #make(user) {
    const of = this.tabsOf(user).length;
    const options = { user, url: this.#url, token: this.#tokenFor(user), agent: `browser ${user} ${of >> 1}` };
    const index = this.tabs.length;
    const tab = index % REAL_EVERY === 7 ? new SignalrTab(options, index % (2 * REAL_EVERY) === 7 ? '5.0.17' : 'latest') : new RawTab(options);
    this.tabs.push(tab);
    return tab;
  }

  /** One or two tabs each. */
  async start(users, random) {
    const made = users.flatMap((user) => Array.from({ length: random.between(1, 2) }, () => this.#make(user)));
    while (made.length > 0) await Promise.all(made.splice(0, PARALLEL).map((tab) => this.#open(tab)));
  }

  async #open(tab) {
    this.#arrived(tab.user);
    for (let i = 0; ; i++) {
      try {
        return await tab.open();
      } catch (error) {
        if (i === REOPEN_TRIES) throw error;
        await sleep(200);
      }
    }
  }

  /** Before it connects: the bridge may have a session of the user from now on. */
  #arrived(user) {
    if (!this.#present.has(user)) this.#present.set(user, []);
    const list = this.#present.get(user);
    if (list.length === 0 || list.at(-1).to !== Infinity) list.push({ from: Date.now(), to: Infinity });
  }

  #left(user) {
    if (this.tabsOf(user).every((tab) => tab.life === null)) this.#present.get(user).at(-1).to = Date.now();
  }

  openTabs() {
    return this.tabs.filter((tab) => tab.life !== null && !this.#pending.has(tab));
  }

  tabsOf(user) {
    return this.tabs.filter((tab) => tab.user === user);
  }

  usersWithTabs() {
    return new Set(this.tabs.filter((tab) => tab.life !== null).map((tab) => tab.user)).size;
  }

  #returnIn(tab, ms) {
    this.#pending.add(tab);
    const back = async () => {
      if (tab.life === null) await this.#open(tab);
      this.#pending.delete(tab);
    };
    sleep(ms).then(back).catch((error) => console.log(`a tab of ${tab.user} did not come back: ${error.message}`));
  }

  /** As a network that goes. Microsoft's client comes back by itself. False: there were none. */
  drop(tabs, returnMs) {
    const some = tabs.filter((tab) => tab && tab.life !== null && !this.#pending.has(tab));
    for (const tab of some) {
      this.#pending.add(tab);
      tab.drop().then(() => {
        this.#left(tab.user);
        if (tab instanceof RawTab) return this.#returnIn(tab, returnMs);
        this.#arrived(tab.user);
        this.#pending.delete(tab);
      });
    }
    return some.length > 0;
  }

  close(tabs, returnMs) {
    const some = tabs.filter((tab) => tab && tab.life !== null && !this.#pending.has(tab));
    for (const tab of some) {
      this.#pending.add(tab);
      tab.close().then(() => {
        this.#left(tab.user);
        this.#returnIn(tab, returnMs);
      });
    }
    return some.length > 0;
  }

  /** One more tab, up to four. */
  more(user) {
    if (this.tabsOf(user).length >= 4) return false;
    this.#returnIn(this.#make(user), 0);
    return true;
  }

  /** Everybody is back. */
  async settle() {
    for (let i = 0; this.tabs.some((tab) => tab.life === null); i++) {
      if (i > 600) throw new Error('tabs do not come back');
      await sleep(100);
    }
  }

  lastHeardAt() {
    return Math.max(...this.tabs.map((tab) => tab.lives.at(-1)?.heard.at(-1)?.at ?? 0));
  }

  /** user -> [[from, to]]: times of one session each, for what we can tell. */
  sessions() {
    const found = new Map();
    for (const [user, list] of this.#present) {
      const merged = [];
      for (const { from, to } of list) {
        const last = merged.at(-1);
        if (last && from - last[1] < this.#lingerMs) last[1] = to;
        else merged.push([from, to]);
      }
      found.set(user, merged);
    }
    return found;
  }

  async stop() {
    await Promise.all(this.tabs.map((tab) => tab.close()));
  }
}
