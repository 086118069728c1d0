import { describe, expect, it } from 'vitest';
import { realScheduler } from '../testing/real-scheduler.ts';
import { Destinations, type DestinationsOptions } from './destination.ts';
import { readRequestTarget, readTunnelTarget } from './forward-target.ts';
import { canonicalIp, isPublicIp } from './ip-ranges.ts';

function destinations(options: Partial<DestinationsOptions> = {}): Destinations {
  return new Destinations({
    allow: [],
    deniedPorts: [25],
    resolve: 'here',
    lookup: () => Promise.reject(new Error('ENOTFOUND')),
    ownPorts: () => new Set([7_401]),
    ownAddresses: () => ['93.184.216.1', 'fe80::1%eth0'],
    scheduler: realScheduler,
    ...options,
  });
}

/** Where `CONNECT authority` may lead to. */
async function tunnelTo(authority: string, options: Partial<DestinationsOptions> = {}): Promise<string> {
  const read = readTunnelTarget(authority);
  if (read.type === 'bad') return read.reason;
  const found = await destinations(options).find(read.target, 'c1');
  return found.type === 'found' ? `${found.destination.host} ${found.destination.port}` : found.reason;
}

describe('an IP address', () => {
  it.each([
    '0.0.0.0',
    '10.1.2.3',
    '100.64.0.1',
    '100.100.100.200',
    '127.0.0.1',
    '127.255.255.254',
    '169.254.169.254',
    '172.16.0.1',
    '172.31.255.255',
    '192.0.0.192',
    '192.168.1.1',
    '198.18.0.1',
    '224.0.0.1',
    '255.255.255.255',
    '168.63.129.16',
    '192.0.2.1',
    '240.0.0.1',
    '::',
    '::1',
    'fc00::1',
    'fd00:ec2::254',
    'fe80::1',
    'fec0::1',
    'ff02::1',
    '2001:db8::1',
    '2001::1',
    '100::1',
    // Others in their clothes: mapped, compatible, translated, NAT64, 6to4.
    '::ffff:127.0.0.1',
    '::ffff:a9fe:a9fe',
    '::127.0.0.1',
    '::ffff:0:10.0.0.1',
    '64:ff9b::a9fe:a9fe',
    '64:ff9b:1::a00:1',
    '2002:7f00:1::',
    '2002:a9fe:a9fe::1',
  ])('%s is not of the open Internet', (ip) => {
    expect(isPublicIp(canonicalIp(ip)!)).toBe(false);
  });

  it.each(['1.1.1.1', '93.184.216.34', '172.32.0.1', '2606:4700::1111', '::ffff:1.1.1.1', '64:ff9b::101:101'])(
    '%s is',
    (ip) => {
      expect(isPublicIp(canonicalIp(ip)!)).toBe(true);
    },
  );
});

describe('a destination', () => {
  it.each([
    '127.0.0.1:80',
    'localhost.:80',
    '2130706433:80',
    '0x7f.1:80',
    '0177.0.0.1:80',
    '127.1:80',
    '0:80',
    '[::1]:80',
    '[::ffff:127.0.0.1]:80',
    '[::ffff:7f00:1]:80',
    '[64:ff9b::7f00:1]:80',
    '[fd00:ec2::254]:80',
    '169.254.169.254:80',
    '0xa9fea9fe:80',
    '２１３０７０６４３３:80',
    '127。0。0。1:80',
    '%31%32%37.0.0.1:80',
  ])('%s is forbidden, however it is spelled', async (authority) => {
    const lookup = () => Promise.resolve([{ address: '127.0.0.1' }]);
    expect(await tunnelTo(authority, { lookup })).toBe('destination_forbidden');
  });

  it.each([
    '',
    'a',
    'a:',
    ':80',
    'a:0',
    'a:65536',
    'a:80:80',
    'user@a:80',
    'a/b:80',
    'a b:80',
    'http://a:80',
    '[::1:80',
    'a?b:80',
    'a#b:80',
    'a\\b:80',
    `${'a'.repeat(260)}:80`,
    '[fe80::1%25eth0]:80',
    '1.2.3.4.5:80',
  ])('%j is none', async (authority) => {
    expect(await tunnelTo(authority)).toBe('bad_target');
  });

  it('is resolved once, and what was looked at is what is handed on', async () => {
    const answers = [[{ address: '1.1.1.1' }], [{ address: '127.0.0.1' }]];
    const asked: string[] = [];
    const lookup = (name: string) => {
      asked.push(name);
      return Promise.resolve(answers.shift()!);
    };
    const checked = destinations({ lookup });
    expect(await checked.find({ host: 'rebinds.example', port: 443 }, 'c1')).toEqual({
      type: 'found',
      destination: { host: '1.1.1.1', port: 443 },
    });
    expect(asked).toEqual(['rebinds.example']);
    expect(await checked.find({ host: 'rebinds.example', port: 443 }, 'c1')).toMatchObject({
      reason: 'destination_forbidden',
    });
  });

  it('is forbidden where a single one of its addresses is', async () => {
    const lookup = () => Promise.resolve([{ address: '1.1.1.1' }, { address: '::ffff:10.0.0.1' }]);
    expect(await tunnelTo('site.example:443', { lookup })).toBe('destination_forbidden');
  });

  it('is its IPv4 address where it has one', async () => {
    const lookup = () => Promise.resolve([{ address: '2606:4700::1111' }, { address: '1.1.1.1' }]);
    expect(await tunnelTo('site.example:443', { lookup })).toBe('1.1.1.1 443');
    expect(await tunnelTo('[2606:4700:0::1111]:443')).toBe('2606:4700::1111 443');
  });

  it('is unknown where its name is, or takes too long', async () => {
    expect(await tunnelTo('nobody.example:443')).toBe('destination_unresolved');
    const lookup = () => new Promise<never>(() => {});
    const scheduler = { ...realScheduler, setTimer: (_ms: number, callback: () => void) => (callback(), () => {}) };
    expect(await tunnelTo('slow.example:443', { lookup, scheduler })).toBe('destination_unresolved');
  });

  it('is resolved once for all who ask at one time, and for one client so many names at most', async () => {
    const asked = new Map<string, () => void>();
    const lookup = (name: string) =>
      new Promise<{ address: string }[]>((resolve) => {
        expect(asked.has(name)).toBe(false);
        asked.set(name, () => resolve([{ address: '1.1.1.1' }]));
      });
    const shared = destinations({ lookup });
    const find = (host: string, client: string) => shared.find({ host, port: 443 }, client);
    const greedy = Array.from({ length: 200 }, (_, count) => find(`n${count}.example`, 'greedy'));
    expect(await find('more.example', 'greedy')).toMatchObject({ reason: 'overloaded' });
    const others = [find('site.example', 'modest'), find('site.example', 'modest'), find('n0.example', 'modest')];
    // What others wait for already is nobody's anew.
    greedy.push(find('site.example', 'greedy'));
    for (const answer of asked.values()) answer();
    for (const found of await Promise.all([...greedy, ...others])) expect(found.type).toBe('found');
    const again = find('again.example', 'greedy');
    asked.get('again.example')!();
    expect(await again).toMatchObject({ type: 'found' });
  });

  it('may be private where a setting allows it: by address, range or name', async () => {
    const lookup = () => Promise.resolve([{ address: '10.0.0.1' }]);
    expect(await tunnelTo('10.1.2.3:80', { allow: ['10.1.0.0/16'] })).toBe('10.1.2.3 80');
    expect(await tunnelTo('10.2.2.3:80', { allow: ['10.1.0.0/16'] })).toBe('destination_forbidden');
    expect(await tunnelTo('[fd00::1]:80', { allow: ['fd00::1'] })).toBe('fd00::1 80');
    expect(await tunnelTo('[::ffff:10.1.2.3]:80', { allow: ['10.1.2.3'] })).toBe('10.1.2.3 80');
    expect(await tunnelTo('Site.Internal:80', { allow: ['site.internal'], lookup })).toBe('10.0.0.1 80');
    expect(await tunnelTo('other.internal:80', { allow: ['site.internal'], lookup })).toBe('destination_forbidden');
  });

  it('is never a port that is denied, and never this process, whatever is allowed', async () => {
    expect(await tunnelTo('1.1.1.1:25')).toBe('destination_forbidden');
    const allow = ['127.0.0.0/8', '::1', '0.0.0.0'];
    expect(await tunnelTo('127.0.0.1:7402', { allow })).toBe('127.0.0.1 7402');
    for (const host of ['127.0.0.1', '127.9.9.9', '[::1]', '0.0.0.0', '[::ffff:127.0.0.1]', '93.184.216.1']) {
      expect(await tunnelTo(`${host}:7401`, { allow })).toBe('destination_forbidden');
    }
  });

  it('keeps its name where upstreams resolve, unless it is one of a private network', async () => {
    const resolve = 'upstream';
    expect(await tunnelTo('Site.example:443', { resolve })).toBe('site.example 443');
    for (const name of ['localhost', 'a.localhost', 'metadata', 'metadata.google.internal', 'printer.local.']) {
      expect(await tunnelTo(`${name}:443`, { resolve })).toBe('destination_forbidden');
    }
    expect(await tunnelTo('127.0.0.1:443', { resolve })).toBe('destination_forbidden');
    expect(await tunnelTo('intranet:443', { resolve, allow: ['intranet'] })).toBe('intranet 443');
  });
});

describe('the target of a request', () => {
  it.each([
    ['GET', 'http://Site.example/a?b#c', undefined],
    ['GET', 'http://Site.example:8080/a/../b?c', { authority: 'site.example:8080', path: '/a/../b?c', port: 8_080 }],
    ['GET', 'HTTP://site.example?b=c', { authority: 'site.example', path: '/?b=c', port: 80 }],
    ['GET', 'http://site.example:80', { authority: 'site.example', path: '/' }],
    ['OPTIONS', 'http://site.example', { authority: 'site.example', path: '*' }],
    ['GET', 'http://[2606:4700::1]:81/', { host: '2606:4700::1', authority: '[2606:4700::1]:81' }],
  ])('%s %s is read', (method, url, target) => {
    const read = readRequestTarget(method, url);
    if (target === undefined) expect(read).toMatchObject({ type: 'bad', reason: 'bad_target' });
    else expect(read).toMatchObject({ type: 'target', target });
  });

  it.each([
    ['/', 'not_a_proxy_request'],
    ['*', 'not_a_proxy_request'],
    ['https://site.example/', 'https_needs_connect'],
    ['ftp://site.example/', 'bad_target'],
    ['http://user:secret@site.example/', 'bad_target'],
    ['http:///a', 'bad_target'],
    ['http://', 'bad_target'],
    ['site.example:80', 'bad_target'],
  ])('%s is refused', (url, reason) => {
    const read = readRequestTarget('GET', url);
    expect(read).toMatchObject({ type: 'bad', reason });
    expect(JSON.stringify(read)).not.toContain('secret');
  });
});
