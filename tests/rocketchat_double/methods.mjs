// The DDP methods, each (context, ...params) -> result. A thrown MeteorError is the client's error.
import { MeteorError } from './codec.mjs';
import { may } from './permissions.mjs';
import { STATUS } from './presence.mjs';
import { cursorPage, updatedSince } from './sync.mjs';

const fail = (error, reason, details) => {
  throw new MeteorError(error, reason, details);
};

function login(name, user) {
  if (!user) fail('error-invalid-user', 'Invalid user', { method: name });
  return user;
}

function readableRoom({ store, user }, method, rid) {
  login(method, user);
  if (typeof rid !== 'string' || !store.canAccess(rid, user._id)) fail('error-not-allowed', 'Not allowed', { method });
  return store.rooms.get(rid);
}

/** A message that may be changed: an own one, or by the permission that covers others'. */
function changeableMessage({ store, user }, method, id, permission) {
  login(method, user);
  const message = store.messages.get(id);
  if (!message || message._hidden) fail('error-invalid-message', 'Invalid message', { method });
  const allowed = message.u._id === user._id || may(store, user, permission, message.rid);
  if (!allowed || !store.canAccess(message.rid, user._id)) fail('error-action-not-allowed', 'Not allowed', { method });
  return message;
}

export function readableMessage({ store, user }, method, id) {
  login(method, user);
  const found = store.messages.get(id);
  return found && !found._hidden && store.canAccess(found.rid, user._id) ? found : fail('error-not-allowed', 'Not allowed', { method });
}

/** What `sendMessage` and REST's `chat.sendMessage` share; undefined where the `_id` is known. */
export function sendMessage(context, message) {
  const { store, user } = context;
  if (typeof message?.rid !== 'string') fail('error-invalid-room', 'Invalid room');
  readableRoom(context, 'sendMessage', message.rid);
  if (!store.subscription(message.rid, user._id)) fail('error-not-allowed', 'Not allowed', { method: 'sendMessage' });
  if (message.t !== undefined) fail('error-action-not-allowed', 'Cannot send system messages using sendMessage', { method: 'sendMessage' });
  if (typeof message.msg === 'string' && message.msg.length > 5000) fail('error-message-size-exceeded', 'Message size exceeds Message_MaxAllowedSize');
  const { _id, rid, msg, tmid, tshow, ts, attachments, file, files } = message;
  return store.post({ _id, rid, msg, tmid, tshow, ts, user, ...(attachments && { attachments }), ...(file && { file, files }) });
}

export function editMessage(context, id, text) {
  return context.store.edit(changeableMessage(context, 'updateMessage', id, 'edit-message'), context.user, text);
}

/** asUser: in the author's name, for whoever may force it. */
export function deleteMessage(context, id, { asUser = false } = {}) {
  const permission = asUser ? 'force-delete-message' : 'delete-message';
  return context.store.remove(changeableMessage(context, 'deleteMessage', id, permission), context.user);
}

export function react(context, emoji, id, shouldReact) {
  const { store, user } = context;
  const message = store.messages.get(id);
  if (!message) fail('error-not-allowed', 'Not allowed', { method: 'setReaction' });
  readableRoom(context, 'setReaction', message.rid);
  store.react(message, user, emoji, shouldReact);
}

export function markRead({ store, user }, rid) {
  login('readMessages', user);
  if (!store.subscription(rid, user._id)) fail('error-invalid-subscription', 'Invalid subscription', { method: 'readMessages' });
  store.readMessages(rid, user._id);
}

/** A whole room, or what follows a message in it. */
export function markUnread({ store, user }, { roomId, firstUnreadMessage }) {
  login('unreadMessages', user);
  const rid = roomId ?? store.messages.get(firstUnreadMessage?._id)?.rid;
  if (!store.subscription(rid, user._id)) fail('error-invalid-subscription', 'Invalid subscription', { method: 'unreadMessages' });
  store.updateSubscription(rid, user._id, { alert: true, open: true });
}

export function join({ store, user }, rid) {
  login('joinRoom', user);
  if (store.rooms.get(rid)?.t !== 'c') fail('error-not-allowed', 'Not allowed', { method: 'joinRoom' });
  store.subscribe(rid, user);
}

export function leave({ store, user }, rid) {
  login('leaveRoom', user);
  if (!store.subscription(rid, user._id)) fail('error-user-not-in-room', 'You are not in this room', { method: 'leaveRoom' });
  store.unsubscribe(rid, user);
}

/** {update, remove} since a date; without one, the plain list. */
export function subscriptionsGet({ store, user }, since) {
  if (!user) return [];
  const all = store.subscriptionsOf(user._id);
  if (!(since instanceof Date)) return all;
  const mine = store.trash.subscriptions.filter((s) => s.u._id === user._id);
  return {
    update: updatedSince(all, since),
    remove: mine.filter((s) => s._deletedAt > since).map(({ _id, _deletedAt }) => ({ _id, _deletedAt })), // no rid
  };
}

/** `remove` lists every room deleted in the workspace. */
export function roomsGet({ store, user }, since) {
  if (!user) return [];
  const all = store.subscriptionsOf(user._id).map(({ rid }) => store.rooms.get(rid));
  if (!(since instanceof Date)) return all;
  const removed = store.trash.rooms.filter((r) => r._deletedAt > since);
  return { update: updatedSince(all, since), remove: removed.map(({ _id, _deletedAt }) => ({ _id, _deletedAt })) };
}

export function messagesGet(context, rid, options = {}) {
  readableRoom(context, 'messages/get', rid);
  const { store } = context;
  const { lastUpdate, type, next, previous, count = 20 } = options;
  const trash = store.trash.messages.filter((m) => m.rid === rid);
  if (lastUpdate instanceof Date) {
    const updated = updatedSince(store.messagesOf(rid), lastUpdate).sort((a, b) => b.ts - a.ts);
    const deleted = trash.filter((m) => m._deletedAt > lastUpdate).map(({ _id, _deletedAt }) => ({ _id, _deletedAt }));
    return { updated, deleted };
  }
  if (type !== undefined) return cursorPage({ type, next, previous, count, messages: store.messagesOf(rid), trash });
  return history(context, rid, { latest: options.latestDate, oldest: options.oldestDate, inclusive: options.inclusive, count });
}

/** Newest first. */
export function history(context, rid, { latest, oldest, inclusive = false, count = 20 } = {}) {
  readableRoom(context, 'getChannelHistory', rid);
  const before = (ts) => !latest || ts < latest || (inclusive && +ts === +latest);
  const after = (ts) => !oldest || ts > oldest || (inclusive && +ts === +oldest);
  const messages = context.store.messagesOf(rid).filter((m) => before(m.ts) && after(m.ts));
  messages.sort((a, b) => b.ts - a.ts);
  return { messages: count > 0 ? messages.slice(0, count) : messages };
}

export function chooseStatus({ user, presence }, status, text) {
  login('setUserStatus', user);
  if (!(status in STATUS)) fail('error-invalid-status', 'Invalid status', { method: 'setUserStatus' });
  presence.choose(user, status, text);
}

/** The method tells of two errors only; the others come as an ephemeral message, and no result. */
function sendMessageQuietly(context, message) {
  try {
    return sendMessage(context, message);
  } catch (error) {
    if (!(error instanceof MeteorError) || error.error === 'error-not-allowed') throw error;
    const now = context.store.now();
    const u = { _id: 'rocket.cat', username: 'rocket.cat' };
    const notice = { _id: String(now.getTime()), rid: message.rid, msg: error.error, private: true, groupable: false, u, ts: now, _updatedAt: now };
    context.streams.notifyUser(context.user._id, 'message', [notice]);
    return undefined;
  }
}

export const methods = {
  async login(context, params) {
    const { session, accounts } = context;
    const result = await accounts.login(params, { via: 'ddp', ip: session.ip, session: session.id });
    session.setUser(result);
    return result;
  },

  logout({ session, store, user }) {
    if (!user) return undefined;
    store.removeToken(user, session.releaseToken());
    session.loggedOut();
    return undefined;
  },

  getNewToken({ session, store, user }) {
    if (!user) fail(403, 'You are not logged in.');
    const { token, expires } = store.addToken(user);
    return { id: user._id, token, tokenExpires: expires };
  },

  'subscriptions/get': subscriptionsGet,
  'rooms/get': roomsGet,
  'messages/get': messagesGet,
  loadHistory: (context, rid, end, limit = 20, ls, showThreadMessages = true) =>
    context.user && context.store.canAccess(rid, context.user._id)
      ? { ...history(context, rid, { latest: end ?? undefined, count: limit, showThreadMessages }), unreadNotLoaded: 0 }
      : false,
  loadMissedMessages: (context, rid, start) => history(context, rid, { oldest: start, count: 0 }).messages,
  getSingleMessage: (context, id) => (context.store.messages.has(id) ? readableMessage(context, 'getSingleMessage', id) : null),
  sendMessage: sendMessageQuietly,
  updateMessage: (context, { _id, msg }) => void editMessage(context, _id, msg),
  deleteMessage: (context, { _id }) => void deleteMessage(context, _id),
  setReaction: (context, emoji, id, shouldReact) => void react(context, emoji, id, shouldReact),
  readMessages: markRead,
  leaveRoom: leave,

  joinRoom(context, rid) {
    join(context, rid);
    return true;
  },

  createDirectMessage({ store, user }, username) {
    login('createDirectMessage', user);
    const peer = store.userByName(username) ?? fail('error-invalid-user', 'Invalid user', { method: 'createDirectMessage' });
    const room = store.directRoom(user, peer);
    return { ...room, rid: room._id };
  },

  toggleFavorite({ store, user }, rid, f) {
    login('toggleFavorite', user);
    const subscription = store.subscription(rid, user._id);
    if (!subscription) fail('error-invalid-subscription', 'You must be part of a room to favorite it', { method: 'toggleFavorite' });
    if ((subscription.f ?? false) === f) return 0; // told of changes only
    store.updateSubscription(rid, user._id, { f });
    return 1;
  },

  'stream-notify-room': ({ session, streams }, event, ...args) => void streams.write(session, 'stream-notify-room', event, args),
  'stream-notify-user': () => undefined,
  'stream-room-messages': () => undefined,

  'UserPresence:online': ({ user, presence }) => void (user && presence.idle(user, false)),
  'UserPresence:away': ({ user, presence }) => void (user && presence.idle(user, true)),
  'UserPresence:setDefaultStatus': ({ user, presence }, status) => void chooseStatus({ user, presence }, status),
  setUserStatus: ({ user, presence }, status, text) => void chooseStatus({ user, presence }, status ?? user?.statusDefault, text),
};
