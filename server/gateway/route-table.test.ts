import { describe, expect, it } from 'vitest';
import { wholeRoutes } from '../route-settings.ts';
import { RouteTable, readDestination } from './route-table.ts';

const route = (path: string, host?: string) => ({
  path,
  ...(host !== undefined && { host }),
  targets: [{ url: 'http://10.0.0.1:80', weight: 1 }],
});

describe('a route table', () => {
  const own = [
    route('/a'),
    route('/a/b'),
    route('/', 'x.example'),
    route('/a', 'x.example'),
    route('/', '*.example'),
    route('/deep', '*.y.example'),
    route('/end/'),
  ];
  const table = new RouteTable(wholeRoutes(own, {}, []).map((of) => ({ route: of })));
  const nameOf = (host: string, path: string) => table.find({ host, path })?.route.name;

  it.each([
    ['', '/a', '/a'],
    ['', '/a/', '/a'],
    ['', '/a/x', '/a'],
    ['', '/a?x', '/a'],
    ['', '/a/b/c', '/a/b'],
    ['', '/ab', undefined],
    ['', '/A', undefined],
    ['', '/a/bc', '/a'],
    ['', '/end', undefined],
    ['', '/end/x', '/end/'],
    ['x.example', '/z', 'x.example/'],
    ['x.example', '/a/b', 'x.example/a'],
    ['w.example', '/a/b', '*.example/'],
    ['v.w.example', '/', '*.example/'],
    ['v.y.example', '/deep', '*.y.example/deep'],
    ['v.y.example', '/other', '*.example/'],
    ['example', '/a', '/a'],
    ['other', '/', undefined],
    ['', '/%61/%62', '/a/b'],
    ['', '/x/../a/./b', '/a/b'],
    ['', '/a/b/..', '/a'],
    ['', '/a/b/%2E%2e/', '/a'],
    ['', '/x\\..\\a', '/a'],
    ['', '/a?/../b', '/a'],
  ])('sends %j %s to %s', (host, path, name) => {
    expect(nameOf(host, path)).toBe(name);
  });
});

describe('what a request asks for', () => {
  it.each([
    ['/a?b', 'A.Example:80', { host: 'a.example', path: '/a?b' }, 'A.Example:80'],
    ['/', 'a.example.', { host: 'a.example', path: '/' }, 'a.example.'],
    ['/', '[::1]:80', { host: '::1', path: '/' }, '[::1]:80'],
    ['/', undefined, { host: '', path: '/' }, undefined],
    ['http://b.example:8080/c?d', 'a', { host: 'b.example', path: '/c?d' }, 'b.example:8080'],
    ['HTTP://b', 'a', { host: 'b', path: '/' }, 'b'],
    ['http://b?d', 'a', { host: 'b', path: '/?d' }, 'b'],
    ['/a#b', 'a', { host: 'a', path: '/a' }, 'a'],
  ])('of %s with Host %s', (url, host, destination, authority) => {
    expect(readDestination(url, host)).toEqual({ ok: true, destination, rest: destination.path, authority });
  });

  it.each([
    ['*', 'a'],
    ['ftp://a/', 'a'],
    ['http:///a', 'a'],
    ['http://u@a/', 'a'],
    ['http://a b/', 'a'],
    ['/', 'a b'],
    ['/', 'u@a'],
    ['/', 'a/b'],
    ['/', 'a:b'],
    ['/', '[::1'],
  ])('is not said by %s with Host %s', (url, host) => {
    expect(readDestination(url, host).ok).toBe(false);
  });
});
