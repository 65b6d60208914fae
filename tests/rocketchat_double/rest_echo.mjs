// What a proxy in front is tested with: with the option `echo` every authenticated call under
// /api/v1/ but `me`, modelled or not, is recorded as it came, and answered by its own description.
// Without credentials they are 401, but for the model's own open ones (logins work).
//
// A call steers its answer by header x-echo, a JSON object: {status, headers, bytes: N of body text,
// text: the body, chunked: without a length, early: answered before the body is read, stall: bytes
// after which nothing follows}. Records: control view `echoes`, at most KEPT, bodies up to BODY_KEPT.
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';

const OPEN = new Set(['/api/v1/login', '/api/v1/info']);
const KEPT = 1000;
const BODY_KEPT = 65_536;
const PIECE = 65_536;

export class Echo {
  records = [];
  constructor(enabled) {
    this.enabled = enabled;
  }

  wants(path, user) {
    return this.enabled && path.startsWith('/api/v1/') && path !== '/api/v1/me' && (user !== undefined || !OPEN.has(path));
  }

  async answer(req, res, user) {
    if (!user) {
      const text = 'You must be logged in to do this.';
      res.writeHead(401, { 'Content-Type': 'application/json' });
      return void res.end(JSON.stringify({ status: 'error', message: text, success: false, error: text }));
    }
    const steer = JSON.parse(req.headers['x-echo'] ?? '{}');
    const record = { method: req.method, url: req.url, user: user.username, headers: req.rawHeaders, bytes: 0, sha256: '', body: '' };
    this.records.push(record);
    if (this.records.length > KEPT) this.records.shift();
    if (!steer.early) await readBody(req, record);
    const text = steer.text ?? JSON.stringify({ success: true, echo: record });
    const length = steer.bytes ?? Buffer.byteLength(text);
    res.writeHead(steer.status ?? 200, { 'Content-Type': 'application/json', ...steer.headers, ...(!steer.chunked && { 'Content-Length': length }) });
    if (req.method === 'HEAD') return void res.end();
    if (steer.bytes === undefined) return void res.end(text);
    const body = Readable.from(pieces(Math.min(steer.bytes, steer.stall ?? Infinity)), { objectMode: false });
    body.pipe(res, { end: steer.stall === undefined });
    res.on('close', () => body.destroy());
  }
}

async function readBody(req, record) {
  const hash = createHash('sha256');
  const kept = [];
  for await (const chunk of req) {
    hash.update(chunk);
    if (record.bytes < BODY_KEPT) kept.push(chunk);
    record.bytes += chunk.length;
  }
  record.sha256 = hash.digest('hex');
  record.body = Buffer.concat(kept).subarray(0, BODY_KEPT).toString('latin1');
}

function* pieces(bytes) {
  const piece = Buffer.alloc(PIECE, 'e');
  for (let left = bytes; left > 0; left -= PIECE) yield left < PIECE ? piece.subarray(0, left) : piece;
}
