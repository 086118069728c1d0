import { ProxyAgent, request } from 'undici';
import { connect } from '../protocol/client.ts';

const [url = 'ws://127.0.0.1:7400', page = 'https://example.com/'] = process.argv.slice(2);
await using client = await connect({ url, client: 'ten-lines' });
await using lease = await client.acquire({ resource: 7, ttlMs: 30_000, where: { country: { eq: 'US' } } });
const { address } = lease.address;
const proxy = address.includes('://') ? address : `http://${address}`;
const dispatcher = new ProxyAgent({ uri: proxy, proxyTunnel: page.startsWith('https:') });
const { statusCode, body } = await request(page, { dispatcher, signal: lease.signal });
console.log(lease.token, proxy, statusCode, (await body.text()).length);
await lease.report({ outcome: statusCode < 400 ? 'ok' : 'failed', requests: 1 });
