/** Sessions as operators are shown them: who is there, what each holds, and whether a socket carries it. */
import * as v from 'valibot';
import { type Operation, operation } from '../admin/operation.ts';
import { json, lookAt, namePageQuery, nextNameSchema, pageOf, unknown } from '../admin/requests.ts';
import type { LeaseAnswers } from '../lease/commands.ts';
import type { LeaseState, Session } from '../lease/state.ts';
import type { SessionHub } from './session-hub.ts';

const sessionShown = v.object({
  session: v.string(),
  name: v.exactOptional(v.pipe(v.string(), v.description('What the collector calls itself: `client` of its `hello`.'))),
  client: v.exactOptional(
    v.pipe(v.string(), v.description('Who is behind it: a client, or an IP where it has no key.')),
  ),
  connected: v.pipe(v.boolean(), v.description('False: suspended; it may be resumed for `remaining_ms` more.')),
  remote_address: v.exactOptional(v.string()),
  remaining_ms: v.exactOptional(v.number()),
  resume_window_ms: v.number(),
  leases: v.pipe(v.number(), v.description('Live leases that it holds.')),
  waiting: v.pipe(v.number(), v.description('Requests of its that wait.')),
});
const params = { session: v.string() };

export function sessionRoutes(hub: SessionHub): Operation[] {
  const { leases } = hub;
  return [
    operation({
      id: 'listSessions',
      tag: 'sessions',
      method: 'get',
      path: '/v1/sessions',
      role: 'operator',
      summary: 'Lists sessions, suspended ones among them, by their ids.',
      query: {
        ...namePageQuery,
        name: v.exactOptional(v.pipe(v.string(), v.description('Only those of collectors that call themselves so.'))),
        client: v.exactOptional(v.pipe(v.string(), v.description('Only those of this client, or of this IP.'))),
      },
      answers: {
        200: { description: 'One page.', schema: v.object({ sessions: v.array(sessionShown), next: nextNameSchema }) },
      },
      handle: async ({ query: { after = '', name, client, ...rest } }) => {
        const { limit } = pageOf(rest);
        return json(
          await lookAt(leases, (state, nowMs) => {
            const wanted = (it: Session) => it.id > after && isMeant(it, name, client);
            const found = firstById(state.sessions.values(), wanted, limit + 1);
            const sessions = found.slice(0, limit).map((session) => sessionEntry(hub, session, nowMs));
            return { sessions, ...(found.length > limit ? { next: found[limit - 1]!.id } : {}) };
          }),
        );
      },
    }),
    operation({
      id: 'getSession',
      tag: 'sessions',
      method: 'get',
      path: '/v1/sessions/{session}',
      role: 'operator',
      summary: 'Shows one session.',
      params,
      answers: { 200: { description: 'The session.', schema: sessionShown } },
      problems: { 404: 'No such session.' },
      async handle({ params: { session: id } }) {
        const entry = await lookAt(leases, (state: LeaseState, nowMs) => {
          const session = state.sessions.get(id);
          return session && sessionEntry(hub, session, nowMs);
        });
        return entry ? json(entry) : unknownSession();
      },
    }),
    operation({
      id: 'endSession',
      tag: 'sessions',
      method: 'delete',
      path: '/v1/sessions/{session}',
      role: 'operator',
      summary: 'Ends a session: its leases are revoked, its collector is told of each and cut off.',
      params,
      answers: {
        200: {
          description: 'It has ended.',
          schema: v.object({
            session: v.string(),
            revoked: v.pipe(v.number(), v.description('Leases that it held.')),
          }),
        },
      },
      problems: { 404: 'No such session.' },
      async handle({ params: { session } }) {
        const answer = await new Promise<LeaseAnswers['RevokeSession']>((resolve) =>
          hub.revokeSession(session, resolve),
        );
        return answer.type === 'session_revoked' ? json({ session, revoked: answer.leases }) : unknownSession();
      },
    }),
  ];
}

function unknownSession(): Response {
  return unknown('session', 'no such session', 'unknown_session');
}

/** The `count` wanted ones with the least ids, in their order; in one pass, since ids come in no order. */
function firstById(sessions: Iterable<Session>, wanted: (session: Session) => boolean, count: number): Session[] {
  let first: Session[] = [];
  for (const session of sessions) {
    if (!wanted(session)) continue;
    first.push(session);
    if (first.length >= 4 * count) first = inOrder(first).slice(0, count);
  }
  return inOrder(first).slice(0, count);
}

function inOrder(sessions: readonly Session[]): Session[] {
  return sessions.toSorted((one, other) => (one.id < other.id ? -1 : 1));
}

function isMeant(session: Session, name: string | undefined, client: string | undefined): boolean {
  return (name === undefined || session.client === name) && (client === undefined || clientOf(session) === client);
}

function clientOf({ owner }: Session): string | undefined {
  return owner?.kind === 'client' ? owner.client : owner?.ip;
}

function sessionEntry(hub: SessionHub, session: Session, nowMs: number): object {
  const { id, client: name, resumeWindowMs, suspendedUntilMs, leaseCount, waiterCount } = session;
  const remoteAddress = hub.remoteAddressOf(id);
  const client = clientOf(session);
  return {
    session: id,
    ...(name === undefined ? {} : { name }),
    ...(client === undefined ? {} : { client }),
    connected: suspendedUntilMs === undefined,
    ...(remoteAddress === undefined ? {} : { remote_address: remoteAddress }),
    ...(suspendedUntilMs === undefined ? {} : { remaining_ms: Math.max(0, Math.floor(suspendedUntilMs - nowMs)) }),
    resume_window_ms: resumeWindowMs,
    leases: leaseCount,
    waiting: waiterCount,
  };
}
