/** Tokens of a run begin above seconds since 2025 × 2²⁰: above those of every earlier run, lost and restored ones too. */
const TOKEN_EPOCH_MS = Date.UTC(2025, 0, 1);
const TOKENS_PER_SECOND = 2 ** 20;
/** Well below the last token there can be; reached in the year 2297. */
const TOKEN_FLOOR_MAX = 2 ** 53 - 2 ** 40;

/**
 * What every token of a run that begins at `utcMs` is above. To the millisecond: two runs over copies of one folder may
 * begin within one second. Undefined: so late that tokens would run out of their 53 bits.
 */
export function tokenFloorAt(utcMs: number): number | undefined {
  const floor = Math.max(0, Math.floor(((utcMs - TOKEN_EPOCH_MS) / 1_000) * TOKENS_PER_SECOND));
  return floor > TOKEN_FLOOR_MAX ? undefined : floor;
}
