// Microsoft's own JavaScript clients, the oldest and the newest we serve, against signalr/ alone.
import assert from 'node:assert/strict';
import test from 'node:test';
import { CLIENTS } from '../lib/signalr_clients.mjs';
import { closed, connect, connectionTo, heard, sleep, startHost, until } from './host.mjs';

for (const [version, signalR] of Object.entries(CLIENTS)) {
  const newest = version === 'latest';

  test(`${version}: invocations and their errors`, async (t) => {
    const host = await startHost(t);
    const connection = await connect(t, host, signalR, 'alice');

    for (const value of ['x', 0, null, true, [1, [2]], { a: 'é\u0000"\\' }, 'z'.repeat(30_000)])
      assert.deepEqual(await connection.invoke('eChO', value), value);
    assert.equal(await connection.invoke('Register'), null);
    assert.equal(await connection.invoke('GetCallerConnectionId'), connection.connectionId);
    assert.deepEqual(await Promise.all([...Array(100).keys()].map((i) => connection.invoke('Echo', i))), [...Array(100).keys()]);
    await connection.send('Nobody', 1); // no answer, and no harm
    const failing = [
      [['Nobody'], "Failed to invoke 'Nobody' due to an error on the server. HubException: Method does not exist."],
      [['Fail'], "An unexpected error occurred invoking 'Fail' on the server."],
      [['Echo', new signalR.Subject()], "An unexpected error occurred invoking 'Echo' on the server. HubException: Client sent 1 stream(s), Hub method expects 0."],
    ];
    for (const [args, message] of failing) await assert.rejects(connection.invoke(...args), { message });
    const streamed = await new Promise((resolve) => connection.stream('Echo', 1).subscribe({ next: resolve, complete: resolve, error: resolve }));
    assert.equal(streamed.message, "The client attempted to invoke the non-streaming 'Echo' method with a streaming invocation.");
  });

  test(`${version}: pushes reach every tab of the user, on every shard`, async (t) => {
    const host = await startHost(t, { shards: 2 });
    const tabs = await Promise.all([...Array(24)].map(() => connect(t, host, signalR, 'alice')));
    const bob = await connect(t, host, signalR, 'bob');
    const bobs = [];

    bob.on('msg', (...args) => bobs.push(args));
    const waiting = tabs.map((tab) => heard(tab, 'msg'));
    await host.push('alice', 'msg', { text: 'hé' }, 2);
    for (const args of await Promise.all(waiting)) assert.deepEqual(args, [{ text: 'hé' }, 2]);
    const all = [...tabs, bob].map((tab) => heard(tab, 'all'));
    await host.broadcast('all', 1);
    await Promise.all(all);
    assert.deepEqual(bobs, []);
    // The kernel spreads upgrades over both shards, negotiations too: some had to move home.
    assert.ok((await host.stats()).handedOver > 0);
  });

  test(`${version}: without negotiation`, async (t) => {
    const host = await startHost(t, { shards: 2 });
    const connection = await connect(t, host, signalR, 'alice', { skipNegotiation: true, transport: signalR.HttpTransportType.WebSockets });

    assert.equal(await connection.invoke('Echo', 1), 1);
    assert.ok(!connection.connectionId);
    assert.match(await connection.invoke('GetCallerConnectionId'), /^[\w-]{22}$/);
  });

  test(`${version}: a transport that is not offered`, async (t) => {
    const host = await startHost(t);
    for (const transport of [signalR.HttpTransportType.LongPolling, signalR.HttpTransportType.ServerSentEvents])
      await assert.rejects(connectionTo(host, signalR, 'alice', { transport }).start(), /None of the transports|Unable to connect to the server/);
  });

  test(`${version}: refused users`, async (t) => {
    const host = await startHost(t);
    const expected = newest ? "Failed to complete negotiation with the server: Error: Unauthorized: Status code '401'" : 'Unauthorized';
    await assert.rejects(connectionTo(host, signalR, 'refuse').start(), { message: expected });
    await assert.rejects(connectionTo(host, signalR, 'refuse', { skipNegotiation: true, transport: signalR.HttpTransportType.WebSockets }).start());
    const anonymous = await connect(t, host, signalR);
    assert.equal(await anonymous.invoke('Echo', 1), 1);
  });

  test(`${version}: stop() is a clean end`, async (t) => {
    const host = await startHost(t);
    const connection = await connect(t, host, signalR, 'alice');
    const end = closed(connection);

    await connection.stop();
    assert.equal(await end, undefined);
    await until('the host hears of it', async () => (await host.stats()).client === 1);
    await connection.start(); // and it can begin anew
    assert.equal(await connection.invoke('Echo', 1), 1);
  });

  test(`${version}: Close with a reason ends, Close with allowReconnect reconnects`, async (t) => {
    const host = await startHost(t, { shards: 2 });
    const connection = await connect(t, host, signalR, 'alice', { retryMs: [0, 50, 100, 200, 400] });
    const first = connection.connectionId;
    let end = new Promise((resolve) => connection.onreconnected(resolve));

    await connection.send('ReconnectMe');
    const second = await end;
    assert.notEqual(second, first);
    assert.equal(await connection.invoke('GetCallerConnectionId'), second);
    end = closed(connection);
    await connection.send('CloseMe');
    assert.equal((await end).message, 'Server returned an error on close: closed on demand');
    // The client hears of the end before the server has the other half of its close.
    await until('both ends are counted', async () => (await host.stats()).host === 2);
  });

  test(`${version}: a message past the limit ends with Close, and reconnects`, async (t) => {
    const host = await startHost(t);
    const connection = await connect(t, host, signalR, 'alice', { retryMs: [0, 50, 100, 200, 400] });
    const back = new Promise((resolve) => connection.onreconnected(resolve));
    const lost = new Promise((resolve) => connection.onreconnecting(resolve));

    await assert.rejects(connection.invoke('Echo', 'x'.repeat(32_768)));
    assert.equal((await lost).message, 'Server returned an error on close: Connection closed with an error.');
    await back;
    assert.equal(await connection.invoke('Echo', 1), 1);
    await until('the host counts it', async () => (await host.stats()).protocol === 1);
  });

  test(`${version}: pings keep both sides alive`, async (t) => {
    const host = await startHost(t, { 'keepalive-ms': 100, 'client-timeout-ms': 1000 });
    const connection = await connect(t, host, signalR, 'alice');

    connection.serverTimeoutInMilliseconds = 600;
    connection.keepAliveIntervalInMilliseconds = 100;
    await connection.invoke('Echo', 1);
    await sleep(2500);
    assert.equal(connection.state, signalR.HubConnectionState.Connected);
    assert.equal((await host.stats()).open, 1);
  });

  test(`${version}: JWT expiry and drain let the client come back`, async (t) => {
    const host = await startHost(t, { 'expiry-spread-ms': 100 });
    const token = `alice@${Date.now() + 700}`;
    const connection = await connect(t, host, signalR, token, { retryMs: [20_000] });
    const lost = new Promise((resolve) => connection.onreconnecting(resolve));

    await lost;
    await until('the host counts it', async () => (await host.stats()).expired === 1);
    const other = await connect(t, host, signalR, 'bob', { retryMs: [20_000] });
    const drained = new Promise((resolve) => other.onreconnecting(resolve));
    host.process.kill('SIGTERM');
    await drained;
    await host.exited;
  });
}
