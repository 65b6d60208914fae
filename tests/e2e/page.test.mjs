// The demo page in headless Chromium: the article's stack and handlers, in front of the real bridge.
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { ISSUER, KEY, cleanUp, freePort, startBridge, startDouble, sleep, tokenFor, until } from '../lib/harness.mjs';
import { startPageServer } from './page_server.mjs';

const OUT = path.join(path.dirname(fileURLToPath(import.meta.url)), '..', 'out');
const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium';
const ARGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];

let browser;
before(async () => {
  mkdirSync(OUT, { recursive: true });
  browser = await chromium.launch({ executablePath: CHROMIUM, headless: true, args: ARGS });
});
after(() => browser.close());

async function scene(t) {
  const rc = await startDouble(t);
  const { store, user } = rc;
  rc.help = store.createRoom({ name: 'help', owner: user('bob'), members: [user('alice')] });
  rc.direct = store.directRoom(user('alice'), user('bob'));
  rc.post(rc.general, 'bob', 'Welcome! This line was here before.');

  const pagePort = await freePort();
  const origin = `http://127.0.0.1:${pagePort}`;
  const bridge = await startBridge(t, rc.double, { 'App:CorsOrigins': origin });
  const page = await startPageServer({
    port: pagePort,
    control: `${rc.double.url}/__double/`,
    bridge: bridge.hubUrl,
    key: KEY,
    issuer: ISSUER,
    audience: ISSUER,
    users: ['alice', 'bob'],
  });
  cleanUp(t, () => page.stop());
  return { ...rc, bridge, page, tab: (name) => openTab(t, page.url, name) };
}

/** A tab of its own browser profile, entered as that user, connected. */
async function openTab(t, url, name) {
  const context = await browser.newContext({ viewport: { width: 1100, height: 640 } });
  cleanUp(t, () => context.close());
  const page = await context.newPage();
  page.complaints = [];
  page.on('pageerror', (error) => page.complaints.push(error.message));
  await page.goto(url);
  await page.click(`[data-user=${name}]`);
  await page.waitForSelector('#state:has-text("Connected")');
  return page;
}

const texts = (page) => page.locator('.message .text').allTextContents();
const unread = async (page, room) => {
  const badge = page.locator(`[data-rid="${room._id}"] .el-badge__content`);
  return (await badge.count()) === 0 ? 0 : Number(await badge.textContent());
};
const counts = (page) => page.evaluate(() => ({ ...window.store.state.counts }));
const shows = (page, text) => until(`the page shows ${text}`, async () => (await texts(page)).includes(text));

test('messages, unread counts, edits, reactions, new channels', async (t) => {
  const { store, general, help, direct, user, post, live, tab } = await scene(t);
  const alice = await tab('alice');
  const second = await tab('alice');
  const bob = await tab('bob');
  await live('alice');
  await live('bob');
  assert.deepEqual(await texts(alice), ['Welcome! This line was here before.']);

  // a message arrives, in both tabs of its reader, once
  await bob.fill('.el-footer input', 'Hello Alice, do you hear me?');
  await bob.click('.el-footer button');
  for (const page of [alice, second, bob]) await shows(page, 'Hello Alice, do you hear me?');
  await alice.fill('.el-footer input', 'Loud and clear \u{1F680}');
  await alice.press('.el-footer input', 'Enter');
  for (const page of [alice, second, bob]) await shows(page, 'Loud and clear \u{1F680}');
  for (const page of [alice, second, bob]) assert.equal((await texts(page)).length, 3);

  // elsewhere: unread rises
  post(help, 'bob', 'help, please');
  post(help, 'bob', 'anyone?');
  const personal = post(direct, 'bob', 'psst');
  for (const page of [alice, second]) {
    await until('unread', async () => (await unread(page, help)) === 2 && (await unread(page, direct)) === 1);
    assert.equal(await unread(page, general), 0);
  }

  // an edit and a reaction, in the open room and elsewhere: no line, no unread
  const last = store.messagesOf(general._id).at(-1);
  store.edit(last, user('alice'), 'Loud and clear, edited');
  store.react(store.messages.get(last._id), user('bob'), 'thumbsup', true);
  store.edit(personal, user('bob'), 'psst, edited');
  await until('three updates', async () => (await counts(alice)).getRoomMessageUpdatedNotification === 3);
  assert.equal((await texts(alice)).length, 3);
  assert.equal(await unread(alice, direct), 1);
  assert.equal((await counts(alice)).getRoomMessageNotification, 5);

  // a system message is a note, not a bubble
  store.setTopic(general._id, user('bob'), 'all about pushes');
  await alice.waitForSelector('.message.system:has-text("room_changed_topic")');

  // a new subscription: a new channel, once
  const news = store.createRoom({ t: 'p', name: 'news', owner: user('bob') });
  store.subscribe(news._id, user('alice'));
  await alice.waitForSelector(`[data-rid="${news._id}"]`);
  post(news, 'bob', 'first post');
  await until('unread there', async () => (await unread(alice, news)) === 1);
  assert.equal(await alice.locator('.channel').count(), 4);

  // opening a channel clears its count
  await alice.screenshot({ path: path.join(OUT, 'page.png') });
  await alice.click(`[data-rid="${help._id}"]`);
  await shows(alice, 'anyone?');
  assert.equal(await unread(alice, help), 0);
  for (const page of [alice, second, bob]) assert.deepEqual(page.complaints, []);
});

test('the bridge restarts: the page says so, comes back by itself and hears again', async (t) => {
  const { bridge, general, post, live, tab } = await scene(t);
  const alice = await tab('alice');
  await live('alice');
  await bridge.stop();
  await alice.waitForSelector('#state:has-text("Reconnecting")');
  await alice.screenshot({ path: path.join(OUT, 'page_reconnecting.png') });
  await bridge.start();
  await alice.waitForSelector('#state:has-text("Connected")', { timeout: 20_000 });
  await live('alice');
  post(general, 'bob', 'after the restart');
  await shows(alice, 'after the restart');
  await sleep(100);
  assert.equal((await texts(alice)).filter((text) => text === 'after the restart').length, 1);
});

test('an origin that is not listed may not connect, not even with a token', async (t) => {
  const { bridge, page } = await scene(t);
  const hub = `${bridge.hubUrl.replace('http', 'ws')}?access_token=${tokenFor('alice')}`;
  const context = await browser.newContext();
  cleanUp(t, () => context.close());
  const dial = async (from) => {
    const tab = await context.newPage();
    await tab.goto(from);
    return tab.evaluate((url) => {
      const socket = new WebSocket(url);
      return new Promise((resolve) => {
        socket.onopen = () => resolve('open');
        socket.onclose = () => resolve('closed');
      });
    }, hub);
  };
  assert.equal(await dial(page.url), 'open');
  assert.equal(await dial(page.url.replace('127.0.0.1', 'localhost')), 'closed');
});
