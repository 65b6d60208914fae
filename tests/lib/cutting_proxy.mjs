// A network between clients and the bridge that can be cut (tests/net_cutter): nothing passes and
// nothing is acknowledged, and nobody is told.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { cleanUp } from './harness.mjs';

const ROOT = path.join(path.dirname(fileURLToPath(import.meta.url)), '..', '..');
const BINARY = path.join(path.resolve(process.env.BUILD ?? path.join(ROOT, 'build/asan')), 'net_cutter');

export class CuttingProxy {
  #child;
  #answers = [];

  /** In front of a port of this host. Clients connect to `url`. */
  static async start(t, target) {
    const proxy = new CuttingProxy();
    const child = spawn(BINARY, [String(target)], { stdio: ['pipe', 'pipe', 'inherit'] });
    proxy.#child = child;
    const lines = createInterface({ input: child.stdout });
    const first = new Promise((resolve, reject) => {
      lines.once('line', resolve);
      child.once('error', reject).once('exit', (code) => reject(new Error(`net_cutter ended with ${code}`)));
    });
    proxy.port = Number(/^port (\d+)$/.exec(await first)[1]);
    proxy.url = `http://127.0.0.1:${proxy.port}`;
    lines.on('line', () => proxy.#answers.shift()?.());
    cleanUp(t, async () => {
      const exited = once(child, 'exit');
      child.stdin.end();
      await exited;
    });
    return proxy;
  }

  #tell(command) {
    return new Promise((resolve) => {
      this.#answers.push(resolve);
      this.#child.stdin.write(`${command}\n`);
    });
  }

  cut = () => this.#tell('cut');
  /** What waited goes on, by retransmission. */
  mend = () => this.#tell('mend');
  /** The present connections stay cut at the bridge's end for good; their clients see a reset. */
  abandon = () => this.#tell('abandon');
  /** Both ends of the present connections see a reset. */
  reset = () => this.#tell('reset');
}
