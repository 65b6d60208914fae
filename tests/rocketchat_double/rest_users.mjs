// REST: users.*, and what routes about users share.
import { MeteorError, RestAnswer } from './codec.mjs';
import { chooseStatus } from './methods.mjs';
import { may } from './permissions.mjs';
import { page } from './rest_page.mjs';

const fail = (error, reason) => {
  throw new MeteorError(error, reason);
};
const failText = (text) => {
  throw new RestAnswer(400, { success: false, error: text });
};

const publicUser = (u) => ({ _id: u._id, username: u.username, name: u.name, type: u.type, active: u.active, roles: u.roles, status: u.status, statusText: u.statusText, utcOffset: 0 });
const fullUser = (u) => ({ ...publicUser(u), emails: u.emails, createdAt: u.createdAt, requirePasswordChange: false });
export const ownUser = (u) => ({ ...fullUser(u), statusConnection: u.status, statusDefault: u.statusDefault, settings: { preferences: {} }, avatarUrl: `/avatar/${u.username}` });

export function findUser(store, { userId, username, user }) {
  const found = store.users.get(userId) ?? store.userByName(username ?? user);
  return found ?? failText('User not found.');
}

function mustBeFree(store, email, user) {
  const owner = store.userByEmail(email);
  if (owner && owner !== user) fail('error-field-unavailable', `${email} is already in use :(`);
}

function createUser({ store, body }) {
  const { email, name, password, username, active = true, roles = ['user'], verified = false, joinDefaultChannels = true } = body;
  for (const [field, value] of Object.entries({ email, name, password, username }))
    if (typeof value !== 'string' || value === '') fail('error-invalid-params', `must have required property '${field}'`);
  mustBeFree(store, email);
  const user = store.createUser({ email, name, password, username, active, roles, verified });
  if (joinDefaultChannels) for (const room of [...store.rooms.values()]) if (room.default) store.subscribe(room._id, user);
  return { user: ownUser(user) };
}

function createToken({ store, options, body }) {
  const { createTokens, version } = options;
  if (!createTokens || (version >= 8 && body.secret !== createTokens)) fail('error-not-authorized', 'Not authorized');
  const user = findUser(store, body);
  return { data: { userId: user._id, authToken: store.addToken(user).token } };
}

function info({ store, user, query }) {
  const found = findUser(store, { userId: query.get('userId'), username: query.get('username') });
  return { user: found === user || may(store, user, 'view-full-other-user-info') ? fullUser(found) : publicUser(found) };
}

function list({ store, user, query, options }) {
  if (!may(store, user, 'view-d-room')) throw new RestAnswer(options.version < 7 ? 401 : 403, { success: false, error: 'unauthorized' });
  return page(query, 'users', [...store.users.values()].map(may(store, user, 'view-full-other-user-info') ? fullUser : publicUser));
}

/** The last owner of a room with other members goes only when that is confirmed. */
function remove({ store, body }) {
  const user = findUser(store, body);
  const owned = store.subscriptionsOf(user._id).filter((s) => s.roles?.includes('owner') && store.rooms.get(s.rid).usersCount > 1);
  if (owned.length > 0 && body.confirmRelinquish !== true) fail('user-last-owner', '');
  store.deleteUser(user);
}

function update({ store, body }) {
  const { email, verified, ...data } = body.data ?? fail('error-invalid-params', "must have required property 'data'");
  const user = findUser(store, body);
  if (email !== undefined) mustBeFree(store, email, user);
  const { name, username, password, roles, active } = data;
  const known = Object.entries({ name, username, password, roles, active }).filter(([, value]) => value !== undefined);
  store.changeUser(user, { ...Object.fromEntries(known), ...(email !== undefined && { emails: [{ address: email, verified: verified === true }] }) });
  return { user: ownUser(user) };
}

function setActiveStatus({ store, body }) {
  const user = findUser(store, body);
  store.setActive(user, body.activeStatus === true);
  return { user: { _id: user._id, active: user.active } };
}

function logout({ store, user, body }) {
  const target = body.userId === undefined ? user : findUser(store, body);
  if (target !== user && !may(store, user, 'logout-other-user')) fail('error-unauthorized', 'Not allowed');
  store.removeAllTokens(target);
  return { message: `User ${target._id} has been logged out!` };
}

/** Personal tokens survive this one, and not removeOtherTokens. */
function logoutOtherClients({ store, user, token, headers }) {
  store.removeOtherTokens(user, token, { keepPersonal: true });
  const { when } = user.tokens.find((t) => t.hash === token);
  return { token: headers['x-auth-token'], tokenExpires: when ? store.tokenExpires({ when }) : '' };
}

function setStatus({ user, presence, body }) {
  if (typeof body.message !== 'string' && typeof body.status !== 'string') fail('error-invalid-params', 'Match error');
  chooseStatus({ user, presence }, body.status ?? user.statusDefault, body.message);
}

function getStatus({ store, user, query }) {
  const asked = query.has('userId') || query.has('username') || query.has('user');
  const { _id, status, statusText } = asked ? findUser(store, Object.fromEntries(query)) : user;
  return { _id, status, ...(statusText && { message: statusText }) };
}

/** Who is not offline: of `ids`, or of all; nobody once there are too many connections to tell. */
function presence({ store, presence, query }) {
  if (!presence.broadcasting) return { users: [], full: true };
  const ids = query.get('ids')?.split(',');
  const online = [...store.users.values()].filter((u) => u.status !== 'offline' && (!ids || ids.includes(u._id)));
  return { users: online.map(({ _id, username, name, status, statusText }) => ({ _id, username, name, status, statusText, utcOffset: 0 })), full: !ids };
}

export const userRoutes = {
  'users.info': { GET: { run: info } },
  'users.list': { GET: { run: list } },
  'users.create': { POST: { permission: 'create-user', run: createUser } },
  'users.update': { POST: { permission: 'edit-other-user-info', twoFactor: true, run: update } },
  'users.delete': { POST: { permission: 'delete-user', run: remove } },
  'users.createToken': { POST: { permission: 'user-generate-access-token', run: createToken } },
  'users.generatePersonalAccessToken': {
    POST: {
      permission: 'create-personal-access-tokens',
      twoFactor: true,
      run: ({ store, user, body }) => ({ token: body.tokenName ? store.addToken(user, { personal: true }).token : failText("The 'tokenName' param is required") }),
    },
  },
  'users.setActiveStatus': { POST: { permission: 'edit-other-user-active-status', run: setActiveStatus } },
  'users.logout': { POST: { run: logout } },
  'users.logoutOtherClients': { POST: { run: logoutOtherClients } },
  'users.removeOtherTokens': { POST: { run: ({ store, user, token }) => store.removeOtherTokens(user, token) } },
  'users.setStatus': { POST: { run: setStatus } },
  'users.getStatus': { GET: { run: getStatus } },
  'users.presence': { GET: { run: presence } },
};
