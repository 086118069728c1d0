import { expect, it } from 'vitest';
import { endToEndHeaders } from './end-to-end.ts';

it('drops what is about the connection, and keeps the rest as it came', () => {
  const given = [
    'Host',
    'a.example',
    'Connection',
    'keep-alive',
    'Keep-Alive',
    'timeout=5',
    'TE',
    'trailers',
    'X-A',
    '1',
    'x-a',
    '2',
  ];
  expect(endToEndHeaders(given)).toEqual(['Host', 'a.example', 'X-A', '1', 'x-a', '2']);
});

it('drops what Connection names, and never what the message needs', () => {
  const given = [
    'Host',
    'a.example',
    'connection',
    'X-Secret , close, Host, content-length',
    'x-secret',
    '1',
    'Content-Length',
    '3',
  ];
  expect(endToEndHeaders(given)).toEqual(['Host', 'a.example', 'Content-Length', '3']);
});

it.each(['Proxy-Authorization', 'Proxy-Connection', 'Transfer-Encoding', 'Upgrade', 'HTTP2-Settings', 'Trailer'])(
  'drops %s',
  (name) => {
    expect(endToEndHeaders([name, 'a', 'Accept', '*/*'])).toEqual(['Accept', '*/*']);
  },
);
