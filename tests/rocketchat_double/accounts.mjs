// Who may log in and with what. REST and DDP share this: one set of users, tokens and refusals.
import { MeteorError } from './codec.mjs';

const BLOCK_AFTER_FAILURES = { user: 10, ip: 50 };
const BLOCK_MS = 5 * 60_000;
const ATTEMPTS_KEPT = 20_000;
const TOTP_ATTEMPTS = 5; // of codes that came by mail
export const TOTP_CODE = '123456';

export class Accounts {
  attempts = []; // {at, via, type, user, ok, error}: what tests count
  #failures = new Map(); // 'user x' or 'ip y' -> {count, since}
  #codes = new Map(); // uid -> wrong codes since one was sent
  #store;
  #faults;
  #options;

  /** options: timeFactor, blockFailedLogins, emailVerification, flavour, version */
  constructor(store, faults, options) {
    this.#store = store;
    this.#faults = faults;
    this.#options = options;
  }

  /**
   * params: what the client sent as the login's argument. Returns {id, token, tokenExpires?, type}.
   * Throws the MeteorError that Rocket.Chat answers with.
   */
  async login(params, { via, ip, session }) {
    const attempt = { at: Date.now(), via, ip, type: 'unknown', user: null, ok: false, error: null };
    if (this.attempts.length === ATTEMPTS_KEPT) this.attempts.shift();
    this.attempts.push(attempt);
    try {
      const result = await this.#login(params, attempt, { via, ip, session });
      attempt.ok = true;
      this.#forget(attempt);
      return result;
    } catch (error) {
      attempt.error = error.error ?? String(error);
      throw error;
    }
  }

  async #login(params, attempt, { via, ip, session }) {
    const totp = params?.totp;
    const options = totp?.login ?? params;
    attempt.type = typeof options?.resume === 'string' ? 'resume' : options?.password !== undefined ? 'password' : 'unknown';
    const user = attempt.type === 'password' ? this.#userOf(options) : this.#store.findToken(options?.resume)?.user;
    attempt.user = user?.username ?? options?.user?.username ?? null;

    const fault = this.#faults.take('login', { user: attempt.user, via, type: attempt.type, session });
    if (fault) await this.#faults.act(fault);
    if (fault?.do === 'error') throw new MeteorError(fault.error, fault.reason, fault.details);

    if (attempt.type === 'resume') return this.#resume(options.resume, attempt, ip, via);
    if (attempt.type !== 'password' || (via === 'ddp' && !this.#passwordOnDdp()))
      throw new MeteorError(400, 'Unrecognized options for login request');
    if (!user) throw this.#failed(attempt, ip, new MeteorError(403, 'User not found'));
    if (!this.#store.passwordMatches(user, options.password)) throw this.#failed(attempt, ip, new MeteorError(403, 'Incorrect password'));
    this.#checkAllowed(user, attempt, ip);
    this.checkSecondFactor(user, totp?.code);
    const { token, expires } = this.#store.addToken(user);
    return { id: user._id, token, tokenExpires: expires, type: 'password' };
  }

  #resume(token, attempt, ip, via) {
    const found = this.#store.findToken(token);
    const streamer = via === 'ddp' && this.#options.flavour === 'streamer';
    if (!found) {
      const text = "You've been logged out by the server. Please log in again";
      throw this.#failed(attempt, ip, new MeteorError(403, streamer ? text : `${text}.`));
    }
    const { user, entry } = found;
    const tokenExpires = entry.when && this.#store.tokenExpires(entry);
    if (tokenExpires && tokenExpires <= this.#store.now()) throw new MeteorError(403, 'Your session has expired. Please log in again.');
    if (!streamer) this.#checkAllowed(user, attempt, ip); // the streamer only looks the token up
    return { id: user._id, token, tokenExpires, type: 'resume' };
  }

  #passwordOnDdp() {
    return this.#options.flavour === 'monolith' || this.#options.version < 8;
  }

  #userOf({ user }) {
    if (!user || typeof user !== 'object') return undefined;
    const keys = Object.keys(user);
    if (keys.length !== 1) throw new MeteorError(400, 'Match failed');
    if (keys[0] === 'username') return this.#store.userByName(user.username);
    if (keys[0] === 'email') return this.#store.userByEmail(user.email);
    return keys[0] === 'id' ? this.#store.users.get(user.id) : undefined;
  }

  #checkAllowed(user, attempt, ip) {
    if (!user.active) throw new MeteorError('error-user-is-not-activated', 'User is not activated');
    if (user.roles.length === 0) throw new MeteorError('error-user-has-no-roles', 'User has no roles');
    if (user.type === 'app') throw new MeteorError('error-app-user-is-not-allowed-to-login', 'App user is not allowed to login');
    if (this.#options.emailVerification && !user.emails.some((e) => e.verified)) throw new MeteorError('error-invalid-email', 'Invalid email');
    if (!this.#options.blockFailedLogins) return;
    if (this.#blocked(`ip ${ip}`, BLOCK_AFTER_FAILURES.ip))
      throw new MeteorError('error-login-blocked-for-ip', 'Login has been temporarily blocked For IP');
    if (this.#blocked(`user ${attempt.user}`, BLOCK_AFTER_FAILURES.user))
      throw new MeteorError('error-login-blocked-for-user', 'Login has been temporarily blocked For User');
  }

  /** For logins by password and for guarded REST calls. Asking for the code sends it, where it comes by mail. */
  checkSecondFactor(user, code) {
    if (!user.totp) return;
    const method = user.totp === 'email' ? 'email' : 'totp';
    const details = { method, codeGenerated: method === 'email', availableMethods: [method] };
    if (code === undefined) {
      this.#codes.set(user._id, 0);
      throw new MeteorError('totp-required', 'TOTP Required', details);
    }
    if (code === TOTP_CODE) return void this.#codes.delete(user._id);
    const wrong = (this.#codes.get(user._id) ?? 0) + 1;
    this.#codes.set(user._id, wrong);
    if (method === 'email' && wrong > TOTP_ATTEMPTS) throw new MeteorError('totp-max-attempts', 'TOTP Maximun Failed Attempts Reached', details);
    throw new MeteorError('totp-invalid', 'TOTP Invalid', details);
  }

  #failed(attempt, ip, error) {
    for (const key of [`ip ${ip}`, `user ${attempt.user}`]) {
      const entry = this.#failures.get(key);
      if (entry && this.#recent(entry)) entry.count++;
      else this.#failures.set(key, { count: 1, since: this.#store.clock.now() });
    }
    return error;
  }

  #blocked(key, limit) {
    const entry = this.#failures.get(key);
    return Boolean(entry && entry.count >= limit && this.#recent(entry));
  }

  #recent({ since }) {
    return this.#store.clock.now() - since < BLOCK_MS * this.#options.timeFactor;
  }

  #forget(attempt) {
    this.#failures.delete(`user ${attempt.user}`);
  }
}
