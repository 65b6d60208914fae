// The double beyond its first steps, judged by Rocket.Chat's own SDK (its REST client and its older
// interface too) and by simpleddp.
import assert from 'node:assert/strict';
import buffer from 'node:buffer';
import { createRequire } from 'node:module';
import test from 'node:test';
import { WebSocket } from 'ws';
import { sha256Hex } from '../codec.mjs';
import { sleep, startDouble } from '../../lib/ddp_probe.mjs';

globalThis.WebSocket = WebSocket; // the SDK expects a browser
globalThis.File ??= buffer.File; // Node 18 keeps it in its module
const require = createRequire(import.meta.url);
const { RocketchatSdkLegacyImpl } = require('@rocket.chat/ddp-client/dist/legacy/RocketchatSDKLegacy.js');
const SimpleDDP = require('simpleddp');

const FREE = { rateLimits: false };

async function withSdk(t, options) {
  const all = await startDouble(t, { ...FREE, ...options });
  const sdk = RocketchatSdkLegacyImpl.create(all.double.url, { retryCount: 0, retryTime: 100 });
  t.after(() => {
    sdk.connection.close();
    sdk.timeoutControl.stop(); // closing leaves its timers running
  });
  await sdk.connect();
  await sdk.resume({ token: all.store.addToken(all.alice).token });
  return { ...all, sdk };
}

for (const version of [6, 7, 8])
  test(`the SDK's REST: ${version}`, async (t) => {
    const { store, sdk, alice, bob, general } = await withSdk(t, { version });
    assert.equal((await sdk.rest.get('/v1/me')).username, 'alice');
    assert.equal((await sdk.users.info('bob')).user._id, bob._id);
    assert.equal((await sdk.users.allNames()).total, store.users.size);
    const { room } = await sdk.dm.create('bob');
    assert.equal(room._id, store.directRoom(alice, bob)._id);
    const before = store.now();
    const { message } = await sdk.sendMessage({ _id: 'by-the-sdk-123456', msg: 'hello' }, general._id);
    await sdk.editMessage({ roomId: general._id, msgId: message._id, text: 'hello, edited' });
    await sdk.setReaction(':tada:', message._id);
    const { result } = await sdk.rooms.load(general._id, before);
    assert.deepEqual([result.updated[0].msg, Object.keys(result.updated[0].reactions)], ['hello, edited', [':tada:']]);

    const open = store.createRoom({ name: 'open', owner: bob });
    assert.equal((await sdk.joinRoom({ rid: open._id })).channel.usersCount, 2);
    assert.equal((await sdk.channelInfo({ roomId: open._id })).channel.name, 'open');
    assert.equal((await sdk.leaveRoom(open._id)).channel.usersCount, 1);

    const form = new FormData(); // one the client builds itself comes out empty
    form.set('file', new File(['contents'], 'a.txt', { type: 'text/plain' }));
    const { file: stored } = await sdk.rest.post(`/v1/rooms.media/${general._id}`, form);
    const confirmed = await sdk.rest.post(`/v1/rooms.mediaConfirm/${general._id}/${stored._id}`, { description: 'notes' });
    assert.equal(confirmed.message.attachments[0].description, 'notes');

    alice.totp = true;
    const asked = [];
    sdk.rest.handleTwoFactorChallenge(async ({ method }) => (asked.push(method), '123456'));
    assert.equal(typeof (await sdk.rest.post('/v1/users.generatePersonalAccessToken', { tokenName: 'mine' })).token, 'string');
    assert.deepEqual(asked, ['totp']);

    await assert.rejects(sdk.rest.post('/v1/users.create', {}), (res) => res.status === 403);
    store.removeAllTokens(alice);
    await assert.rejects(sdk.rest.get('/v1/me'), (res) => res.status === 401);
  });

for (const flavour of ['monolith', 'streamer'])
  test(`the SDK's streams: ${flavour}`, async (t) => {
    const { store, sdk, alice, bob, general, double } = await withSdk(t, { flavour, version: 7, notifications: 'all' });
    const heard = {};
    for (const event of ['message', 'typing', 'deleteMessage', 'notification', 'rooms-changed', 'subscriptions-changed', 'Users:NameChanged', 'Users:Deleted'])
      sdk.onStreamData(event, (args) => (heard[event] ??= []).push(args));
    const subs = (await Promise.all([sdk.subscribeRoom(general._id), sdk.subscribeNotifyUser(), sdk.subscribeLoggedNotify()])).flat();
    await Promise.all(subs.map((sub) => sub.ready()));
    const status = [];
    await sdk.stream('notify-logged', 'user-status', (...args) => status.push(args)).ready();
    await sleep(double.options.hookDelayMs + 20);

    const message = store.post({ rid: general._id, user: bob, msg: 'heard' });
    store.remove(message, bob);
    double.streams.emit('stream-notify-room', `${general._id}/typing`, ['bob', true]);
    double.presence.choose(bob, 'busy', 'away soon');
    store.changeUser(bob, { name: 'Bob B.' });
    store.deleteUser(bob);
    await sdk.methodCall('subscriptions/get'); // and by its answer all that came before is in
    assert.equal(heard.message[0][0].msg, 'heard');
    assert.deepEqual(heard.deleteMessage, [[{ _id: message._id }]]);
    assert.deepEqual(heard.typing, [['bob', true]]);
    assert.equal(heard.notification[0][0].payload.message.msg, 'heard');
    assert.equal(heard['rooms-changed'][0][1].lastMessage.msg, 'heard');
    assert.equal(heard['subscriptions-changed'][0][0], 'updated');
    assert.equal(heard['Users:NameChanged'][0][0].name, 'Bob B.');
    assert.deepEqual(heard['Users:Deleted'], [[{ userId: bob._id }]]);
    assert.deepEqual(status[0][0].slice(1, 4), ['bob', 3, 'away soon']);
    assert.equal(alice.status, 'online');
  });

test('simpleddp: presence, user data, and a restart as the next version', async (t) => {
  const { double, store, alice, bob } = await startDouble(t, { ...FREE, version: 6 });
  const { token } = store.addToken(alice);
  const client = new SimpleDDP({ endpoint: double.webSocketUrl, SocketConstructor: WebSocket, reconnectInterval: 50 });
  t.after(() => client.disconnect());
  const events = [];
  client.on('changed', ({ collection, id, fields }) => events.push([collection, id, fields]));
  for (const version of [6, 7, 8]) {
    if (version > 6) await double.restart({ version, downMs: 100 });
    await client.connect();
    await client.call('login', { resume: token });
    await client.subscribe('stream-user-presence', '', { added: [bob._id] }).ready();
    events.length = 0;
    double.presence.choose(bob, version === 7 ? 'busy' : 'away', `in ${version}`);
    store.changeUser(alice, { name: `Alice ${version}` });
    await client.call('rooms/get');
    assert.deepEqual(events, [
      ['stream-user-presence', bob._id, { uid: bob._id, args: [['bob', version === 7 ? 3 : 2, `in ${version}`]], eventName: bob._id }],
      ['users', alice._id, { name: `Alice ${version}` }],
    ]);
    client.clearData?.();
  }
});
