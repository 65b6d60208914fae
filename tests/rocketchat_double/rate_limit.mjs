// Meteor's rate limiter: fixed windows, counters per key, one common reset per rule. The call that
// exceeds the count is counted too.
import { MeteorError } from './codec.mjs';

class Rule {
  #counters = new Map();
  #start;
  #clock;

  constructor({ clock, limit, intervalMs, key }) {
    this.#clock = clock;
    this.limit = limit;
    this.intervalMs = intervalMs;
    this.key = key;
    this.#start = clock.now();
  }

  /** {allowed, left, timeToReset} after counting this call, or null where the rule does not apply. */
  hit(input) {
    const key = this.key(input);
    if (key === null) return null;
    const now = this.#clock.now();
    if (now - this.#start > this.intervalMs) {
      this.#counters.clear();
      this.#start = now;
    }
    const count = (this.#counters.get(key) ?? 0) + 1;
    this.#counters.set(key, count);
    return { allowed: count <= this.limit, left: Math.max(0, this.limit - count), timeToReset: this.#start + this.intervalMs - now };
  }
}

const isStream = (name) => name.startsWith('stream-');

/**
 * DDP: every method and subscription passes all rules. `counts` overrides single limits by name:
 * ip, user, connection, userByMethod, connectionByMethod, login.
 */
export class DdpRateLimiter {
  #rules;

  constructor({ clock, enabled = true, timeFactor = 1, counts = {} }) {
    const rule = (name, limit, ms, key) => new Rule({ clock, limit: counts[name] ?? limit, intervalMs: ms * timeFactor, key });
    const byMethod = (name, limit, ms, key) => [
      rule(name, limit, ms, (i) => (isStream(i.name) ? null : key(i))),
      // Streams get four times the count in four times the time: the same rate, larger bursts.
      new Rule({ clock, limit: (counts[name] ?? limit) * 4, intervalMs: ms * 4 * timeFactor, key: (i) => (isStream(i.name) ? key(i) : null) }),
    ];
    this.#rules = !enabled
      ? []
      : [
          rule('ip', 120_000, 60_000, (i) => (i.ip === '127.0.0.1' ? null : i.ip)),
          rule('user', 1200, 60_000, (i) => i.userId),
          rule('connection', 600, 60_000, (i) => i.session),
          ...byMethod('userByMethod', 20, 10_000, (i) => (i.userId === null ? null : `${i.userId} ${i.name}`)),
          ...byMethod('connectionByMethod', 10, 10_000, (i) => `${i.session} ${i.name}`),
          rule('login', 5, 10_000, (i) => (i.type === 'method' && i.name === 'login' ? i.session : null)),
        ];
  }

  /** Throws `too-many-requests`. input: {type, name, userId, session, ip} */
  check(input) {
    let timeToReset = -1;
    for (const rule of this.#rules) {
      const result = rule.hit(input);
      if (result && !result.allowed) timeToReset = Math.max(timeToReset, result.timeToReset);
    }
    if (timeToReset < 0) return;
    const seconds = Math.ceil(timeToReset / 1000);
    throw new MeteorError(
      'too-many-requests',
      `Error, too many requests. Please slow down. You must wait ${seconds} seconds before trying again.`,
      { timeToReset },
    );
  }
}

/** REST: 10 calls a minute for each address, route and HTTP method, `login` included. */
export class RestRateLimiter {
  #rules = new Map();
  #options;

  constructor({ clock, enabled = true, timeFactor = 1, limit = 10, intervalMs = 60_000 }) {
    this.#options = { clock, enabled, timeFactor, limit, intervalMs };
  }

  /** own: {limit, intervalMs} of the route. null where there is no limit, else {allowed, headers, seconds}. */
  check(ip, route, method, own) {
    const { clock, enabled, timeFactor, ...all } = this.#options;
    if (!enabled) return null;
    const name = `${method} ${route}`;
    const { limit, intervalMs } = own ?? all;
    if (!this.#rules.has(name)) this.#rules.set(name, new Rule({ clock, limit, intervalMs: intervalMs * timeFactor, key: (i) => i }));
    const { allowed, left, timeToReset } = this.#rules.get(name).hit(ip);
    return {
      allowed,
      seconds: Math.ceil(timeToReset / 1000),
      headers: { 'X-RateLimit-Limit': limit, 'X-RateLimit-Remaining': left, 'X-RateLimit-Reset': clock.now() + timeToReset },
    };
  }
}
