import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { openDnsServer } from '../testing/dns-server.ts';
import { temporaryFolder } from '../testing/journal-run.ts';
import { nameLookup } from './name-lookup.ts';

async function setUp(records: (name: string) => string | null | undefined, hosts = '') {
  const hostsFile = join(await temporaryFolder(), 'hosts');
  await writeFile(hostsFile, hosts);
  const dns = await openDnsServer(records);
  onTestFinished(() => dns.close());
  return { lookup: nameLookup({ hostsFile, servers: [dns.server] }), dns, hostsFile };
}

it('a name has the addresses of the hosts file, as it is now, and else those of DNS', async () => {
  const { lookup, dns, hostsFile } = await setUp(
    (name) => (name === 'site.example' ? '93.184.216.34' : null),
    '# local\n127.0.0.1\tLocalhost other # and more\n::1 localhost\n',
  );
  expect(await lookup('localhost')).toEqual([{ address: '127.0.0.1' }, { address: '::1' }]);
  expect(await lookup('other')).toEqual([{ address: '127.0.0.1' }]);
  expect(dns.asked).toEqual([]);
  expect(await lookup('site.example')).toEqual([{ address: '93.184.216.34' }]);
  expect(await lookup('nobody.example')).toEqual([]);
  await writeFile(hostsFile, '10.0.0.1 nobody.example nobody');
  expect(await lookup('nobody.example')).toEqual([{ address: '10.0.0.1' }]);
});

it('a name is found while the servers of a hundred others stay silent', async () => {
  const { lookup } = await setUp((name) => (name === 'site.example' ? '93.184.216.34' : undefined));
  let ended = 0;
  for (let count = 0; count < 100; count += 1) void lookup(`n${count}.silent.example`).then(() => (ended += 1));
  expect(await lookup('site.example')).toEqual([{ address: '93.184.216.34' }]);
  expect(ended).toBe(0);
});
