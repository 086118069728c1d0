/**
 * A target of the balancer: answers everything with 200 and `Hello, world!`, and says in a header which one it is.
 *
 *   node dist/examples/balancer/target.js --port 8081
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { parseArgs } from 'node:util';

export const GREETING = 'Hello, world!';
export const TARGET_HEADER = 'x-target';

/** Where to listen, and on what; port 0: any free one. */
function flags(): { host: string; port: number } {
  const { values } = parseArgs({ options: { host: { type: 'string' }, port: { type: 'string' } } });
  const { host = '127.0.0.1', port = '0' } = values;
  return { host, port: Number(port) };
}

function serve({ host, port }: { host: string; port: number }): void {
  const server = createServer((request, response) => {
    request.resume();
    response.writeHead(200, {
      'content-type': 'text/plain',
      'content-length': GREETING.length,
      [TARGET_HEADER]: String((server.address() as AddressInfo).port),
    });
    response.end(GREETING);
  });
  server.listen(port, host, () => console.log(`listening on ${(server.address() as AddressInfo).port}`));
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      server.close();
      server.closeAllConnections();
    });
  }
}

serve(flags());
