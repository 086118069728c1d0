import { assertNever } from '../../protocol/assert.ts';
import { VERSIONS_MAX } from './commands.ts';
import type { RedirectEvent } from './events.ts';
import { currentOf, type Redirect, type RedirectState, type Version } from './state.ts';

/** The only way in which the state changes: live, at recovery and on a standby alike. Throws on an impossible event. */
export function applyEvent(state: RedirectState, event: RedirectEvent): void {
  switch (event.type) {
    case 'RedirectCreated': {
      const { id, cdnHost, distributionRate, utcMs } = event;
      addRedirect(state, { id, createdUtcMs: utcMs, versions: [{ version: 1, cdnHost, distributionRate, utcMs }] });
      return;
    }
    case 'RedirectChanged': {
      const { id, type: _type, ...version } = event;
      addVersion(redirectOf(state, id), version);
      return;
    }
    case 'RedirectActivated':
      state.activeId = redirectOf(state, event.id).id;
      return;
    case 'StorageChanged':
      state.storage = event.level;
      return;
    default:
      assertNever(event);
  }
}

export function addRedirect({ redirects }: RedirectState, redirect: Redirect): void {
  if (redirect.id !== redirects.size + 1) throw new Error(`redirect ${redirect.id} is not the next one`);
  redirects.set(redirect.id, redirect);
}

function addVersion(redirect: Redirect, version: Version): void {
  const before = currentOf(redirect).version;
  if (version.version !== before + 1) throw new Error(`version ${version.version} doesn't follow version ${before}`);
  redirect.versions.push(version);
  if (redirect.versions.length > VERSIONS_MAX) redirect.versions.shift();
}

export function redirectOf({ redirects }: RedirectState, id: number): Redirect {
  const redirect = redirects.get(id);
  if (!redirect) throw new Error(`there is no redirect ${id}`);
  return redirect;
}
