// Raw bytes over TCP: HTTP answers and WebSocket frames read by hand, so that tests see exactly what
// the server wrote and can send what no client would.
import { createHash, randomBytes } from 'node:crypto';
import net from 'node:net';

const OPCODES = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 };
const NAMES = Object.fromEntries(Object.entries(OPCODES).map(([name, code]) => [code, name]));
const HUB_PATH = '/signalr';
export const RS = '\x1e';

export class RawConnection {
  #buffer = Buffer.alloc(0);
  #wake = () => {};
  ended = false; // the peer closed or reset

  static async open(port, options = {}) {
    const raw = new RawConnection();
    raw.socket = net.connect({ port, host: '127.0.0.1', ...options });
    raw.socket.setNoDelay(true);
    raw.socket.on('data', (chunk) => {
      raw.#buffer = raw.#buffer.length === 0 ? chunk : Buffer.concat([raw.#buffer, chunk]);
      raw.#wake();
    });
    const end = () => {
      raw.ended = true;
      raw.#wake();
    };
    raw.socket.on('end', end).on('close', end).on('error', () => {});
    await new Promise((resolve, reject) => raw.socket.once('connect', resolve).once('error', reject));
    return raw;
  }

  write(bytes) {
    if (!this.socket.destroyed) this.socket.write(bytes);
  }

  /** In pieces, each in a segment of its own as far as the kernel lets it. */
  async writeSplit(bytes, size) {
    for (let i = 0; i < bytes.length; i += size) {
      this.write(bytes.subarray(i, i + size));
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  destroy() {
    this.socket.destroy();
  }

  /** Waits until take(buffer) gives a value; {value, used} or undefined. Null at the end of input. */
  async #read(what, take, timeoutMs) {
    const end = Date.now() + timeoutMs;
    for (;;) {
      const found = take(this.#buffer);
      if (found) {
        this.#buffer = this.#buffer.subarray(found.used);
        return found.value;
      }
      if (this.ended) return null;
      const left = end - Date.now();
      if (left <= 0) throw new Error(`no ${what} in ${timeoutMs} ms; had ${JSON.stringify(this.#buffer.subarray(0, 300).toString('latin1'))}`);
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, left);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  /** {status, reason, headers: Map (lower case), body} of one answer; null: closed instead. */
  response({ method = 'GET', timeoutMs = 5000 } = {}) {
    return this.#read('HTTP answer', (buffer) => takeResponse(buffer, method, this.ended), timeoutMs);
  }

  /** {op, fin, rsv, masked, payload} of one frame; null: TCP closed. */
  frame(timeoutMs = 5000) {
    return this.#read('frame', takeFrame, timeoutMs);
  }

  /** Resolves when the peer has closed; what it still sent is dropped. */
  async closed(timeoutMs = 5000) {
    await this.#read('end', () => undefined, timeoutMs);
  }

  get pending() {
    return this.#buffer;
  }
}

function takeResponse(buffer, method, ended) {
  const head = buffer.indexOf('\r\n\r\n');
  if (head < 0) return undefined;
  const [first, ...lines] = buffer.subarray(0, head).toString('latin1').split('\r\n');
  const [, status, reason] = /^HTTP\/1\.1 (\d{3}) ?(.*)$/.exec(first) ?? [undefined, `malformed status line: ${first}`];
  const headers = new Map();
  for (const line of lines) {
    const colon = line.indexOf(':');
    const name = line.slice(0, colon).toLowerCase();
    headers.set(name, headers.has(name) ? `${headers.get(name)}, ${line.slice(colon + 1).trim()}` : line.slice(colon + 1).trim());
  }
  const answer = { status: Number(status), reason, headers, body: '' };
  const bodiless = method === 'HEAD' || answer.status < 200 || answer.status === 204 || answer.status === 304;
  if (bodiless) return { value: answer, used: head + 4 };
  const length = headers.has('content-length') ? Number(headers.get('content-length')) : ended ? buffer.length - head - 4 : undefined;
  if (length === undefined || buffer.length < head + 4 + length) return undefined;
  answer.body = buffer.subarray(head + 4, head + 4 + length).toString();
  return { value: answer, used: head + 4 + length };
}

function takeFrame(buffer) {
  if (buffer.length < 2) return undefined;
  let length = buffer[1] & 0x7f;
  let at = 2;
  if (length === 126) {
    if (buffer.length < 4) return undefined;
    length = buffer.readUInt16BE(2);
    at = 4;
  } else if (length === 127) {
    if (buffer.length < 10) return undefined;
    length = Number(buffer.readBigUInt64BE(2));
    at = 10;
  }
  if (buffer.length < at + length) return undefined;
  const value = {
    op: NAMES[buffer[0] & 0x0f] ?? buffer[0] & 0x0f,
    fin: (buffer[0] & 0x80) !== 0,
    rsv: (buffer[0] >> 4) & 7,
    masked: (buffer[1] & 0x80) !== 0,
    payload: Buffer.from(buffer.subarray(at, at + length)),
  };
  return { value, used: at + length };
}

/** A client's frame. op: name or number. announce: a length that need not be the payload's. */
export function encodeFrame({ op = 'text', fin = true, rsv = 0, mask = true, payload = '', announce }) {
  const bytes = Buffer.from(payload);
  const length = BigInt(announce ?? bytes.length);
  const first = (fin ? 0x80 : 0) | (rsv << 4) | (typeof op === 'number' ? op : OPCODES[op]);
  const head = [first];
  if (length < 126n) head.push(Number(length));
  else if (length < 65536n) head.push(126, Number(length >> 8n), Number(length & 255n));
  else {
    head.push(127);
    for (let shift = 56n; shift >= 0n; shift -= 8n) head.push(Number((length >> shift) & 255n));
  }
  if (!mask) return Buffer.concat([Buffer.from(head), bytes]);
  head[1] |= 0x80;
  const key = randomBytes(4);
  const masked = Buffer.from(bytes.map((byte, i) => byte ^ key[i & 3]));
  return Buffer.concat([Buffer.from(head), key, masked]);
}

/** The bytes of an upgrade request to the hub. */
export function upgradeRequest({ port, query = '', headers = {}, path = HUB_PATH }) {
  const all = {
    Host: `127.0.0.1:${port}`,
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
    ...headers,
  };
  const lines = Object.entries(all).filter(([, value]) => value !== undefined);
  return `GET ${path}${query} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`;
}

export const acceptOf = (key) => createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');

/** A WebSocket to the hub, upgraded with the token; `handshake: false` stops there. */
export async function openHub(port, token, { handshake = true } = {}) {
  const raw = await RawConnection.open(port);
  raw.write(upgradeRequest({ port, query: `?access_token=${token}` }));
  const answer = await raw.response();
  if (answer?.status !== 101) throw new Error(`upgrade answered ${answer?.status}`);
  if (!handshake) return raw;
  raw.write(encodeFrame({ payload: `{"protocol":"json","version":1}${RS}` }));
  const first = await raw.frame();
  if (first?.payload.toString() !== `{}${RS}`) throw new Error(`handshake answered ${first?.payload}`);
  return raw;
}

/** What a hub connection says, pings and bridgeStatus left out, until TCP ends or `done(events)`. */
export async function listen(raw, done, timeoutMs = 5000) {
  const events = [];
  while (!done(events)) {
    const frame = await raw.frame(timeoutMs);
    if (frame === null) {
      events.push({ end: true });
      break;
    }
    if (frame.masked || !frame.fin || frame.rsv !== 0) events.push({ illegal: frame });
    if (frame.op === 'close') events.push({ close: frame.payload.length < 2 ? 1005 : frame.payload.readUInt16BE(0), reason: frame.payload.subarray(2).toString() });
    else if (frame.op === 'text' || frame.op === 'binary') {
      const records = frame.payload.toString().split(RS);
      if (records.pop() !== '') events.push({ illegal: frame.payload.toString() });
      for (const record of records) {
        const message = JSON.parse(record);
        if (message.type !== 6 && message.target !== 'bridgeStatus') events.push(message);
      }
    } else events.push({ [frame.op]: frame.payload.toString('latin1') });
  }
  return events;
}
