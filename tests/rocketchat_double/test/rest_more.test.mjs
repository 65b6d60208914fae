// REST beyond logging in and writing: permissions, paging, users, rooms, files, threads.
import assert from 'node:assert/strict';
import test from 'node:test';
import { sha256Hex } from '../codec.mjs';
import { Probe, api, startDouble, withLogin } from '../../lib/ddp_probe.mjs';

const FREE = { rateLimits: false };

test('public settings: read by nobody in particular, one of them from 7 on, all on one page with count=0', async (t) => {
  for (const version of [6, 7, 8]) {
    const { double } = await startDouble(t, { version, useRealName: true });
    const call = api(double);
    const one = (await call('GET', 'settings.public?_id=UI_Use_Real_Name&count=0')).body;
    assert.equal(one.success, true);
    assert.equal(one.settings.find((s) => s._id === 'UI_Use_Real_Name').value, true);
    assert.equal(one.settings.length === 1, version >= 7);
    assert.equal((await call('GET', 'settings.public')).body.settings.some((s) => s._id === 'UI_Use_Real_Name'), false, 'on the second page');
  }
});

test('paging: fifty by default, a hundred at most, all by zero', async (t) => {
  const { store, call, as, alice, general } = await withLogin(t, FREE);
  for (let i = 0; i < 120; i++) store.post({ rid: general._id, user: alice, msg: `${i}` });
  const get = async (query) => {
    const { messages, count, offset, total } = (await call('GET', `channels.messages?roomId=${general._id}&${query}`, { as })).body;
    return [messages.length, messages[0]?.msg, count, offset, total];
  };
  assert.deepEqual(await get(''), [50, '119', 50, 0, 120]);
  assert.deepEqual(await get('count=500'), [100, '119', 100, 0, 120]);
  assert.deepEqual(await get('count=0'), [120, '119', 120, 0, 120]);
  assert.deepEqual(await get('count=10&offset=115'), [5, '4', 5, 115, 120]);
  assert.deepEqual(await get('count=x&offset=-3'), [120, '119', 120, 0, 120]);
  assert.deepEqual(await get(`count=1&sort=${encodeURIComponent('{"ts":1}')}`), [1, '0', 1, 0, 120]);
  assert.equal((await call('GET', `channels.messages?roomId=${general._id}&sort={`, { as })).body.errorType, 'error-invalid-sort');
});

test('direct rooms: made once for a pair, in either direction, and for a group; listed', async (t) => {
  const { store, call, as, asUser, bob } = await withLogin(t, FREE);
  store.createUser({ username: 'carol', password: 'c' });
  const made = async (login, body) => (await call('POST', 'im.create', { as: login, body })).body.room;
  const first = await made(as, { username: 'bob' });
  assert.equal((await made(as, { username: 'bob' }))._id, first._id);
  assert.equal((await made(asUser(bob), { usernames: 'alice' }))._id, first._id);
  assert.deepEqual([first.rid, first.t, first.usernames], [first._id, 'd', ['alice', 'bob'].sort((a, b) => (store.userByName(a)._id < store.userByName(b)._id ? -1 : 1))]);
  const group = await made(as, { usernames: 'bob, carol' });
  assert.equal((await made(as, { usernames: 'carol,bob' }))._id, group._id);
  assert.equal(group.usersCount, 3);
  assert.equal((await call('POST', 'dm.create', { as, body: { username: 'nobody' } })).body.errorType, 'error-room-not-found');
  const { ims, total } = (await call('GET', 'im.list', { as })).body;
  assert.deepEqual([ims.map((r) => r._id), total], [[first._id, group._id], 2]);
  assert.equal((await call('GET', 'im.messages?username=bob', { as })).body.total, 0);
});

test('rooms: who may create, invite, kick, delete', async (t) => {
  for (const version of [7, 8]) {
    const { store, call, as, asUser, bob, root } = await withLogin(t, { ...FREE, version });
    const guest = asUser(store.createUser({ username: 'guest', password: 'g', roles: ['guest'] }));
    const refused = await call('POST', 'groups.create', { as: guest, body: { name: 'g' } });
    assert.deepEqual([refused.status, refused.body.error.includes(version < 8 ? 'error-unauthorized' : 'error-forbidden')], [403, true]);
    const { group } = (await call('POST', 'groups.create', { as, body: { name: 'inner', members: ['bob'] } })).body;
    assert.equal(group.usersCount, 2);
    const invite = (login) => call('POST', 'groups.invite', { as: login, body: { roomId: group._id, username: 'guest' } });
    assert.equal((await invite(asUser(bob))).body.errorType, 'error-not-allowed', 'a member without a role');
    assert.equal((await invite(root())).body.errorType, 'error-not-allowed', 'nobody may from outside');
    assert.equal((await invite(as)).body.group.usersCount, 3);
    const kick = (login) => call('POST', 'groups.kick', { as: login, body: { roomId: group._id, userId: bob._id } });
    assert.equal((await kick(asUser(bob))).body.errorType, 'error-not-allowed');
    assert.deepEqual((await kick(as)).body, { success: true });
    assert.equal((await kick(as)).body.errorType, 'error-user-not-in-room');
    assert.equal((await call('POST', 'rooms.delete', { as: asUser(bob), body: { roomId: group._id } })).status, 400);
    assert.equal((await call('POST', 'rooms.delete', { as, body: { roomId: group._id } })).status, 200);
  }
});

test('others’ messages: owners and moderators change them, members do not', async (t) => {
  const { store, call, as, asUser, bob, alice, general } = await withLogin(t, FREE);
  const [ofBob, ofAlice] = [bob, alice].map((user) => store.post({ rid: general._id, user, msg: 'x' }));
  const change = (login, message) => call('POST', 'chat.update', { as: login, body: { roomId: general._id, msgId: message._id, text: 'y' } });
  assert.equal((await change(asUser(bob), ofAlice)).body.errorType, 'error-action-not-allowed');
  assert.equal((await change(as, ofBob)).body.message.editedBy.username, 'alice');
  const force = await call('POST', 'chat.delete', { as: asUser(bob), body: { roomId: general._id, msgId: ofAlice._id, asUser: true } });
  assert.equal(force.body.errorType, 'error-action-not-allowed');
  const gone = await call('POST', 'chat.delete', { as, body: { roomId: general._id, msgId: ofBob._id, asUser: true } });
  assert.deepEqual([gone.status, store.messages.has(ofBob._id)], [200, false]);
  const deleted = (await call('GET', `chat.getDeletedMessages?roomId=${general._id}&since=${ofBob.ts.toISOString()}`, { as: asUser(bob) })).body;
  assert.deepEqual([deleted.messages, deleted.total], [[{ _id: ofBob._id }], 1]);
});

test('threads: their messages, and what changed in them', async (t) => {
  const { store, call, as, alice, bob, general } = await withLogin(t, FREE);
  const parent = store.post({ rid: general._id, user: alice, msg: 'parent' });
  const replies = ['a', 'b', 'c'].map((msg) => store.post({ rid: general._id, user: bob, msg, tmid: parent._id }));
  store.remove(replies[2], bob);
  assert.deepEqual((await call('GET', `chat.getThreadMessages?tmid=${parent._id}`, { as })).body.messages.map((m) => m.msg), ['a', 'b']);
  const { update, remove } = (await call('GET', `chat.syncThreadMessages?tmid=${parent._id}&updatedSince=${replies[0]._updatedAt.toISOString()}`, { as })).body.messages;
  assert.deepEqual([update.map((m) => m.msg), remove.map((m) => m._id)], [['b'], [replies[2]._id]]);
  const flat = (await call('GET', `channels.history?roomName=general&showThreadMessages=false`, { as })).body.messages;
  assert.deepEqual(flat.map((m) => m.msg), ['parent']);
});

test('catch-up by cursor loses what shares the boundary’s millisecond', async (t) => {
  const { double, store, call, as, general } = await withLogin(t, FREE);
  const post = (msg) => ({ op: 'post', room: 'general', user: 'alice', msg });
  await double.control.run([post('1'), { op: 'together', steps: [post('2'), post('3'), post('4')] }, post('5')]);
  const [first] = store.messagesOf(general._id);
  const sync = async (next) => (await call('GET', `chat.syncMessages?roomId=${general._id}&type=UPDATED&count=2&next=${next}`, { as })).body.result;
  const one = await sync(first._updatedAt.getTime());
  assert.deepEqual(one.updated.map((m) => m.msg), ['2', '3']);
  const two = await sync(one.cursor.next);
  assert.deepEqual([two.updated.map((m) => m.msg), two.cursor.next], [['5'], null], '4 is lost');
  const conflict = await call('GET', `chat.syncMessages?roomId=${general._id}&lastUpdate=${first.ts.toISOString()}&next=1`, { as });
  assert.equal(conflict.body.errorType, 'error-cursor-and-lastUpdate-conflict');
});

test('users: what others see, deletion, presence, status', async (t) => {
  const { store, call, as, asUser, alice, bob, root } = await withLogin(t, FREE);
  const admin = root();
  const seen = async (login, name) => (await call('GET', `users.info?username=${name}`, { as: login })).body.user;
  assert.deepEqual([Boolean((await seen(as, 'bob')).emails), Boolean((await seen(as, 'alice')).emails), Boolean((await seen(admin, 'bob')).emails)], [false, true, true]);
  assert.deepEqual((await call('GET', 'users.info?username=nobody', { as })).body, { success: false, error: 'User not found.' });
  const guest = asUser(store.createUser({ username: 'stranger', password: 'g', roles: ['anonymous'] }));
  assert.equal((await call('GET', 'users.list', { as: guest })).status, 403);
  const listed = (await call('GET', 'users.list?count=2&offset=1', { as })).body;
  assert.deepEqual([listed.users.length, listed.total], [2, store.users.size]);

  assert.equal((await call('POST', 'users.setStatus', { as, body: { status: 'busy', message: 'deep work' } })).status, 200);
  assert.deepEqual((await call('GET', `users.getStatus?userId=${alice._id}`, { as: admin })).body, { _id: alice._id, status: 'busy', message: 'deep work', success: true });
  assert.deepEqual((await call('GET', `users.presence?ids=${alice._id},${bob._id}`, { as })).body.users.map((u) => u.username), ['alice']);
  assert.equal((await call('POST', 'users.setStatus', { as, body: { status: 'sleepy' } })).body.errorType, 'error-invalid-status');

  assert.equal((await call('POST', 'users.delete', { as, body: { userId: bob._id } })).status, 403);
  assert.equal((await call('POST', 'users.delete', { as: admin, body: { userId: alice._id } })).body.errorType, 'user-last-owner');
  assert.equal((await call('POST', 'users.delete', { as: admin, body: { userId: alice._id, confirmRelinquish: true } })).status, 200);
  assert.equal((await call('GET', 'me', { as })).status, 401);
});

test('ending other logins: personal tokens survive one call and not the other', async (t) => {
  const { double, store, call, as, alice } = await withLogin(t, FREE);
  const personal = store.addToken(alice, { personal: true }).token;
  const [other, bot] = [await Probe.connect(double, { resume: store.addToken(alice).token }), await Probe.connect(double, { resume: personal })];
  const answer = (await call('POST', 'users.logoutOtherClients', { as })).body;
  assert.equal(answer.token, as.authToken);
  assert.match(answer.tokenExpires, /^\d{4}-/);
  assert.equal((await other.closed).code, 1000);
  await bot.settle();
  await call('POST', 'users.removeOtherTokens', { as });
  assert.equal((await bot.closed).code, 1000);
  assert.equal((await call('GET', 'me', { as })).status, 200);
});

test('the second factor guards calls: by authenticator, or by the password where that is asked for', async (t) => {
  const { double, call, as, alice } = await withLogin(t, FREE);
  const make = (headers) => call('POST', 'users.generatePersonalAccessToken', { as, body: { tokenName: 'x' }, headers });
  assert.equal((await make()).status, 200);
  double.options.passwordFallback = true;
  const asked = await make();
  assert.deepEqual([asked.status, asked.body.errorType, asked.body.details.method], [400, 'totp-required', 'password']);
  assert.equal((await make({ 'x-2fa-code': 'no', 'x-2fa-method': 'password' })).body.errorType, 'totp-invalid');
  assert.equal((await make({ 'x-2fa-code': sha256Hex('pw-a'), 'x-2fa-method': 'password' })).status, 200);
  alice.totp = true;
  assert.equal((await make()).body.details.method, 'totp');
  assert.equal((await make({ 'x-2fa-code': '123456' })).status, 200);
});

function formOf(field, fields = {}) {
  const form = new FormData();
  form.set(field, new Blob([Buffer.from([0, 13, 10, 45, 45, 255])], { type: 'image/png' }), 'plan "a".png');
  for (const [name, value] of Object.entries(fields)) form.set(name, value);
  return form;
}

test('files: in two steps and in one, byte for byte; who may fetch them', async (t) => {
  const { double, store, call, as, asUser, alice, bob } = await withLogin(t, FREE);
  const room = store.createRoom({ t: 'p', name: 'inner', owner: alice });
  const upload = (path, form, login = as) => call('POST', path, { as: login, body: form });
  const { file } = (await upload(`rooms.media/${room._id}`, formOf('file'))).body;
  assert.match(file.url, new RegExp(`^/file-upload/${file._id}/`));
  assert.equal(store.messagesOf(room._id).length, 0, 'temporary until confirmed');
  const confirmed = await call('POST', `rooms.mediaConfirm/${room._id}/${file._id}`, { as, body: { msg: 'see', description: 'floor plan' } });
  const { message } = confirmed.body;
  assert.deepEqual([message.msg, message.file.type, message.files.length, message.attachments[0].description, message.attachments[0].title_link], ['see', 'image/png', 1, 'floor plan', file.url]);
  const fetched = await fetch(`${double.url}${file.url}?rc_uid=${as.userId}&rc_token=${as.authToken}`);
  assert.deepEqual([...Buffer.from(await fetched.arrayBuffer())], [0, 13, 10, 45, 45, 255]);
  const stranger = asUser(bob);
  for (const [uid, token] of [[undefined, undefined], [as.userId, 'wrong'], [as.userId, stranger.authToken], [bob._id, stranger.authToken]])
    assert.equal((await fetch(`${double.url}${file.url}?rc_uid=${uid}&rc_token=${token}`)).status, 403, 'only members');
  assert.equal((await fetch(`${double.url}${file.url}`, { headers: { Cookie: `rc_uid=${as.userId}; rc_token=${as.authToken}` } })).status, 200);

  assert.equal((await upload(`rooms.upload/${room._id}`, formOf('file', { msg: 'old way' }))).body.message.msg, 'old way');
  assert.equal((await upload(`rooms.media/${room._id}`, formOf('photo'))).body.error, '[invalid-field]');
  assert.equal((await upload(`rooms.media/${room._id}`, formOf('file', { content: '{' }))).body.error, '[invalid-field-content]');
  assert.equal((await upload(`rooms.media/${room._id}`, formOf('file'), asUser(bob))).status, 403);
  assert.equal((await call('POST', `rooms.mediaConfirm/${room._id}/nothing`, { as, body: {} })).body.error, '[invalid-file]');
  double.options.maxFileSize = 5;
  assert.equal((await upload(`rooms.media/${room._id}`, formOf('file'))).body.errorType, 'error-file-too-large');
  double.options.version = 8;
  assert.equal((await upload(`rooms.upload/${room._id}`, formOf('file'))).status, 404);
  assert.equal((await call('POST', 'rooms.media', { as, body: {} })).status, 404);
});

test('a file that was never confirmed expires after a day', async (t) => {
  const { double, store, call, as, general } = await withLogin(t, FREE);
  const { file } = (await call('POST', `rooms.media/${general._id}`, { as, body: formOf('file') })).body;
  double.clock.advance(24 * 3600 * 1000 + 1);
  assert.equal((await call('POST', `rooms.mediaConfirm/${general._id}/${file._id}`, { as, body: {} })).status, 400);
  assert.equal(store.upload(file._id), undefined);
});

test('chat.sendMessage in 8: five a second; a path’s parameter does not widen a route’s limit', async (t) => {
  const { double, call, as, general } = await withLogin(t, { version: 8 });
  const send = async () => (await call('POST', 'chat.sendMessage', { as, body: { message: { rid: general._id, msg: 'x' } } })).status;
  const statuses = [];
  for (let i = 0; i < 6; i++) statuses.push(await send());
  assert.deepEqual(statuses, [200, 200, 200, 200, 200, 429]);
  double.clock.advance(1001);
  assert.equal(await send(), 200);
  for (let i = 0; i < 10; i++) await call('POST', `rooms.mediaConfirm/${general._id}/${i}`, { as, body: {} });
  assert.equal((await call('POST', `rooms.mediaConfirm/${general._id}/x`, { as, body: {} })).status, 429);
});

test('pruning and unread marks', async (t) => {
  const { store, call, as, alice, general, root } = await withLogin(t, FREE);
  store.post({ rid: general._id, user: alice, msg: 'old' });
  const body = { roomId: general._id, oldest: new Date(0).toISOString(), latest: new Date(Date.now() + 60_000).toISOString() };
  assert.equal((await call('POST', 'rooms.cleanHistory', { as, body })).body.errorType, 'error-not-allowed');
  assert.equal((await call('POST', 'rooms.cleanHistory', { as: root(), body })).body.count, 1);
  await call('POST', 'subscriptions.unread', { as, body: { roomId: general._id } });
  assert.equal(store.subscription(general._id, alice._id).alert, true);
  await call('POST', 'subscriptions.read', { as, body: { rid: general._id } });
  assert.equal(store.subscription(general._id, alice._id).alert, false);
});
