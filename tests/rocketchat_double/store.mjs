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
// Documents but users are replaced, never changed in place: an announced one is a snapshot.
import { MeteorError } from './codec.mjs';
import { Users } from './store_users.mjs';

const LAST_MESSAGE_MAX_AGE_MS = 60_000;

/**
 * options: those of Users, and storeLastMessage, showDeletedStatus, keepHistory, readReceipts,
 * historyLimit (messages kept per room)
 */
export class Store extends Users {
  rooms = new Map(); // rid -> room
  messages = new Map(); // _id -> message
  #uploads = new Map(); // _id -> {_id, name, type, size, rid, userId, content, expiresAt?}
  trash = { messages: [], subscriptions: [], rooms: [] };
  #subsByRoom = new Map(); // rid -> Map(uid -> subscription)
  #subsByUser = new Map(); // uid -> Map(rid -> subscription)
  #roomMessages = new Map(); // rid -> [_id] in order of insertion

  /** Leaves all rooms first. */
  deleteUser(user) {
    for (const rid of [...this.roomIdsOf(user._id)]) this.unsubscribe(rid, user);
    super.deleteUser(user);
  }

  // ---- rooms and subscriptions ----

  createRoom({ t = 'c', name, fname, owner, members = [], _id, ro = false, isDefault = false }) {
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
      default: isDefault,
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

  directRoom(a, b) {
    return this.directRoomOf([a, b]);
  }

  /** The direct room of these users, made where it is missing. A pair's id is their ids, sorted. */
  directRoomOf(everybody) {
    const users = [...new Set(everybody)].sort((x, y) => (x._id < y._id ? -1 : 1));
    const uids = users.map((u) => u._id).join('');
    const many = users.length > 2;
    const existing = many ? [...this.rooms.values()].find((r) => r.uids?.join('') === uids) : this.rooms.get(uids);
    if (existing) return existing;
    const _id = many ? this.ids.id() : uids;
    this.createRoom({ t: 'd', _id });
    this.#updateRoom(_id, { usernames: users.map((u) => u.username), uids: users.map((u) => u._id) }, { silent: true });
    for (const user of users) this.subscribe(_id, user, { peers: users.length > 1 ? users.filter((u) => u !== user) : users });
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

  /** peers: of a direct room, which is named by them. */
  subscribe(rid, user, { roles, peers } = {}) {
    const room = this.requireRoom(rid);
    const existing = this.subscription(rid, user._id);
    if (existing) return existing;
    const now = this.now();
    const subscription = {
      _id: this.ids.id(),
      rid,
      t: room.t,
      name: peers ? peers.map((p) => p.username).join(', ') : room.name,
      fname: peers ? peers.map((p) => p.name).join(', ') : room.fname,
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
    const { u, rid } = subscription;
    if (!this.#subsByUser.has(u._id)) this.#subsByUser.set(u._id, new Map());
    this.#subsByUser.get(u._id).set(rid, subscription);
  }

  #updateRoom(rid, change, { silent = false } = {}) {
    const room = { ...this.rooms.get(rid), ...change, _updatedAt: this.now() };
    this.rooms.set(rid, room);
    if (!silent) this.emit('room', { action: 'updated', room });
  }

  // ---- uploads ----

  addUpload(file) {
    const upload = { _id: this.ids.id(), ...file };
    this.#uploads.set(upload._id, upload);
    return upload;
  }

  /** undefined also for one that was never confirmed and has expired. */
  upload(id) {
    const file = this.#uploads.get(id);
    return file?.expiresAt && file.expiresAt.getTime() <= this.clock.now() ? undefined : file;
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
    const last = this.options.storeLastMessage && (room.lastMessage ?? message)._id === _id ? { lastMessage: this.#lastVisible(rid) } : {};
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

  /** What becomes lastMessage when the last one is deleted: people's newest by date (Messages.getLastVisibleUserMessageSentByRoomId). */
  #lastVisible(rid) {
    const shown = this.messagesOf(rid).filter((m) => m.t === 'e2e' || (!m.t && (!m.tmid || m.tshow)));
    return shown.reduce((last, m) => (last && last.ts > m.ts ? last : m), undefined);
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
