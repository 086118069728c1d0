/**
 * Are two live leases ever held on one pair at the same time? Judged by what the collectors of this run believe alone.
 *
 * A collector believes in a lease from the moment its grant arrives until it sends the release, cuts its connection, learns
 * of the end, or its own deadline is over, whichever is first: all by one clock, in one thread. The coordinator grants a
 * pair anew only after one of these, with one exception: where a connection breaks for another reason, a session without
 * a resume window ends before its collector knows. A scenario in which that happens gives a resume window.
 */
import type { Lease } from '../../protocol/client.ts';

export class PairWatch {
  /** The last lease that was granted on each pair: as many as there are pairs. */
  readonly #last = new Map<string, Lease>();

  /** True: another lease on its pair is still live. */
  take(lease: Lease): boolean {
    const pair = `${lease.resource} ${lease.address.address}`;
    const before = this.#last.get(pair);
    this.#last.set(pair, lease);
    return before !== undefined && before !== lease && before.live;
  }
}
