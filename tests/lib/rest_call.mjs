// One HTTP call with nothing added and nothing hidden: exact path, header lines as given, the answer
// as it comes.
import http from 'node:http';

/**
 * Resolves to {status, headers, rawHeaders, body (Buffer), json(), trailers}. `headers` may hold
 * arrays; `body` a string, a Buffer, or a function that gets the request and writes to it; `agent`
 * for a connection that is kept.
 */
export function call(url, path, { method = 'GET', headers = {}, body, agent } = {}) {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const req = http.request({ hostname, port, path, method, headers, agent: agent ?? false }, (res) => {
      const chunks = [];
      res.on('data', (chunk) => chunks.push(chunk));
      res.on('error', reject);
      res.on('end', () => {
        const all = Buffer.concat(chunks);
        resolve({ status: res.statusCode, headers: res.headers, rawHeaders: res.rawHeaders, body: all, json: () => JSON.parse(all.toString()) });
      });
    });
    req.on('error', reject);
    if (typeof body === 'function') body(req);
    else req.end(body);
  });
}

/** The values of a header in a rawHeaders list, by lower-case name. */
export function valuesOf(rawHeaders, name) {
  return rawHeaders.filter((_, i) => i % 2 === 1 && rawHeaders[i - 1].toLowerCase() === name);
}
