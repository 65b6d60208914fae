// A kept connection to Rocket.Chat that ends without an answer: what was sent may have been done,
// and is not sent again behind the caller's back.
import assert from 'node:assert/strict';
import http from 'node:http';
import test from 'node:test';
import { cleanUp, startBridge, tokenFor } from '../lib/harness.mjs';
import { call } from '../lib/rest_call.mjs';

/** Answers every call, keeps connections, and takes the next one with `breakNext` and says nothing. */
async function startRocketChat(t) {
  const rc = { seen: [], breakNext: false };
  const server = http.createServer((req, res) => {
    let body = '';
    req.on('data', (text) => (body += text));
    req.on('end', () => {
      const name = req.url.replace('/api/v1/', '');
      if (name !== 'login' && name !== 'logout') {
        rc.seen.push(`${req.method} ${name}`);
        if (rc.breakNext) {
          rc.breakNext = false;
          req.socket.destroy();
          return;
        }
      }
      const username = name === 'login' ? JSON.parse(body).username : 'nobody';
      res.end(JSON.stringify({ status: 'success', success: true, data: { userId: `u-${username}`, authToken: `t-${username}`, me: { _id: `u-${username}`, username } } }));
    });
  });
  server.keepAliveTimeout = 60_000;
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanUp(t, () => {
    server.closeAllConnections();
    server.close();
  });
  rc.url = `http://127.0.0.1:${server.address().port}`;
  return rc;
}

test('what may have been done is not done again', async (t) => {
  const rc = await startRocketChat(t);
  const bridge = await startBridge(t, { url: rc.url }, { 'PushBridge:Shards': 1, 'PushBridge:Abp:Routes': ['POST Chat/Say -> POST chat.postMessage user'] });
  const headers = { Authorization: `Bearer ${tokenFor('alice')}`, 'Content-Type': 'application/json' };
  const say = JSON.stringify({ text: 'hello' });
  for (const [path, options, status, want] of [
    ['/api/services/app/Chat/Say', { method: 'POST', body: say }, 500, ['POST chat.postMessage']],
    ['/im/api/v1/chat.postMessage', { method: 'POST', body: say }, 502, ['POST chat.postMessage']],
    ['/im/api/v1/chat.postMessage', { method: 'POST', body: say.padEnd(100_000) }, 502, ['POST chat.postMessage']],
    ['/im/api/v1/chat.postMessage', { method: 'POST', body: '' }, 502, ['POST chat.postMessage']],
    ['/im/api/v1/thing', { method: 'DELETE' }, 502, ['DELETE thing']],
  ]) {
    assert.equal((await call(bridge.url, path, { headers, ...options })).status, 200, path); // a connection that is kept
    rc.seen = [];
    rc.breakNext = true;
    const broken = await call(bridge.url, path, { headers, ...options });
    assert.deepEqual([broken.status, rc.seen], [status, want], `${options.method} ${path}`);
  }
});
