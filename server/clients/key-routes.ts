/** API keys over HTTP, for operators. A key is shown once, when it is made; afterwards it is known by its id. */
import * as v from 'valibot';
import { type Operation, operation } from '../admin/operation.ts';
import { answerOf, json, lookAt } from '../admin/requests.ts';
import type { Access } from './access.ts';
import { type NewKey, ROLES } from './api-key.ts';
import { OVERLAP_MS_MAX } from './commands.ts';
import {
  type ClientsPort,
  clientOf,
  clientParams,
  LAST_OPERATOR_KEY,
  NO_ROOM_507,
  noContent,
  problemOf,
  timeSchema,
  timeText,
  UNKNOWN_CLIENT,
} from './http-answers.ts';
import type { ApiKey } from './state.ts';

const keyEntries = {
  key_id: v.string(),
  client_id: v.string(),
  role: v.picklist(ROLES),
  created_at: timeSchema,
  ends_at: v.pipe(v.nullable(v.string()), v.description('UTC: it has been replaced, and is good until then.')),
};
const keyShown = v.object(keyEntries);
const newKeyShown = v.object({
  ...keyEntries,
  key: v.pipe(v.string(), v.description('The key itself. It is not kept, and never shown again.')),
});
const keyParams = { ...clientParams, key_id: v.pipe(v.string(), v.minLength(1)) };

const OVERLAP_MESSAGE = `expected an integer from 0 to ${OVERLAP_MS_MAX}`;
const rotateBody = v.strictObject({
  overlap_ms: v.exactOptional(
    v.pipe(
      v.number(OVERLAP_MESSAGE),
      v.safeInteger(OVERLAP_MESSAGE),
      v.minValue(0, OVERLAP_MESSAGE),
      v.maxValue(OVERLAP_MS_MAX, OVERLAP_MESSAGE),
      v.description('How long the old key is good beside the new one; 0 where absent.'),
    ),
  ),
});
const issueBody = v.strictObject({
  role: v.exactOptional(v.pipe(v.picklist(ROLES), v.description('collector where absent.'))),
});

const UNKNOWN_KEY = 'No such client, or it has no such key.';
const TOO_MANY = 'The client has as many keys as it may have.';

export interface KeyRoutesOptions {
  readonly clients: ClientsPort;
  readonly access: Access;
  /** A fresh one. */
  readonly makeKey: () => NewKey;
}

export function keyRoutes({ clients, access, makeKey }: KeyRoutesOptions): Operation[] {
  /** As it is behind what has just been decided. */
  const look = (key: string) => lookAt(clients, ({ keys }) => described(keys.get(key)));
  return [
    operation({
      id: 'listKeys',
      tag: 'clients',
      method: 'get',
      path: '/v1/clients/{client_id}/keys',
      role: 'operator',
      summary: 'Lists the keys of a client, without their secrets.',
      params: clientParams,
      answers: { 200: { description: 'All of them.', schema: v.object({ keys: v.array(keyShown) }) } },
      problems: { 404: UNKNOWN_CLIENT },
      handle: async ({ params }) => {
        const client = clientOf(params);
        const keys = await lookAt(clients, (state) => {
          const found = state.clients.get(client);
          return found && Array.from(found.keys, described);
        });
        if (keys) return json({ keys });
        return problemOf({ type: 'rejected', code: 'unknown_client', message: UNKNOWN_CLIENT, path: 'client_id' })!;
      },
    }),
    operation({
      id: 'issueKey',
      tag: 'clients',
      method: 'post',
      path: '/v1/clients/{client_id}/keys',
      role: 'operator',
      summary: 'Makes a key for a client, and shows it this once.',
      description: 'From the first key of an operator on, this port is served to nobody without a key.',
      params: clientParams,
      body: issueBody,
      isBodyOptional: true,
      answers: { 201: { description: 'The key.', schema: newKeyShown } },
      problems: { 404: UNKNOWN_CLIENT, 409: TOO_MANY, 507: NO_ROOM_507 },
      handle: async ({ params, body: { role = 'collector' } }) => {
        const { text, key, secretHash } = makeKey();
        const command = { type: 'IssueKey', client: clientOf(params), role, key, secretHash } as const;
        const [answer, issued] = await Promise.all([answerOf(clients, command), look(key)]);
        return problemOf(answer) ?? json({ ...issued, key: text }, 201);
      },
    }),
    operation({
      id: 'revokeKey',
      tag: 'clients',
      method: 'delete',
      path: '/v1/clients/{client_id}/keys/{key_id}',
      role: 'operator',
      summary: 'Ends a key at once; whoever came with it is cut off.',
      params: keyParams,
      answers: { 204: { description: 'Revoked.' } },
      problems: { 404: UNKNOWN_KEY, 409: LAST_OPERATOR_KEY },
      handle: async ({ params }) => {
        const { hasAdminKey } = access;
        const command = { type: 'RevokeKey', client: clientOf(params), key: params.key_id, hasAdminKey } as const;
        return problemOf(await answerOf(clients, command)) ?? noContent();
      },
    }),
    operation({
      id: 'rotateKey',
      tag: 'clients',
      method: 'post',
      path: '/v1/clients/{client_id}/keys/{key_id}/rotate',
      role: 'operator',
      summary: 'Replaces a key by a new one of the same role, and shows that this once.',
      description: 'The old one is good for `overlap_ms` more; who came with it is cut off then.',
      params: keyParams,
      body: rotateBody,
      isBodyOptional: true,
      answers: { 201: { description: 'The new key.', schema: newKeyShown } },
      problems: { 404: UNKNOWN_KEY, 409: TOO_MANY, 507: NO_ROOM_507 },
      handle: async ({ params, body: { overlap_ms: overlapMs = 0 } }) => {
        const { text, key: newKey, secretHash: newSecretHash } = makeKey();
        const old = { client: clientOf(params), key: params.key_id };
        const command = { type: 'RotateKey', ...old, overlapMs, newKey, newSecretHash } as const;
        const [answer, issued] = await Promise.all([answerOf(clients, command), look(newKey)]);
        return problemOf(answer) ?? json({ ...issued, key: text }, 201);
      },
    }),
  ];
}

function described(key: ApiKey | undefined) {
  if (!key) return undefined;
  const { id, client, role, createdUtcMs, endsUtcMs } = key;
  return {
    key_id: id,
    client_id: client,
    role,
    created_at: timeText(createdUtcMs),
    ends_at: endsUtcMs === undefined ? null : timeText(endsUtcMs),
  };
}
