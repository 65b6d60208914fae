// Rocket.Chat's data as far as a client can see it: users and their tokens, rooms, subscriptions,
// messages, trash. Every change is announced, as Rocket.Chat's watchers do it:
//   message {message}                     inserted or changed, not hidden
//   message-deleted {rid, _id}            gone without a trace ("deleteMessage")
//   subscription {action, subscription}   inserted, updated, removed
//   room {action, room}
//   messages-pruned {rid, ...}            many at once ("deleteMessageBulk")
//   read {rid, until}                     all members have read as far as that
//   counted {room, message, member, mentioned}   new and unread for a member
//   token-removed {uid, hash}
//   user-updated {user, diff}, user-deleted {user}, presence {user, diff}
// Documents are replaced, never changed in place: an announced one is a snapshot.
import { EventEmitter } from 'node:events';
import { Ids, MeteorError, hashToken, sha256Hex } from './codec.mjs';

const MAX_RESUME_LOGIN_TOKENS = 50;
const LOGIN_EXPIRATION_MS = 90 * 24 * 3600 * 1000;
const LAST_MESSAGE_MAX_AGE_MS = 60_000;

export class Store extends EventEmitter {
  users = new Map(); // uid -> user
  rooms = new Map(); // rid -> room
  messages = new Map(); // _id -> message
  trash = { messages: [], subscriptions: [], rooms: [] };
  #usernames = new Map(); // folded user name -> uid
  #subsByRoom = new Map(); // rid -> Map(uid -> subscription)
  #subsByUser = new Map(); // uid -> Map(rid -> subscription)
  #roomMessages = new Map(); // rid -> [_id] in order of insertion
  #tokenOwners = new Map(); // token hash -> user
  #lastNow = 0;
  #held = null; // the stamp that everything gets while together() runs

  /**
   * options: seed, equalStamps (several changes may share a millisecond), storeLastMessage,
   * showDeletedStatus, keepHistory, readReceipts, historyLimit (messages kept per room)
   */
  constructor(options, clock) {
    super();
    this.setMaxListeners(0);
    this.options = options;
    this.clock = clock;
    this.ids = new Ids(options.seed);
    this.createUser({ username: 'rocket.cat', name: 'Rocket.Cat', _id: 'rocket.cat', roles: ['bot'] });
  }

  /** Server time. Strictly rising, so that `_updatedAt` orders changes, unless told otherwise. */
  now() {
    if (this.#held !== null) return new Date(this.#held);
    const time = this.clock.now();
    this.#lastNow = this.options.equalStamps ? time : Math.max(time, this.#lastNow + 1);
    return new Date(this.#lastNow);
  }

  /** Whatever `act` changes shares one millisecond: rows tie at the boundary of a catch-up query. */
  together(act) {
    this.#held = this.now().getTime();
    try {
      return act();
    } finally {
      this.#held = null;
    }
  }

  // ---- users and tokens ----

  /** totp: true where an authenticator is set up, 'email' where codes come by mail. */
  createUser({ username, password, name, _id, roles = ['user'], email, verified = true, totp = false, active = true, type = 'user' }) {
    if (this.#usernames.has(username.toLowerCase()))
      throw new MeteorError('error-field-unavailable', `${username} is already in use :(`);
    const user = {
      _id: _id ?? this.ids.id(),
      username,
      name: name ?? username,
      emails: [{ address: email ?? `${username.replace(/[^\w.-]/g, '_')}@example.org`, verified }],
      roles,
      type,
      active,
      password,
      totp,
      status: 'offline',
      statusDefault: 'online',
      statusText: '',
      createdAt: this.now(),
      tokens: [], // {hash, when?, type?}; oldest first
    };
    this.users.set(user._id, user);
    this.#usernames.set(username.toLowerCase(), user._id);
    this.#subsByUser.set(user._id, new Map());
    return user;
  }

  userByName(username) {
    return typeof username === 'string' ? this.users.get(this.#usernames.get(username.toLowerCase())) : undefined;
  }

  userByEmail(email) {
    for (const user of this.users.values()) if (user.emails.some((e) => e.address === email)) return user;
    return undefined;
  }

  /** A user by id or name; throws where there is none. For scripts and the control interface. */
  requireUser(ref) {
    const user = this.users.get(ref) ?? this.userByName(ref);
    if (!user) throw new MeteorError('error-invalid-user', `no user ${ref}`);
    return user;
  }

  passwordMatches(user, password) {
    if (typeof user.password !== 'string') return false;
    if (typeof password === 'string') return password === user.password;
    return password?.algorithm === 'sha-256' && password.digest === sha256Hex(user.password);
  }

  /** A new resume token. Past the cap the oldest dies, and with it whatever runs on it. */
  addToken(user, { personal = false } = {}) {
    const token = this.ids.token();
    const entry = personal ? { hash: hashToken(token), type: 'personalAccessToken' } : { hash: hashToken(token), when: this.now() };
    user.tokens.push(entry);
    this.#tokenOwners.set(entry.hash, user);
    const resume = user.tokens.filter((t) => !t.type);
    if (resume.length > MAX_RESUME_LOGIN_TOKENS) this.removeToken(user, resume[0].hash);
    return { token, expires: entry.when && this.tokenExpires(entry) };
  }

  tokenExpires(entry) {
    return new Date(entry.when.getTime() + LOGIN_EXPIRATION_MS);
  }

  /** {user, entry} of a token, or undefined. */
  findToken(token) {
    if (typeof token !== 'string') return undefined;
    const hash = hashToken(token);
    const user = this.#tokenOwners.get(hash);
    return user && { user, entry: user.tokens.find((t) => t.hash === hash) };
  }

  removeToken(user, hash) {
    const i = user.tokens.findIndex((t) => t.hash === hash);
    if (i < 0) return;
    user.tokens.splice(i, 1);
    this.#tokenOwners.delete(hash);
    this.emit('token-removed', { uid: user._id, hash });
  }

  removeAllTokens(user) {
    for (const { hash } of [...user.tokens]) this.removeToken(user, hash);
  }

  /** All tokens but the one of `hash`; personal ones stay where told so. */
  removeOtherTokens(user, hash, { keepPersonal = false } = {}) {
    for (const t of [...user.tokens]) if (t.hash !== hash && !(keepPersonal && t.type)) this.removeToken(user, t.hash);
  }

  /** New values of the user's own fields. A new password or a second factor ends every login. */
  changeUser(user, diff) {
    const { username } = diff;
    if (username !== undefined && username !== user.username) {
      if (this.userByName(username)) throw new MeteorError('error-field-unavailable', `${username} is already in use :(`);
      this.#usernames.delete(user.username.toLowerCase());
      this.#usernames.set(username.toLowerCase(), user._id);
    }
    const { password, totp, ...seen } = diff;
    Object.assign(user, diff);
    if (password !== undefined || totp) this.removeAllTokens(user);
    if (Object.keys(seen).length > 0) this.emit('user-updated', { user, diff: seen });
  }

  setActive(user, active) {
    this.changeUser(user, { active });
    if (!active) this.removeAllTokens(user);
  }

  deleteUser(user) {
    for (const rid of [...this.roomIdsOf(user._id)]) this.unsubscribe(rid, user);
    this.removeAllTokens(user);
    this.users.delete(user._id);
    this.#usernames.delete(user.username.toLowerCase());
    this.#subsByUser.delete(user._id);
    this.emit('user-deleted', { user });
  }

  // ---- rooms and subscriptions ----

  createRoom({ t = 'c', name, fname, owner, members = [], _id, ro = false }) {
    if (t !== 'd' && this.roomByName(name)) throw new MeteorError('error-duplicate-channel-name', `A channel with name '${name}' exists`);
    const now = this.now();
    const room = {
      _id: _id ?? this.ids.id(),
      t,
      ...(t !== 'd' && { name, fname: fname ?? name }),
      usersCount: 0,
      msgs: 0,
      ...(owner && { u: { _id: owner._id, username: owner.username } }),
      ro,
      sysMes: true,
      default: false,
      ts: now,
      _updatedAt: now,
    };
    this.rooms.set(room._id, room);
    this.#subsByRoom.set(room._id, new Map());
    this.#roomMessages.set(room._id, []);
    for (const user of new Set(owner ? [owner, ...members] : members))
      this.subscribe(room._id, user, { roles: user === owner && t !== 'd' ? ['owner'] : undefined });
    return this.rooms.get(room._id);
  }

  /** The direct room of two users, made where it is missing. Its id is their ids, sorted. */
  directRoom(a, b) {
    const users = [...new Set([a, b])].sort((x, y) => (x._id < y._id ? -1 : 1));
    const _id = users.map((u) => u._id).join('');
    const existing = this.rooms.get(_id);
    if (existing) return existing;
    this.createRoom({ t: 'd', _id });
    this.#updateRoom(_id, { usernames: users.map((u) => u.username), uids: users.map((u) => u._id) }, { silent: true });
    for (const user of users) this.subscribe(_id, user, { peer: users.find((u) => u !== user) ?? user });
    return this.rooms.get(_id);
  }

  roomByName(name) {
    for (const room of this.rooms.values()) if (room.t !== 'd' && room.name === name) return room;
    return undefined;
  }

  requireRoom(ref) {
    const room = this.rooms.get(ref) ?? this.roomByName(ref);
    if (!room) throw new MeteorError('error-invalid-room', `no room ${ref}`);
    return room;
  }

  subscription(rid, uid) {
    return this.#subsByRoom.get(rid)?.get(uid);
  }

  subscriptionsOf(uid) {
    return [...(this.#subsByUser.get(uid)?.values() ?? [])];
  }

  roomIdsOf(uid) {
    return this.#subsByUser.get(uid)?.keys() ?? [];
  }

  canAccess(rid, uid) {
    const room = this.rooms.get(rid);
    return Boolean(room && uid && (room.t === 'c' || this.subscription(rid, uid)));
  }

  subscribe(rid, user, { roles, peer } = {}) {
    const room = this.requireRoom(rid);
    const existing = this.subscription(rid, user._id);
    if (existing) return existing;
    const now = this.now();
    const subscription = {
      _id: this.ids.id(),
      rid,
      t: room.t,
      name: peer ? peer.username : room.name,
      fname: peer ? peer.name : room.fname,
      u: { _id: user._id, username: user.username, name: user.name },
      open: true,
      alert: false,
      unread: 0,
      userMentions: 0,
      groupMentions: 0,
      ts: now,
      ...(roles && { roles }),
      _updatedAt: now,
    };
    this.#putSubscription(subscription);
    this.#updateRoom(rid, { usersCount: this.#subsByRoom.get(rid).size }, { silent: true });
    this.emit('subscription', { action: 'inserted', subscription });
    return subscription;
  }

  /** Leaving, kicking: the user's row goes to the trash; the room itself says nothing. */
  unsubscribe(rid, user) {
    const subscription = this.subscription(rid, user._id);
    if (!subscription) return;
    this.#subsByRoom.get(rid).delete(user._id);
    this.#subsByUser.get(user._id).delete(rid);
    this.trash.subscriptions.push({ ...subscription, _deletedAt: this.now() });
    this.#updateRoom(rid, { usersCount: this.#subsByRoom.get(rid).size }, { silent: true });
    this.emit('subscription', { action: 'removed', subscription });
  }

  deleteRoom(rid) {
    const room = this.requireRoom(rid);
    this.trash.rooms.push({ ...room, _deletedAt: this.now() });
    this.rooms.delete(rid);
    this.emit('room', { action: 'removed', room });
    for (const subscription of [...this.#subsByRoom.get(rid).values()]) {
      this.#subsByUser.get(subscription.u._id).delete(rid);
      this.trash.subscriptions.push({ ...subscription, _deletedAt: this.now() });
      this.emit('subscription', { action: 'removed', subscription });
    }
    this.#subsByRoom.delete(rid);
    for (const id of this.#roomMessages.get(rid)) this.messages.delete(id);
    this.#roomMessages.delete(rid);
  }

  updateSubscription(rid, uid, change) {
    const subscription = { ...this.subscription(rid, uid), ...change, _updatedAt: this.now() };
    this.#putSubscription(subscription);
    this.emit('subscription', { action: 'updated', subscription });
  }

  setTopic(rid, user, topic) {
    this.#updateRoom(rid, { topic });
    return this.post({ rid, user, msg: topic, t: 'room_changed_topic' });
  }

  readMessages(rid, uid) {
    this.updateSubscription(rid, uid, { open: true, alert: false, unread: 0, userMentions: 0, groupMentions: 0, ls: this.now() });
    if (!this.options.readReceipts) return;
    const seen = [...this.#subsByRoom.get(rid).values()].map((s) => s.ls);
    if (seen.every(Boolean)) this.emit('read', { rid, until: seen.reduce((a, b) => (a < b ? a : b)) });
  }

  #putSubscription(subscription) {
    this.#subsByRoom.get(subscription.rid).set(subscription.u._id, subscription);
    this.#subsByUser.get(subscription.u._id).set(subscription.rid, subscription);
  }

  #updateRoom(rid, change, { silent = false } = {}) {
    const room = { ...this.rooms.get(rid), ...change, _updatedAt: this.now() };
    this.rooms.set(rid, room);
    if (!silent) this.emit('room', { action: 'updated', room });
  }

  // ---- messages ----

  /**
   * A new message; undefined where the id is known already (sending twice is harmless). A reply
   * in a thread only, and a message that is over a minute old, leave `lastMessage` alone.
   */
  post({ rid, user, msg, _id, tmid, tshow, t, ts, hidden, ...extra }) {
    const room = this.requireRoom(rid);
    if (_id !== undefined && this.messages.has(_id)) return undefined;
    const now = this.now();
    const message = {
      _id: _id ?? this.ids.id(),
      ...(t && { t }),
      rid,
      msg: msg ?? '',
      ts: ts ?? now,
      u: { _id: user._id, username: user.username, name: user.name },
      ...(tmid && { tmid }),
      ...(tshow === true && { tshow }),
      ...(hidden && { _hidden: true }),
      urls: [],
      mentions: this.#mentions(msg),
      channels: [],
      md: [{ type: 'PARAGRAPH', value: [{ type: 'PLAIN_TEXT', value: msg ?? '' }] }],
      ...extra,
      _updatedAt: now,
    };
    this.messages.set(message._id, message);
    const order = this.#roomMessages.get(rid);
    order.push(message._id);
    if (order.length > this.options.historyLimit) this.messages.delete(order.shift());
    if (!hidden) this.emit('message', { message });
    if (tmid) this.#countReply(message);
    const threadOnly = tmid && !message.tshow;
    const old = now - message.ts > LAST_MESSAGE_MAX_AGE_MS;
    if (!threadOnly && !old) this.#notifyMembers(room, message);
    this.#updateRoom(rid, {
      msgs: this.rooms.get(rid).msgs + 1,
      ...(!threadOnly && !old && { lm: message.ts, ...(this.options.storeLastMessage && { lastMessage: message }) }),
    });
    return message;
  }

  edit(message, user, text) {
    return this.#change(message, { msg: text, editedAt: this.now(), editedBy: { _id: user._id, username: user.username } });
  }

  react(message, user, emoji, add) {
    const name = `:${emoji.replaceAll(':', '')}:`;
    const reactions = { ...message.reactions };
    const others = (reactions[name]?.usernames ?? []).filter((u) => u !== user.username);
    const wanted = add ?? others.length === (reactions[name]?.usernames.length ?? 0);
    if (wanted) reactions[name] = { usernames: [...others, user.username] };
    else if (others.length > 0) reactions[name] = { usernames: others };
    else delete reactions[name];
    return this.#change(message, { reactions });
  }

  /** Link previews and the like: the server changes a message after it was sent. */
  attach(message, change) {
    return this.#change(message, change);
  }

  /** `keepHistory`: only hidden, in no list; else a `t:"rm"` remains, or the trash has it. */
  remove(message, user, { keepHistory = this.options.keepHistory } = {}) {
    const { rid, _id } = message;
    if (this.options.showDeletedStatus || message.tcount) {
      const editedBy = { _id: user._id, username: user.username };
      const gone = { t: 'rm', msg: '', urls: [], mentions: [], attachments: [], reactions: {}, editedAt: this.now(), editedBy, md: undefined };
      this.messages.set(_id, { ...message, ...gone, _updatedAt: this.now() });
      this.emit('message', { message: this.messages.get(_id) });
    } else {
      if (keepHistory) this.messages.set(_id, { ...message, _hidden: true });
      else this.#trash(message);
      this.emit('message-deleted', { rid, _id });
    }
    const room = this.rooms.get(rid);
    const last = this.options.storeLastMessage && room.lastMessage?._id === _id ? { lastMessage: this.#lastVisible(rid) } : {};
    this.#updateRoom(rid, { msgs: room.msgs - 1, ...last });
    return _id;
  }

  #trash(message) {
    this.messages.delete(message._id);
    const order = this.#roomMessages.get(message.rid);
    order.splice(order.indexOf(message._id), 1);
    this.trash.messages.push({ ...message, _deletedAt: this.now() });
  }

  /** Deletes what was written between two dates, by `users` (names) or by anybody; at most `limit`. */
  prune(rid, { oldest, latest, inclusive = false, users = [], limit = 0, excludePinned = false, ignoreDiscussion = false }) {
    const [gt, lt] = inclusive ? ['$gte', '$lte'] : ['$gt', '$lt'];
    const inside = (ts) => (inclusive ? ts >= oldest && ts <= latest : ts > oldest && ts < latest);
    const fits = (m) => inside(m.ts) && (users.length === 0 || users.includes(m.u.username)) && !(excludePinned && m.pinned);
    const found = this.messagesOf(rid).filter(fits);
    const gone = limit > 0 ? found.slice(0, limit) : found;
    if (gone.length === 0) return 0;
    for (const message of gone) this.#trash(message);
    const last = this.options.storeLastMessage ? { lastMessage: this.#lastVisible(rid) } : {};
    this.#updateRoom(rid, { msgs: this.rooms.get(rid).msgs - gone.length, ...last });
    const ids = limit > 0 ? gone.map((m) => m._id) : undefined;
    this.emit('messages-pruned', { rid, excludePinned, ignoreDiscussion, ts: { [gt]: oldest, [lt]: latest }, users, ids });
    return gone.length;
  }

  /** The room's stored messages in the order they came, hidden ones left out. */
  messagesOf(rid) {
    return (this.#roomMessages.get(rid) ?? []).map((id) => this.messages.get(id)).filter((m) => m && !m._hidden);
  }

  #lastVisible(rid) {
    return this.messagesOf(rid).filter((m) => !m.tmid || m.tshow).at(-1);
  }

  #mentions(msg) {
    const found = [];
    for (const [, name] of (msg ?? '').matchAll(/(?:^|\s)@([\w.-]+)/g)) {
      const user = name === 'all' || name === 'here' ? { _id: name, username: name } : this.userByName(name);
      if (user) found.push({ _id: user._id, username: user.username, ...(user.name && { name: user.name }), type: 'user' });
    }
    return found;
  }

  /** Counts unread as by default: direct rooms all, others only what mentions the member. */
  #notifyMembers(room, message) {
    for (const { u, unread, userMentions } of [...this.#subsByRoom.get(room._id).values()]) {
      if (u._id === message.u._id) continue;
      const mentioned = message.mentions.some((m) => m._id === u._id || m._id === 'all' || m._id === 'here');
      this.emit('counted', { room, message, member: u, mentioned });
      this.updateSubscription(room._id, u._id, {
        alert: true,
        open: true,
        unread: unread + (room.t === 'd' || mentioned ? 1 : 0),
        userMentions: userMentions + (mentioned ? 1 : 0),
      });
    }
  }

  #countReply(reply) {
    const parent = this.messages.get(reply.tmid);
    if (!parent) return;
    const replies = [...new Set([parent.u._id, ...(parent.replies ?? []), reply.u._id])];
    this.#change(parent, { tcount: (parent.tcount ?? 0) + 1, tlm: reply.ts, replies });
  }

  #change(message, change) {
    const next = { ...message, ...change, _updatedAt: this.now() };
    this.messages.set(message._id, next);
    if (!next._hidden) this.emit('message', { message: next });
    const room = this.rooms.get(message.rid);
    if (this.options.storeLastMessage && room.lastMessage?._id === message._id) this.#updateRoom(message.rid, { lastMessage: next });
    return next;
  }
}
