// Browser tabs of the soak. Most are a bare WebSocket that speaks just enough SignalR, since there are
// hundreds; some are Microsoft's client with automatic reconnecting. Each connection of a tab is a
// "life": what came over it, in order.
import WebSocket from 'ws';
import { RS } from '../lib/raw_connection.mjs';
import { CLIENTS, EVENTS } from '../lib/signalr_clients.mjs';

const PING = `{"type":6}${RS}`;
const PING_EVERY_MS = 15_000;

/**
 * Ends TCP under a WebSocket. By FIN, and what is on its way is still read: else our kernel would have
 * acknowledged what we never saw, which no lost network does.
 */
async function cutOff(socket) {
  if (socket === null || socket.readyState === WebSocket.CLOSED) return;
  const over = new Promise((resolve) => socket.once('close', resolve));
  socket.send = () => {}; // a ping behind the FIN would destroy the socket, unread as it may be
  socket._socket?.end();
  const guard = setTimeout(() => socket.terminate(), 5000);
  await over;
  clearTimeout(guard);
}

/** What one connection heard. `heard`: {target, id, rid, at, ...} in order. */
class Life {
  heard = [];
  endedAt = null;
  how = null; // 'dropped' (no close frame), 'closed' (by us, cleanly), 'ended' (by the other side)

  constructor(tab) {
    this.tab = tab;
    this.openedAt = Date.now();
    tab.lives.push(this);
  }

  hear(target, argument) {
    const at = Date.now();
    switch (target) {
      case 'getRoomMessageNotification':
      case 'getThreadMessageNotification':
      case 'getRoomMessageUpdatedNotification':
      case 'getRoomMessageDeletedNotification':
        this.heard.push({ target, at, id: argument._id, rid: argument.rid });
        break;
      case 'getRoomSubscriptionChangedNotification':
        if (argument.method !== 'update') this.heard.push({ target, at, rid: argument.msg.rid, method: argument.method });
        break;
      case 'resyncRequired':
        this.heard.push({ target, at, rid: argument.rid, reason: argument.reason });
        break;
    }
  }

  end(how) {
    if (this.endedAt !== null) return;
    this.endedAt = Date.now();
    this.how = how;
  }
}

/** user: the name; agent: the User-Agent, the same for all tabs of one browser. */
class Tab {
  lives = [];

  constructor({ user, url, token, agent }) {
    Object.assign(this, { user, url, token, agent });
  }

  /** The life at hand; null: not connected. */
  get life() {
    const last = this.lives.at(-1);
    return last && last.endedAt === null ? last : null;
  }
}

export class RawTab extends Tab {
  #socket = null;
  #dropping = null;
  #timer = null;

  open() {
    return new Promise((resolve, reject) => {
      const socket = new WebSocket(`${this.url.replace(/^http/, 'ws')}?access_token=${this.token}`, { headers: { 'User-Agent': this.agent }, perMessageDeflate: false });
      let life = null;
      this.#socket = socket;
      socket.on('open', () => socket.send(`{"protocol":"json","version":1}${RS}`));
      socket.on('message', (data) => {
        for (const record of data.toString().split(RS)) {
          if (record === '') continue;
          const message = JSON.parse(record);
          if (life === null) {
            if (message.error) return void socket.terminate();
            life = new Life(this);
            this.#timer = setInterval(() => socket.send(PING), PING_EVERY_MS);
            resolve();
          } else if (message.type === 1) {
            life.hear(message.target, message.arguments[0]);
          }
        }
      });
      socket.on('close', () => {
        clearInterval(this.#timer);
        life?.end(this.#dropping === socket ? 'dropped' : 'ended');
        reject(new Error(`${this.user}: the hub closed before the handshake`));
      });
      socket.on('error', () => {}); // 'close' follows
    });
  }

  /** As a network that goes: no close frame. Resolves when it is over. */
  drop() {
    this.#dropping = this.#socket;
    return cutOff(this.#socket);
  }

  /** As a page that is left. */
  async close() {
    if (this.life === null) return;
    this.life.end('closed');
    const socket = this.#socket;
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.send(`{"type":7}${RS}`);
    socket.close();
    await closed;
  }
}

/** Microsoft's client. It opens a new connection by itself after a drop. */
export class SignalrTab extends Tab {
  #connection;
  #sockets = [];

  constructor(options, version) {
    super(options);
    const signalR = CLIENTS[version];
    const tab = this;
    class Socket extends WebSocket {
      constructor(address, protocols, given) {
        super(address, protocols, { ...given, headers: { ...given?.headers, 'User-Agent': tab.agent } });
        tab.#sockets.push(this);
      }
    }
    this.#connection = new signalR.HubConnectionBuilder()
      .withUrl(this.url, { transport: signalR.HttpTransportType.WebSockets, accessTokenFactory: () => this.token, WebSocket: Socket })
      .configureLogging(signalR.LogLevel.None)
      .withAutomaticReconnect([200, 500, 1000, 2000, 5000, 5000, 5000])
      .build();
    for (const event of EVENTS) this.#connection.on(event, (argument) => this.#current().hear(event, argument));
    this.#connection.onreconnecting(() => this.life?.end('ended'));
    this.#connection.onreconnected(() => this.#current());
    this.#connection.onclose(() => this.life?.end('ended'));
  }

  /** Events may come before the promise of start(), or onreconnected, tells that there is a connection. */
  #current() {
    return this.life ?? new Life(this);
  }

  async open() {
    await this.#connection.start();
    this.#current();
  }

  async drop() {
    const { life } = this;
    await cutOff(this.#sockets.at(-1));
    if (life) life.how = 'dropped';
  }

  async close() {
    this.life?.end('closed');
    await this.#connection.stop();
  }
}
