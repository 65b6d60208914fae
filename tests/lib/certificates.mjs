// A certificate authority and a certificate for 127.0.0.1 and localhost, made fresh by openssl.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

/** {ca, key, cert}: PEM texts; {caFile, keyFile, certFile}: the same in files that live as long as the test. */
export function makeCertificates(t) {
  const dir = mkdtempSync(path.join(tmpdir(), 'pushbridge-test-'));
  t.after(() => rmSync(dir, { recursive: true }));
  const file = (name) => path.join(dir, name);
  const openssl = (...args) => execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  openssl('req', '-x509', ...newKey, '-keyout', file('ca.key'), '-out', file('ca.pem'), '-days', '2', '-subj', '/CN=Test authority');
  openssl('req', ...newKey, '-keyout', file('key.pem'), '-out', file('request.pem'), '-subj', '/CN=localhost');
  writeFileSync(file('extensions'), 'subjectAltName=DNS:localhost,IP:127.0.0.1\n');
  openssl('x509', '-req', '-in', file('request.pem'), '-CA', file('ca.pem'), '-CAkey', file('ca.key'), '-CAcreateserial', '-days', '2', '-extfile', file('extensions'), '-out', file('cert.pem'));
  const read = (name) => readFileSync(file(name), 'utf8');
  return { ca: read('ca.pem'), key: read('key.pem'), cert: read('cert.pem'), caFile: file('ca.pem'), keyFile: file('key.pem'), certFile: file('cert.pem') };
}
