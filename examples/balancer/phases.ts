/** What the steady client saw, before a target was stopped, while it was away, and after it was started again. */

/** One request of the client. */
export interface Reply {
  readonly atMs: number;
  /** The target that answered, by the header that it sends; undefined: nobody's answer came. */
  readonly target: string | undefined;
  readonly ok: boolean;
}

export interface Phase {
  readonly name: 'before' | 'during' | 'after';
  readonly fromMs: number;
  readonly toMs: number;
  /** Of the targets that are expected to answer in it. */
  readonly targets: readonly string[];
}

export interface PhaseCount {
  readonly phase: Phase;
  readonly requests: number;
  readonly failed: number;
  /** By target, those that answered nothing included. */
  readonly answered: ReadonlyMap<string, number>;
  /** Most less fewest answers of the targets that were expected to answer. */
  readonly spread: number;
}

/** A moment at which a target goes or comes belongs to neither phase: `marginMs` on both sides of it is left out of the spread. */
export function countPhases(
  replies: readonly Reply[],
  phases: readonly Phase[],
  targets: readonly string[],
): PhaseCount[] {
  return phases.map((phase) => {
    const own = replies.filter(({ atMs }) => atMs >= phase.fromMs && atMs < phase.toMs);
    const answered = new Map(targets.map((target) => [target, 0]));
    for (const { target, ok } of own) {
      if (ok && target !== undefined) answered.set(target, (answered.get(target) ?? 0) + 1);
    }
    const expected = phase.targets.map((target) => answered.get(target) ?? 0);
    return {
      phase,
      requests: own.length,
      failed: own.filter(({ ok }) => !ok).length,
      answered,
      spread: Math.max(...expected) - Math.min(...expected),
    };
  });
}

/** Evenly in turn, no two targets differ by more than one; one more where a probe brings a target back in the midst of a round. */
const SPREAD_MAX = 2;

export function isEven({ spread }: PhaseCount): boolean {
  return spread <= SPREAD_MAX;
}

const NAME_WIDTH = 10;
const COLUMN_WIDTH = 10;

export function table(counts: readonly PhaseCount[], targets: readonly string[]): string[] {
  const heads = ['', ...targets.map((_, index) => `target ${index + 1}`), 'requests', 'failed', 'spread'];
  const rows = counts.map(({ phase, answered, requests, failed, spread }) => [
    phase.name,
    ...targets.map((target) => String(answered.get(target) ?? 0)),
    String(requests),
    String(failed),
    String(spread),
  ]);
  return [heads, ...rows].map(([name = '', ...cells]) =>
    `${name.padEnd(NAME_WIDTH)}${cells.map((cell) => cell.padStart(COLUMN_WIDTH)).join('')}`.trimEnd(),
  );
}
