import { expect, it } from 'vitest';
import { loggedUrl, logRequest } from './request-line.ts';

it.each([
  ['/a/b?token=secret', '/a/b'],
  ['/a#secret', '/a'],
  ['http://user:secret@site.example/a?b=c', 'http://site.example/a'],
  ['site.example:443', 'site.example:443'],
  ['/go/http:%2F%2Fuser:secret%40proxy', '/go/***'],
  ['/keys/lh_abc_secret', '/keys/***'],
  [`/${'a'.repeat(300)}`, `/${'a'.repeat(255)}…`],
])('shows %s as %s', (url, shown) => {
  expect(loggedUrl(url)).toBe(shown);
});

it('says in one line what became of a request', () => {
  const lines: unknown[] = [];
  const log = {
    debug() {},
    info: (fields: object, message: string) => lines.push([fields, message]),
    warn() {},
    error() {},
  };
  logRequest(log, {
    via: 'reverse',
    method: 'GET',
    url: '/a?b',
    target: '127.0.0.1:80',
    status: 200,
    ms: 1.26,
    retries: 1,
  });
  expect(lines).toEqual([
    [
      { via: 'reverse', method: 'GET', path: '/a', target: '127.0.0.1:80', status: 200, ms: 1.3, retries: 1 },
      'request',
    ],
  ]);
});
