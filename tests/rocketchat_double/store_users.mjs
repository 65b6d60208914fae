// Users and their tokens, and the time that stamps what changes. What is announced: see store.mjs.
import { EventEmitter } from 'node:events';
import { Ids, MeteorError, hashToken, sha256Hex } from './codec.mjs';

const MAX_RESUME_LOGIN_TOKENS = 50;
const LOGIN_EXPIRATION_MS = 90 * 24 * 3600 * 1000;

export class Users extends EventEmitter {
  users = new Map(); // uid -> user; the document is changed in place
  #usernames = new Map(); // folded user name -> uid
  #tokenOwners = new Map(); // token hash -> user
  #lastNow = 0;
  #held = null; // the stamp that everything gets while together() runs

  /** options: seed, equalStamps (several changes may share a millisecond) */
  constructor(options, clock) {
    super();
    this.setMaxListeners(0);
    this.options = options;
    this.clock = clock;
    this.ids = new Ids(options.seed);
    this.createUser({ username: 'rocket.cat', name: 'Rocket.Cat', _id: 'rocket.cat', roles: ['bot'] });
  }

  /** Server time. Strictly rising, so that `_updatedAt` orders changes, unless told otherwise. */
  now() {
    if (this.#held !== null) return new Date(this.#held);
    const time = this.clock.now();
    this.#lastNow = this.options.equalStamps ? time : Math.max(time, this.#lastNow + 1);
    return new Date(this.#lastNow);
  }

  /** Whatever `act` changes shares one millisecond, now's or `at`: rows tie at the boundary of a catch-up query. */
  together(act, at = this.now()) {
    this.#held = at.getTime();
    try {
      return act();
    } finally {
      this.#held = null;
    }
  }

  // ---- users and tokens ----

  /** totp: true where an authenticator is set up, 'email' where codes come by mail. */
  createUser({ username, password, name, _id, roles = ['user'], email, verified = true, totp = false, active = true, type = 'user' }) {
    if (this.#usernames.has(username.toLowerCase()))
      throw new MeteorError('error-field-unavailable', `${username} is already in use :(`);
    const user = {
      _id: _id ?? this.ids.id(),
      username,
      name: name ?? username,
      emails: [{ address: email ?? `${username.replace(/[^\w.-]/g, '_')}@example.org`, verified }],
      roles,
      type,
      active,
      password,
      totp,
      status: 'offline',
      statusDefault: 'online',
      statusText: '',
      createdAt: this.now(),
      tokens: [], // {hash, when?, type?}; oldest first
    };
    this.users.set(user._id, user);
    this.#usernames.set(username.toLowerCase(), user._id);
    return user;
  }

  userByName(username) {
    return typeof username === 'string' ? this.users.get(this.#usernames.get(username.toLowerCase())) : undefined;
  }

  userByEmail(email) {
    for (const user of this.users.values()) if (user.emails.some((e) => e.address === email)) return user;
    return undefined;
  }

  /** A user by id or name; throws where there is none. For scripts and the control interface. */
  requireUser(ref) {
    const user = this.users.get(ref) ?? this.userByName(ref);
    if (!user) throw new MeteorError('error-invalid-user', `no user ${ref}`);
    return user;
  }

  passwordMatches(user, password) {
    if (typeof user.password !== 'string') return false;
    if (typeof password === 'string') return password === user.password;
    return password?.algorithm === 'sha-256' && password.digest === sha256Hex(user.password);
  }

  /** A new resume token. Past the cap the oldest dies, and with it whatever runs on it. */
  addToken(user, { personal = false } = {}) {
    const token = this.ids.token();
    const entry = personal ? { hash: hashToken(token), type: 'personalAccessToken' } : { hash: hashToken(token), when: this.now() };
    user.tokens.push(entry);
    this.#tokenOwners.set(entry.hash, user);
    const resume = user.tokens.filter((t) => !t.type);
    if (resume.length > MAX_RESUME_LOGIN_TOKENS) this.removeToken(user, resume[0].hash);
    return { token, expires: entry.when && this.tokenExpires(entry) };
  }

  tokenExpires(entry) {
    return new Date(entry.when.getTime() + LOGIN_EXPIRATION_MS);
  }

  /** {user, entry} of a token, or undefined. */
  findToken(token) {
    if (typeof token !== 'string') return undefined;
    const hash = hashToken(token);
    const user = this.#tokenOwners.get(hash);
    return user && { user, entry: user.tokens.find((t) => t.hash === hash) };
  }

  removeToken(user, hash) {
    const i = user.tokens.findIndex((t) => t.hash === hash);
    if (i < 0) return;
    user.tokens.splice(i, 1);
    this.#tokenOwners.delete(hash);
    this.emit('token-removed', { uid: user._id, hash });
  }

  removeAllTokens(user) {
    for (const { hash } of [...user.tokens]) this.removeToken(user, hash);
  }

  /** All tokens but the one of `hash`; personal ones stay where told so. */
  removeOtherTokens(user, hash, { keepPersonal = false } = {}) {
    for (const t of [...user.tokens]) if (t.hash !== hash && !(keepPersonal && t.type)) this.removeToken(user, t.hash);
  }

  /** New values of the user's own fields. A new password or a second factor ends every login. */
  changeUser(user, diff) {
    const { username } = diff;
    if (username !== undefined && username !== user.username) {
      if (this.userByName(username)) throw new MeteorError('error-field-unavailable', `${username} is already in use :(`);
      this.#usernames.delete(user.username.toLowerCase());
      this.#usernames.set(username.toLowerCase(), user._id);
    }
    const { password, totp, ...seen } = diff;
    Object.assign(user, diff);
    if (password !== undefined || totp) this.removeAllTokens(user);
    if (Object.keys(seen).length > 0) this.emit('user-updated', { user, diff: seen });
  }

  setActive(user, active) {
    this.changeUser(user, { active });
    if (!active) this.removeAllTokens(user);
  }

  deleteUser(user) {
    this.removeAllTokens(user);
    this.users.delete(user._id);
    this.#usernames.delete(user.username.toLowerCase());
    this.emit('user-deleted', { user });
  }
}
