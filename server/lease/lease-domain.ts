import type { Domain } from '../coordinator/domain.ts';
import { applyEvent } from './apply.ts';
import type { LeaseAnswers, LeaseCommand, LeaseNotice } from './commands.ts';
import { decide } from './decide.ts';
import { dueMs } from './decide-due.ts';
import { decodeEvent, encodeEvent, LEASE_DOMAIN } from './event-records.ts';
import { isDurable, type LeaseEvent } from './events.ts';
import { beginReplay, endReplay } from './replay.ts';
import { encodeState, restoreState } from './snapshot.ts';
import { createLeaseState, type LeaseState } from './state.ts';

/** The clock is on disk at least so often while anything could be prolonged by a restart … */
const CLOCK_MARK_MAX_MS = 1_000;
/** … and on a disk that is nearly full. No lease is prolonged by more than a quarter of its TTL either way. */
const CLOCK_MARK_MAX_LOW_MS = 60_000;

/** Who may use which address for which resource, and until when. */
export const leaseDomain: Domain<LeaseState, LeaseCommand, LeaseEvent, LeaseAnswers, LeaseNotice> = {
  name: LEASE_DOMAIN,
  create: createLeaseState,
  decide,
  apply: applyEvent,
  isDurable,
  dueMs,
  dueCommand: { type: 'Due' },
  pauseCommand: (byMs) => ({ type: 'ExtendSuspensions', byMs }),
  clockMarkMs(state) {
    const maxMs = state.storage === 'ample' ? CLOCK_MARK_MAX_MS : CLOCK_MARK_MAX_LOW_MS;
    const { ttlClasses } = state;
    for (let shortest = 0; shortest < ttlClasses.length; shortest += 1) {
      if (ttlClasses[shortest]! > 0) return Math.min(maxMs, 2 ** shortest / 4);
    }
    const isTimed = state.suspended.size + state.waiters.size + state.expiry.size + state.quarantined.size > 0;
    return isTimed ? maxMs : undefined;
  },
  liveCount: ({ leases, sessions, waiters }) => leases.size + sessions.size + waiters.size,
  encodeEvent,
  decodeEvent,
  encode: encodeState,
  restore: restoreState,
  beginReplay,
  endReplay,
};
