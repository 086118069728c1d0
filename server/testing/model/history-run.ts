/** What the steps of a history share: the domain and the model side by side, and who is who. */
import assert from 'node:assert/strict';
import type { LeaseAnswers, LeaseCommand } from '../../lease/commands.ts';
import type { Holder } from '../../lease/holder.ts';
import { type Decided, type LeaseDomain, LeaseDriver } from '../lease-driver.ts';
import { eventText, nothingAsked } from './following.ts';
import { LeaseFollower } from './lease-follower.ts';
import { LeaseModel } from './lease-model.ts';
import { type Asker, LIVE_BACKS, type Named } from './lease-operations.ts';

export type Answer<Type extends LeaseCommand['type']> = LeaseAnswers[Type];

export class HistoryRun {
  readonly driver: LeaseDriver;
  readonly model = new LeaseModel();
  readonly follower: LeaseFollower;
  /** Session of each slot, alive or not. */
  readonly slots: (string | undefined)[] = [];
  /** Id of the last acquire. */
  request = 0;
  #pausedMs = 0;

  constructor(domain: LeaseDomain) {
    this.driver = new LeaseDriver(domain);
    this.follower = new LeaseFollower(this.model, (address) => this.driver.state.addressIds.get(address)!);
    this.model.nowMs = this.driver.nowMs;
    this.model.utcMs = this.driver.utcMs;
  }

  pause(ms: number): void {
    this.driver.pause(ms);
    this.#pausedMs += ms;
  }

  /** Where nobody is left who knew of a pause. */
  forgetPause(): void {
    this.#pausedMs = 0;
  }

  execute<Command extends LeaseCommand>(
    command: Command,
    checks: {
      begin?(): void;
      before?(answer: Answer<Command['type']>, decided: Decided): void;
      after?(answer: Answer<Command['type']>): void;
    },
  ): void {
    this.follower.asked = nothingAsked();
    this.expectExtension();
    let answers = 0;
    const given = {
      begin: () => checks.begin?.(),
      before: (decided: Decided) => {
        answers += 1;
        checks.before?.(decided.answer as Answer<Command['type']>, decided);
      },
      after: (decided: Decided) => checks.after?.(decided.answer as Answer<Command['type']>),
    };
    this.follower.follow(this.driver.execute(command), given);
    assert.equal(answers, 1, 'answered once');
  }

  /** The first decision after a pause is about it. */
  expectExtension(): void {
    const byMs = Math.floor(this.#pausedMs);
    const isPaused = this.#pausedMs > 0;
    this.#pausedMs = 0;
    const isAnyAway = this.model.sessions.some((session) => session.suspendedUntilMs !== undefined);
    if (isPaused && isAnyAway) this.follower.asked.events.push(eventText({ type: 'SuspensionsExtended', byMs }));
  }

  isAlive(slot: number): boolean {
    const id = this.slots[slot];
    return id !== undefined && this.model.session(id) !== undefined;
  }

  /** The token that is meant; one that never will be where there are fewer leases. */
  token(back: number): number {
    const isLive = back < LIVE_BACKS;
    const lease = isLive ? this.model.unended().at(-1 - back) : this.model.leases.at(-1 - (back - LIVE_BACKS));
    return lease?.token ?? Number.MAX_SAFE_INTEGER - back;
  }

  askerOf(token: number, by: Named['by']): Holder {
    if (by !== 'holder') return this.holder(by);
    return this.model.leases.find((lease) => lease.token === token)?.holder ?? { kind: 'client', client: 'berta' };
  }

  holder(by: Asker): Holder {
    if ('client' in by) return { kind: 'client', client: by.client };
    if ('secret' in by) return { kind: 'secret', secretHash: by.secret };
    return { kind: 'session', session: this.slots[by.slot] ?? 'none' };
  }
}
