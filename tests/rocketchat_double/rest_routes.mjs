// REST routes: path under /api/v1/ (or the whole path) -> method -> {run, open?, admin?, bare?}.
// open: no login needed; admin: needs a permission; bare: the answer is not given `success`.
import { MeteorError, RestAnswer } from './codec.mjs';
import { deleteMessage, editMessage, history, leave, markRead, messagesGet, react, roomsGet, sendMessage, subscriptionsGet } from './methods.mjs';

const FULL_VERSIONS = { 6: '6.13.0', 7: '7.10.0', 8: '8.0.1' };
const fail = (error, reason) => {
  throw new MeteorError(error, reason);
};
const failText = (text) => {
  throw new RestAnswer(400, { success: false, error: text });
};

const publicUser = (u) => ({ _id: u._id, username: u.username, name: u.name, type: u.type, active: u.active, roles: u.roles, status: 'offline', utcOffset: 0 });
const ownUser = (u) => ({ ...publicUser(u), emails: u.emails, statusConnection: 'offline', statusDefault: 'online', settings: { preferences: {} }, avatarUrl: `/avatar/${u.username}`, createdAt: u.createdAt, requirePasswordChange: false });

function findUser(store, { userId, username, user }) {
  const found = store.users.get(userId) ?? store.userByName(username ?? user);
  return found ?? failText('User not found.');
}

/** `user` with an @ is an e-mail; `password` is text or a digest, passed through. */
function loginParams({ user, username, email, password, code, resume }) {
  if (resume !== undefined) return { resume };
  const who = email ?? (user?.includes?.('@') ? user : undefined);
  const login = { user: who === undefined ? { username: username ?? user } : { email: who }, password };
  return code === undefined ? login : { totp: { login, code } };
}

async function login({ accounts, store, options, ip, body }) {
  let result;
  try {
    result = await accounts.login(loginParams(body), { via: 'rest', ip });
  } catch (error) {
    if (!(error instanceof MeteorError)) throw error;
    throw new RestAnswer(401, loginFailure(error, options.version));
  }
  const me = ownUser(store.users.get(result.id));
  return { status: 'success', data: { userId: result.id, authToken: result.token, me } };
}

function loginFailure({ error, reason, message, details }, version) {
  const masked = reason === 'User not found' || error === 403;
  if (version >= 8) return { success: false, error: masked ? 'unauthorized' : error, ...(details && { details }) };
  if (masked) return { status: 'error', error: 'Unauthorized', message: 'Unauthorized' };
  return { status: 'error', error, message: reason ?? message, ...(details && { details }) };
}

function logout({ store, user, token }) {
  store.removeToken(user, token);
  return { status: 'success', data: { message: "You've been logged out!" } };
}

function sinceOf({ query }) {
  const text = query.get('updatedSince');
  if (text === null) return undefined;
  const since = new Date(text);
  return Number.isNaN(since.getTime()) ? fail('error-updatedSince-param-invalid', 'The "updatedSince" query parameter must be a valid date.') : since;
}

const listed = (result) => (Array.isArray(result) ? { update: result, remove: [] } : result);

function createUser({ store, body }) {
  const { email, name, password, username, active = true, roles = ['user'] } = body;
  for (const [field, value] of Object.entries({ email, name, password, username }))
    if (typeof value !== 'string' || value === '') fail('error-invalid-params', `must have required property '${field}'`);
  return { user: ownUser(store.createUser({ email, name, password, username, active, roles })) };
}

function createToken({ store, options, body }) {
  const { createTokens, version } = options;
  if (!createTokens || (version >= 8 && body.secret !== createTokens)) fail('error-not-authorized', 'Not authorized');
  const user = findUser(store, body);
  return { data: { userId: user._id, authToken: store.addToken(user).token } };
}

function createRoom(t, key) {
  return ({ store, user, body }) => {
    if (!/^[0-9a-zA-Z-_.]+$/.test(body.name ?? '')) fail('error-invalid-room-name', 'Invalid room name');
    const members = (body.members ?? []).map((name) => store.userByName(name)).filter(Boolean);
    return { [key]: store.createRoom({ t, name: body.name, owner: user, members, ro: body.readOnly === true }) };
  };
}

function membership(t, key, change) {
  return ({ store, body }) => {
    const room = store.rooms.get(body.roomId);
    if (room?.t !== t) fail('error-room-not-found', 'The required "roomId" param provided does not match any room');
    change(store, room._id, findUser(store, body));
    return { [key]: store.rooms.get(room._id) };
  };
}

const historyRoute = (context) => {
  const { query } = context;
  const date = (name) => (query.has(name) ? new Date(query.get(name)) : undefined);
  const count = Number(query.get('count') ?? 20);
  return history(context, query.get('roomId'), { latest: date('latest'), oldest: date('oldest'), inclusive: query.get('inclusive') === 'true', count });
};

const messagesRoute = (context) => {
  const { query } = context;
  const { messages } = history(context, query.get('roomId'), { count: 0 });
  const offset = Number(query.get('offset') ?? 0);
  const asked = Number(query.get('count') ?? 50);
  const page = asked === 0 ? messages.slice(offset) : messages.slice(offset, offset + Math.min(asked, 100));
  return { messages: page, count: page.length, offset, total: messages.length };
};

function syncMessages(context) {
  const { query } = context;
  const get = (name) => query.get(name) ?? undefined;
  if (!get('roomId')) fail('error-param-required', 'The required "roomId" query param is missing');
  if (!get('lastUpdate') && !get('type')) fail('error-param-required', 'The "type" or "lastUpdate" parameters must be provided');
  const lastUpdate = get('lastUpdate') && new Date(get('lastUpdate'));
  if (lastUpdate && Number.isNaN(lastUpdate.getTime())) fail('error-lastUpdate-param-invalid', 'The "lastUpdate" query parameter must be a valid date');
  const count = get('count') && Number(get('count'));
  const { updated = [], deleted = [], cursor } = messagesGet(context, get('roomId'), { lastUpdate, type: get('type'), next: get('next'), previous: get('previous'), ...(count && { count }) });
  return { result: { updated, deleted, ...(cursor && { cursor }) } };
}

function postMessage(context) {
  const { store, user, body } = context;
  const target = body.roomId ?? body.channel;
  const name = typeof target === 'string' ? target.replace(/^[#@]/, '') : undefined;
  const peer = target?.startsWith?.('@') ? store.userByName(name) : undefined;
  const room = peer ? store.directRoom(user, peer) : store.rooms.get(name) ?? store.roomByName(name);
  if (!room) fail('invalid-channel', 'The channel name is not valid');
  const { text: msg, tmid, attachments } = body;
  const message = sendMessage(context, { rid: room._id, msg, tmid, attachments });
  return { ts: message.ts, channel: room._id, message };
}

const message = ({ store, user, query }) => {
  const found = store.messages.get(query.get('msgId'));
  return found && !found._hidden && store.canAccess(found.rid, user._id) ? { message: found } : fail('error-not-allowed', 'Not allowed');
};

export const routes = {
  '/api/info': { GET: { open: true, run: ({ options }) => ({ version: FULL_VERSIONS[options.version].split('.').slice(0, 2).join('.') }) } },
  info: { GET: { open: true, run: ({ options }) => ({ info: { version: FULL_VERSIONS[options.version] } }) } },
  login: { POST: { open: true, bare: true, run: async (context) => ({ ...(await login(context)), ...(context.options.version >= 8 && { success: true }) }) } },
  logout: { POST: { bare: true, run: logout }, GET: { bare: true, run: logout } },
  me: { GET: { run: ({ user }) => ownUser(user) } },

  'users.info': { GET: { run: ({ store, query }) => ({ user: publicUser(findUser(store, { userId: query.get('userId'), username: query.get('username') })) }) } },
  'users.list': { GET: { admin: true, run: ({ store }) => ({ users: [...store.users.values()].map(publicUser), count: store.users.size, offset: 0, total: store.users.size }) } },
  'users.create': { POST: { admin: true, run: createUser } },
  'users.createToken': { POST: { admin: true, run: createToken } },
  'users.generatePersonalAccessToken': { POST: { run: ({ store, user }) => ({ token: store.addToken(user, { personal: true }).token }) } },
  'users.setActiveStatus': {
    POST: {
      admin: true,
      run({ store, body }) {
        const user = findUser(store, body);
        store.setActive(user, body.activeStatus === true);
        return { user: { _id: user._id, active: user.active } };
      },
    },
  },
  'users.logout': {
    POST: {
      run({ store, user, body }) {
        const target = body.userId === undefined ? user : findUser(store, body);
        if (target !== user && !user.roles.includes('admin')) fail('error-unauthorized', 'Not allowed');
        store.removeAllTokens(target);
        return { message: `User ${target._id} has been logged out!` };
      },
    },
  },

  'subscriptions.get': { GET: { run: (context) => listed(subscriptionsGet(context, sinceOf(context))) } },
  'subscriptions.getOne': { GET: { run: ({ store, user, query }) => ({ subscription: store.subscription(query.get('roomId'), user._id) ?? null }) } },
  'subscriptions.read': { POST: { run: (context) => markRead(context, context.body.rid ?? context.body.roomId) } },
  'rooms.get': { GET: { run: (context) => listed(roomsGet(context, sinceOf(context))) } },
  'rooms.info': {
    GET: {
      run({ store, user, query }) {
        const room = store.rooms.get(query.get('roomId')) ?? store.roomByName(query.get('roomName'));
        return room && store.canAccess(room._id, user._id) ? { room } : fail('error-room-not-found', 'The required "roomId" or "roomName" param provided does not match any channel');
      },
    },
  },
  'rooms.leave': { POST: { run: (context) => leave(context, context.body.roomId) } },
  'rooms.delete': { POST: { admin: true, run: ({ store, body }) => store.deleteRoom(body.roomId) } },

  'chat.sendMessage': { POST: { run: (context) => ({ message: sendMessage(context, context.body.message) }) } },
  'chat.postMessage': { POST: { run: postMessage } },
  'chat.update': { POST: { run: (context) => ({ message: editMessage(context, context.body.msgId, context.body.text) }) } },
  'chat.delete': {
    POST: {
      run(context) {
        const { msgId } = context.body;
        const user = { _id: context.user._id, username: context.user.username };
        deleteMessage(context, msgId);
        return { _id: msgId, ts: context.store.now().getTime(), message: { _id: msgId, rid: context.body.roomId, u: user } };
      },
    },
  },
  'chat.react': { POST: { run: (context) => react(context, context.body.emoji ?? context.body.reaction, context.body.messageId, context.body.shouldReact) } },
  'chat.getMessage': { GET: { run: message } },
  'chat.syncMessages': { GET: { run: syncMessages } },

  'im.create': {
    POST: {
      run({ store, user, body }) {
        const peer = store.userByName(body.username) ?? fail('error-room-not-found', 'The required "username" param provided does not match any user');
        const room = store.directRoom(user, peer);
        return { room: { ...room, rid: room._id } };
      },
    },
  },
  'channels.create': { POST: { run: createRoom('c', 'channel') } },
  'groups.create': { POST: { run: createRoom('p', 'group') } },
  'channels.invite': { POST: { run: membership('c', 'channel', (store, rid, user) => store.subscribe(rid, user)) } },
  'groups.invite': { POST: { run: membership('p', 'group', (store, rid, user) => store.subscribe(rid, user)) } },
  'channels.kick': { POST: { run: membership('c', 'channel', (store, rid, user) => store.unsubscribe(rid, user)) } },
  'groups.kick': { POST: { run: membership('p', 'group', (store, rid, user) => store.unsubscribe(rid, user)) } },
  'channels.history': { GET: { run: historyRoute } },
  'groups.history': { GET: { run: historyRoute } },
  'im.history': { GET: { run: historyRoute } },
  'channels.messages': { GET: { run: messagesRoute } },
  'groups.messages': { GET: { run: messagesRoute } },
  'im.messages': { GET: { run: messagesRoute } },
};
