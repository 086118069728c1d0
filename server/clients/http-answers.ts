/** What the HTTP operations of this folder have in common: the port, how a client is named, refusals as problems. */
import * as v from 'valibot';
import { problemResponse } from '../../protocol/problems.ts';
import type { DomainPort } from '../coordinator/domain-port.ts';
import { CLIENT_ID_LENGTH_MAX, canonicalClientId } from './client-id.ts';
import type { ClientsAnswers, ClientsCommand, ClientsNotice, Done, Rejected } from './commands.ts';
import type { ClientsState } from './state.ts';

export type ClientsPort = DomainPort<ClientsState, ClientsCommand, ClientsAnswers, ClientsNotice>;

const CLIENT_ID_MESSAGE = `expected 1 to ${CLIENT_ID_LENGTH_MAX} visible ASCII characters without spaces`;
export const clientIdSchema = v.pipe(
  v.string(CLIENT_ID_MESSAGE),
  v.regex(/^[\x21-\x7e]+$/, CLIENT_ID_MESSAGE),
  v.maxLength(CLIENT_ID_LENGTH_MAX, CLIENT_ID_MESSAGE),
  // Neither can stand in a URL, and the last is taken for a key by whoever looks for one.
  v.check((id) => !/^(?:\.{1,2}|lh_.*)$/.test(id), 'expected another name than ., .. or one that begins like a key'),
  v.description('A name of your own for who has keys; an IP, or a /64 of IPv6, for who has none.'),
);
export const clientParams = { client_id: clientIdSchema };

/** However somebody writes an IP. */
export function clientOf({ client_id }: { readonly client_id: string }): string {
  return canonicalClientId(client_id);
}

export const UNKNOWN_CLIENT = 'No such client.';
export const LAST_OPERATOR_KEY =
  'Nobody would be left with a key of an operator, nor has the configuration one: `reason` is `last_operator_key`.';
export const NO_ROOM_507 = 'The disk is nearly full: nothing new is taken.';

const STATUSES = {
  duplicate_client: 409,
  unknown_client: 404,
  unknown_key: 404,
  bad_field: 422,
  too_many: 409,
  last_operator_key: 409,
  storage_full: 507,
} as const satisfies Record<Rejected['code'], number>;

/** A refusal as a problem; undefined: it was done. */
export function problemOf(answer: Done | Rejected): Response | undefined {
  if (answer.type === 'done') return undefined;
  const { code, message, path, retryAfterMs } = answer;
  return problemResponse(STATUSES[code], message, {
    reason: code,
    ...(path === undefined ? {} : { path }),
    ...(retryAfterMs === undefined ? {} : { retryAfterS: Math.ceil(retryAfterMs / 1_000) }),
  });
}

export function noContent(): Response {
  return new Response(null, { status: 204 });
}

/** ISO 8601. */
export const timeSchema = v.pipe(v.string(), v.description('UTC, ISO 8601.'));

export function timeText(utcMs: number): string {
  return new Date(utcMs).toISOString();
}
