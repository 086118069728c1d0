import { expect, it } from 'vitest';
import { parseUpstream, proxyAuthorization } from './upstream.ts';

it.each([
  ['10.0.0.1:8080', { scheme: 'http', host: '10.0.0.1', port: 8_080, credentials: undefined }],
  ['proxy.example:80', { scheme: 'http', host: 'proxy.example', port: 80, credentials: undefined }],
  ['[2001:db8::1]:3128', { scheme: 'http', host: '2001:db8::1', port: 3_128, credentials: undefined }],
  ['http://proxy.example', { scheme: 'http', host: 'proxy.example', port: 80, credentials: undefined }],
  ['https://proxy.example:80/', { scheme: 'https', host: 'proxy.example', port: 80, credentials: undefined }],
  ['https://proxy.example', { scheme: 'https', host: 'proxy.example', port: 443, credentials: undefined }],
  [
    'http://user:p%40ss%@10.0.0.1:8080',
    { scheme: 'http', host: '10.0.0.1', port: 8_080, credentials: { user: 'user', password: 'p%40ss%' } },
  ],
  [
    'http://us%3Aer:p%40ss@10.0.0.1:8080/path',
    { scheme: 'http', host: '10.0.0.1', port: 8_080, credentials: { user: 'us:er', password: 'p@ss' } },
  ],
  ['socks5h://[::1]', { scheme: 'socks5', host: '::1', port: 1_080, credentials: undefined }],
  ['SOCKS4A://Proxy.example:9', { scheme: 'socks4', host: 'proxy.example', port: 9, credentials: undefined }],
])('reads %s', (address, upstream) => expect(parseUpstream(address)).toEqual(upstream));

it('knows what it can not connect to', () => {
  expect(parseUpstream('ftp://proxy.example:21')).toBeUndefined();
  expect(parseUpstream('http://')).toBeUndefined();
});

it('sends the credentials as they are meant, not as a URL spells them', () => {
  const header = proxyAuthorization(parseUpstream('http://user:p%40ss@10.0.0.1:8080')!);
  expect(Buffer.from(header!.replace('Basic ', ''), 'base64').toString()).toBe('user:p@ss');
  expect(proxyAuthorization(parseUpstream('10.0.0.1:8080')!)).toBeUndefined();
});
