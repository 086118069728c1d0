/** What must be so after a system call of journal-child.ts has failed, or was its last. */
import { randomBytes } from 'node:crypto';
import { Replica } from '../../coordinator/replica.ts';
import { EXIT } from '../../exit.ts';
import { nodeDisk } from '../../journal/disk.ts';
import { openJournal } from '../../journal/journal.ts';
import { recover } from '../../journal/recover.ts';
import { type CounterState, counterDomain } from '../counter-domain.ts';
import { realScheduler } from '../real-scheduler.ts';
import type { TracedCall } from './strace.ts';

export type Fault = 'EIO' | 'ENOSPC' | 'kill';

export interface ChildRun {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly output: string;
  readonly calls: readonly TracedCall[];
}

export interface JudgedCall {
  readonly call: TracedCall;
  /** Its place among the calls. */
  readonly index: number;
}

interface Sizes {
  readonly batches: number;
  readonly eventsMax: number;
  readonly segmentBytes: number;
  readonly batchBytesMax: number;
}

/** The call that the fault hit; undefined: none in the folder. */
export function faultOf({ calls, signal }: ChildRun, fault: Fault, name: string, dir: string): JudgedCall | undefined {
  const isHit = ({ call, result }: TracedCall) =>
    fault === 'kill' ? call === name && hasNotReturned(result) : Boolean(result?.includes('(INJECTED)'));
  const index = calls.findLastIndex(isHit);
  const call = calls[index];
  if (!call?.arguments.includes(dir) || (fault === 'kill' && signal !== 'SIGKILL')) return undefined;
  return { call, index };
}

function hasNotReturned(result: string | undefined): boolean {
  return result === undefined || result.startsWith('?');
}

/** One line on what isn't as it must be. */
export async function judge(
  dir: string,
  run: ChildRun,
  hit: JudgedCall,
  fault: Fault,
  sizes: Sizes,
): Promise<string | undefined> {
  const acknowledged = Math.max(0, ...run.output.split('\n').map(Number).filter(Number.isInteger));
  const ended = fault === 'kill' ? undefined : judgeEnd(run, hit, fault, sizes);
  return ended ?? (await judgeRestart(dir, acknowledged, run, sizes));
}

/** A failed call that bytes or names depend on stops the process; no room for what may come later doesn't. */
function judgeEnd(run: ChildRun, hit: JudgedCall, fault: Fault, sizes: Sizes): string | undefined {
  const { code, signal, output } = run;
  const end = `ended with ${signal ?? code}: ${output.split('\n').slice(-3).join(' ')}`;
  if (isFatal(hit.call, fault)) {
    if (code !== EXIT.storage) return `not exit ${EXIT.storage}: ${end}`;
    return acknowledgedLater(run, hit) ?? retried(run, hit);
  }
  if (fault === 'ENOSPC' && mayGoOn(hit.call, sizes)) return code === 0 ? undefined : `not exit 0: ${end}`;
  return code === 0 || code === EXIT.storage ? undefined : end;
}

function isFatal({ call, arguments: given }: TracedCall, fault: Fault): boolean {
  // A name that can't be opened or removed says nothing of bytes that were written; the run may go on without it.
  if (call === 'openat' || call === 'unlink') return false;
  if (fault === 'EIO') return true;
  // The blocks of a commit were written once before: no room for them is no common thing.
  return call === 'pwrite64' && /\d{20}\.delta>/.test(given);
}

/** A snapshot or the room for it, and a segment that is filled with zeros ahead; the first one is needed at once. */
function mayGoOn({ call, arguments: given }: TracedCall, { segmentBytes }: Sizes): boolean {
  if (call === 'unlink') return false;
  if (given.includes('.snapshot.tmp')) return true;
  const isAhead = /prepared-[1-9]\d*\.delta/.test(given) && call !== 'rename';
  return isAhead && (call !== 'pwrite64' || given.includes(`, ${segmentBytes}, 0)`));
}

function isAcknowledgement({ call, arguments: given }: TracedCall): boolean {
  return call === 'write' && /^1<[^>]*>, "\d+\\n"/.test(given);
}

/** What was on disk before the fault may be acknowledged after it; nothing that was written after. */
function acknowledgedLater({ calls }: ChildRun, { index }: JudgedCall): string | undefined {
  const later = calls.slice(index + 1);
  const written = later.findIndex(({ call, arguments: given }) => call === 'pwrite64' && /\d{20}\.delta>/.test(given));
  if (written < 0) return undefined;
  const acknowledgement = later.slice(written).find(isAcknowledgement);
  return acknowledgement && `acknowledged after the fault: write(${acknowledgement.arguments}`;
}

function retried({ calls }: ChildRun, { call, index }: JudgedCall): string | undefined {
  const path = /<([^>]+)>/.exec(call.arguments)?.[1] ?? call.arguments;
  // The folder itself is synced for several reasons.
  if (!path.includes('.')) return undefined;
  const again = calls.slice(index + 1).find((later) => later.call === call.call && later.arguments.includes(path));
  return again && `tried again: ${again.call}(${again.arguments}`;
}

/** All that was acknowledged is there, nothing that never was, and a next run goes on behind it. */
async function judgeRestart(
  dir: string,
  acknowledged: number,
  { code }: ChildRun,
  { eventsMax, segmentBytes, batchBytesMax }: Sizes,
): Promise<string | undefined> {
  const replica = new Replica([counterDomain]);
  const recovered = await recover(nodeDisk, dir, replica).catch((error: Error) => error);
  if (recovered instanceof Error) return `no start after it: ${recovered.message}`;
  const { position, epoch, cleanStop } = recovered;
  if (position < acknowledged) return `position ${acknowledged} was acknowledged, and ${position} is there`;
  if (code === 0 && !cleanStop) return 'it ended with 0 and without a mark';
  // One batch was in flight, or the mark of a clean stop.
  if (acknowledged > 0 && position > acknowledged + eventsMax) return `position ${position} was never written`;
  const { value, events } = (replica.state(counterDomain.name) as CounterState).counters.get('positions')!;
  // Every event added its own position; the mark is an event of the journal's own.
  const isWhole = events === position - (cleanStop ? 1 : 0) && value === sumTo(events);
  if (!isWhole) return `${events} events add up to ${value} at position ${position}`;
  const journal = await openJournal({
    disk: nodeDisk,
    dir,
    recovered,
    epoch: epoch + 1,
    randomBytes,
    scheduler: realScheduler,
    clock: { nowMs: () => 0, utcMs: () => 0 },
    log: { info: () => undefined, warn: () => undefined },
    segmentBytes,
    batchBytesMax,
  });
  await journal.close();
  const after = await recover(nodeDisk, dir, new Replica([counterDomain]));
  return after.position === position + 1
    ? undefined
    : `the next run's mark is at ${after.position}, not ${position + 1}`;
}

function sumTo(count: number): number {
  return (count * (count + 1)) / 2;
}
