/**
 * What a repair may do about the faults of a folder, decided from what verify.ts has found. Nothing is made up: the state
 * ends behind the last batch to which a sound snapshot, or the beginning of all data, leads without a break; whatever
 * stands behind that, and whatever leads nowhere, is set aside.
 */
import type { Fault } from './fault.ts';
import { STOPPED_NAME } from './file-names.ts';
import { type FileReport, type Run, type RunSegment, type VerifyReport } from './verify.ts';

export interface SetAside {
  readonly name: string;
  readonly reason: string;
}

/** A segment that keeps its good batches only, and gets a sound header where its own is not. */
export interface Rewrite {
  readonly segment: RunSegment;
  readonly reason: string;
}

export type RepairPlan =
  | { readonly kind: 'healthy' }
  /** Only a person can tell what should hold. */
  | { readonly kind: 'refused'; readonly reason: string }
  | {
      readonly kind: 'repair';
      readonly dataId: Uint8Array;
      /** Of the last event kept. */
      readonly lastPosition: number;
      /**
       * In the order in which they go. Until the last has gone, a coordinator either refuses the folder or makes of it
       * what the whole repair does: newest segments first, the stop mark and what is older last.
       */
      readonly setAside: readonly SetAside[];
      readonly rewrites: readonly Rewrite[];
    };

export function planRepair(report: VerifyReport): RepairPlan {
  const { faults, files, goodSnapshots, dataId } = report;
  if (faults.length === 0) return { kind: 'healthy' };
  const newer = faults.find(({ kind }) => kind === 'newer_version');
  if (newer) return refused(`${newer.file} is of a newer version of the program: repair with that`);
  const other = faults.find(({ kind }) => kind === 'other_state');
  if (other) {
    return refused(`${other.file} and the older files hold two histories, each sound: nobody but you can choose`);
  }
  const base = furthest(report);
  if (!base || !dataId) return refused('neither a sound snapshot nor the beginning of the data leads to any event');

  const { run, lastPosition } = base;
  const usable = run ? usableSegments(run) : [];
  const firstPosition = usable[0]?.fromPosition ?? lastPosition + 1;
  const keptSegments = new Set(usable.map(({ name }) => name));
  const keptSnapshots = new Set(
    run ? run.snapshots.filter((position) => position >= firstPosition - 1) : goodSnapshots.slice(-1),
  );
  const isKept = ({ name, kind, toPosition }: FileReport) =>
    kind === 'delta' ? keptSegments.has(name) : keptSnapshots.has(toPosition!);
  // What is left over from before, sound and in nobody's way, isn't touched.
  const faulty = new Set(faults.map(({ file }) => file));
  const positionOf = ({ name }: FileReport) => Number.parseInt(name, 10);
  const older = files.filter((file) => !isKept(file) && positionOf(file) < firstPosition);
  const areOlderSound =
    run !== undefined && older.every(({ name }) => !faulty.has(name)) && !faulty.has(usable[0]?.name ?? '');

  const deltas = files.filter((file) => file.kind === 'delta' && !isKept(file));
  const behind = deltas.filter((file) => positionOf(file) >= firstPosition).toReversed();
  const snapshots = files.filter((file) => file.kind === 'snapshot' && !isKept(file));
  const oldDeltas = areOlderSound ? [] : deltas.filter((file) => positionOf(file) < firstPosition);
  const oldSnapshots = snapshots.filter((file) => faulty.has(file.name) || !areOlderSound || !older.includes(file));
  const reasonOf = ({ name }: FileReport, otherwise: string) =>
    faults.find(({ file }) => file === name)?.message ?? otherwise;

  const rewrites = usable.flatMap((segment) => {
    const fault = faults.find((it) => it.file === segment.name && !isAboutBefore(it));
    return fault ? [{ segment, reason: fault.message }] : [];
  });
  const isEndMoved =
    behind.length > 0 || rewrites.some(({ segment }) => segment === usable.at(-1)) || usable.length === 0;
  const setAside = [
    ...behind.map((file) => ({ name: file.name, reason: reasonOf(file, 'it stands behind the damage') })),
    ...oldDeltas.map((file) => ({ name: file.name, reason: reasonOf(file, 'it leads no further than the damage') })),
    ...oldSnapshots.map((file) => ({ name: file.name, reason: reasonOf(file, 'nothing leads on from it') })),
  ];
  if (report.hasStopMark && (isEndMoved || faults.some(({ kind }) => kind === 'stop_mark'))) {
    setAside.push({ name: STOPPED_NAME, reason: 'the journal does not end where it says' });
  }
  if (setAside.length + rewrites.length === 0) return refused('nothing that may be cut or set aside would help');
  return { kind: 'repair', dataId, lastPosition, setAside, rewrites };
}

/** About what should stand before the file; the file itself is sound. */
function isAboutBefore({ kind, offset }: Fault): boolean {
  return offset === 0 && (kind === 'unreached' || kind === 'gap' || kind === 'broken_chain');
}

function refused(reason: string): RepairPlan {
  return { kind: 'refused', reason };
}

/** The last position to which anything sound leads, and the run in which it is; undefined: nothing leads anywhere. */
function furthest({ runs, goodSnapshots }: VerifyReport): { run: Run | undefined; lastPosition: number } | undefined {
  let best: { run: Run | undefined; lastPosition: number } | undefined;
  for (const position of goodSnapshots) best = { run: undefined, lastPosition: position };
  for (const run of runs) {
    const leads = run.isFromBeginning || run.snapshots.some((position) => isWithinUsable(run, position));
    const isFurther = run.toPosition > (best?.lastPosition ?? 0) || (best && run.toPosition === best.lastPosition);
    if (leads && isFurther) best = { run, lastPosition: run.toPosition };
  }
  return best;
}

/** Without a beginning in the middle of a file: the rest of that file can't stay, nor stand on its own. */
function usableSegments({ segments }: Run): readonly RunSegment[] {
  return segments.filter(({ isFromStart }) => isFromStart);
}

function isWithinUsable(run: Run, position: number): boolean {
  const usable = usableSegments(run);
  return usable.length > 0 && position >= usable[0]!.fromPosition - 1;
}
