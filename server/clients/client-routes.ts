/** Clients over HTTP, for operators: who has keys, and limits other than the default, those of IPs among them. */
import * as v from 'valibot';
import { type Operation, operation } from '../admin/operation.ts';
import { answerOf, invalid, json, lookAt, namePageQuery, nextNameSchema, pageOf } from '../admin/requests.ts';
import type { Access } from './access.ts';
import {
  type ClientsPort,
  clientIdSchema,
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
import type { Client } from './state.ts';
import { CAPACITY_MAX, type Limit, RATE_PER_SEC_MAX } from './token-bucket.ts';

const THOUSANDTHS = 1_000;

const CAPACITY_MESSAGE = `expected an integer from 1 to ${CAPACITY_MAX}`;
const capacity = v.pipe(
  v.number(CAPACITY_MESSAGE),
  v.safeInteger(CAPACITY_MESSAGE),
  v.minValue(1, CAPACITY_MESSAGE),
  v.maxValue(CAPACITY_MAX, CAPACITY_MESSAGE),
  v.description('Requests that it may have saved up.'),
);
const RATE_MESSAGE = `expected a number from 0 to ${RATE_PER_SEC_MAX}`;
const rate = v.pipe(
  v.number(RATE_MESSAGE),
  v.minValue(0, RATE_MESSAGE),
  v.maxValue(RATE_PER_SEC_MAX, RATE_MESSAGE),
  v.description('Requests that come back in a second.'),
);

const createBody = v.strictObject({
  client_id: clientIdSchema,
  capacity: v.exactOptional(capacity),
  rate_per_sec: v.exactOptional(rate),
});
const updateBody = v.strictObject({
  capacity: v.exactOptional(v.nullable(capacity)),
  rate_per_sec: v.exactOptional(v.nullable(rate)),
});
const clientShown = v.object({
  client_id: v.string(),
  capacity: v.pipe(v.nullable(v.number()), v.description('null: the default.')),
  rate_per_sec: v.pipe(v.nullable(v.number()), v.description('null: the default.')),
  tokens: v.pipe(v.nullable(v.number()), v.description('What it may ask now, rounded down; null: it has no limit.')),
  created_at: timeSchema,
  updated_at: timeSchema,
  version: v.pipe(v.number(), v.description('Counts its changes, from 1.')),
});

export interface ClientRoutesOptions {
  readonly clients: ClientsPort;
  readonly access: Access;
}

export function clientRoutes({ clients, access }: ClientRoutesOptions): Operation[] {
  const shown = (client: Client | undefined) => client && describe(client, access.tokensOf(client.id));
  /** As it is behind what has just been decided. */
  const look = (id: string) => lookAt(clients, (state) => shown(state.clients.get(id)));
  return [
    operation({
      id: 'listClients',
      tag: 'clients',
      method: 'get',
      path: '/v1/clients',
      aliases: ['/clients'],
      role: 'operator',
      summary: 'Lists clients by rising ids.',
      query: namePageQuery,
      answers: {
        200: {
          description: 'One page.',
          schema: v.object({ clients: v.array(clientShown), next: nextNameSchema }),
        },
      },
      handle: async ({ query: { after = '', ...rest } }) => {
        const { limit } = pageOf(rest);
        return json(
          await lookAt(clients, (state) => {
            const found = idsAfter(state.clients.keys(), after, limit + 1);
            const entries = found.slice(0, limit).map((id) => shown(state.clients.get(id)));
            return { clients: entries, ...(found.length > limit ? { next: found[limit - 1] } : {}) };
          }),
        );
      },
    }),
    operation({
      id: 'createClient',
      tag: 'clients',
      method: 'post',
      path: '/v1/clients',
      aliases: ['/clients'],
      role: 'operator',
      summary: 'Creates a client: with a limit of its own, or to give it keys.',
      description: 'Of a limit with one part only, the other one is taken from the default as it is now.',
      body: createBody,
      answers: { 201: { description: 'As it is now.', schema: clientShown, headers: { Location: 'Where it is.' } } },
      problems: { 409: 'There is a client of this id, or there are too many.', 507: NO_ROOM_507 },
      handle: async ({ body }) => {
        const client = clientOf(body);
        const whole = wholeLimit(body, access.defaultLimit);
        if (whole instanceof Response) return whole;
        const command = { type: 'CreateClient', client, ...(whole ? { limit: whole } : {}) } as const;
        const [answer, created] = await Promise.all([answerOf(clients, command), look(client)]);
        const problem = problemOf(answer);
        if (problem) return problem;
        const response = json(created!, 201);
        response.headers.set('Location', `/v1/clients/${encodeURIComponent(client)}`);
        return response;
      },
    }),
    operation({
      id: 'getClient',
      tag: 'clients',
      method: 'get',
      path: '/v1/clients/{client_id}',
      aliases: ['/clients/{client_id}'],
      role: 'operator',
      summary: 'Shows a client, and what it may ask at the moment.',
      params: clientParams,
      answers: { 200: { description: 'As it is now.', schema: clientShown } },
      problems: { 404: UNKNOWN_CLIENT },
      handle: async ({ params }) => {
        const found = await look(clientOf(params));
        return found ? json(found) : unknownClient();
      },
    }),
    operation({
      id: 'updateClient',
      tag: 'clients',
      method: 'patch',
      path: '/v1/clients/{client_id}',
      aliases: ['/clients/{client_id}'],
      role: 'operator',
      summary: 'Changes the limit of a client.',
      description: 'A part that is absent stays as it is; `null` takes the limit away, and the default holds.',
      params: clientParams,
      body: updateBody,
      answers: { 200: { description: 'As it is now.', schema: clientShown } },
      problems: { 404: UNKNOWN_CLIENT, 507: NO_ROOM_507 },
      handle: async ({ params, body }) => {
        const client = clientOf(params);
        const { capacity: newCapacity, rate_per_sec: ratePerSec } = body;
        const { defaultLimit } = access;
        const command = { type: 'UpdateClient', client, capacity: newCapacity, ratePerSec, defaultLimit } as const;
        const [answer, updated] = await Promise.all([answerOf(clients, command), look(client)]);
        return problemOf(answer) ?? json(updated!);
      },
    }),
    operation({
      id: 'deleteClient',
      tag: 'clients',
      method: 'delete',
      path: '/v1/clients/{client_id}',
      aliases: ['/clients/{client_id}'],
      role: 'operator',
      summary: 'Deletes a client with its keys; whoever came with one of them is cut off.',
      params: clientParams,
      answers: { 204: { description: 'Deleted.' } },
      problems: { 404: UNKNOWN_CLIENT, 409: LAST_OPERATOR_KEY },
      handle: async ({ params }) => {
        const command = { type: 'DeleteClient', client: clientOf(params), hasAdminKey: access.hasAdminKey } as const;
        return problemOf(await answerOf(clients, command)) ?? noContent();
      },
    }),
  ];
}

function describe({ id, limit, createdUtcMs, updatedUtcMs, version }: Client, tokens: number | undefined) {
  return {
    client_id: id,
    capacity: limit?.capacity ?? null,
    rate_per_sec: limit?.ratePerSec ?? null,
    tokens: tokens === undefined ? null : Math.floor(tokens * THOUSANDTHS) / THOUSANDTHS,
    created_at: timeText(createdUtcMs),
    updated_at: timeText(updatedUtcMs),
    version,
  };
}

function unknownClient(): Response {
  return problemOf({
    type: 'rejected',
    code: 'unknown_client',
    message: 'client_id: there is no such client',
    path: 'client_id',
  })!;
}

/** Undefined: none was asked for. */
function wholeLimit(
  { capacity: given, rate_per_sec: ratePerSec }: { readonly capacity?: number; readonly rate_per_sec?: number },
  defaultLimit: Limit | undefined,
): Limit | Response | undefined {
  if (given === undefined && ratePerSec === undefined) return undefined;
  const whole = { capacity: given ?? defaultLimit?.capacity, ratePerSec: ratePerSec ?? defaultLimit?.ratePerSec };
  if (whole.capacity === undefined) return invalid('capacity', 'it beside rate_per_sec: there is no default for it');
  if (whole.ratePerSec === undefined) return invalid('rate_per_sec', 'it beside capacity: there is no default for it');
  return { capacity: whole.capacity, ratePerSec: whole.ratePerSec };
}

/** The `count` least ids behind `after`, in their order; in one pass, since they come in no order. */
function idsAfter(ids: Iterable<string>, after: string, count: number): string[] {
  let first: string[] = [];
  for (const id of ids) {
    if (id <= after) continue;
    first.push(id);
    if (first.length >= 4 * count) first = first.sort().slice(0, count);
  }
  return first.sort().slice(0, count);
}
