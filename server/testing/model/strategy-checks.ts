/** What each strategy promises about its choice; where it is left to chance, or to a ring, what can be said at all. */
import assert from 'node:assert/strict';
import type { Where } from '../../../protocol/where.ts';
import type { LeaseModel } from './lease-model.ts';
import type { ModelAddress, ModelTerms } from './model-records.ts';
import { conditionKey } from './queue-model.ts';

export class StrategyChecks {
  readonly #model: LeaseModel;
  /** By resource and string: what was given of what could be. */
  readonly #sticky = new Map<string, { readonly of: readonly string[]; readonly given: string }[]>();
  /** By resource and condition: what was given last by round robin. */
  readonly #rings = new Map<string, ModelAddress>();

  constructor(model: LeaseModel) {
    this.#model = model;
  }

  /** Rings go on behind the address that was granted last. */
  granted(resource: number, where: Where | undefined, address: ModelAddress): void {
    this.#rings.set(this.#ringName(resource, where), address);
  }

  /** The pool or the process is another: rings begin somewhere. */
  forgetRings(): void {
    this.#rings.clear();
  }

  /** `chosen` in the order of choice. */
  check(
    resource: number,
    eligible: readonly ModelAddress[],
    chosen: readonly ModelAddress[],
    { where, strategy = 'round_robin', sticky = '' }: ModelTerms,
  ): void {
    let rest = eligible;
    for (const address of chosen) {
      assert.ok(rest.includes(address), `${address.record.address} is not eligible`);
      const others = rest.filter((other) => other !== address);
      const precedes = (keysOf: (one: ModelAddress) => readonly number[]) => {
        const worse = others.find((other) => isBefore(keysOf(other), keysOf(address)));
        assert.equal(
          worse?.record.address,
          undefined,
          `${strategy} would rather give it than ${address.record.address}`,
        );
      };
      const leases = (one: ModelAddress) => this.#model.unended().filter((lease) => lease.address === one).length;
      switch (strategy) {
        case 'least_used':
          precedes((one) => [this.#model.rpw(one), one.lastToken]);
          break;
        case 'least_leased':
        case 'least_connections':
          precedes((one) => [leases(one), one.lastToken]);
          break;
        case 'least_recently_used':
          precedes((one) => [one.lastToken]);
          break;
        case 'two_choices': {
          const isWorst = others.length > 0 && others.every((other) => leases(other) < leases(address));
          assert.ok(!isWorst, `${address.record.address} has more leases than any other of two`);
          break;
        }
        case 'weighted':
          if (weightOf(address) === 0)
            assert.ok(
              others.every((other) => weightOf(other) === 0),
              'of no weight',
            );
          break;
        case 'sticky':
          this.#checkSticky(`${resource} ${sticky}`, rest, address);
          break;
        case 'round_robin': {
          const isRepeated = this.#rings.get(this.#ringName(resource, where)) === address && rest === eligible;
          assert.ok(!isRepeated || others.length === 0, `${address.record.address} twice in a row`);
          break;
        }
        case 'random':
      }
      rest = others;
    }
  }

  /** What is given of many is given of fewer too, if it is among them. */
  #checkSticky(name: string, eligible: readonly ModelAddress[], address: ModelAddress): void {
    const of = eligible.map(({ record }) => record.address);
    const given = address.record.address;
    const known = this.#sticky.get(name) ?? [];
    const includes = (all: readonly string[], some: readonly string[]) => some.every((one) => all.includes(one));
    for (const before of known) {
      const isWider = includes(of, before.of) && before.of.includes(given);
      const isNarrower = includes(before.of, of) && of.includes(before.given);
      assert.ok(!(isWider || isNarrower) || given === before.given, `${name} has moved from ${before.given}`);
    }
    this.#sticky.set(name, [...known, { of, given }]);
  }

  #ringName(resource: number, where: Where | undefined): string {
    return `${resource} ${conditionKey(this.#model.policy(resource).where, where)}`;
  }
}

function weightOf({ record }: ModelAddress): number {
  return (record['weight'] as number | undefined) ?? 1;
}

function isBefore(one: readonly number[], other: readonly number[]): boolean {
  const index = one.findIndex((key, at) => key !== other[at]);
  return index !== -1 && one[index]! < other[index]!;
}
