/**
 * Addresses of names, by the hosts file and by DNS. Not by the system's resolver: that holds a thread for each name, of which
 * a process has a few, so that one client's names on a silent server would stop those of all others.
 */
import { Resolver } from 'node:dns/promises';
import { readFile, stat } from 'node:fs/promises';
import type { Lookup } from './destination.ts';

/** Of one question to one server; the second one waits twice as long. */
const ANSWER_TIMEOUT_MS = 1_500;
const TRIES = 2;

export interface NameLookupOptions {
  readonly hostsFile: string;
  /** `ip:port` each; absent: those of this machine. */
  readonly servers?: readonly string[];
}

type Hosts = ReadonlyMap<string, readonly string[]>;

/** A name is taken as it is written: search domains are not tried. */
export function nameLookup({ hostsFile, servers }: NameLookupOptions): Lookup {
  let hosts: Hosts = new Map();
  let readVersion = '';
  /** As they are now. */
  const hostsNow = async (): Promise<Hosts> => {
    const { mtimeMs, size } = await stat(hostsFile);
    const version = `${mtimeMs} ${size}`;
    if (version !== readVersion) {
      hosts = hostsOf(await readFile(hostsFile, 'utf8'));
      readVersion = version;
    }
    return hosts;
  };
  return async (name) => {
    const written = (await hostsNow().catch(() => hosts)).get(name);
    if (written) return written.map((address) => ({ address }));
    // One for each name, since each reads anew which servers this machine has.
    const resolver = new Resolver({ timeout: ANSWER_TIMEOUT_MS, tries: TRIES });
    if (servers) resolver.setServers(servers);
    const answers = await Promise.allSettled([resolver.resolve4(name), resolver.resolve6(name)]);
    return answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value.map(toAddress) : []));
  };
}

function toAddress(address: string): { readonly address: string } {
  return { address };
}

/** By name, in lower case; lines are `address name name # comment`. */
function hostsOf(text: string): Hosts {
  const hosts = new Map<string, string[]>();
  for (const line of text.split('\n')) {
    const [address, ...names] = line.replace(/#.*/, '').trim().split(/\s+/);
    for (const name of names) {
      const key = name.toLowerCase();
      const addresses = hosts.get(key);
      if (addresses) addresses.push(address!);
      else hosts.set(key, [address!]);
    }
  }
  return hosts;
}
