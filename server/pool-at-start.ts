/** The pool file of `--pool`: read and checked before anything is written, taken in once there is room for it. */
import { readFile } from 'node:fs/promises';
import type { Config } from './config.ts';
import type { DomainPort } from './coordinator/domain-port.ts';
import { EXIT, Refusal } from './exit.ts';
import type { LeaseAnswers, LeaseCommand, LeaseNotice } from './lease/commands.ts';
import { parsePool } from './lease/pool-file.ts';
import type { PoolRecord } from './lease/pool-record.ts';
import type { LeaseState } from './lease/state.ts';
import type { Logger } from './logger.ts';

type Leases = DomainPort<LeaseState, LeaseCommand, LeaseAnswers, LeaseNotice>;

/** A faulty file starts nothing. */
export async function readPool(file: string, config: Config, state: LeaseState): Promise<readonly PoolRecord[]> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    throw new Refusal(EXIT.usage, `pool file: ${(error as Error).message}`);
  }
  const knownResources = new Set([...config.resources.keys(), ...state.ownPolicies.keys()]);
  for (const { id, pool, leases } of state.resources.values()) {
    if (leases.size > 0 || (pool.size > 0 && !config.poolReplace)) knownResources.add(id);
  }
  const parsed = parsePool(text, { resourcesMax: config.resourcesMax, knownResources });
  if (!parsed.ok) throw new Refusal(EXIT.usage, [`pool file ${file}:`, ...parsed.problems].join('\n  '));
  return parsed.records;
}

/** Takes the records in, or keeps them for a later attempt where the disk has no room for what they change. */
export class PoolAtStart {
  readonly #leases: Leases;
  readonly #config: Config;
  readonly #log: Logger;
  #records: readonly PoolRecord[] | undefined;
  #isTrying = false;
  #isToBeTried = false;

  constructor(records: readonly PoolRecord[] | undefined, leases: Leases, config: Config, log: Logger) {
    this.#records = records;
    this.#leases = leases;
    this.#config = config;
    this.#log = log;
  }

  /** Does nothing where there is no file, or it has been taken in. */
  async takeIn(): Promise<void> {
    this.#isToBeTried = true;
    if (this.#isTrying) return;
    this.#isTrying = true;
    // There may be room again before the answer that there was none has come.
    while (this.#records && this.#isToBeTried) {
      this.#isToBeTried = false;
      await this.#tryOnce(this.#records);
    }
    this.#isTrying = false;
  }

  async #tryOnce(records: readonly PoolRecord[]): Promise<void> {
    const { pool, poolReplace: replace } = this.#config;
    const answer = await new Promise<LeaseAnswers['ImportPool']>((resolve) => {
      this.#leases.execute({ type: 'ImportPool', records, replace, source: 'file' }, resolve);
    });
    if (answer.type === 'rejected') {
      this.#log.warn({ pool }, 'the pool file waits for room on the disk: what it changes is not known yet');
      return;
    }
    this.#records = undefined;
    const inState = await new Promise<number>((resolve) =>
      this.#leases.read(({ addresses }) => addresses.size, resolve),
    );
    this.#log.info({ pool, inFile: records.length, inState, ...answer.counts }, 'pool imported');
  }
}
