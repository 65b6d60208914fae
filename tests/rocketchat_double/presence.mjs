// Who is online, as Rocket.Chat tells it: a user's first DDP login makes them appear, the last
// connection's end makes them offline, and a chosen status wins over `online`. Each change goes out
// three ways: `userData` to the user, `user-status` to everybody logged in, and the selective
// `stream-user-presence`.
export const STATUS = { offline: 0, online: 1, away: 2, busy: 3 };

export class Presence {
  #store;
  #options;
  #connections = 0;

  /** options: presenceLimit (connections beyond which nothing is told any more; 0: no limit) */
  constructor(store, options) {
    this.#store = store;
    this.#options = options;
  }

  get broadcasting() {
    const { presenceLimit } = this.#options;
    return presenceLimit === 0 || this.#connections <= presenceLimit;
  }

  connected(user) {
    this.#connections++;
    if (user.status === 'offline') this.#become(user, { status: user.statusDefault });
  }

  /** One connection of the user is gone; `left` remain. */
  gone(user, left) {
    this.#connections--;
    if (left === 0) this.#become(user, { status: 'offline' });
  }

  /** A status the user chose, which holds for later connections too. */
  choose(user, status, statusText = user.statusText) {
    user.statusDefault = status;
    this.#become(user, { status, statusText });
  }

  /** Away by inactivity and back again: not beyond what was chosen. */
  idle(user, away) {
    if (user.statusDefault === 'online') this.#become(user, { status: away ? 'away' : 'online' });
  }

  #become(user, change) {
    const diff = {};
    for (const [key, value] of Object.entries(change)) if (user[key] !== value) diff[key] = value;
    if (Object.keys(diff).length === 0) return;
    Object.assign(user, diff);
    if (this.broadcasting) this.#store.emit('presence', { user, diff });
  }
}
