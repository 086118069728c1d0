import type { ProbeResult } from './prober.ts';
import { probeTcp } from './probes.ts';
import { probeThrough } from './proxied-probe.ts';
import { parseUpstream } from './upstream.ts';

export interface AddressProbeSettings {
  /** `tcp`: the proxy takes connections; `http`: a page is answered through it. Absent: no probes. */
  readonly type?: 'tcp' | 'http';
  readonly url?: string;
  readonly expect?: readonly number[];
}

const EXPECTED = [200];

/** How one address is probed, by what its pool record says of it; undefined: not at all. */
export function addressProbe({ type, url, expect = EXPECTED }: AddressProbeSettings) {
  if (type === undefined) return undefined;
  const probe = url === undefined ? undefined : { url: new URL(url), expect };
  return (address: string, signal: AbortSignal): Promise<ProbeResult> => {
    const upstream = parseUpstream(address);
    if (!upstream) return Promise.resolve({ ok: false, reason: 'failed' });
    return probe ? probeThrough(upstream, probe, signal) : probeTcp(upstream.host, upstream.port, signal);
  };
}
