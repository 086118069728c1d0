// A reverse proxy of http-proxy-3 as its documentation has it, with connections kept alive: node http-proxy-3.js PORT TARGET
import { Agent } from 'node:http';
import { createServer } from 'http-proxy-3';

const [port, target] = process.argv.slice(2);
const proxy = createServer({ target, agent: new Agent({ keepAlive: true, maxSockets: 256 }), xfwd: true });
proxy.on('error', (_error, _request, response) => response.writeHead?.(502).end());
proxy.listen(Number(port), '127.0.0.1');
