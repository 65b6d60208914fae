// The double judged by clients that others wrote for the real thing: Rocket.Chat's own SDK and a
// Meteor client. Each logs in, subscribes, gets an event, is refused.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import test from 'node:test';
import { WebSocket } from 'ws';
import { sha256Hex } from '../codec.mjs';
import { sleep, startDouble } from '../../lib/ddp_probe.mjs';

globalThis.WebSocket = WebSocket; // the SDK expects a browser
const require = createRequire(import.meta.url);
const { DDPSDK } = require('@rocket.chat/ddp-client');
const SimpleDDP = require('simpleddp');

const flavours = [
  { flavour: 'monolith', version: 6 },
  { flavour: 'monolith', version: 7 },
  { flavour: 'monolith', version: 8 },
  { flavour: 'streamer', version: 7 },
  { flavour: 'streamer', version: 8 },
];

for (const options of flavours) {
  const name = `${options.flavour} ${options.version}`;
  const passwordOnDdp = options.flavour === 'monolith' || options.version < 8;

  test(`@rocket.chat/ddp-client: ${name}`, async (t) => {
    const { double, store, alice, bob, general } = await startDouble(t, options);
    const sdk = DDPSDK.create(double.url, { retryCount: 0, retryTime: 100 });
    t.after(() => {
      sdk.connection.close();
      sdk.timeoutControl.stop(); // closing leaves its timers running
    });
    await sdk.connection.connect();
    if (passwordOnDdp) await sdk.account.loginWithPassword('alice', sha256Hex('pw-a'));
    else await sdk.account.loginWithToken(store.addToken(alice).token);
    assert.equal(sdk.account.uid, alice._id);

    const got = [];
    const own = sdk.stream('notify-user', `${alice._id}/rooms-changed`, (...args) => got.push(args));
    const room = sdk.stream('room-messages', general._id, (message) => got.push(message));
    await Promise.all([own.ready(), room.ready()]);
    await sleep(20);
    store.post({ rid: general._id, user: bob, msg: 'hello SDK' });
    await sleep(50);
    assert.deepEqual(got.map((g) => (Array.isArray(g) ? g[1].lastMessage.msg : g.msg)), ['hello SDK', 'hello SDK']);

    const foreign = sdk.stream('notify-user', `${bob._id}/message`, () => assert.fail('not ours'));
    await assert.rejects(foreign.ready(), (error) => (error?.error ?? error) !== undefined);
    await assert.rejects(sdk.account.loginWithToken('no-such-token'));

    const sent = await sdk.call('sendMessage', { _id: 'sdk-message-id-01', rid: general._id, msg: 'from the SDK' });
    assert.equal(sent._id, 'sdk-message-id-01');
    assert.equal(store.messages.get('sdk-message-id-01').msg, 'from the SDK');
  });

  test(`simpleddp: ${name}`, async (t) => {
    const { double, store, alice, bob, general } = await startDouble(t, options);
    const client = new SimpleDDP({ endpoint: double.webSocketUrl, SocketConstructor: WebSocket, reconnectInterval: 50 });
    t.after(() => client.disconnect());
    await client.connect();
    const credentials = passwordOnDdp ? { user: { username: 'alice' }, password: 'pw-a' } : { resume: store.addToken(alice).token };
    const login = await client.call('login', credentials);
    assert.equal(login.id, alice._id);
    assert.ok(login.tokenExpires instanceof Date, 'EJSON dates are understood');

    const events = [];
    client.on('changed', ({ collection, fields }) => events.push([collection, fields.args[0], fields.args[1]?.rid]));
    const sub = client.subscribe('stream-notify-user', `${alice._id}/subscriptions-changed`, false);
    await sub.ready();
    store.post({ rid: general._id, user: bob, msg: 'hi @alice' });
    await sleep(50);
    assert.deepEqual(events, [['stream-notify-user', 'updated', general._id]]);

    // Not by subscribe(): that leaves a rejection nobody can catch.
    const refused = new Promise((resolve) => client.on('nosub', resolve));
    client.ddpConnection.sub('stream-notify-user', [`${bob._id}/message`, false]);
    assert.equal((await refused).error.error, 'not-allowed');
    await assert.rejects(client.call('login', { resume: 'no-such-token' }), (error) => error.error === 403);

    sub.remove(); // on reconnecting it would subscribe before it logs in
    let connects = 0;
    client.on('connected', () => connects++);
    await double.restart();
    await sleep(250);
    assert.equal(connects, 1, 'it comes back by itself');
  });
}
