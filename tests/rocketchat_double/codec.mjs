// Ids, hashes, EJSON and errors as Rocket.Chat puts them on the wire.
import { createHash } from 'node:crypto';

const ID_ALPHABET = '23456789ABCDEFGHJKLMNPQRSTWXYZabcdefghijkmnopqrstuvwxyz'; // Meteor's Random.id
const TOKEN_ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

/** Ids from a seed: the same calls in the same order give the same ids in every run. */
export class Ids {
  #state;

  constructor(seed) {
    this.#state = seed >>> 0;
  }

  // mulberry32
  next() {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }

  #pick(alphabet, n) {
    let s = '';
    for (let i = 0; i < n; i++) s += alphabet[Math.floor(this.next() * alphabet.length)];
    return s;
  }

  id() {
    return this.#pick(ID_ALPHABET, 17);
  }

  token() {
    return this.#pick(TOKEN_ALPHABET, 43);
  }

  uuid() {
    const hex = this.#pick('0123456789abcdef', 31);
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-1${hex.slice(12, 15)}-a${hex.slice(15, 18)}-${hex.slice(18, 30)}`;
  }
}

/** What Meteor stores instead of the token. */
export const hashToken = (token) => createHash('sha256').update(token).digest('base64');

export const sha256Hex = (text) => createHash('sha256').update(text).digest('hex');

function toEjson(value) {
  if (value === null || typeof value !== 'object') return value;
  if (value instanceof Date) return { $date: value.getTime() };
  if (Array.isArray(value)) return value.map(toEjson);
  const out = {};
  for (const key in value) if (value[key] !== undefined) out[key] = toEjson(value[key]);
  return out;
}

function fromEjson(value) {
  if (value === null || typeof value !== 'object') return value;
  if (Array.isArray(value)) return value.map(fromEjson);
  const keys = Object.keys(value);
  if (keys.length === 1 && keys[0] === '$date' && typeof value.$date === 'number') return new Date(value.$date);
  if (keys.length === 1 && keys[0] === '$escape') return value.$escape;
  const out = {};
  for (const key of keys) out[key] = fromEjson(value[key]);
  return out;
}

/** DDP text of a value that may hold Dates. REST answers use JSON.stringify: ISO dates. */
export const ddpStringify = (value) => JSON.stringify(toEjson(value));

/** An event's frame; argsText: its arguments as DDP text, undefined: a frame without any. */
export const changedFrame = (stream, event, argsText) =>
  `{"msg":"changed","collection":"${stream}","id":"id","fields":{"eventName":${JSON.stringify(event)}${argsText === undefined ? '' : `,"args":${argsText}`}}}`;

/** null where Meteor's parser finds no DDP message: bad JSON, not an object. */
export function ddpParse(text) {
  let value;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return null;
  for (const key of ['fields', 'params', 'result']) if (value[key] !== undefined) value[key] = fromEjson(value[key]);
  return value;
}

/** A client-safe error: what a method or publication throws on purpose. */
export class MeteorError extends Error {
  constructor(error, reason, details) {
    super(reason ? `${reason} [${error}]` : `[${error}]`);
    this.error = error;
    this.reason = reason;
    this.details = details;
  }

  toWire() {
    return {
      isClientSafe: true,
      error: this.error,
      ...(this.reason !== undefined && { reason: this.reason }),
      message: this.message,
      ...(this.details !== undefined && { details: this.details }),
      errorType: 'Meteor.Error',
    };
  }
}

export const internalError = () => new MeteorError(500, 'Internal server error');

/** A handler throws this for an answer that is not the usual envelope. */
export class RestAnswer extends Error {
  constructor(status, body) {
    super(`HTTP ${status}`);
    this.status = status;
    this.body = body;
  }
}
