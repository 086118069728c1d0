import { describe, expect, it } from 'vitest';
import { loadConfig } from './config.ts';
import { networkList } from './route-settings.ts';

function load(argv: string[], env: Record<string, string> = {}) {
  return loadConfig({ argv: ['--reverse-port', '0', ...argv], env, readFile: () => '' });
}

function problems(...args: Parameters<typeof load>): string[] {
  const loaded = load(...args);
  if (loaded.ok !== false) throw new Error(`taken: ${JSON.stringify(args)}`);
  return loaded.problems;
}

function routesOf(...args: Parameters<typeof load>) {
  const loaded = load(...args);
  if (loaded.ok !== true) throw new Error(JSON.stringify(loaded));
  return loaded.config.routes;
}

const routes = (value: unknown) => ['--routes', JSON.stringify(value)];

describe('routes in the settings', () => {
  it('are one for everything where only targets are given', () => {
    expect(routesOf([], { LEASEHOLD_TARGETS: '10.0.0.1:80, http://b.example, https://[::1]' })).toMatchObject([
      {
        name: '/',
        path: '/',
        targets: [
          { url: 'http://10.0.0.1:80', weight: 1 },
          { url: 'http://b.example:80', weight: 1 },
          { url: 'https://[::1]:443', weight: 1 },
        ],
        policy: { allDownStatus: 503, connectTimeoutMs: 1_000 },
      },
    ]);
  });

  it('have what the defaults say, where they say nothing else, and targets for the rest', () => {
    const own = { host: 'A.Example', path: '/v1', targets: [{ url: 'a:1', weight: 3 }], strategy: 'random' };
    const defaults = { strategy: 'two_choices', all_down_status: 500, all_down_text: 'off' };
    const found = routesOf([...routes([own]), '--targets', 'b:2', '--route-defaults', JSON.stringify(defaults)]);
    expect(found).toMatchObject([
      {
        name: 'a.example/v1',
        host: 'a.example',
        targets: [{ weight: 3 }],
        policy: { strategy: 'random', allDownText: 'off' },
      },
      { name: '/', policy: { strategy: 'two_choices', allDownStatus: 500 } },
    ]);
  });

  it.each([
    [[{ targets: [] }], '--routes: [0].targets: must be a list of 1 to 256 targets, not []'],
    [[{ path: '/' }], /^--routes: \[0\]\.targets: /],
    [
      [{ targets: ['a'] }],
      '--routes: [0].targets[0]: must be host:port, or a URL of http or https with nothing behind the port, not "a"',
    ],
    [[{ targets: ['http://u:p@a:1'] }], /targets\[0\]: must be host:port/],
    [[{ targets: ['http://a:1/path'] }], /targets\[0\]: must be host:port/],
    [[{ targets: ['ftp://a:1'] }], /targets\[0\]: must be host:port/],
    [[{ targets: ['a:0'] }], /targets\[0\]: must be host:port/],
    [[{ targets: ['a:70000'] }], /targets\[0\]: must be host:port/],
    [[{ targets: ['a:1', 'http://a:1'] }], '--routes: [0].targets: names a target twice'],
    [[{ targets: [{ url: 'a:1', weight: 0 }] }], /targets\[0\]\.weight: must be an integer from 1 to 1000, not 0/],
    [[{ targets: ['a:1'], path: 'a' }], /\[0\]\.path: must be a path/],
    [[{ targets: ['a:1'], host: 'a:80' }], /\[0\]\.host: must be a host name/],
    [[{ targets: ['a:1'], strategy: 'best' }], /\[0\]\.strategy: must be one of round_robin/],
    [[{ targets: ['a:1'], timeout: 1 }], /\[0\]\.timeout: is not part of a route \(host, path, targets, strategy/],
    [[{ targets: ['a:1'] }, { path: '/', targets: ['b:1'] }], '--routes: has two routes of one host and path'],
    [{}, /^--routes: must be a list of at most 256 routes/],
  ])('are refused: %j', (value, message) => {
    const found = problems(routes(value));
    expect(found).toHaveLength(1);
    if (typeof message === 'string') expect(found[0]).toBe(message);
    else expect(found[0]).toMatch(message);
  });

  it('have a listener, on port 8000 where no other is said, and a listener needs them', () => {
    const without = loadConfig({ argv: ['--targets', 'a:1'], env: {}, readFile: () => '' });
    expect(without).toMatchObject({ ok: true, config: { reversePort: 8_000 } });
    expect(problems([])).toEqual(['--reverse-port: needs --targets or --routes, to know where requests go']);
  });

  it('are for everything only once', () => {
    expect(problems([...routes([{ targets: ['a:1'] }]), '--targets', 'b:1'])).toEqual([
      '--targets: --routes has a route for everything, too',
    ]);
  });

  it('name no more targets than the metrics have room for', () => {
    const many = Array.from({ length: 5 }, (_, nth) => ({
      path: `/${nth}`,
      targets: Array.from({ length: 250 }, (__, index) => `10.0.0.1:${index + 1}`),
    }));
    expect(problems(routes(many))).toEqual(['--routes: names more than 1024 targets in all']);
  });
});

describe('trusted proxies', () => {
  it('are addresses and networks of both families', () => {
    const list = networkList(['10.0.0.0/8', '192.168.1.1', 'fd00::/8']);
    expect(['10.9.9.9', '192.168.1.1', '11.0.0.1'].map((ip) => list.check(ip))).toEqual([true, true, false]);
    expect(list.check('fd00::1', 'ipv6')).toBe(true);
  });

  it.each(['a', '10.0.0.0/33', 'fd00::/129', '10.0.0.0/', '10.0.0/8'])('are refused: %s', (written) => {
    expect(problems(['--targets', 'a:1', '--trusted-proxies', written])).toEqual([
      `--trusted-proxies: [0]: must be an IP address, or a network like 10.0.0.0/8, not "${written}"`,
    ]);
  });
});
