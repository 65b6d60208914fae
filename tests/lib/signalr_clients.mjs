// The two SignalR clients tests drive the bridge with, and a connection that keeps what it hears.
import { createRequire } from 'node:module';
import { cleanUp, until } from './harness.mjs';

globalThis.self ??= globalThis; // 5.0 expects a browser's or a worker's global
const require = createRequire(import.meta.url);

export const CLIENTS = {
  '5.0.17': require('@microsoft/signalr-5'),
  latest: require('@microsoft/signalr-latest'),
};

export const EVENTS = [
  'getRoomMessageNotification',
  'getRoomMessageUpdatedNotification',
  'getRoomMessageDeletedNotification',
  'getRoomSubscriptionChangedNotification',
  'getEphemeralMessageNotification',
  'getThreadMessageNotification',
  'bridgeStatus',
  'resyncRequired',
];

/** One tab. heard: [event, argument] in order; changes: what happened to the connection. */
export class Tab {
  heard = [];
  changes = [];

  /** options: those of withUrl; `retryMs` switches automatic reconnecting on, with such pauses. */
  constructor(signalR, hubUrl, token, { retryMs, ...options } = {}) {
    const builder = new signalR.HubConnectionBuilder()
      .withUrl(hubUrl, { transport: signalR.HttpTransportType.WebSockets, accessTokenFactory: typeof token === 'function' ? token : () => token, ...options })
      .configureLogging(signalR.LogLevel.None);
    if (retryMs) builder.withAutomaticReconnect(retryMs);
    this.connection = builder.build();
    for (const event of EVENTS) this.connection.on(event, (argument) => this.heard.push([event, argument]));
    this.connection.onreconnecting((error) => this.changes.push(['reconnecting', error?.message]));
    this.connection.onreconnected((id) => this.changes.push(['reconnected', id]));
    this.connection.onclose((error) => this.changes.push(['closed', error?.message]));
  }

  /** A started tab, stopped when the test ends. */
  static async open(t, signalR, hubUrl, token, options) {
    const tab = new Tab(signalR, hubUrl, token, options);
    cleanUp(t, () => tab.connection.stop());
    await tab.connection.start();
    return tab;
  }

  of(event) {
    return this.heard.filter(([e]) => e === event).map(([, argument]) => argument);
  }

  /** Texts of the messages that arrived as new. */
  texts() {
    return this.of('getRoomMessageNotification').map((m) => m.msg);
  }

  async until(what, test, timeoutMs) {
    await until(what, () => test(this), timeoutMs).catch((error) => {
      throw new Error(`${error.message}; heard ${JSON.stringify(this.heard).slice(0, 3000)} ${JSON.stringify(this.changes)}`);
    });
  }
}
