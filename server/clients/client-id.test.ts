import { describe, expect, it } from 'vitest';
import { canonicalClientId, clientOfIp, isKeyless } from './client-id.ts';

describe('the client id of an IP', () => {
  it.each([
    ['127.0.0.1', '127.0.0.1'],
    ['::ffff:10.0.0.1', '10.0.0.1'],
    ['::FFFF:10.0.0.1', '10.0.0.1'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:0DB8:0001:0002::1', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8::/64'],
    ['2001:0:0:2::', '2001:0:0:2::/64'],
    ['0:0:0:5::', '0:0:0:5::/64'],
    ['::1', '::/64'],
    ['fe80::1%eth0', 'fe80::/64'],
    ['64:ff9b::10.0.0.1', '64:ff9b::/64'],
  ])('of %s is %s', (ip, client) => {
    expect(clientOfIp(ip)).toBe(client);
    expect(canonicalClientId(ip)).toBe(client);
    expect(canonicalClientId(client)).toBe(client);
    expect(isKeyless(client)).toBe(true);
  });

  it('is found in whatever way somebody writes a network', () => {
    expect(canonicalClientId('2001:DB8:1:2:0:0:0:0/64')).toBe('2001:db8:1:2::/64');
  });

  it.each([
    'user1',
    'a:b',
    '::/63',
    '1.2.3',
    '1.2.3.256',
    '01.2.3.4',
    '2001:db8:::1',
    '1:2:3:4:5:6:7:8:9',
    'x::/64',
    '1::2::3',
  ])('is not what %s is', (text) => {
    expect(canonicalClientId(text)).toBe(text);
    expect(isKeyless(text)).toBe(false);
  });

  it('has no keys, and neither has the client of the configuration', () => {
    expect(isKeyless('admin')).toBe(true);
  });
});
