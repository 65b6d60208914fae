// REST: rooms.*, channels.*, groups.*, im.* (also named dm.*) and subscriptions.*.
import { MeteorError, RestAnswer } from './codec.mjs';
import { history, join, leave, markRead, markUnread, roomsGet, subscriptionsGet } from './methods.mjs';
import { may } from './permissions.mjs';
import { page } from './rest_page.mjs';
import { findUser } from './rest_users.mjs';

const fail = (error, reason) => {
  throw new MeteorError(error, reason);
};
const failText = (text) => {
  throw new RestAnswer(400, { success: false, error: text });
};

function sinceOf({ query }) {
  const text = query.get('updatedSince');
  if (text === null) return undefined;
  const since = new Date(text);
  return Number.isNaN(since.getTime()) ? fail('error-updatedSince-param-invalid', 'The "updatedSince" query parameter must be a valid date.') : since;
}

const listed = (result) => (Array.isArray(result) ? { update: result, remove: [] } : result);

// ---- channels and groups ----

function createRoom(t, key) {
  return ({ store, user, body }) => {
    if (!/^[0-9a-zA-Z-_.]+$/.test(body.name ?? '')) fail('error-invalid-room-name', 'Invalid room name');
    const members = (body.members ?? []).map((name) => store.userByName(name)).filter(Boolean);
    const owner = body.excludeSelf === true ? undefined : user;
    return { [key]: store.createRoom({ t, name: body.name, owner, members, ro: body.readOnly === true }) };
  };
}

/** The room that a body or query names by `roomId` or `roomName`. */
function namedRoom(store, t, { roomId, roomName }) {
  const room = store.rooms.get(roomId) ?? store.roomByName(roomName);
  return room?.t === t ? room : fail('error-room-not-found', 'The required "roomId" or "roomName" param provided does not match any room');
}

/** One user, or several: `userId`, `userIds`, `username`, `usernames`. */
const usersIn = (store, body) => {
  const { userIds = [], usernames = [] } = body;
  if (userIds.length === 0 && usernames.length === 0) return [findUser(store, body)];
  return [...userIds.map((userId) => findUser(store, { userId })), ...usernames.map((username) => findUser(store, { username }))];
};

function invite(t, key) {
  return ({ store, user, body }) => {
    const room = namedRoom(store, t, body);
    const joined = store.subscription(room._id, user._id) && may(store, user, 'add-user-to-joined-room', room._id);
    if (!joined && !may(store, user, `add-user-to-any-${t}-room`)) fail('error-not-allowed', 'Not allowed');
    for (const guest of usersIn(store, body)) store.subscribe(room._id, guest);
    return { [key]: store.rooms.get(room._id) };
  };
}

function kick(t, answer) {
  return ({ store, user, body }) => {
    const room = namedRoom(store, t, body);
    if (!may(store, user, 'remove-user', room._id)) fail('error-not-allowed', 'Not allowed');
    for (const target of usersIn(store, body)) {
      if (!store.subscription(room._id, target._id)) fail('error-user-not-in-room', 'User is not in this room');
      store.unsubscribe(room._id, target);
    }
    return answer(store.rooms.get(room._id));
  };
}

function joined({ store, user, body }) {
  const channel = namedRoom(store, 'c', body);
  join({ store, user }, channel._id);
  return { channel: store.rooms.get(channel._id) };
}

function left(t, answer) {
  return ({ store, user, body }) => {
    const room = namedRoom(store, t, body);
    leave({ store, user }, room._id);
    return answer(store.rooms.get(room._id));
  };
}

function infoOf(t, key) {
  return ({ store, user, query }) => {
    const room = namedRoom(store, t, Object.fromEntries(query));
    return store.canAccess(room._id, user._id) ? { [key]: room } : fail('error-room-not-found', 'Room not found');
  };
}

// ---- direct rooms ----

/** The room of a pair is made once; of more than two, one for each set of people. */
function createDirect({ store, user, body }) {
  const names = body.usernames === undefined ? [body.username] : String(body.usernames).split(',').map((name) => name.trim());
  const peers = names.map((name) => store.userByName(name) ?? fail('error-room-not-found', 'The required "username" or "usernames" param provided does not match any user'));
  const room = store.directRoomOf(body.excludeSelf === true ? peers : [user, ...peers]);
  return { room: { ...room, rid: room._id } };
}

const directRooms = ({ store, user, query }) => page(query, 'ims', store.subscriptionsOf(user._id).filter((s) => s.t === 'd').map((s) => store.rooms.get(s.rid)));

// ---- messages ----

/** `roomId`, or `roomName` for channels and groups, `username` for direct rooms. */
function roomAsked(t, { store, user, query }) {
  if (query.has('roomId')) return query.get('roomId');
  if (t !== 'd') return namedRoom(store, t, { roomName: query.get('roomName') })._id;
  const peer = findUser(store, { username: query.get('username') });
  return store.directRoom(user, peer)._id;
}

function historyOf(t) {
  return (context) => {
    const { query } = context;
    const date = (name) => (query.has(name) ? new Date(query.get(name)) : undefined);
    const count = Number(query.get('count') ?? 20);
    const offset = Number(query.get('offset') ?? 0);
    const how = { latest: date('latest'), oldest: date('oldest'), inclusive: query.get('inclusive') === 'true', count: count > 0 ? count + offset : 0 };
    const { messages } = history(context, roomAsked(t, context), how);
    const threads = query.get('showThreadMessages') !== 'false';
    return { messages: messages.filter((m) => threads || !m.tmid || m.tshow).slice(offset) };
  };
}

const messagesOf = (t) => (context) => page(context.query, 'messages', history(context, roomAsked(t, context), { count: 0 }).messages);

// ---- rooms ----

function roomInfo({ store, user, query }) {
  const room = store.rooms.get(query.get('roomId')) ?? store.roomByName(query.get('roomName'));
  return room && store.canAccess(room._id, user._id) ? { room } : fail('error-room-not-found', 'The required "roomId" or "roomName" param provided does not match any channel');
}

function deleteRoom({ store, user, body }) {
  const room = store.rooms.get(body.roomId) ?? failText("The 'roomId' param is required");
  if (!may(store, user, `delete-${room.t}`, room._id)) fail('error-not-allowed', 'Not allowed');
  store.deleteRoom(room._id);
}

function cleanHistory({ store, user, body }) {
  const { roomId, latest, oldest, inclusive, limit, excludePinned, ignoreDiscussion, users } = body;
  for (const key of ['latest', 'oldest']) if (!body[key]) failText(`Body parameter "${key}" is required.`);
  const room = store.rooms.get(roomId) ?? fail('error-room-not-found', 'The required "roomId" or "roomName" param provided does not match any channel');
  if (!may(store, user, 'clean-channel-history', roomId)) fail('error-not-allowed', 'Not allowed');
  const count = store.prune(room._id, { oldest: new Date(oldest), latest: new Date(latest), inclusive, limit, excludePinned, ignoreDiscussion, users });
  return { _id: room._id, count };
}

const directRoutes = {
  create: { POST: { permission: 'create-d', run: createDirect } },
  list: { GET: { run: directRooms } },
  history: { GET: { run: historyOf('d') } },
  messages: { GET: { run: messagesOf('d') } },
};
const named = (prefix, some) => Object.fromEntries(Object.entries(some).map(([name, route]) => [`${prefix}.${name}`, route]));
const roomRoutesOf = (t, key, answer) => ({
  info: { GET: { run: infoOf(t, key) } },
  leave: { POST: { run: left(t, answer) } },
  create: { POST: { permission: `create-${t}`, run: createRoom(t, key) } },
  invite: { POST: { run: invite(t, key) } },
  kick: { POST: { run: kick(t, answer) } },
  history: { GET: { run: historyOf(t) } },
  messages: { GET: { run: messagesOf(t) } },
});

export const roomRoutes = {
  ...named('channels', roomRoutesOf('c', 'channel', (channel) => ({ channel }))),
  'channels.join': { POST: { run: joined } },
  ...named('groups', roomRoutesOf('p', 'group', () => ({}))),
  ...named('im', directRoutes),
  ...named('dm', directRoutes),

  'subscriptions.get': { GET: { run: (context) => listed(subscriptionsGet(context, sinceOf(context))) } },
  'subscriptions.getOne': { GET: { run: ({ store, user, query }) => ({ subscription: store.subscription(query.get('roomId'), user._id) ?? null }) } },
  'subscriptions.read': { POST: { run: (context) => markRead(context, context.body.rid ?? context.body.roomId) } },
  'subscriptions.unread': { POST: { run: (context) => markUnread(context, context.body) } },
  'rooms.get': { GET: { run: (context) => listed(roomsGet(context, sinceOf(context))) } },
  'rooms.info': { GET: { run: roomInfo } },
  'rooms.leave': { POST: { run: (context) => leave(context, context.body.roomId) } },
  'rooms.delete': { POST: { run: deleteRoom } },
  'rooms.cleanHistory': { POST: { run: cleanHistory } },
};
