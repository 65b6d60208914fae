// The streams a client can subscribe to, who may, and which of the store's changes arrive where.
import { MeteorError, changedFrame, ddpStringify } from './codec.mjs';
import { announceNotices } from './notices.mjs';

const splitEvent = (event) => {
  const slash = event.indexOf('/');
  return slash < 0 ? [event, ''] : [event.slice(0, slash), event.slice(slash + 1)];
};
const MY_MESSAGES = '__my_messages__';
const roomAccess = (store, session, rid) => store.canAccess(rid, session.userId);

const PRESENCE = 'stream-user-presence'; // one subscription a connection, which names the users it follows

/** stream -> may this session read this event? */
const READ_RULES = {
  'stream-notify-user': (store, session, event, { version }) => {
    const [uid, name] = splitEvent(event);
    return session.userId !== null && (uid === session.userId || (name === 'webrtc' && version < 8));
  },
  'stream-room-messages': (store, session, event) => event === MY_MESSAGES || roomAccess(store, session, event),
  'stream-notify-room': (store, session, event) => roomAccess(store, session, splitEvent(event)[0]),
  'stream-room-data': roomAccess,
  'stream-notify-logged': (store, session) => session.userId !== null,
  'stream-notify-all': () => true,
};

export class Streams {
  #events = new Map(); // 'stream event' -> Set of subscriptions
  #roomHooks = new Map(); // rid -> Set of rooms-changed subscriptions that follow the room
  #presence = new Map(); // session -> its subscription of presence
  #coalescing = new Map(); // rid -> how many held back `rooms-changed` events
  #store;
  #faults;
  #options;

  /** options: hookDelayMs, removedShape, subscriptionStamps, keepRoomStreamOnKick, hideSystemMessages, useRealName, version */
  constructor(store, faults, options) {
    this.#store = store;
    this.#faults = faults;
    this.#options = options;
    store.on('message', ({ message }) => this.#onMessage(message));
    store.on('subscription', ({ action, subscription }) => this.#onSubscription(action, subscription));
    store.on('room', ({ action, room }) => this.#onRoom(action, room));
    announceNotices(store, this, options);
  }

  // ---- subscribing ----

  /**
   * A new subscription of the session; null where it ends at once without being refused. Throws the
   * MeteorError that `nosub` carries.
   */
  open(session, id, stream, params) {
    if (stream === PRESENCE) return this.#openPresence(session, id, params);
    const mayRead = READ_RULES[stream];
    if (!mayRead) throw new MeteorError(404, `Subscription '${stream}' not found`);
    const [event, options] = params;
    if (typeof event !== 'string' || event === '') throw new MeteorError('invalid-event-name');
    if (!mayRead(this.#store, session, event, this.#options)) throw new MeteorError('not-allowed');
    const sub = { session, id, stream, event, params, keys: [], hooks: new Set() };
    this.#listen(sub, `${stream} ${event}`);
    if (options === true || options?.useCollection === true)
      session.send({ msg: 'added', collection: stream, id: 'id', fields: { eventName: event } });
    if (stream === 'stream-notify-user' && splitEvent(event)[1] === 'rooms-changed') this.#hookRoomsLater(sub);
    return sub;
  }

  close(sub) {
    for (const key of [...sub.keys]) this.#unlisten(sub, key);
    for (const rid of sub.hooks) this.#unhook(sub, rid);
    if (sub.stream === PRESENCE) this.#presence.delete(sub.session);
    sub.closed = true;
  }

  #listen(sub, key) {
    if (sub.keys.includes(key)) return;
    if (!this.#events.has(key)) this.#events.set(key, new Set());
    this.#events.get(key).add(sub);
    sub.keys.push(key);
  }

  #unlisten(sub, key) {
    const set = this.#events.get(key);
    set?.delete(sub);
    if (set?.size === 0) this.#events.delete(key);
    sub.keys = sub.keys.filter((k) => k !== key);
  }

  /** Options {added, removed} name users. The connection's first stays; what follows changes it and ends with a `nosub`. */
  #openPresence(session, id, [event, options]) {
    if (session.userId === null) throw new MeteorError('not-allowed');
    const first = this.#presence.get(session);
    const sub = first ?? { session, id, stream: PRESENCE, event, params: [event, options], keys: [], hooks: new Set() };
    this.#presence.set(session, sub);
    for (const uid of options?.added ?? []) this.#listen(sub, `${PRESENCE} ${uid}`);
    for (const uid of options?.removed ?? []) this.#unlisten(sub, `${PRESENCE} ${uid}`);
    return first ? null : sub;
  }

  /** `ready` is out before the user's rooms are known: what happens in between is not delivered. */
  #hookRoomsLater(sub) {
    setTimeout(() => {
      if (sub.closed) return;
      for (const rid of this.#store.roomIdsOf(sub.session.userId)) this.#hook(sub, rid);
    }, this.#options.hookDelayMs);
  }

  #hook(sub, rid) {
    if (!this.#roomHooks.has(rid)) this.#roomHooks.set(rid, new Set());
    this.#roomHooks.get(rid).add(sub);
    sub.hooks.add(rid);
  }

  #unhook(sub, rid) {
    const set = this.#roomHooks.get(rid);
    set?.delete(sub);
    if (set?.size === 0) this.#roomHooks.delete(rid);
    sub.hooks.delete(rid);
  }

  // ---- emitting ----

  /** To all subscribers of the event but the session that wrote it. */
  emit(stream, event, args, { origin } = {}) {
    const subs = this.#events.get(`${stream} ${event}`);
    if (subs) this.#sendAll(subs, stream, event, args, origin);
  }

  notifyUser(uid, name, args) {
    this.emit('stream-notify-user', `${uid}/${name}`, args);
  }

  /** Presence alone has the user's id for the document's id, and in the fields too. */
  presence(uid, args) {
    const fields = { uid, args, eventName: uid };
    for (const { session } of [...(this.#events.get(`${PRESENCE} ${uid}`) ?? [])]) session.send({ msg: 'changed', collection: PRESENCE, id: uid, fields });
  }

  #sendAll(subs, stream, event, args, origin) {
    const text = changedFrame(stream, event, ddpStringify(args));
    const meta = { msg: 'changed', collection: stream, event, action: typeof args[0] === 'string' ? args[0] : undefined };
    for (const sub of [...subs]) if (sub.session !== origin) sub.session.sendFrame(text, meta);
  }

  /**
   * What a client writes into a stream: only typing, under its own name; the rest has no effect.
   * Before 8 the older `typing` is written too, and each of the two is told as the other as well.
   */
  write(session, stream, event, args) {
    const [rid, name] = splitEvent(event);
    if (stream !== 'stream-notify-room' || !session.user || !this.#store.canAccess(rid, session.userId)) return;
    const { useRealName, version } = this.#options;
    const [who, what] = args;
    if (who !== (useRealName ? session.user.name : session.user.username)) return;
    const tell = (as, ...rest) => this.emit(stream, `${rid}/${as}`, [who, ...rest], { origin: session });
    if (name === 'user-activity') {
      tell('user-activity', ...args.slice(1));
      if (version < 8) tell('typing', Boolean(what?.includes?.('user-typing')));
    } else if (name === 'typing' && version < 8) {
      tell('typing', what === true);
      tell('user-activity', what === true ? ['user-typing'] : []);
    }
  }

  // ---- the store's changes ----

  #onMessage(message) {
    if (this.#options.hideSystemMessages.includes(message.t)) return;
    this.emit('stream-room-messages', message.rid, [message]);
    const all = this.#events.get(`stream-room-messages ${MY_MESSAGES}`);
    if (!all) return;
    const room = this.#store.rooms.get(message.rid);
    for (const sub of [...all]) {
      const uid = sub.session.userId;
      if (!this.#store.canAccess(message.rid, uid)) continue;
      const roomParticipant = this.#store.subscription(message.rid, uid) !== undefined;
      this.#sendAll([sub], sub.stream, MY_MESSAGES, [message, { roomParticipant, roomType: room.t, roomName: room.name }]);
    }
  }

  #onSubscription(action, subscription) {
    const uid = subscription.u._id;
    const told = action !== 'removed' || this.#options.removedShape !== 'none'; // without a row in the trash nothing is
    if (told) this.notifyUser(uid, 'subscriptions-changed', [action, this.#subscriptionPayload(action, subscription)]);
    const roomsChanged = this.#events.get(`stream-notify-user ${uid}/rooms-changed`);
    if (action === 'inserted') for (const sub of roomsChanged ?? []) this.#announceRoom(sub, subscription.rid);
    if (action === 'removed') {
      for (const sub of roomsChanged ?? []) this.#unhook(sub, subscription.rid);
      this.#dropRoomStream(uid, subscription.rid);
    }
  }

  /** The room follows its subscription after a database read. */
  #announceRoom(sub, rid) {
    this.#hook(sub, rid);
    setImmediate(() => {
      const room = this.#store.rooms.get(rid);
      if (room && !sub.closed) this.#sendAll([sub], sub.stream, sub.event, ['inserted', room]);
    });
  }

  #subscriptionPayload(action, subscription) {
    const { _updatedAt, ...rest } = subscription;
    if (action !== 'removed') return action === 'updated' && !this.#options.subscriptionStamps ? rest : subscription;
    const { _id, rid, u } = subscription;
    if (this.#options.removedShape === 'u') return { _id, u };
    return this.#options.removedShape === 'rid' ? { _id, rid, u } : subscription;
  }

  /** A removed member's stream of the room just stops; no `nosub` tells so. Where the clean-up misfires, it flows on. */
  #dropRoomStream(uid, rid) {
    const keep = this.#options.keepRoomStreamOnKick;
    if (keep === true || this.#store.canAccess(rid, uid)) return;
    for (const sub of [...(this.#events.get(`stream-room-messages ${rid}`) ?? [])]) {
      if (sub.session.userId !== uid) continue;
      if (keep !== 'several' || sub.session.countSubs('stream-room-messages') === 1) this.close(sub);
    }
  }

  #onRoom(action, room) {
    this.emit('stream-room-data', room._id, [room]);
    const fault = this.#faults.watches('room') ? this.#faults.take('room', { rid: room._id, action }) : undefined;
    if (fault?.do === 'ignore') return;
    if (fault?.do === 'coalesce') {
      this.#coalescing.set(room._id, (this.#coalescing.get(room._id) ?? 0) + 1);
      return;
    }
    const times = 1 + (this.#coalescing.get(room._id) ?? 0);
    this.#coalescing.delete(room._id);
    for (let i = 0; i < times; i++) this.#sendRoom(action, room);
  }

  #sendRoom(action, room) {
    const hooks = this.#roomHooks.get(room._id);
    if (!hooks) return;
    const argsText = ddpStringify([action, action === 'removed' ? { _id: room._id } : room]); // once for all members
    for (const { session, stream, event } of [...hooks])
      session.sendFrame(changedFrame(stream, event, argsText), { msg: 'changed', collection: stream, event, action });
  }
}
