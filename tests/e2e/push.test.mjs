// What other backends send to the tabs that are here, over several shards.
import assert from 'node:assert/strict';
import test from 'node:test';
import { cleanUp, startBridge, startDouble, tokenFor, until } from '../lib/harness.mjs';
import { RawConnection, openHub } from '../lib/raw_connection.mjs';
import { CLIENTS, Tab } from '../lib/signalr_clients.mjs';

const latest = CLIENTS.latest;
const KEY = 'test-api-key-0123456789';

async function setUp(t, { tabs = { alice: 6, bob: 2 }, settings = {} } = {}) {
  const rc = await startDouble(t);
  const bridge = await startBridge(t, rc.double, { 'PushBridge:Shards': 3, ...settings });
  const api = (method, path, body, key = KEY) =>
    fetch(bridge.adminUrl + path, { method, headers: { 'X-Api-Key': key, 'Content-Type': 'application/json' }, body: typeof body === 'object' ? JSON.stringify(body) : body });
  const open = async (name) => {
    const tab = new Tab(latest, bridge.hubUrl, tokenFor(name));
    tab.notes = [];
    tab.connection.on('getNotification', (...args) => tab.notes.push(args.length === 1 ? args[0] : args));
    cleanUp(t, () => tab.connection.stop());
    await tab.connection.start();
    return tab;
  };
  const of = {};
  for (const [name, n] of Object.entries(tabs)) {
    of[name] = [];
    for (let i = 0; i < n; i++) of[name].push(await open(name));
  }
  const push = async (body) => {
    const res = await api('POST', '/admin/push', { target: 'getNotification', arguments: [], ...body });
    assert.equal(res.status, 200, await res.clone().text());
    return (await res.json()).connections;
  };
  return { rc, bridge, api, open, push, ...of, all: Object.values(of).flat() };
}

const note = { id: '5d1b', tenantId: null, userId: 42, state: 0, notification: { notificationName: 'App.NewUser', severity: 0, data: { message: 'hi' } }, targetNotifiers: null };
const heard = (tabs, n) => until(`${n} each`, () => tabs.every((tab) => tab.notes.length >= n));

test("ABP's getNotification reaches every tab of the user, whichever shard holds it", async (t) => {
  const { push, alice, bob } = await setUp(t);
  assert.equal(await push({ user: 'id-alice', arguments: [note] }), 6);
  await heard(alice, 1);
  for (const tab of alice) assert.deepEqual(tab.notes, [note]);
  assert.equal(await push({ users: ['id-bob', 'id-alice', 'id-bob', 'nobody'], arguments: [1, 'two'] }), 8);
  await heard(bob, 1);
  assert.deepEqual(bob[0].notes, [[1, 'two']]);
  assert.equal(await push({ user: 'nobody' }), 0);
  const except = [alice[0].connection.connectionId, bob[1].connection.connectionId];
  assert.equal(await push({ all: true, except, arguments: ['all'] }), 6);
  assert.equal(await push({ connection: bob[1].connection.connectionId, arguments: ['one'] }), 1);
  assert.equal(await push({ connections: except, arguments: ['last'] }), 2);
  await until('the last', () => except.every((id) => [...alice, ...bob].find((x) => x.connection.connectionId === id).notes.includes('last')));
  assert.deepEqual(alice[0].notes, [note, [1, 'two'], 'last']);
  assert.deepEqual(bob[1].notes, [[1, 'two'], 'one', 'last']);
});

test('a tab whose handshake was answered hears what is pushed next, whatever its session does', async (t) => {
  const { open, push } = await setUp(t, { tabs: {} });
  for (let i = 0; i < 20; i++) {
    const tab = await open('alice');
    assert.equal(await push({ user: 'id-alice', arguments: [i] }), i + 1);
    await until('it', () => tab.notes.length === 1);
  }
});

test('pushes of one caller are heard in its order, awaited or pipelined', async (t) => {
  const { bridge, push, alice } = await setUp(t, { tabs: { alice: 4 } });
  const N = 200;
  for (let i = 0; i < N; i++) assert.equal(await push({ user: 'id-alice', arguments: [i] }), 4);
  await heard(alice, N);
  for (const tab of alice) assert.deepEqual(tab.notes, [...Array(N).keys()]);
  // pipelined: none waits for the answer to the one before
  const raw = await RawConnection.open(Number(new URL(bridge.adminUrl).port));
  t.after(() => raw.destroy());
  let out = '';
  for (let i = 0; i < 50; i++) {
    const body = JSON.stringify({ target: 'getNotification', arguments: [N + i], user: 'id-alice' });
    out += `POST /admin/push HTTP/1.1\r\nHost: x\r\nX-Api-Key: ${KEY}\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  }
  raw.write(out);
  await heard(alice, N + 50);
  for (const tab of alice) assert.deepEqual(tab.notes, [...Array(N + 50).keys()]);
});

test('the arguments go out byte for byte', async (t) => {
  const { bridge, api } = await setUp(t, { tabs: {} });
  const raw = await openHub(bridge.port, tokenFor('alice'));
  t.after(() => raw.destroy());
  const args = '[1.10, 1e2,-0.0 , 18446744073709551616,{"b":1,"a":"\\u00e9\\ud83d\\ude80/\\/"} , "é🚀"]';
  const res = await api('POST', '/admin/push', `{"user":"id-alice","target":"get\\u004eot\\"e","arguments":${args}}`);
  assert.deepEqual([res.status, await res.json()], [200, { connections: 1 }]);
  let text;
  do text = (await raw.frame()).payload.toString();
  while (text.includes('bridgeStatus'));
  assert.equal(text, `{"type":1,"target":"getNot\\"e","arguments":${args}}\x1e`);
});

test('groups: single tabs, and a user with the tabs to come', async (t) => {
  const { api, open, push, alice, bob } = await setUp(t);
  const group = `/admin/groups/${encodeURIComponent('room/7 ü')}`;
  const change = async (method, path) => {
    const res = await api(method, group + path);
    return res.status === 200 ? (await res.json()).connections : res.status;
  };
  const id = bob[0].connection.connectionId;
  assert.equal(await change('PUT', `/connections/${id}`), 1);
  assert.equal(await change('PUT', `/connections/${id}`), 1);
  assert.equal(await change('PUT', '/connections/none'), 404);
  assert.equal(await change('PUT', '/users/id-alice'), 6);
  assert.equal(await change('PUT', '/users/id-carol'), 0);
  assert.equal(await push({ group: 'room/7 ü', arguments: [1] }), 7);
  await alice[5].connection.stop();
  const late = await open('alice');
  const carol = await open('carol');
  await until('the old one is gone', async () => (await push({ group: 'room/7 ü', except: [id], arguments: [2] })) === 7);
  assert.equal(await push({ groups: ['none', 'room/7 ü'], arguments: [3] }), 8);
  await until('the last', () => [late, carol].every((tab) => tab.notes.at(-1) === 3));
  await until('bob', () => bob[0].notes.length === 2);
  assert.deepEqual(bob[0].notes, [1, 3]);
  assert.equal(await change('DELETE', '/users/id-alice'), 6);
  assert.equal(await change('DELETE', '/users/id-carol'), 1);
  assert.equal(await change('DELETE', `/connections/${id}`), 1);
  await open('alice');
  assert.equal(await push({ group: 'room/7 ü', arguments: [4] }), 0);
  assert.deepEqual(bob[1].notes, []);
  assert.equal((await api('POST', `${group}/users/id-alice`)).status, 405);
  assert.equal((await api('PUT', `${group}/tabs/id-alice`)).status, 404);
  assert.equal((await api('PUT', `${group}/users/`)).status, 400);
  assert.equal((await api('PUT', `/admin/groups/${'x'.repeat(256)}/users/u`)).status, 400);
});

test('the limits on groups are told', async (t) => {
  const { api, alice } = await setUp(t, { tabs: { alice: 2 }, settings: { 'PushBridge:Limits:GroupsPerConnection': 2, 'PushBridge:Limits:GroupMemberships': 3 } });
  const put = async (path) => (await api('PUT', `/admin/groups/${path}`)).status;
  assert.equal(await put('1/users/id-alice'), 200);
  assert.equal(await put(`2/connections/${alice[0].connection.connectionId}`), 200);
  assert.equal(await put(`2/connections/${alice[1].connection.connectionId}`), 409);
  const res = await api('PUT', `/admin/groups/3/connections/${alice[0].connection.connectionId}`);
  assert.equal(res.status, 409);
  assert.match((await res.json()).error, /GroupsPerConnection/);
});

test('what is wrong with a push is said, and without the key there is none', async (t) => {
  const { api, bridge, alice } = await setUp(t, { tabs: { alice: 1 } });
  const good = { target: 't', arguments: [] };
  const wrong = [
    ['', /JSON object/],
    ['{', /not valid JSON/],
    [good, /no addressee/],
    [{ ...good, user: 'a', group: 'g' }, /more than one/],
    [{ ...good, user: 'a', when: 'now' }, /unknown member/],
    [{ ...good, arguments: {}, user: 'a' }, /JSON array/],
  ];
  for (const [body, say] of wrong) {
    const res = await api('POST', '/admin/push', body);
    assert.equal(res.status, 400);
    assert.match((await res.json()).error, say);
  }
  assert.equal((await api('POST', '/admin/push', { ...good, user: 'x'.repeat(70_000) })).status, 413);
  assert.equal((await api('GET', '/admin/push')).status, 405);
  assert.equal((await api('POST', '/admin/push', { ...good, all: true }, 'wrong')).status, 401);
  assert.equal((await fetch(`${bridge.url}/admin/push`, { method: 'POST', headers: { 'X-Api-Key': KEY } })).status, 404, 'not where browsers come');
  const metrics = await (await fetch(`${bridge.adminUrl}/metrics`)).text();
  assert.match(metrics, /pushbridge_pushes_total\{result="wrong"\} 6/);
  assert.deepEqual(alice[0].notes, []);
  const bare = await startBridge(t, null, { 'PushBridge:AdminApiKey': undefined });
  assert.equal((await fetch(`${bare.adminUrl}/admin/push`, { method: 'POST', headers: { 'X-Api-Key': '' } })).status, 404);
});
