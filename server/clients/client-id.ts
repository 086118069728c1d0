/**
 * What clients are called: those with keys as they were created, everybody else by the IP of the connection. IPv6 counts by
 * its /64, which is what one customer has: 2001:db8:1:2::/64. One namespace, so that a limit can be set for an IP.
 */

/** Characters of a client id. */
export const CLIENT_ID_LENGTH_MAX = 256;
/** What the key of the configuration stands for. */
export const ADMIN_CLIENT = 'admin';

const IPV4 = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/;
const MAPPED_IPV4 = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i;
const GROUPS = 8;
const NETWORK_GROUPS = 4;

/** The client id of an IP; what is no IP stands for itself. */
export function clientOfIp(ip: string): string {
  if (!ip.includes(':')) return ip;
  const mapped = MAPPED_IPV4.exec(ip)?.[1];
  if (mapped !== undefined && IPV4.test(mapped)) return mapped;
  const groups = groupsOf(ip);
  return groups ? networkOf(groups) : ip;
}

/** A client id as somebody writes it: IPs and networks of /64 in the form in which `clientOfIp` has them. */
export function canonicalClientId(text: string): string {
  const address = text.replace(/\/64$/, '');
  const client = clientOfIp(address);
  return client === address ? text : client;
}

/** Whether it stands for an IP, or for the configuration's own key: such a client can have no keys. */
export function isKeyless(client: string): boolean {
  const address = client.replace(/\/64$/, '');
  return client === ADMIN_CLIENT || IPV4.test(client) || clientOfIp(address) !== address;
}

/** The eight numbers of an IPv6 address, a zone (`%eth0`) passed over; undefined: it is none. */
function groupsOf(ip: string): number[] | undefined {
  const text = ip.replace(/%.*$/, '');
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const [head = [], tail = []] = halves.map((half) => (half === '' ? [] : half.split(':').flatMap(partsOf)));
  const missing = GROUPS - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined;
  const groups = [...head, ...Array.from({ length: missing }, () => 0), ...tail];
  return groups.every((group) => !Number.isNaN(group)) ? groups : undefined;
}

/** One group, or the two that an IPv4 address at the end stands for. */
function partsOf(part: string): number[] {
  if (IPV4.test(part)) {
    const [a = 0, b = 0, c = 0, d = 0] = part.split('.').map(Number);
    return [a * 256 + b, c * 256 + d];
  }
  return [/^[0-9a-f]{1,4}$/i.test(part) ? Number.parseInt(part, 16) : Number.NaN];
}

/** Zeros at the end of the network go with those of the host. */
function networkOf(groups: readonly number[]): string {
  const network = groups.slice(0, NETWORK_GROUPS);
  while (network.at(-1) === 0) network.pop();
  return `${network.map((group) => group.toString(16)).join(':')}::/64`;
}
