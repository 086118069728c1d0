import { assertNever } from '../../protocol/assert.ts';
import type { Decision, DecisionContext } from '../coordinator/domain.ts';
import {
  type ActivateRedirect,
  type BeginRedirects,
  type CreateRedirect,
  REDIRECTS_MAX,
  type RedirectAnswer,
  type RedirectCommand,
  type RedirectNotice,
  type RedirectRule,
  type RedirectView,
  type RollBackRedirect,
  type UpdateRedirect,
} from './commands.ts';
import type { RedirectEvent } from './events.ts';
import { currentOf, type Redirect, type RedirectState, viewOf } from './state.ts';

export type RedirectDecision = Decision<RedirectCommand, RedirectEvent, RedirectAnswer, RedirectNotice>;

const RETRY_AFTER_MS = 1_000;

/** The answer to every command: what happens, and what is said of it. Changes nothing. */
export function decide(state: RedirectState, command: RedirectCommand, { utcMs }: DecisionContext): RedirectDecision {
  switch (command.type) {
    case 'BeginRedirects':
      return beginRedirects(state, command, utcMs);
    case 'CreateRedirect':
      return createRedirect(state, command, utcMs);
    case 'UpdateRedirect':
      return updateRedirect(state, command, utcMs);
    case 'ActivateRedirect':
      return activateRedirect(state, command);
    case 'RollBackRedirect':
      return rollBackRedirect(state, command, utcMs);
    case 'SetStorage': {
      const { level } = command;
      const events = level === state.storage ? [] : ([{ type: 'StorageChanged', level }] as const);
      return { events, answer: { type: 'done' } };
    }
    default:
      return assertNever(command);
  }
}

/** Whatever room there is: two small events, once in the life of a folder. */
function beginRedirects({ redirects, activeId }: RedirectState, rule: BeginRedirects, utcMs: number): RedirectDecision {
  if (activeId !== undefined) return shown(viewOf(redirects.get(activeId)!));
  const { event, view } = creation(1, rule, utcMs);
  return shown(view, [event, { type: 'RedirectActivated', id: view.id }]);
}

function createRedirect(state: RedirectState, rule: CreateRedirect, utcMs: number): RedirectDecision {
  if (state.storage !== 'ample') return storageFull();
  if (state.redirects.size >= REDIRECTS_MAX) {
    const message = `there are ${REDIRECTS_MAX} configurations already: change one of them`;
    return { events: [], answer: { type: 'rejected', code: 'too_many', message } };
  }
  const { event, view } = creation(state.redirects.size + 1, rule, utcMs);
  return shown(view, [event]);
}

function creation(id: number, { cdnHost, distributionRate }: RedirectRule, utcMs: number) {
  const event = { type: 'RedirectCreated', id, cdnHost, distributionRate, utcMs } as const;
  const view = { id, cdnHost, distributionRate, createdUtcMs: utcMs, updatedUtcMs: utcMs, version: 1 };
  return { event, view };
}

function updateRedirect(state: RedirectState, command: UpdateRedirect, utcMs: number): RedirectDecision {
  const redirect = state.redirects.get(command.id);
  if (!redirect) return unknown('id');
  const current = currentOf(redirect);
  if (command.version !== undefined && command.version !== current.version) {
    return { events: [], answer: { type: 'stale', version: current.version } };
  }
  const { cdnHost = current.cdnHost, distributionRate = current.distributionRate } = command;
  // Nobody needs a version that says what the one before says: a repeated request changes nothing.
  const isSame = cdnHost === current.cdnHost && distributionRate === current.distributionRate;
  return isSame ? shown(viewOf(redirect)) : change(state, redirect, { cdnHost, distributionRate }, utcMs);
}

function rollBackRedirect(state: RedirectState, command: RollBackRedirect, utcMs: number): RedirectDecision {
  const redirect = state.redirects.get(command.id);
  if (!redirect) return unknown('id');
  const former = redirect.versions.find(({ version }) => version === command.version);
  if (!former) return unknown('version');
  const { version: restored, cdnHost, distributionRate } = former;
  return change(state, redirect, { cdnHost, distributionRate, restored }, utcMs);
}

function change(
  state: RedirectState,
  redirect: Redirect,
  to: RedirectRule & { readonly restored?: number },
  utcMs: number,
): RedirectDecision {
  if (state.storage !== 'ample') return storageFull();
  const { id, createdUtcMs } = redirect;
  const { cdnHost, distributionRate } = to;
  const version = currentOf(redirect).version + 1;
  const view = { id, cdnHost, distributionRate, createdUtcMs, updatedUtcMs: utcMs, version };
  const events = [{ type: 'RedirectChanged', id, version, ...to, utcMs }] as const;
  return state.activeId === id ? inEffect(view, events) : shown(view, events);
}

function activateRedirect(state: RedirectState, { id }: ActivateRedirect): RedirectDecision {
  const redirect = state.redirects.get(id);
  if (!redirect) return unknown('id');
  const view = viewOf(redirect);
  if (state.activeId === id) return shown(view);
  if (state.storage !== 'ample') return storageFull();
  return inEffect(view, [{ type: 'RedirectActivated', id }]);
}

function shown(redirect: RedirectView, events: readonly RedirectEvent[] = []): RedirectDecision {
  return { events, answer: { type: 'redirect', redirect } };
}

function inEffect(redirect: RedirectView, events: readonly RedirectEvent[]): RedirectDecision {
  return { ...shown(redirect, events), notices: [{ type: 'InEffect', redirect }] };
}

function unknown(what: 'id' | 'version'): RedirectDecision {
  return { events: [], answer: { type: 'unknown', what } };
}

function storageFull(): RedirectDecision {
  const message = 'the disk is nearly full: nothing new is taken; try again later';
  return { events: [], answer: { type: 'rejected', code: 'storage_full', message, retryAfterMs: RETRY_AFTER_MS } };
}
