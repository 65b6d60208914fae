// Every call of the app's own Rocket.Chat library (AbpBoilerplate.RocketChat, abp.md section 5), one
// by one through the bridge: method, path, query and body reach Rocket.Chat as the library sends
// them, byte for byte, nulls and bare question marks included.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import test from 'node:test';
import { startBridge, startDouble, tokenFor } from '../lib/harness.mjs';
import { call, valuesOf } from '../lib/rest_call.mjs';

const ROOM = 'GENERAL';
const room = (more = {}) => ({ roomId: ROOM, ...more });
const user = (more = {}) => ({ userId: 'u1', roomId: null, ...more }); // payloads derive from one with roomId
const PAGE = 'offset=0&count=50&sort={"ts":-1}';
const TIMES = 'latest=2023-03-01T12:00:00Z&oldest=2023-02-01T00:00:00Z';

const get = (path, query = '') => ({ method: 'GET', path: `${path}?${query}` }); // the library always writes the mark
const post = (path, body) => ({ method: 'POST', path, body: body === undefined ? undefined : JSON.stringify(body) });

const user_fields = { email: 'a@b.c', name: 'A', password: 'pw', username: 'a', active: true, roles: ['user'], joinDefaultChannels: true, requirePasswordChange: false, sendWelcomeEmail: false, verified: true, customFields: {} };

const authentication = {
  Login: post('login', { user: 'alice', password: '123qwe' }),
  Logout: post('logout'),
};

const users = {
  Create: post('users.create', user_fields),
  CreateToken: post('users.createToken', user()),
  Delete: post('users.delete', user()),
  DeleteOwnAccount: post('users.deleteOwnAccount', { password: 'digest', roomId: null }),
  ForgotPassword: post('users.forgotPassword', { email: 'a@b.c', roomId: null }),
  GeneratePersonalAccessToken: post('users.generatePersonalAccessToken', { tokenName: 't' }),
  RegeneratePersonalAccessToken: post('users.regeneratePersonalAccessToken', { tokenName: 't' }),
  RemovePersonalAccessToken: post('users.removePersonalAccessToken', { tokenName: 't' }),
  GetPersonalAccessTokens: get('users.getPersonalAccessTokens'),
  GetAvatar: get('users.getAvatar', 'userId=u1'),
  GetPreferences: get('users.getPreferences'),
  GetPresence: get('users.getPresence', 'userId=u1'),
  Presence: get('users.presence', 'from=2023-03-01T00:00:00Z'),
  GetUsernameSuggestion: get('users.getUsernameSuggestion'),
  Info: get('users.info', 'userId=u1'),
  InfoByUserName: get('users.info', 'username=alice'),
  List: get('users.list', 'fields={"name":1}&query={"active":true}'),
  Register: post('users.register', { username: 'a', email: 'a@b.c', pass: 'pw', name: 'A', secretURL: null }),
  RequestDataDownload: get('users.requestDataDownload', 'fullExport=True'),
  ResetAvatar: post('users.resetAvatar', user()),
  SetAvatar: post('users.setAvatar', user({ avatarUrl: 'https://a/b.png?c=d&e=%20' })),
  SetActiveStatus: post('users.setActiveStatus', user({ activeStatus: false })),
  Update: post('users.update', user({ data: user_fields })),
  UpdateOwnBasicInfo: post('users.updateOwnBasicInfo', { data: { email: 'a@b.c', name: 'Ä', username: 'a', currentPassword: 'x', newPassword: 'y', customFields: null } }),
};

/** What channels and groups have in common; `kind` is one of the two. */
const rooms_of = (kind) => ({
  AddAll: post(`${kind}.addAll`, room({ activeUsersOnly: true })),
  AddLeader: post(`${kind}.addLeader`, room({ userId: 'u1' })),
  AddModerator: post(`${kind}.addModerator`, room({ userId: 'u1' })),
  AddOwner: post(`${kind}.addOwner`, room({ userId: 'u1' })),
  RemoveLeader: post(`${kind}.removeLeader`, room({ userId: 'u1' })),
  Archive: post(`${kind}.archive`, room()),
  Unarchive: post(`${kind}.unarchive`, room()),
  Close: post(`${kind}.close`, room()),
  Open: post(`${kind}.open`, room()),
  Delete: post(`${kind}.delete`, room()),
  Counters: get(`${kind}.counters`, `roomId=${ROOM}&userId=u1`),
  Create: post(`${kind}.create`, { name: 'new', members: ['bob'], readOnly: false }),
  Files: get(`${kind}.files`, `roomId=${ROOM}`),
  Moderators: get(`${kind}.moderators`, `roomId=${ROOM}`),
  Roles: get(`${kind}.roles`, `roomId=${ROOM}`),
  GetIntegrations: get(`${kind}.getIntegrations`, `roomId=${ROOM}`),
  History: get(`${kind}.history`, `roomId=${ROOM}&${TIMES}&offset=0&count=50&inclusive=True&unreads=False`),
  Info: get(`${kind}.info`, `roomId=${ROOM}`),
  Invite: post(`${kind}.invite`, room({ userId: 'u1' })),
  Kick: post(`${kind}.kick`, room({ userId: 'u1' })),
  Leave: post(`${kind}.leave`, room()),
  Members: get(`${kind}.members`, `roomId=${ROOM}&${PAGE}`),
  Messages: get(`${kind}.messages`, `roomId=${ROOM}`),
  Rename: post(`${kind}.rename`, room({ name: '新しい' })),
  SetAnnouncement: post(`${kind}.setAnnouncement`, room({ announcement: 'a\nb' })),
  SetCustomFields: post(`${kind}.setCustomFields`, room({ roomName: null, customFields: '{"a":1}' })),
  SetDescription: post(`${kind}.setDescription`, room({ description: 'd' })),
  SetPurpose: post(`${kind}.setPurpose`, room({ purpose: 'p' })),
  SetTopic: post(`${kind}.setTopic`, room({ topic: '' })),
  SetReadOnly: post(`${kind}.setReadOnly`, room({ readOnly: true })),
  SetType: post(`${kind}.setType`, room({ type: 'p' })),
});

const channels = {
  ...rooms_of('channels'),
  AnonymousRead: get('channels.anonymousread', `roomName=general&${PAGE}&query={}&fields={}`),
  Online: get('channels.online', `roomId=${ROOM}`),
  GetAllUserMentionsByChannel: get('channels.getAllUserMentionsByChannel', `roomId=${ROOM}`),
  Join: post('channels.join', room({ joinCode: null })),
  List: { method: 'GET', path: 'channels.list?count=0' },
  ListJoined: get('channels.list.joined'),
  SetJoinCode: post('channels.setJoinCode', room({ joinCode: 'c' })),
};

const groups = {
  ...rooms_of('groups'),
  RemoveModerator: post('groups.removeModerator', room({ userId: 'u1' })),
  RemoveOwner: post('groups.removeOwner', room({ userId: 'u1' })),
  List: get('groups.list', `roomId=${ROOM}&${PAGE}`),
  ListAll: get('groups.listAll', `${PAGE}&query={}&fields={}`),
};

const MESSAGE = { t: null, rid: ROOM, ts: null, msg: 'hi "there" \\ 😀', u: { _id: 'u1', username: 'alice', name: null }, groupable: null, pinnedBy: null };

const chat = {
  SendMessage: post('chat.sendMessage', { message: MESSAGE, roomId: ROOM }),
  PostMessage: post('chat.postMessage', room({ channel: '#general', text: 't', alias: null, emoji: ':x:', avatar: null, attachments: [{ color: '#ff0000', text: 'a' }] })),
  Update: post('chat.update', room({ msgId: 'm1', text: 't' })),
  DeleteMessage: post('chat.delete', room({ messageId: 'm1', asUser: false })),
  PinMessage: post('chat.pinMessage', { messageId: 'm1', roomId: null }),
  UnPinMessage: post('chat.unPinMessage', { messageId: 'm1', roomId: null }),
  StarMessage: post('chat.starMessage', { messageId: 'm1', roomId: null }),
  UnStarMessage: post('chat.unStarMessage', { messageId: 'm1', roomId: null }),
  FollowMessage: post('chat.followMessage', { mid: 'm1' }),
  UnfollowMessage: post('chat.unfollowMessage', { mid: 'm1' }),
  React: post('chat.react', { emoji: ':smile:', messageId: 'm1', shouldReact: true }),
  ReportMessage: post('chat.reportMessage', { messageId: 'm1', description: 'd' }),
  GetMessage: get('chat.getMessage', 'msgId=m1'),
  GetMessageReadReceipts: get('chat.getMessageReadReceipts', 'messageId=m1'),
  GetSnippetedMessageById: get('chat.getSnippetedMessageById', 'messageId=m1'),
  GetDeletedMessages: get('chat.getDeletedMessages', `roomId=${ROOM}&since=2023-03-01T00:00:00Z&offset=0&count=50`),
  GetMentionedMessages: get('chat.getMentionedMessages', `roomId=${ROOM}&${PAGE}`),
  GetPinnedMessages: get('chat.getPinnedMessages', `roomId=${ROOM}&${PAGE}`),
  GetStarredMessages: get('chat.getStarredMessages', `roomId=${ROOM}&${PAGE}`),
  GetThreadMessages: get('chat.getThreadMessages', `tmid=m1&${PAGE}`),
  SyncThreadMessages: get('chat.syncThreadMessages', `tmid=m1&roomId=${ROOM}&${PAGE}`),
  GetThreadsList: get('chat.getThreadsList', `rid=${ROOM}&${PAGE}`),
  SyncThreadsList: get('chat.syncThreadsList', `rid=${ROOM}&updatedSince=2023-03-01T00:00:00Z`),
  IgnoreUser: get('chat.ignoreUser', `roomId=${ROOM}&userId=u1&ignore=True`),
  Search: get('chat.search', `roomId=${ROOM}&searchText=a+b%26c&count=10`),
};

const BOUNDARY = '----------------------------8db2a7c6f5e4d30';
const upload = `--${BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.bin"; filename*=utf-8''a.bin\r\n\r\n${Buffer.from(Array.from({ length: 256 }, (_, i) => i)).toString('latin1')}\r\n--${BOUNDARY}--\r\n`;

const others = {
  'Rooms.CleanHistory': post('rooms.cleanHistory', room({ latest: '2023-03-01T00:00:00Z', oldest: '2023-02-01T00:00:00Z', inclusive: true, excludePinned: false, filesOnly: false, users: [] })),
  'Rooms.CreateDiscussion': post('rooms.createDiscussion', { prid: ROOM, t_name: 'd', users: ['u1'], pmid: null, excludePinned: false, reply: null }),
  'Rooms.Favorite': post('rooms.favorite', room({ favorite: true })),
  'Rooms.Get': get('rooms.get', 'updatedSince=2023-03-01T00:00:00Z'),
  'Rooms.GetDiscussions': get('rooms.getDiscussions', `roomId=${ROOM}`),
  'Rooms.Info': get('rooms.info', `roomId=${ROOM}`),
  'Rooms.Leave': post('rooms.leave', room()),
  'Rooms.SaveNotification': post('rooms.saveNotification', room({ notifications: { disableNotifications: '1', mobilePushNotifications: 'all' } })),
  'Rooms.UploadFile': { method: 'POST', path: `rooms.upload/${ROOM}`, body: Buffer.from(upload, 'latin1'), type: `multipart/form-data; boundary="${BOUNDARY}"` },
  'Assets.SetAsset': post('assets.setAsset', { assetName: 'RocketChat.Payloads.SetAssetPayload' }),
  'Assets.UnsetAsset': post('assets.unsetAsset', { assetName: 'RocketChat.Payloads.UnsetAssetPayload' }),
  'AutoTranslate.GetSupportedLanguages': get('autotranslate.getSupportedLanguages', 'targetLanguage=en'),
  'AutoTranslate.SaveSetttings': post('autotranslate.saveSetttings', room({ field: 'autoTranslate', value: 'true', defaultLanguage: 'en' })),
  'AutoTranslate.TranslateMessage': post('autotranslate.translateMessage', { messageId: 'm1', targetLanguage: 'en' }),
  'Commands.Get': get('commands.get', 'command=help'),
  'Commands.List': get('commands.list'),
  'Commands.Run': post('commands.run', room({ command: 'topic', params: 'a b', tmid: null })),
  'EmojiCustom.List': get('emoji-custom.list', 'updatedSince=2023-03-01T00:00:00Z'),
  'EmojiCustom.Delete': post('emoji-custom.delete', { emojiId: 'e1' }),
};

// No call leaves the library: these methods throw.
const NOT_IMPLEMENTED = ['Users.SetPreferences', 'Channels.SetDefault'];
// They pass as they are, and no Rocket.Chat has a use for them: a misspelt path; a .NET type for the
// asset's name, and no file; names of parameters that the server does not know.
const WITHOUT_UPSTREAM = ['AutoTranslate.SaveSetttings', 'Assets.SetAsset', 'Assets.UnsetAsset', 'Chat.DeleteMessage', 'Chat.IgnoreUser'];
// Rocket.Chat's own login, sent as the user: the bridge's session does not depend on it. Its logout
// would end the session's token, and is answered by the bridge (proxy.test.mjs).
const services = { Authentication: authentication, Users: users, Channels: channels, Groups: groups, Chat: chat };
const calls = [...Object.entries(services).flatMap(([service, methods]) => Object.entries(methods).map(([name, c]) => [`${service}.${name}`, c])), ...Object.entries(others)];

test('the table is whole', () => {
  const count = (methods) => Object.keys(methods).length;
  assert.deepEqual([authentication, users, channels, groups, chat, others].map(count), [2, 24, 38, 35, 25, 19]);
  const names = calls.map(([name]) => name);
  for (const name of WITHOUT_UPSTREAM) assert.ok(names.includes(name), name);
  for (const name of NOT_IMPLEMENTED) assert.ok(!names.includes(name), name);
});

test('every call of the library reaches Rocket.Chat as it was sent', async (t) => {
  const rc = await startDouble(t, { echo: true });
  const bridge = await startBridge(t, rc.double);
  const Authorization = `Bearer ${tokenFor('alice')}`;
  for (const [name, { method, path, body, type = 'application/json' }] of calls) {
    if (path === 'logout') continue;
    const headers = { Authorization, Accept: 'application/json', ...(body !== undefined && { 'Content-Type': type, 'Content-Length': Buffer.byteLength(body) }) };
    if (method === 'POST' && body === undefined) headers['Content-Length'] = 0;
    const res = await call(bridge.url, `/im/api/v1/${path}`, { method, headers, body });
    assert.equal(res.status, 200, name);
    const { echo } = res.json();
    const sent = Buffer.from(body ?? '');
    assert.deepEqual([echo.method, echo.url, echo.user, echo.bytes], [method, `/api/v1/${path}`, 'alice', sent.length], name);
    assert.equal(echo.sha256, createHash('sha256').update(sent).digest('hex'), name);
    assert.deepEqual(valuesOf(echo.headers, 'accept'), ['application/json'], name);
    assert.deepEqual(valuesOf(echo.headers, 'content-type'), body === undefined ? [] : [type], name);
    assert.deepEqual(valuesOf(echo.headers, 'content-length'), method === 'GET' ? [] : [String(sent.length)], name);
  }
});

test('and in the frontend\'s way, with Rocket.Chat\'s own token', async (t) => {
  const rc = await startDouble(t, { echo: true });
  const bridge = await startBridge(t, rc.double);
  const login = await call(rc.double.url, '/api/v1/login', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ user: 'bob', password: '123qwe' }) });
  const { userId, authToken } = login.json().data;
  for (const [name, { method, path, body, type = 'application/json' }] of calls) {
    const headers = { 'X-User-Id': userId, 'X-Auth-Token': authToken, ...(body !== undefined && { 'Content-Type': type }) };
    const { echo } = (await call(bridge.url, `/im/api/v1/${path}`, { method, headers, body: body ?? (method === 'POST' ? '' : undefined) })).json();
    assert.deepEqual([echo.method, echo.url, echo.user, echo.sha256], [method, `/api/v1/${path}`, 'bob', createHash('sha256').update(Buffer.from(body ?? '')).digest('hex')], name);
  }
});

test('against the model: an upload, a message, a history, a file that comes back', async (t) => {
  const rc = await startDouble(t);
  const bridge = await startBridge(t, rc.double);
  const as = async (name, method, path, body, type = 'application/json') => {
    const headers = { Authorization: `Bearer ${tokenFor(name)}`, ...(body !== undefined && { 'Content-Type': type }) };
    const res = await call(bridge.url, `/im/api/v1/${path}`, { method, headers, body });
    return { status: res.status, ...res.json() };
  };
  const sent = await as('alice', 'POST', 'chat.sendMessage', JSON.stringify({ message: { rid: rc.general._id, msg: 'by REST' } }));
  assert.equal(sent.message.u.username, 'alice');
  const history = await as('bob', 'GET', `channels.history?roomId=${rc.general._id}`);
  assert.equal(history.messages[0].msg, 'by REST');
  const media = await as('alice', 'POST', `rooms.media/${rc.general._id}`, Buffer.from(upload, 'latin1'), `multipart/form-data; boundary=${BOUNDARY}`);
  assert.equal(media.status, 200, JSON.stringify(media));
  assert.ok(media.file._id);
  const denied = await as('bob', 'POST', 'users.create', JSON.stringify(user_fields));
  assert.equal(denied.status, 403);
});
