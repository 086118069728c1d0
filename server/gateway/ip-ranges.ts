/**
 * Which IP addresses are of the open Internet, after the IANA registries of special-purpose addresses (RFC 6890). Of IPv6
 * that is only what is given out as global unicast; a form that holds an IPv4 address is judged by that address.
 */
import { BlockList, isIP, isIPv4 } from 'node:net';

const SPECIAL_IPV4 = ranges('ipv4', [
  '0.0.0.0/8', // this host
  '10.0.0.0/8',
  '100.64.0.0/10', // shared by carriers
  '127.0.0.0/8',
  '168.63.129.16/32', // metadata of one cloud, in the middle of public addresses
  '169.254.0.0/16', // link-local, and the metadata of most clouds
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24', // documentation
  '192.88.99.0/24', // relays of 6to4
  '192.168.0.0/16',
  '198.18.0.0/15', // benchmarks
  '198.51.100.0/24', // documentation
  '203.0.113.0/24', // documentation
  '224.0.0.0/4', // multicast
  '240.0.0.0/4', // reserved, and broadcast
]);

const GLOBAL_IPV6 = ranges('ipv6', ['2000::/3']);
/** Of the global ones. */
const SPECIAL_IPV6 = ranges('ipv6', [
  '2001::/23', // protocols of the IETF: Teredo, ORCHID, benchmarks
  '2001:db8::/32', // documentation
  '2002::/16', // 6to4: an IPv4 address behind a relay
  '3fff::/20', // documentation
]);

/** Forms whose last 32 bits are an IPv4 address: mapped, translated, compatible, NAT64. */
const IPV4_WITHIN = ranges('ipv6', ['::ffff:0:0/96', '::ffff:0:0:0/96', '::/96', '64:ff9b::/96']);

/** The one form in which an address is looked at and handed on: an IPv4 address that is mapped into IPv6 is that address. */
export function canonicalIp(ip: string): string | undefined {
  if (isIPv4(ip)) return ip;
  const text = ip.replace(/%.*$/, '');
  if (isIP(text) === 0) return undefined;
  const plain = new URL(`http://[${text}]/`).hostname.slice(1, -1);
  return plain.startsWith('::ffff:') ? (lastIpv4(plain) ?? plain) : plain;
}

/** `ip` as `canonicalIp` has it. */
export function isPublicIp(ip: string): boolean {
  if (isIPv4(ip)) return !SPECIAL_IPV4.check(ip);
  const within = ipv4Within(ip);
  if (within !== undefined) return isPublicIp(within);
  return GLOBAL_IPV6.check(ip, 'ipv6') && !SPECIAL_IPV6.check(ip, 'ipv6');
}

function ipv4Within(ip: string): string | undefined {
  // What is unspecified or loopback is no IPv4 address, though it has the form.
  return IPV4_WITHIN.check(ip, 'ipv6') && ip !== '::' && ip !== '::1' ? lastIpv4(ip) : undefined;
}

/** Of an IPv6 address as a URL has it: eight groups of hexadecimal digits, zeros left out once. */
function lastIpv4(ip: string): string | undefined {
  const [head = '', tail = ''] = ip.split('::');
  const after = tail === '' ? [] : tail.split(':');
  const groups = ip.includes('::') ? ['0', '0', ...after] : head.split(':');
  const [high, low] = groups.slice(-2).map((group) => Number.parseInt(group, 16));
  if (high === undefined || low === undefined) return undefined;
  return [high >> 8, high & 0xff, low >> 8, low & 0xff].join('.');
}

/** IP addresses and ranges as people write them: `10.0.0.0/8`, `::1`. What is neither is passed over. */
export class IpSet {
  readonly #list = new BlockList();

  constructor(entries: readonly string[]) {
    for (const entry of entries) {
      const [address = '', bits] = entry.split('/');
      const family = isIP(address) === 4 ? 'ipv4' : 'ipv6';
      if (isIP(address) === 0) continue;
      this.#list.addSubnet(address, bits === undefined ? (family === 'ipv4' ? 32 : 128) : Number(bits), family);
    }
  }

  /** `ip` as `canonicalIp` has it. */
  has(ip: string): boolean {
    return this.#list.check(ip, isIPv4(ip) ? 'ipv4' : 'ipv6');
  }
}

function ranges(family: 'ipv4' | 'ipv6', subnets: readonly string[]): BlockList {
  const list = new BlockList();
  for (const subnet of subnets) {
    const [address = '', bits = ''] = subnet.split('/');
    list.addSubnet(address, Number(bits), family);
  }
  return list;
}
