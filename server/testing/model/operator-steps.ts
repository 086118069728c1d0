/** The pool and its policies, and what an operator or a probe says of addresses. */
import assert from 'node:assert/strict';
import type { Done, Rejected } from '../../lease/commands.ts';
import type { LeaseEvent } from '../../lease/events.ts';
import { eventText } from './following.ts';
import type { Answer, HistoryRun } from './history-run.ts';
import type { LeaseModel } from './lease-model.ts';
import type { OperationOf } from './lease-operations.ts';
import type { ModelAddress } from './model-records.ts';
import { marksOf } from './pair-model.ts';

const TTL_MIN_MS = 200;
const TTL_MAX_MS = 7 * 86_400_000;

export class OperatorSteps {
  readonly #run: HistoryRun;
  readonly #model: LeaseModel;

  constructor(run: HistoryRun) {
    this.#run = run;
    this.#model = run.model;
  }

  govern(operation: OperationOf<'quarantine' | 'lift' | 'health' | 'drain'>): void {
    const addressId = this.#model.addresses[operation.address]?.id ?? 999;
    switch (operation.type) {
      case 'quarantine':
        return this.#quarantine(addressId, operation);
      case 'lift':
        return this.#lift(addressId, operation);
      case 'health': {
        const { isHealthy } = operation;
        const before = (answer: Answer<'SetAddressHealth'>) => {
          if (this.#address(addressId, undefined, answer)?.isUnhealthy !== isHealthy) return;
          this.#ask({ type: 'AddressHealthChanged', addressId, isHealthy });
        };
        return this.#run.execute({ type: 'SetAddressHealth', addressId, isHealthy }, { before });
      }
      case 'drain': {
        const { isDraining } = operation;
        const before = (answer: Answer<'DrainAddress'>) => {
          if (this.#address(addressId, undefined, answer)?.isDraining !== !isDraining) return;
          this.#ask({ type: 'AddressDrainChanged', addressId, isDraining });
        };
        return this.#run.execute({ type: 'DrainAddress', addressId, isDraining }, { before });
      }
    }
  }

  /** A ban that lasts longer stays what it is. */
  #quarantine(addressId: number, { resource, forMs }: OperationOf<'quarantine'>): void {
    const named = resource === undefined ? {} : { resource };
    const given = forMs === undefined ? {} : { forMs };
    const before = (answer: Answer<'Quarantine'>) => {
      const address = this.#address(addressId, resource, answer);
      if (!address) return;
      const ownUntilMs = forMs === undefined ? Infinity : Math.ceil(this.#model.nowMs) + forMs;
      const present = marksOf(address, resource).quarantine;
      const isLonger = present?.reason === 'banned' && present.untilMs > ownUntilMs;
      const { reason, untilMs } = isLonger ? present : ({ reason: 'operator', untilMs: ownUntilMs } as const);
      const terms = { addressId, reason, level: 0, atMs: 0, untilMs };
      this.#ask(
        resource === undefined
          ? { type: 'AddressQuarantined', ...terms }
          : { type: 'PairQuarantined', resource, ...terms },
      );
    };
    this.#run.execute({ type: 'Quarantine', addressId, ...named, ...given }, { before });
  }

  #lift(addressId: number, { resource }: OperationOf<'lift'>): void {
    const named = resource === undefined ? {} : { resource };
    const before = (answer: Answer<'LiftQuarantine'>) => {
      const address = this.#model.addresses.find(({ id }) => id === addressId);
      const marks = address && marksOf(address, resource);
      const isMarked = marks && (marks.quarantine ?? marks.bans ?? marks.probationAfter) !== undefined;
      // A pair that has left the resource may still have something to lift.
      if (!isMarked) {
        this.#address(addressId, resource, answer);
        return;
      }
      assert.deepEqual(answer, { type: 'done' });
      if (resource === undefined) this.#ask({ type: 'AddressQuarantineEnded', addressId, isLifted: true });
      else this.#ask({ type: 'PairQuarantineEnded', addressId, resource, isLifted: true });
    };
    this.#run.execute({ type: 'LiftQuarantine', addressId, ...named }, { before });
  }

  #ask(event: LeaseEvent): void {
    this.#run.follower.asked.events.push(eventText(event));
  }

  /** The address as it is now; undefined where the answer has to be a refusal, and is. */
  #address(addressId: number, resource: number | undefined, answer: Rejected | Done): ModelAddress | undefined {
    const address = this.#model.addresses.find(({ id }) => id === addressId);
    const isServed = address && (resource === undefined || this.#model.serves(address, resource));
    if (isServed) {
      assert.deepEqual(answer, { type: 'done' });
      return address;
    }
    const code = address ? 'unknown_resource' : 'bad_field';
    assert.ok(answer.type === 'rejected' && answer.code === code, `expected ${code}`);
    return undefined;
  }

  import({ records, replace }: OperationOf<'import'>): void {
    const follower = this.#run.follower;
    follower.imported = undefined;
    this.#run.execute(
      { type: 'ImportPool', records, replace },
      {
        begin: () => {
          follower.asked.pool = { records, replace };
        },
        after: (answer) => {
          const counts = follower.imported ?? this.#model.importPool(records, replace, () => 0);
          assert.deepEqual(answer, { type: 'imported', counts });
        },
      },
    );
  }

  configure({ defaults, own }: OperationOf<'configure'>): void {
    const bounds = { ttlMinMs: TTL_MIN_MS, ttlMaxMs: TTL_MAX_MS };
    const defaultPolicy = { ...bounds, ...defaults };
    this.#run.execute({ type: 'Configure', defaultPolicy, policies: new Map([[2, { ...bounds, ...own }]]) }, {});
    assert.deepEqual(this.#model.defaultPolicy, defaultPolicy);
  }
}
