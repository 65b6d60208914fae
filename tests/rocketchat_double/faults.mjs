// The fault script: rules that wait for something to happen and then make it go wrong.
//
//   {"on": HOOK, "match": {field: value}, "skip": 2, "times": 1, "do": ACTION, ...arguments}
//
// A rule fires for the events of its hook whose fields all equal `match` (a value that begins and
// ends with "/" is a regular expression), after `skip` of them, `times` times (0: for ever).
//
// hook    fields                                        actions
// accept  url, ip                                       refuse {status, body, headers}, stall, reset, delay {ms}
// in      msg, method, name, user                       ignore, delay {ms}, error {error, reason, details},
//                                                       answer {result}, close {code, reason}, drop, reset,
//                                                       half-open
// out     msg, id, collection, event, action, user      ignore, delay {ms}, duplicate, swap, fragment {size},
//                                                       replace {text | base64}, insert {text | base64},
//                                                       args {args}, big {bytes}, pings {count, control},
//                                                       close, drop, reset, half-open
// login   via (rest, ddp), type, user                   error {error, reason, details}, delay {ms}
// rest    path, method, user                            respond {status, body, headers}, stall, delay {ms},
//                                                       drip {size, ms}, truncate, reset
// room    rid, action                                   coalesce (this event waits for the room's next one,
//                                                       then both carry the room as it is by then), ignore
//
// `drop` ends TCP without a close frame, `reset` sends RST, `half-open` goes silent for ever and
// keeps the socket. Actions on `out` that end the connection come after the frame they matched;
// `insert`, `big` (a frame of an unknown `msg`) and `pings` come before it; `args` gives an event
// other arguments, or none at all.

const HOOKS = {
  accept: ['refuse', 'stall', 'reset', 'delay'],
  in: ['ignore', 'delay', 'error', 'answer', 'close', 'drop', 'reset', 'half-open'],
  out: ['ignore', 'delay', 'duplicate', 'swap', 'fragment', 'replace', 'insert', 'args', 'big', 'pings', 'close', 'drop', 'reset', 'half-open'],
  login: ['error', 'delay'],
  rest: ['respond', 'stall', 'delay', 'drip', 'truncate', 'reset'],
  room: ['coalesce', 'ignore'],
};

const TOO_MANY = 'Error, too many requests. Please slow down. You must wait 1 seconds before trying this endpoint again. [error-too-many-requests]';
const HTML = '<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>';
const EVENT = { on: 'out', match: { msg: 'changed' } };
const loginError = (error, reason, details) => ({ on: 'login', do: 'error', error, reason, details });

/** Rules by name: {"preset": NAME, ...} fills in what the preset leaves open. */
export const PRESETS = {
  'totp-required': loginError('totp-required', 'TOTP Required', { method: 'totp', codeGenerated: false, availableMethods: ['totp'] }),
  'user-not-activated': loginError('error-user-is-not-activated', 'User is not activated'),
  'blocked-for-ip': loginError('error-login-blocked-for-ip', 'Login has been temporarily blocked For IP'),
  'blocked-for-user': loginError('error-login-blocked-for-user', 'Login has been temporarily blocked For User'),
  'login-500': loginError(500, 'Internal server error'),
  'html-502': { on: 'rest', do: 'respond', status: 502, headers: { 'Content-Type': 'text/html' }, body: HTML },
  unavailable: { on: 'rest', do: 'respond', status: 503, body: { success: false, error: 'Service Unavailable' } },
  'bad-json': { on: 'rest', do: 'respond', status: 200, body: '{"success":tr' },
  'rest-429': { on: 'rest', do: 'respond', status: 429, body: { success: false, error: TOO_MANY } },
  'rest-stalled': { on: 'rest', do: 'stall' },
  'ddp-refused-html': { on: 'accept', do: 'refuse', status: 502, headers: { 'Content-Type': 'text/html' }, body: HTML },
  'ddp-stalled': { on: 'accept', do: 'stall' },
  'too-many-subs': { on: 'in', match: { msg: 'sub' }, do: 'error', error: 'too-many-requests', details: { timeToReset: 200 } },
  'too-many-calls': { on: 'in', match: { msg: 'method' }, do: 'error', error: 'too-many-requests', details: { timeToReset: 200 } },
  'swap-events': { ...EVENT, do: 'swap' },
  'double-events': { ...EVENT, do: 'duplicate' },
  'in-fragments': { ...EVENT, do: 'fragment', size: 7 },
  'invalid-utf8': { ...EVENT, do: 'insert', base64: Buffer.from('{"msg":"changed","x":"\xff\xfe"}', 'latin1').toString('base64') },
  'invalid-json': { ...EVENT, do: 'insert', text: '{"msg":"changed","fields":{' },
  'unknown-msg': { ...EVENT, do: 'insert', text: '{"msg":"unheard-of","id":7}' },
  'no-msg': { ...EVENT, do: 'insert', text: '{"server_id":"0"}' },
  'no-args': { ...EVENT, do: 'args' },
  'empty-args': { ...EVENT, do: 'args', args: [] },
  'big-frame': { ...EVENT, do: 'big', bytes: 5 * 1024 * 1024 },
  'ping-flood': { ...EVENT, do: 'pings', count: 1000 },
  'coalesce-rooms': { on: 'room', match: { action: 'updated' }, do: 'coalesce' },
};

function matcher(want) {
  if (typeof want === 'string' && want.length > 2 && want.startsWith('/') && want.endsWith('/')) {
    const pattern = new RegExp(want.slice(1, -1));
    return (have) => typeof have === 'string' && pattern.test(have);
  }
  return (have) => have === want;
}

export class Faults {
  #rules = new Map(Object.keys(HOOKS).map((hook) => [hook, []]));
  #nextId = 1;

  /** Adds a rule and returns its id. Throws on a rule that could never do anything. */
  add(spec) {
    const preset = spec.preset === undefined ? {} : PRESETS[spec.preset];
    if (!preset) throw new TypeError(`unknown preset ${spec.preset}`);
    const rule = { times: 1, skip: 0, ...preset, ...spec, match: { ...preset.match, ...spec.match } };
    if (!HOOKS[rule.on]) throw new TypeError(`unknown hook ${rule.on}`);
    if (!HOOKS[rule.on].includes(rule.do)) throw new TypeError(`${rule.on} knows no action ${rule.do}`);
    rule.id = this.#nextId++;
    rule.fired = 0;
    rule.tests = Object.entries(rule.match).map(([field, want]) => [field, matcher(want)]);
    this.#rules.get(rule.on).push(rule);
    return rule.id;
  }

  clear() {
    for (const rules of this.#rules.values()) rules.length = 0;
  }

  list() {
    return [...this.#rules.values()].flat().map(({ tests, ...rule }) => rule);
  }

  /** True where a hook has rules: lets hot paths skip building the event's fields. */
  watches(hook) {
    return this.#rules.get(hook).length > 0;
  }

  /** The rule that fires for this event, or undefined. */
  take(hook, fields) {
    const rules = this.#rules.get(hook);
    for (const rule of rules) {
      if (!rule.tests.every(([field, test]) => test(fields[field]))) continue;
      if (rule.skip > 0) {
        rule.skip--;
        continue;
      }
      rule.fired++;
      if (rule.times > 0 && rule.fired >= rule.times) rules.splice(rules.indexOf(rule), 1);
      return rule;
    }
    return undefined;
  }

  /** The part of an action that is the same at every hook: waiting. */
  async act(rule) {
    if (rule.do === 'delay') await new Promise((resolve) => setTimeout(resolve, rule.ms));
  }
}
