import { EXIT, Refusal } from '../exit.ts';
import { parseTime, TIME_FORMATS } from '../past-time.ts';
import {
  dayText,
  describeHeld,
  describePast,
  type Fields,
  type HeldLease,
  type Moment,
  type PastLeases,
  utcText,
  whoHeld,
} from '../replay.ts';
import { Output, plural } from './output.ts';

export interface AtOptions {
  readonly resource?: number;
  readonly address?: string;
  readonly json?: boolean;
}

/** `leasehold journal at DIR TIME`; `nowMs`: the wall clock. */
export async function at(dir: string, time: string, options: AtOptions, nowMs: number): Promise<number> {
  const utcMs = parseTime(time, nowMs);
  if (utcMs === undefined) {
    throw new Refusal(EXIT.usage, `${time}: a time is ${TIME_FORMATS}`);
  }
  const { resource, address, json = false } = options;
  const past = await whoHeld(dir, utcMs, { resource, address });
  if (!('moment' in past)) {
    const { keptFromUtcMs } = past;
    const kept = keptFromUtcMs === undefined ? '' : `: what is kept begins at ${utcText(keptFromUtcMs)}`;
    throw new Refusal(EXIT.usage, `nothing is kept from ${utcText(utcMs)}${kept}`);
  }
  const output = new Output();
  if (json) await printJson(utcMs, past, output);
  else await printText(utcMs, past, output);
  await output.flush();
  for (const { message } of past.faults) output.note(`${message}: how leases ended may be missing`);
  return past.faults.length === 0 ? EXIT.clean : EXIT.data;
}

async function printText(utcMs: number, { moment, leases, endPosition }: PastLeases, output: Output): Promise<void> {
  await output.line(`${utcText(utcMs)}: position ${moment.position} of ${endPosition}, epoch ${moment.epoch}`);
  await output.line(coordinatorText(moment));
  if (moment.isRepeated) {
    await output.line('the wall clock was set back over this time: it is taken as the clock showed it last');
  }
  for (const lease of leases) await output.line(leaseText(lease));
  await output.line(leases.length === 0 ? 'nobody held a lease' : plural(leases.length, 'lease'));
}

function coordinatorText({ coordinator, sinceUtcMs, untilUtcMs }: Moment): string {
  const since = sinceUtcMs === undefined ? 'the beginning' : utcText(sinceUtcMs);
  const until = untilUtcMs === undefined ? 'the end of what is kept' : utcText(untilUtcMs);
  switch (coordinator) {
    case 'running':
      return 'the coordinator was running';
    case 'stopped':
      return `the coordinator was down: stopped cleanly at ${since}, and down until ${until}`;
    case 'ended':
      return `the coordinator was down, or about to be: it wrote last at ${since}, and the next run first at ${until}`;
    case 'unknown':
      return `nothing was written after ${since}: this is how it stood then`;
    case 'not_begun':
      return `before the first thing ever written${untilUtcMs === undefined ? '' : `, at ${until}`}`;
  }
}

function leaseText(lease: HeldLease): string {
  const { remainingMs, revoking, ended } = lease;
  const announced = revoking ? [`to be revoked in ${revoking.remainingMs / 1_000} s (${revoking.reason})`] : [];
  const why = ended?.reason === undefined ? '' : ` (${ended.reason})`;
  const end = ended ? `${ended.end}${why} ${utcText(ended.utcMs)}` : 'still held at the end of what is kept';
  return [
    `lease ${lease.lease}`,
    `resource ${lease.resource}`,
    `address ${lease.addressId} ${lease.address}`,
    holderText(lease.holder),
    grantedText(lease),
    `${remainingMs / 1_000} s left`,
    ...announced,
    end,
  ].join('  ');
}

/** Its kind and what names it; of a secret, the owner, if any. */
function holderText(holder: HeldLease['holder']): string {
  const words = Object.values(holder).map((value) => (typeof value === 'string' ? value : holderText(value as Fields)));
  return words.join(' ');
}

function grantedText({ grantedUtcMs, grantedDay }: HeldLease): string {
  if (grantedUtcMs !== undefined) return `granted ${utcText(grantedUtcMs)}`;
  return `granted on ${dayText(grantedDay)}, before what is kept`;
}

async function printJson(utcMs: number, past: PastLeases, output: Output): Promise<void> {
  const { leases } = past;
  await output.json({ type: 'moment', ...describePast(utcMs, past), leases: leases.length });
  for (const lease of leases) await output.json({ type: 'lease', ...describeHeld(lease) });
}
