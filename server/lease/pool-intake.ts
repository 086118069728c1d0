import { maskAddress } from './masking.ts';
import { type PoolRecord, parseRecord, type Report } from './pool-record.ts';

export interface PoolBounds {
  /** Distinct resources at most, `knownResources` included. */
  readonly resourcesMax: number;
  /** Resources that exist already, by configuration or state. */
  readonly knownResources: ReadonlySet<number>;
}

/** `at`: index of the record, or the line on which it begins. An address is shown only masked. */
export interface PoolProblem {
  readonly at: number;
  readonly message: string;
}

/** Records of one pool. */
export const POOL_RECORDS_MAX = 5_000_000;
/** Problems listed; those beyond are counted. */
export const PROBLEMS_MAX = 100;

/**
 * Takes records one by one, from whatever they are read: the good ones, and of each other one what is wrong with it. So the
 * caller may have all or nothing, or what is good.
 */
export class PoolIntake {
  readonly records: PoolRecord[] = [];
  /** The first PROBLEMS_MAX. */
  readonly problems: PoolProblem[] = [];
  problemCount = 0;
  readonly #unit: 'record' | 'line';
  readonly #placeOf = new Map<string, number>();
  readonly #resources: Set<number>;
  readonly #resourcesMax: number;

  /** `unit`: what places are counted in. */
  constructor({ resourcesMax, knownResources }: PoolBounds, unit: 'record' | 'line') {
    this.#unit = unit;
    this.#resources = new Set(knownResources);
    this.#resourcesMax = resourcesMax;
  }

  take(at: number, value: unknown): void {
    const record = parseRecord(value, (message) => this.refuse(at, message));
    if (!record) return;
    if (this.records.length >= POOL_RECORDS_MAX) return this.refuse(at, `more than ${POOL_RECORDS_MAX} records`);
    const earlier = this.#placeOf.get(record.address);
    if (earlier === undefined) this.#placeOf.set(record.address, at);
    else this.refuse(at, `address: ${maskAddress(record.address)} is that of ${this.#unit} ${earlier} already`);
    const fits = this.#takeResources(record.resource_ids, (message) => this.refuse(at, message));
    if (earlier === undefined && fits) this.records.push(record);
  }

  /** What stands there is no record at all. */
  refuse(at: number, message: string): void {
    this.problemCount += 1;
    if (this.problemCount <= PROBLEMS_MAX) this.problems.push({ at, message });
  }

  /** All of them, or none and a word about the first that is one too many. */
  #takeResources(ids: readonly number[], report: Report): boolean {
    const others = ids.filter((id) => !this.#resources.has(id));
    const excess = others[Math.max(0, this.#resourcesMax - this.#resources.size)];
    if (excess !== undefined) {
      report(`resource_ids: ${excess} would be one resource more than ${this.#resourcesMax} (resources_max)`);
      return false;
    }
    for (const id of others) this.#resources.add(id);
    return true;
  }
}

/** One record by itself. */
export function parseOneRecord(
  value: unknown,
  bounds: PoolBounds,
): { readonly ok: true; readonly record: PoolRecord } | { readonly ok: false; readonly problems: string[] } {
  const intake = new PoolIntake(bounds, 'record');
  intake.take(0, value);
  const [record] = intake.records;
  return record ? { ok: true, record } : { ok: false, problems: intake.problems.map(({ message }) => message) };
}
