/** How scenario texts write the things of the lease domain: durations, holders, grants, policies, reasons. */
import { PAIR_STATES } from '../../protocol/codes.ts';
import type { Grant, Held, Waiting, Why } from '../../protocol/frames.ts';
import type { Holder } from '../lease/holder.ts';
import type { ResourcePolicy } from '../lease/policy.ts';
import { START_MS } from './lease-driver.ts';

const UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
  ['ms', 1],
] as const;

/** `90s` for 90,000: in the largest unit that leaves no rest. */
export function duration(ms: number): string {
  if (ms === 0) return '0s';
  const [unit, unitMs] = UNITS.find(([, size]) => ms % size === 0) ?? ['ms', 1];
  return `${ms / unitMs}${unit}`;
}

export function parseDuration(text: string): number {
  const [, figure, unit] = /^(-?\d+(?:\.\d+)?)(d|h|ms|m|s)$/.exec(text) ?? [];
  if (figure === undefined) throw new Error(`not a duration: "${text}"`);
  return Number(figure) * UNITS.find(([name]) => name === unit)![1];
}

/** Time since the scenario began. */
export function clock(ms: number): string {
  return `@${duration(ms - START_MS)}`;
}

/** `c1` is a session, `key:anna` a client over HTTP, `http:x` whoever knows the secret x, `process` ourselves. */
export function parseHolder(text: string): Holder {
  if (text === 'process') return { kind: 'process' };
  const [kind, name] = text.split(':');
  if (name === undefined) return { kind: 'session', session: text };
  return kind === 'key' ? { kind: 'client', client: name } : { kind: 'secret', secretHash: name };
}

export function holderText(holder: Holder): string {
  switch (holder.kind) {
    case 'session':
      return holder.session;
    case 'client':
      return `key:${holder.client}`;
    case 'secret':
      return joined(`http:${holder.secretHash}`, fields({ ...holder.owner, kind: undefined }));
    case 'process':
      return 'process';
  }
}

/** `name=value` of what is there; a flag that is set stands by its name alone. */
export function fields(values: Readonly<Record<string, string | number | boolean | undefined>>): string {
  const words = Object.entries(values).flatMap(([name, value]) => {
    if (value === undefined || value === false) return [];
    return value === true ? [name] : [`${name}=${value}`];
  });
  return words.join(' ');
}

export function optionalDuration(ms: number | undefined): string | undefined {
  return ms === undefined ? undefined : duration(ms);
}

/** Two parts of a line, the second of which may be empty. */
export function joined(...parts: readonly string[]): string {
  return parts.filter((part) => part !== '').join(' ');
}

export function grantText({ lease, resource, address, ttl_ms, clamped, waited_ms }: Grant): string {
  const terms = { ttl: duration(ttl_ms), rpw: address.rpw, waited: optionalDuration(waited_ms), clamped };
  return `${lease} ${address.address} r${resource} ${fields(terms)}`;
}

export function heldText(held: Held): string {
  const { request, key, revoking } = held;
  const pending = revoking && `revoking in ${duration(revoking.deadline_ms)} (${revoking.reason})`;
  return joined(grantText(held), fields({ request, key }), pending ?? '');
}

export function waitingText({ request, key, position }: Waiting): string {
  return fields({ request, position, key });
}

/** Pair states in the order in which one hides the next. */
export function whyText({
  states,
  excluded,
  soonest_ms,
  relax,
  max_leases,
  max_leases_per_client,
  slowed,
  approximate,
}: Why): string {
  const counts = Object.fromEntries(PAIR_STATES.map((state) => [state, states[state]]));
  const bounds = { max: max_leases, max_per_client: max_leases_per_client };
  const rest = { excluded, soonest: optionalDuration(soonest_ms), relax, ...bounds, slowed, approximate };
  return fields({ ...counts, ...rest });
}

export function policyText(name: string, policy: Partial<ResourcePolicy>): string {
  const { cooldownMs, where } = policy;
  const ttls = [policy.ttlMinMs, policy.ttlMaxMs].map((ms) => (ms === undefined ? '' : duration(ms)));
  const cooldown = cooldownMs && Object.entries(cooldownMs).map(([end, ms]) => `${end}:${duration(ms)}`);
  return joined(
    name,
    fields({
      ttl: ttls.join('') === '' ? undefined : ttls.join('..'),
      max: policy.maxLeases,
      max_per_client: policy.maxLeasesPerClient,
      strategy: policy.strategy,
      cooldown: cooldown?.join(','),
      handover: policy.handover,
      ban: optionalDuration(policy.banMs),
      ban_max: optionalDuration(policy.banMaxMs),
      ban_decay: optionalDuration(policy.banDecayMs),
      ban_address_after: policy.banAddressAfter,
      slow_share: policy.slowShare,
      slow_interval: optionalDuration(policy.slowIntervalMs),
      revoke_deadline: optionalDuration(policy.revokeDeadlineMs),
      where: where && JSON.stringify(where),
    }),
  );
}
