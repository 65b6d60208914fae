// Knows what each user was entitled to, and judges what the tabs heard.
//
// The truth is the double's own store: every change it announces is numbered in the order it happened
// (`n`), and so are the beginnings and ends of memberships. A user is entitled to a message that was
// written (not: dated) while the user was a member of its room.
//
// Of each life of a tab (one connection) is asked:
// - every message at most once (as new), and those the room's members see in the order they were written;
// - none left out, from when the user's session had taken its first lists: before that a page loads
//   history itself. May be missing: what the connection's end, the message's deletion or the end of the
//   membership left no time for (#servedAt). Told as a later version, if the user's session had no time to
//   ask for it before somebody touched it, may be what was dated back: nothing tells it from an old one then;
// - deletions of messages that the tab has, and joins and leaves, told;
// - nothing from a room the user was not in, but for what came before the bridge could know.
// Of each tab, over all its connections that followed a lost one within Replay:Seconds:
// - none left out in between either. Where a fresh page of the same browser came first, that one was
//   taken for the lost one: counted;
// - nothing on two of them, but for the tail that was not acknowledged when the first was lost, and
//   where several tabs of one browser were lost together: both counted.
// The only excuse is resyncRequired for the room, after the message was written: a page reloads then.
import { methods } from '../rocketchat_double/methods.mjs';

const ATTACH_MS = 1500; // from the handshake's answer to the session's: what is written then may be missing
// With a session at Rocket.Chat that has stood for so long all is told: a list and a query that fail three
// times each, and wait for two more windows of the limits in between.
const SERVED_MS = 30_000;
const BACK_DATED_MS = 60_000; // not the room's last message then
const SAME_MS = 2000; // from one tab of a user to the next: they are sent the same
const NOTICE_MS = 3000; // from Rocket.Chat's word to ours
const RESYNC_REACHES_MS = 180_000; // back
const REPLAY_MS = 80_000; // a lost tab that is back within this much is sent what it missed
const TAIL_HEARD_MS = 5000; // what came so shortly before the end may not have been acknowledged

export class Oracle {
  messages = new Map(); // _id -> {n, at, id, rid, type, inOrder, backDated, touchedAt, deletedAt}
  #byRoom = new Map(); // rid -> [message] by n
  #members = new Map(); // `uid rid` -> [{from, to, toAt, knownAt}]
  #lists = new Map(); // uid -> [when rooms/get was answered]
  #links = new Map(); // uid -> [{session, from, to}], from the first answer to rooms/get on
  #toldAt = new Map(); // `uid _id` -> when the first of the user's tabs heard it
  #n = 0;
  #notes = new Map(); // rid -> [{at, text, uid}], uid: of one user only
  #store;

  constructor(double) {
    this.#store = double.store;
    this.#record(double);
    double.store.on('message', ({ message }) => this.#onMessage(message));
    double.store.on('message-deleted', ({ _id }) => this.#deleted(_id));
    double.store.on('subscription', ({ action, subscription }) => this.#onSubscription(action, subscription, double));
    double.store.on('room', ({ action, room }) => {
      if (action === 'removed') for (const m of this.#byRoom.get(room._id) ?? []) m.deletedAt ??= Date.now();
    });
    for (const user of double.store.users.values())
      for (const { rid } of double.store.subscriptionsOf(user._id)) this.#begin(user._id, rid);
    this.#watch('rooms/get', (uid, session) => {
      this.#listsOf(uid).push(Date.now());
      this.#linked(uid, session);
    });
    this.#followEnds(double);
    this.#watch('subscriptions/get', (uid) => this.#learned(uid));
  }

  /** Queries for rooms, by whoever; what became of rooms, and what each user's session was told of it, faults and all. */
  #record(double) {
    const query = methods['messages/get'];
    methods['messages/get'] = (context, rid, options) => {
      const note = (text) => this.#note(rid, `query by ${context.user?.username} since ${+options.lastUpdate}: ${text}`);
      try {
        const result = query(context, rid, options);
        note(result.updated.map((m) => m._id).join(' '));
        return result;
      } catch (error) {
        note(error.error);
        throw error;
      }
    };
    double.store.on('room', ({ action, room }) => this.#note(room._id, `room ${action} ${shown(room)}`));
    const { bind } = double;
    double.bind = (session) => {
      const { ws, userId } = session;
      const { send } = ws;
      ws.send = (data, ...more) => {
        this.#noteFrame(userId, String(data));
        return send.call(ws, data, ...more);
      };
      bind.call(double, session);
    };
  }

  #note(rid, text, uid) {
    if (!this.#notes.has(rid)) this.#notes.set(rid, []);
    this.#notes.get(rid).push({ at: Date.now(), text, uid });
  }

  #noteFrame(uid, frame) {
    const [, name] = /"eventName":"[^"/]*\/(rooms-changed|subscriptions-changed)"/.exec(frame) ?? [];
    if (!name) return;
    const [action, doc] = JSON.parse(frame).fields.args;
    if (name === 'rooms-changed') this.#note(doc._id, `frame ${name} ${action} ${shown(doc)}`, uid);
    else if (action !== 'updated') this.#note(doc.rid, `frame ${name} ${action} ${doc._id}`, uid);
  }

  /** Notes each answer of a method. */
  #watch(name, note) {
    const original = methods[name];
    methods[name] = (context, ...params) => {
      if (context.user) note(context.user._id, context.session);
      return original(context, ...params);
    };
  }

  // ---- the users' sessions at Rocket.Chat ----

  #linksOf(uid) {
    if (!this.#links.has(uid)) this.#links.set(uid, []);
    return this.#links.get(uid);
  }

  #linked(uid, session) {
    if (session && !this.#linksOf(uid).some((l) => l.session === session)) this.#linksOf(uid).push({ session, from: Date.now(), to: Infinity });
  }

  /** Also of those that are dead without a sign. */
  #followEnds(double) {
    const ended = (session, uid) => {
      for (const l of this.#linksOf(uid)) if (l.session === session && l.to === Infinity) l.to = Date.now();
    };
    const { bind, unbind } = double;
    double.unbind = (session) => {
      ended(session, session.userId);
      unbind.call(double, session);
    };
    double.bind = (session) => {
      const { halfOpen } = session;
      session.halfOpen = () => {
        ended(session, session.userId);
        halfOpen.call(session);
      };
      bind.call(double, session);
    };
  }

  /** When the user's tabs must have had a message at the latest; Infinity: there was never enough time. */
  #servedAt(uid, m) {
    const link = this.#linksOf(uid).find(({ from, to }) => to - Math.max(from, m.at) > SERVED_MS);
    const byLink = link ? Math.max(link.from, m.at) + SERVED_MS : Infinity;
    return Math.min(byLink, (this.#toldAt.get(`${uid} ${m.id}`) ?? Infinity) + SAME_MS);
  }

  /** What came before the message could be told; null: nothing did. */
  #cutShort(uid, m, end, toAt) {
    const servedAt = this.#servedAt(uid, m);
    if (m.deletedAt !== null && m.deletedAt <= servedAt) return 'their deletion';
    if (toAt !== Infinity && toAt <= servedAt) return 'the user left';
    if (end !== Infinity && end <= servedAt) return 'the connection ended';
    return null;
  }

  // ---- the truth ----

  #onMessage(message) {
    const at = Date.now();
    const known = this.messages.get(message._id);
    if (known) return void (known.touchedAt ??= at);
    const m = { n: ++this.#n, at, id: message._id, rid: message.rid, type: message.t, inOrder: at - message.ts < 50, backDated: at - message.ts >= BACK_DATED_MS, touchedAt: null, deletedAt: null };
    this.messages.set(m.id, m);
    if (!this.#byRoom.has(m.rid)) this.#byRoom.set(m.rid, []);
    this.#byRoom.get(m.rid).push(m);
  }

  #deleted(id) {
    const m = this.messages.get(id);
    if (m) m.deletedAt = Date.now();
  }

  #onSubscription(action, { rid, u }, double) {
    if (action === 'inserted') this.#begin(u._id, rid);
    if (action !== 'removed') return;
    const last = this.#membership(u._id, rid).at(-1);
    Object.assign(last, { to: ++this.#n, toAt: Date.now() });
    const heard = double.sessionsOf(u._id).some((s) => [...s.subs.values()].some((set) => [...set].some((sub) => sub.event === `${u._id}/subscriptions-changed`)));
    if (heard) last.knownAt = Date.now();
  }

  #begin(uid, rid) {
    this.#membership(uid, rid).push({ from: ++this.#n, to: Infinity, toAt: Infinity, knownAt: Infinity });
  }

  #membership(uid, rid) {
    const key = `${uid} ${rid}`;
    if (!this.#members.has(key)) this.#members.set(key, []);
    return this.#members.get(key);
  }

  #learned(uid) {
    for (const [key, list] of this.#members)
      if (key.startsWith(`${uid} `)) for (const m of list) if (m.to !== Infinity && m.knownAt === Infinity) m.knownAt = Date.now();
  }

  #listsOf(uid) {
    if (!this.#lists.has(uid)) this.#lists.set(uid, []);
    return this.#lists.get(uid);
  }

  /** Is `uid` in a room now, by our own count? */
  isMember(uid, rid) {
    return this.#membership(uid, rid).at(-1)?.to === Infinity;
  }

  // ---- the judgement ----

  /** tabs; sessions: user name -> [[from, to]] times in which the bridge had a session of the user. */
  judge(tabs, sessions) {
    const verdict = new Verdict();
    this.#noteTold(tabs);
    for (const tab of tabs) {
      const uid = this.#store.requireUser(tab.user)._id;
      for (const life of tab.lives) this.#judgeLife(verdict, uid, tab, life, sessions.get(tab.user));
    }
    for (const tab of tabs) for (const chain of chainsOf(tab)) this.#judgeChain(verdict, chain, tabs);
    return verdict;
  }

  #noteTold(tabs) {
    for (const tab of tabs) {
      const uid = this.#store.requireUser(tab.user)._id;
      for (const { target, id, at } of tab.lives.flatMap((life) => life.heard)) {
        if (target !== 'getRoomMessageNotification' && target !== 'getThreadMessageNotification') continue;
        const key = `${uid} ${id}`;
        if (!(this.#toldAt.get(key) <= at)) this.#toldAt.set(key, at);
      }
    }
  }

  #judgeLife(verdict, uid, tab, life, sessions) {
    const end = life.endedAt ?? Infinity;
    const resyncs = life.heard.filter((h) => h.target === 'resyncRequired');
    const excused = (rid, at) => resyncs.find((r) => (r.rid === null || r.rid === rid) && r.at >= at && r.at - at < RESYNC_REACHES_MS);
    const blame = (what, rid, at, detail) => {
      const excuse = excused(rid, at);
      if (excuse) verdict.excuse(excuse.reason, what);
      else verdict.violate(what, { trace: () => this.#trace(uid, life, rid, at), user: tab.user, life: tab.lives.indexOf(life), rid, ...detail });
    };
    for (const r of resyncs) verdict.count(`resync ${r.reason}`);
    const got = this.#judgeHeard(verdict, uid, life, blame);
    const since = this.#completeFrom(uid, life, sessions);
    const updated = new Set(life.heard.filter((h) => h.target === 'getRoomMessageUpdatedNotification').map((h) => h.id));
    Object.assign(life, { got, since, updated });
    for (const rid of this.#roomsOf(uid)) this.#judgeRoom(verdict, uid, rid, { life, end, blame });
    if (end !== Infinity) return;
    this.#judgeDeletions(life, got, blame);
    this.#judgeMemberships(uid, life, blame);
  }

  /** What happened in a room around a time, as this life heard it and as it was written. */
  #trace(uid, life, rid, at) {
    const near = (x) => Math.abs(x.at - at) < 60_000;
    const heard = life.heard.filter((h) => (h.rid === rid || h.rid === null) && near(h)).map((h) => `${h.at} heard ${h.target} ${h.id ?? h.method ?? h.reason}`);
    const written = (this.#byRoom.get(rid) ?? []).filter(near).map((m) => `${m.at} written ${m.id} ${m.type ?? ''}`);
    const lists = this.#listsOf(uid).filter((t) => near({ at: t })).map((t) => `${t} lists`);
    const notes = (this.#notes.get(rid) ?? []).filter((x) => near(x) && (x.uid ?? uid) === uid).map((x) => `${x.at} ${x.text}`);
    const links = this.#linksOf(uid).filter(({ from, to }) => from - 60_000 < at && at < to + 60_000).flatMap(({ from, to }) => [`${from} live`, `${to === Infinity ? Date.now() : to} not live`]);
    return [`connection from ${life.openedAt} to ${life.endedAt}`, ...[...heard, ...written, ...lists, ...links, ...notes].sort((a, b) => parseInt(a) - parseInt(b))];
  }

  /** What was heard, one after the other: twice, out of order, or none of the user's business. */
  #judgeHeard(verdict, uid, life, blame) {
    const got = new Map(); // _id -> when
    const last = new Map(); // rid -> the message furthest in the room's order
    for (const h of life.heard) {
      if (h.target !== 'getRoomMessageNotification' && h.target !== 'getThreadMessageNotification') continue;
      const m = this.messages.get(h.id);
      if (!m) continue; // from before the beginning
      verdict.count('messages delivered');
      if (got.has(m.id)) {
        verdict.violate('repeated', { trace: () => this.#trace(uid, life, m.rid, h.at), user: life.tab.user, rid: m.rid, id: m.id, firstAt: got.get(m.id), at: h.at });
        continue;
      }
      got.set(m.id, h.at);
      this.#judgeEntitled(verdict, uid, life, m, h);
      if (!m.inOrder) continue;
      const before = last.get(m.rid);
      if (before && before.n > m.n) blame('out of order', m.rid, h.at, { id: m.id, written: m.at, at: h.at, behind: before.id, behindWritten: before.at, behindAt: got.get(before.id) });
      else last.set(m.rid, m);
    }
    return got;
  }

  #judgeEntitled(verdict, uid, life, m, h) {
    const intervals = this.#membership(uid, m.rid);
    if (intervals.some(({ from, to }) => from < m.n && m.n < to)) return;
    const left = intervals.filter(({ to }) => to < m.n).at(-1);
    if (left && h.at <= left.knownAt + NOTICE_MS) verdict.window(h.at - left.toAt);
    else verdict.violate('not entitled', { user: life.tab.user, rid: m.rid, id: m.id, type: m.type, n: m.n, at: h.at, written: m.at, intervals });
  }

  /** From when on this life must be complete. */
  #completeFrom(uid, life, sessions) {
    const begun = sessions.filter(([from]) => from <= life.openedAt).at(-1)?.[0] ?? life.openedAt;
    const listed = this.#listsOf(uid).find((at) => at >= begun) ?? Infinity;
    return Math.max(listed, life.openedAt + ATTACH_MS);
  }

  *#roomsOf(uid) {
    for (const key of this.#members.keys()) if (key.startsWith(`${uid} `)) yield key.slice(uid.length + 1);
  }

  /** Nothing of what was asked for tells that it is new. */
  #seemsOld(uid, m, lives) {
    if (!m.backDated || m.touchedAt === null) return false;
    const wasAskable = this.#linksOf(uid).some(({ from, to }) => Math.min(to, m.touchedAt) - Math.max(from, m.at) > SERVED_MS);
    return !wasAskable && lives.some(({ updated }) => updated.has(m.id));
  }

  #judgeRoom(verdict, uid, rid, { life, end, blame }) {
    const { got, since } = life;
    const all = this.#byRoom.get(rid) ?? [];
    for (const { from, to, toAt } of this.#membership(uid, rid)) {
      for (const m of all) {
        if (m.n < from || m.n > to || m.at < since || got.has(m.id)) continue;
        if (m.at > end) continue; // judged with the connection that followed, if one did
        const cut = this.#cutShort(uid, m, end, toAt);
        if (cut) verdict.count(`not delivered before ${cut}`);
        else if (this.#seemsOld(uid, m, [life])) verdict.count('told as a later version: dated back');
        else blame('missing', rid, m.at, { id: m.id, written: m.at, ago: Date.now() - m.at, inOrder: m.inOrder });
      }
    }
  }

  // ---- one tab, several connections ----

  #judgeChain(verdict, chain, tabs) {
    const [{ tab }] = chain;
    const uid = this.#store.requireUser(tab.user)._id;
    const end = chain.at(-1).endedAt ?? Infinity;
    const others = tabs.filter((t) => t !== tab && t.user === tab.user && t.agent === tab.agent);
    this.#judgeRepeats(verdict, chain, others);
    const resyncs = chain.flatMap((life) => life.heard.filter((h) => h.target === 'resyncRequired'));
    for (const rid of this.#roomsOf(uid)) {
      for (const { from, to, toAt } of this.#membership(uid, rid)) {
        for (const m of this.#byRoom.get(rid) ?? []) {
          if (m.n < from || m.n > to || m.at < chain[0].since || m.at > end) continue;
          if (chain.some((life) => life.got.has(m.id)) || this.#cutShort(uid, m, end, toAt) || this.#seemsOld(uid, m, chain)) continue;
          const excuse = resyncs.find((r) => (r.rid === null || r.rid === rid) && r.at >= m.at && r.at - m.at < RESYNC_REACHES_MS);
          const detail = { trace: () => chain.flatMap((life) => this.#trace(uid, life, rid, m.at)), user: tab.user, rid, id: m.id, written: m.at, lives: chain.map((l) => [l.openedAt, l.endedAt, l.how]) };
          if (excuse) verdict.excuse(excuse.reason, 'lost by a tab');
          else if (wasTakenForAnother(chain, others, m.at)) verdict.count('sent to a fresh page of the same browser instead');
          else verdict.violate('lost by a tab', detail);
        }
      }
    }
  }

  #judgeRepeats(verdict, chain, others) {
    const first = new Map(); // _id -> the life that had it, and when
    for (const life of chain) {
      for (const [id, at] of life.got) {
        const before = first.get(id);
        if (!before) first.set(id, { life, at });
        else if (before.at > before.life.endedAt - TAIL_HEARD_MS) verdict.count('sent again: the tail');
        else if (lostTogether(before.life, life, others)) verdict.count('sent again: tabs of one browser');
        else verdict.violate('sent again', { trace: () => [...chain, ...others.flatMap((t) => t.lives)].map((l) => `${l.tab.constructor.name} from ${l.openedAt} to ${l.endedAt} ${l.how}`), user: life.tab.user, id, firstAt: before.at, lostAt: before.life.endedAt, backAt: life.openedAt, at });
      }
    }
  }

  /** Once each, of those the tab had. */
  #judgeDeletions(life, got, blame) {
    const told = new Set();
    for (const h of life.heard) {
      if (h.target !== 'getRoomMessageDeletedNotification') continue;
      if (told.has(h.id)) blame('deletion repeated', h.rid, h.at, { id: h.id, at: h.at });
      told.add(h.id);
    }
    for (const id of got.keys()) {
      const m = this.messages.get(id);
      if (m.deletedAt === null || told.has(id) || !this.#store.rooms.has(m.rid)) continue;
      if (this.isMember(this.#store.requireUser(life.tab.user)._id, m.rid)) blame('deletion missing', m.rid, m.deletedAt, { id, deletedAt: m.deletedAt });
    }
  }

  /** By what it was told, the tab is in the rooms that its user is in. */
  #judgeMemberships(uid, life, blame) {
    const told = new Map();
    for (const h of life.heard) if (h.target === 'getRoomSubscriptionChangedNotification') told.set(h.rid, h);
    for (const [rid, h] of told) {
      const member = this.isMember(uid, rid);
      if ((h.method === 'insert') !== member) blame('membership', rid, h.at, { told: h.method, member, at: h.at });
    }
    for (const rid of this.#roomsOf(uid)) {
      const { toAt } = this.#membership(uid, rid).at(-1);
      if (toAt > life.openedAt + ATTACH_MS && toAt < Infinity && !told.has(rid)) blame('membership', rid, toAt, { told: null, member: false });
    }
  }
}

/** A room as its event shows it. */
const shown = (room) => `${room.msgs} at ${+(room._updatedAt?.$date ?? room._updatedAt)} ${room.lastMessage?._id}`;

/** Runs of lives each of which was lost, and back soon. */
function chainsOf(tab) {
  const chains = [];
  for (const life of tab.lives) {
    const before = chains.at(-1)?.at(-1);
    if (before && before.how !== 'closed' && life.openedAt - before.endedAt < REPLAY_MS) chains.at(-1).push(life);
    else chains.push([life]);
  }
  return chains;
}

/** Did a fresh page of the same browser open while this tab was lost? What was written by then is its. */
function wasTakenForAnother(chain, others, writtenAt) {
  return chain.slice(1).some((life, i) => {
    const lostAt = chain[i].endedAt;
    if (writtenAt > life.openedAt + ATTACH_MS) return false;
    return others.some((t) => chainsOf(t).some(([first]) => first.openedAt >= lostAt && first.openedAt <= life.openedAt + ATTACH_MS));
  });
}

/** Was another tab of the browser lost, too, so that nobody can tell which one came back? */
const lostTogether = (before, life, others) =>
  others.some((t) => t.lives.some((l) => l.endedAt !== null && l.how !== 'closed' && l.endedAt > before.endedAt - REPLAY_MS && l.endedAt <= life.openedAt));

class Verdict {
  counts = new Map();
  violations = [];
  excuses = new Map(); // `reason: what` -> times
  longestWindowMs = 0;
  windows = 0;

  count(what, times = 1) {
    this.counts.set(what, (this.counts.get(what) ?? 0) + times);
  }

  violate(what, detail) {
    this.violations.push({ what, ...detail });
  }

  excuse(reason, what) {
    const key = `${what} (${reason})`;
    this.excuses.set(key, (this.excuses.get(key) ?? 0) + 1);
  }

  window(ms) {
    this.windows++;
    this.longestWindowMs = Math.max(this.longestWindowMs, ms);
  }
}
