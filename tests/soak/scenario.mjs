// What happens in a soak: a schedule made from the seed alone, and the means to carry it out. Where a
// step needs something that exists only then (a message, a member), the schedule holds a number from
// 0 to 1 that picks it.
import { sleep } from '../lib/harness.mjs';

/** Steps a second with 200 users and 100 rooms. Fewer users: fewer in proportion. */
const RATES = {
  // the chat
  post: 8,
  volley: 0.6, // quick messages, whose room events show the last one only
  reply: 0.7,
  backdate: 0.1,
  edit: 0.6,
  react: 0.3,
  remove: 0.4,
  read: 0.5,
  leave: 0.2,
  kick: 0.2,
  join: 0.4,
  rejoin: 0.05, // leaves and comes back at once
  dissolve: 0.02,
  found: 0.04,
  // Rocket.Chat and what lies before it
  cut: 0.5,
  freeze: 0.02, // a socket that is dead without a sign
  revoke: 0.03,
  duplicate: 0.6,
  swap: 0.6,
  delay: 0.6,
  slowMethod: 0.2,
  limited: 0.1,
  failing: 0.05,
  slowRest: 0.05,
  // the browsers
  dropTab: 0.8,
  dropAgent: 0.1, // all tabs of one browser
  closeTab: 0.3,
  openTab: 0.3,
  absence: 0.05, // all tabs of a user, for longer than the session lingers
};
const RESTART_EVERY_MS = [40_000, 80_000];
const RETURN_MS = [100, 4000];

/** [{at (ms), step, a, b, c}], in order of time. a, b, c: 0 to 1. */
export function schedule(random, { seconds, users }) {
  const steps = [];
  const scale = Math.max(0.25, users / 200);
  for (const [step, rate] of Object.entries(RATES))
    for (let at = 0; (at += (-Math.log(1 - random.next()) * 1000) / (rate * scale)) < seconds * 1000; ) steps.push({ at, step });
  for (let at = 15_000; at < seconds * 1000 - 5000; at += random.between(...RESTART_EVERY_MS)) steps.push({ at, step: 'restart' });
  steps.sort((x, y) => x.at - y.at);
  for (const s of steps) Object.assign(s, { a: random.next(), b: random.next(), c: random.next() });
  return steps;
}

/** Users and rooms of every size, the first with everybody. */
export function populate(random, store, { users, rooms, password }) {
  const people = Array.from({ length: users }, (_, i) => store.createUser({ username: `user${i}`, password }));
  store.createRoom({ name: 'general', owner: people[0], members: people });
  const pairs = Math.floor(rooms / 4);
  for (let i = 0; i < pairs; i++) store.directRoom(...random.sample(people, 2));
  for (let i = 1; i < rooms - pairs; i++) {
    const members = random.sample(people, random.between(3, Math.min(40, users)));
    store.createRoom({ t: i % 2 ? 'p' : 'c', name: `room${i}`, owner: members[0], members });
  }
  return people;
}

const at = (list, fraction) => list[Math.floor(fraction * list.length)];
const between = ([low, high], fraction) => low + fraction * (high - low);

/** Carries the steps out. browsers: see feed.mjs. */
export class Scenario {
  done = new Map(); // step -> how often it found something to do
  #last = new Map(); // rid -> the latest messages' ids
  #double;
  #store;
  #browsers;
  #lingerMs;
  #names = 0;
  #restarting = false;

  constructor(double, browsers, { lingerMs }) {
    this.#double = double;
    this.#store = double.store;
    this.#browsers = browsers;
    this.#lingerMs = lingerMs;
    this.#store.on('message', ({ message }) => {
      if (message.t || message.editedAt) return;
      const list = this.#last.get(message.rid) ?? [];
      if (!list.includes(message._id)) list.push(message._id);
      this.#last.set(message.rid, list.slice(-20));
    });
  }

  async run(steps) {
    const begun = Date.now();
    for (const step of steps) {
      const wait = begun + step.at - Date.now();
      if (wait > 2) await sleep(wait);
      if (this[`_${step.step}`](step) !== false) this.done.set(step.step, (this.done.get(step.step) ?? 0) + 1);
    }
  }

  // ---- picking ----

  /** Big rooms are talked in as often as small ones: so the one of all users stays bearable. */
  #room(fraction, kind = () => true) {
    return at([...this.#store.rooms.values()].filter((r) => r.usersCount > 0 && kind(r)), fraction);
  }

  #members(room) {
    return this.#people().filter((u) => this.#store.subscription(room._id, u._id));
  }

  #people() {
    return [...this.#store.users.values()].filter((u) => u.password !== undefined);
  }

  /** One of the latest messages of some room, with its author. */
  #message(a, b) {
    const room = this.#room(a);
    const message = room && this.#store.messages.get(at(this.#last.get(room._id) ?? [], b));
    return message && { message, room, author: this.#store.users.get(message.u._id) };
  }

  #say(room, fraction, more = {}) {
    const user = at(this.#members(room), fraction);
    return this.#store.post({ rid: room._id, user, msg: `${this.#last.get(room._id)?.length ?? 0} from ${user.username}`, ...more });
  }

  // ---- the chat ----

  _post({ a, b }) {
    this.#say(this.#room(a), b);
  }

  /** What Rocket.Chat's notifier does when changes come quicker than it reads the room. */
  _volley({ a, b, c }) {
    const room = this.#room(a);
    const count = 2 + Math.floor(c * 6);
    this.#double.faults.add({ on: 'room', match: { rid: room._id, action: 'updated' }, do: 'coalesce', times: count - 1 });
    for (let i = 0; i < count; i++) {
      const parent = i % 3 === 1 && c > 0.7 ? at(this.#last.get(room._id) ?? [], b) : undefined;
      this.#say(room, (b + i / 7) % 1, parent && { tmid: parent });
    }
  }

  _reply({ a, b, c }) {
    const found = this.#message(a, b);
    if (!found || found.message.tmid) return false;
    this.#say(found.room, c, { tmid: found.message._id, ...(c > 0.8 && { tshow: true }) });
  }

  _backdate({ a, b, c }) {
    const room = this.#room(a, (r) => r.ts < Date.now() - 1000);
    if (!room) return false;
    this.#say(room, b, { ts: new Date(Date.now() - between([65_000, 3600_000], c)) });
  }

  _edit({ a, b, c }) {
    const found = this.#message(a, b);
    if (!found) return false;
    this.#store.edit(found.message, found.author, `${found.message.msg}, edited ${c}`);
  }

  _react({ a, b, c }) {
    const found = this.#message(a, b);
    if (!found) return false;
    this.#store.react(found.message, at(this.#people(), c), 'thumbsup', true);
  }

  _remove({ a, b }) {
    const found = this.#message(a, b);
    if (!found) return false;
    this.#store.remove(found.message, found.author);
    this.#last.set(found.room._id, this.#last.get(found.room._id).filter((id) => id !== found.message._id));
  }

  _read({ a, b }) {
    const room = this.#room(a);
    this.#store.readMessages(room._id, at(this.#members(room), b)._id);
  }

  // ---- who is where ----

  /** A room other than the first and the pairs', with at least `least` members. */
  #open(a, least) {
    return this.#room(a, (r) => r.t !== 'd' && r.name !== 'general' && r.usersCount >= least);
  }

  /** The system message first, then the subscription goes. */
  _leave({ a, b }) {
    const room = this.#open(a, 3);
    if (!room) return false;
    const user = at(this.#members(room), b);
    this.#store.post({ rid: room._id, user, msg: user.username, t: 'ul' });
    this.#store.unsubscribe(room._id, user);
    return { room, user };
  }

  _kick({ a, b, c }) {
    const room = this.#open(a, 3);
    if (!room) return false;
    const user = at(this.#members(room), b);
    this.#store.post({ rid: room._id, user: at(this.#members(room), c), msg: user.username, t: 'ru' });
    this.#store.unsubscribe(room._id, user);
  }

  /** The subscription first, then the system message, dated the same. */
  _join({ a, b, c }) {
    const room = this.#open(a, 1);
    const user = room && at(this.#people().filter((u) => !this.#store.subscription(room._id, u._id)), b);
    if (!user) return false;
    const { ts } = this.#store.subscribe(room._id, user);
    if (c > 0.5) this.#store.post({ rid: room._id, user, msg: user.username, t: 'uj', ts });
    else this.#store.post({ rid: room._id, user: at(this.#members(room), c), msg: user.username, t: 'au', ts });
  }

  _rejoin(step) {
    const left = this._leave(step);
    if (!left) return false;
    if (step.c > 0.5) this.#say(left.room, step.c);
    const { ts } = this.#store.subscribe(left.room._id, left.user);
    this.#store.post({ rid: left.room._id, user: left.user, msg: left.user.username, t: 'uj', ts });
  }

  _dissolve({ a }) {
    const room = this.#open(a, 0);
    if (!room || this.#store.rooms.size < 10) return false;
    this.#store.deleteRoom(room._id);
  }

  _found({ a, b, c }) {
    const people = this.#people();
    const owner = at(people, a);
    const others = people.filter((_, i) => (i + Math.floor(b * 97)) % 17 === 0);
    const room = this.#store.createRoom({ t: c > 0.5 ? 'p' : 'c', name: `late${this.#names++}`, owner, members: others });
    this.#say(room, b);
  }

  // ---- Rocket.Chat ----

  #session(fraction) {
    return at([...this.#double.sessions].filter((s) => s.user?.password !== undefined), fraction);
  }

  _cut({ a, b }) {
    const session = this.#session(a);
    if (!session) return false;
    [() => session.drop(), () => session.reset(), () => session.close(1000, 'Normal closure'), () => session.close(1013, 'slow')][Math.floor(b * 4)]();
  }

  _freeze({ a }) {
    const session = this.#session(a);
    if (!session) return false;
    session.halfOpen();
  }

  _revoke({ a }) {
    this.#store.removeAllTokens(at(this.#people(), a));
  }

  #fault(rule, step, times) {
    const user = at(this.#people(), step.a);
    this.#double.faults.add({ on: 'out', match: { msg: 'changed', user: user.username }, times: 1 + Math.floor(step.b * times), ...rule });
  }

  _duplicate(step) {
    this.#fault({ do: 'duplicate' }, step, 6);
  }

  _swap(step) {
    this.#fault({ do: 'swap' }, step, 3);
  }

  _delay(step) {
    this.#fault({ do: 'delay', ms: between([5, 400], step.c) }, step, 4);
  }

  #method(step, rule) {
    this.#double.faults.add({ on: 'in', match: { method: at(['messages/get', 'messages/get', 'rooms/get', 'subscriptions/get'], step.a) }, times: 1 + Math.floor(step.b * 3), ...rule });
  }

  _slowMethod(step) {
    this.#method(step, { do: 'delay', ms: between([50, 2500], step.c) });
  }

  _limited(step) {
    this.#method(step, { do: 'error', error: 'too-many-requests', reason: 'Error, too many requests.', details: { timeToReset: Math.floor(between([200, 5000], step.c)) } });
  }

  _failing(step) {
    this.#method(step, { do: 'error', error: 500, reason: 'Internal server error' });
  }

  _slowRest({ b, c }) {
    if (c > 0.6) this.#double.faults.add({ preset: c > 0.8 ? 'html-502' : 'unavailable', times: 2 });
    else this.#double.faults.add({ on: 'rest', do: 'delay', ms: between([100, 4000], b), times: 5 });
  }

  _restart({ a }) {
    if (this.#restarting) return false;
    this.#restarting = true;
    this.#double.restart({ downMs: a > 0.5 ? Math.floor(a * 1500) : 0 }).then(() => (this.#restarting = false));
  }

  // ---- browsers ----

  _dropTab({ a, b }) {
    return this.#browsers.drop([at(this.#browsers.openTabs(), a)], between(RETURN_MS, b));
  }

  _dropAgent({ a, b }) {
    const one = at(this.#browsers.openTabs(), a);
    return this.#browsers.drop(this.#browsers.openTabs().filter((t) => t.agent === one?.agent && t.user === one?.user), between(RETURN_MS, b));
  }

  /** The user keeps another one, or comes back while the session lingers. */
  _closeTab({ a, b }) {
    return this.#browsers.close([at(this.#browsers.openTabs(), a)], between([100, this.#lingerMs / 3], b));
  }

  _openTab({ a }) {
    return this.#browsers.more(at(this.#people(), a).username);
  }

  _absence({ a }) {
    const one = at(this.#browsers.openTabs(), a);
    return this.#browsers.close(this.#browsers.tabsOf(one?.user), this.#lingerMs * 2 + 3000);
  }
}
