// REST routes: path under /api/v1/ (or the whole path) -> method -> {run, ...}.
// open: no login needed; permission: what the caller's roles must allow; bare: the answer is not
// given `success`; params: names of the path's further segments; upload: a multipart body; twoFactor:
// guarded by the second factor; limits: its own rate limit, by version; until: gone from that version on.
import { MeteorError, RestAnswer } from './codec.mjs';
import { chatRoutes } from './rest_chat.mjs';
import { fileRoutes } from './rest_files.mjs';
import { page } from './rest_page.mjs';
import { roomRoutes } from './rest_rooms.mjs';
import { ownUser, userRoutes } from './rest_users.mjs';

const FULL_VERSIONS = { 6: '6.13.0', 7: '7.10.0', 8: '8.0.1' };

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

/** Public settings, by `_id`; before 7 all of them. There are more than fit a page. */
function publicSettings({ options, query }) {
  const values = {
    ...Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`Accounts_Other_${i}`, i])),
    FileUpload_MaxFileSize: options.maxFileSize,
    Message_ShowDeletedStatus: options.showDeletedStatus,
    UI_Use_Real_Name: options.useRealName,
  };
  const wanted = options.version >= 7 ? query.get('_id')?.split(',') : undefined;
  const settings = Object.entries(values).map(([_id, value]) => ({ _id, value, enterprise: false }));
  return page(query, 'settings', wanted ? settings.filter(({ _id }) => wanted.includes(_id)) : settings);
}

export const routes = {
  '/api/info': { GET: { open: true, run: ({ options }) => ({ version: FULL_VERSIONS[options.version].split('.').slice(0, 2).join('.') }) } },
  info: { GET: { open: true, run: ({ options }) => ({ info: { version: FULL_VERSIONS[options.version] } }) } },
  login: { POST: { open: true, bare: true, run: async (context) => ({ ...(await login(context)), ...(context.options.version >= 8 && { success: true }) }) } },
  logout: { POST: { bare: true, run: logout }, GET: { bare: true, run: logout } },
  me: { GET: { run: ({ user }) => ownUser(user) } },
  'settings.public': { GET: { open: true, run: publicSettings } },
  ...userRoutes,
  ...roomRoutes,
  ...fileRoutes,
  ...chatRoutes,
};
