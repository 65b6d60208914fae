// Thousands of DDP connections in one process: bare sockets that log in with a token, follow their
// user's rooms, and count what they hear.
import net from 'node:net';

const UPGRADE = 'GET /websocket HTTP/1.1\r\nHost: double\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n';
const AT_ONCE = 200;

/** A client's text frame; the mask is zero, so that masking changes nothing. */
function frame(message) {
  const text = Buffer.from(JSON.stringify(message));
  const head = text.length < 126 ? Buffer.from([0x81, 0x80 | text.length]) : Buffer.from([0x81, 0x80 | 126, text.length >> 8, text.length & 255]);
  return Buffer.concat([head, Buffer.alloc(4), text]);
}

class Member {
  ready;
  closed;
  heard = 0; // events
  #rest = Buffer.alloc(0);
  #upgraded = false;

  constructor(port, uid, token) {
    this.socket = net.connect(port, '127.0.0.1');
    this.uid = uid;
    this.token = token;
    this.closed = new Promise((resolve) => this.socket.once('close', resolve));
    this.ready = new Promise((resolve, reject) => {
      this.becameReady = resolve;
      this.failed = reject;
    });
    this.ready.catch(() => {});
    this.closed.then(() => this.failed(new Error(`${uid}: closed`)));
    this.socket.on('error', () => {}).on('data', (data) => this.#received(data));
    this.socket.once('connect', () => this.socket.write(UPGRADE));
  }

  #received(data) {
    let bytes = this.#rest.length > 0 ? Buffer.concat([this.#rest, data]) : data;
    if (!this.#upgraded) {
      const end = bytes.indexOf('\r\n\r\n');
      if (end >= 0) {
        this.#upgraded = true;
        this.#send({ msg: 'connect', version: '1', support: ['1'] });
        bytes = bytes.subarray(end + 4);
      }
    }
    while (this.#upgraded && bytes.length >= 2) {
      const wide = bytes[1] === 126;
      if (wide && bytes.length < 4) break;
      const [from, size] = wide ? [4, bytes.readUInt16BE(2)] : [2, bytes[1]];
      if (bytes.length < from + size) break;
      if ((bytes[0] & 15) === 1) this.#frame(JSON.parse(bytes.subarray(from, from + size)));
      bytes = bytes.subarray(from + size);
    }
    this.#rest = Buffer.from(bytes);
  }

  #frame(message) {
    if (message.msg === 'connected') this.#send({ msg: 'method', method: 'login', id: '1', params: [{ resume: this.token }] });
    else if (message.msg === 'result' && message.error) this.failed(new Error(`${this.uid}: ${JSON.stringify(message.error)}`));
    else if (message.msg === 'result') this.#send({ msg: 'sub', id: 's', name: 'stream-notify-user', params: [`${this.uid}/rooms-changed`, false] });
    else if (message.msg === 'ready') this.becameReady();
    else if (message.msg === 'changed' && message.collection !== 'users') this.heard++;
    else if (message.msg === 'ping') this.#send({ msg: 'pong' });
  }

  #send(message) {
    this.socket.write(frame(message));
  }
}

/** logins: [uid, token]. Resolves to the members once each is logged in and subscribed. */
export async function openCrowd(port, logins) {
  const members = [];
  const queue = [...logins].reverse();
  const worker = async () => {
    while (queue.length > 0) {
      const member = new Member(port, ...queue.pop());
      members.push(member);
      await member.ready;
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return members;
}
