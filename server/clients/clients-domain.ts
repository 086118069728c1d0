import type { Domain } from '../coordinator/domain.ts';
import { applyEvent } from './apply.ts';
import type { ClientsAnswers, ClientsCommand, ClientsNotice } from './commands.ts';
import { decide } from './decide.ts';
import { CLIENTS_DOMAIN, type ClientsEvent, decodeEvent, encodeEvent, isDurable } from './events.ts';
import { encodeState, restoreState } from './snapshot.ts';
import { type ClientsState, createClientsState } from './state.ts';

/** Who is known by a key, what each may ask in a second, and how much of that is left. */
export const clientsDomain: Domain<ClientsState, ClientsCommand, ClientsEvent, ClientsAnswers, ClientsNotice> = {
  name: CLIENTS_DOMAIN,
  create: createClientsState,
  decide,
  apply: applyEvent,
  isDurable,
  dueMs: ({ ending, lookAtMs }) => (ending.size === 0 ? undefined : lookAtMs),
  dueCommand: { type: 'EndKeys' },
  // Keys end by the wall clock, and a bucket that a restart fills a little less does no harm.
  clockMarkMs: () => undefined,
  liveCount: ({ ending }) => ending.size,
  encodeEvent,
  decodeEvent,
  encode: encodeState,
  restore: restoreState,
};
