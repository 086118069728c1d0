import type { Domain } from '../coordinator/domain.ts';
import { applyEvent } from './apply.ts';
import type { RedirectAnswers, RedirectCommand, RedirectNotice } from './commands.ts';
import { decide } from './decide.ts';
import { decodeEvent, encodeEvent, isDurable, REDIRECT_DOMAIN, type RedirectEvent } from './events.ts';
import { encodeState, restoreState } from './snapshot.ts';
import { createRedirectState, type RedirectState } from './state.ts';

/** What the redirect balancer goes by: configurations with their history, one of them active. */
export const redirectDomain: Domain<RedirectState, RedirectCommand, RedirectEvent, RedirectAnswers, RedirectNotice> = {
  name: REDIRECT_DOMAIN,
  create: createRedirectState,
  decide,
  apply: applyEvent,
  isDurable,
  // Nothing of it has a time, so this is never given.
  dueMs: () => undefined,
  dueCommand: { type: 'SetStorage', level: 'ample' },
  clockMarkMs: () => undefined,
  // Nothing of it has to end.
  liveCount: () => 0,
  encodeEvent,
  decodeEvent,
  encode: encodeState,
  restore: restoreState,
};
