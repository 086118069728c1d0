/** Resources over HTTP: what there is of each, and the policy that it goes by. */
import * as v from 'valibot';
import { PAIR_STATES } from '../../protocol/codes.ts';
import { problemResponse } from '../../protocol/problems.ts';
import { type Operation, operation } from '../admin/operation.ts';
import { answerOf, idSchema, json, lookAt, rejection, unknown } from '../admin/requests.ts';
import { ownPolicy, policyEntries, policyShown } from '../policy-settings.ts';
import type { AddressRoutesOptions } from './address-routes.ts';
import type { LeaseAnswers } from './commands.ts';
import type { LeasePort } from './http-answers.ts';
import { exists, type LeaseState, policyOf, type Resource } from './state.ts';

const natural = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const version = v.exactOptional(
  v.pipe(natural, v.description('That the change is to follow; where another one is current, nothing is changed.')),
);
const policy = v.pipe(
  v.looseObject(policyEntries),
  v.description('What it goes by: API over configuration over defaults.'),
);
const resourceShown = v.object({
  resource: idSchema,
  version: v.pipe(natural, v.description('Of the policy set by API; rises with every change. 0: there is none.')),
  policy,
  own_policy: v.exactOptional(v.pipe(v.looseObject(policyEntries), v.description('What was set by API.'))),
  addresses: v.pipe(
    v.object({ total: natural, ...v.entriesFromList(PAIR_STATES, v.exactOptional(natural)) }),
    v.description('Addresses that may serve it, by the state of the pair.'),
  ),
  leases: v.pipe(natural, v.description('Live leases.')),
  waiting: v.pipe(natural, v.description('Requests in line.')),
});
const params = { resource: idSchema };
const answers = { 200: { description: 'As it is now.', schema: resourceShown } };
const problems = {
  409: 'The given version is stale; `version` is the current one.',
  507: 'The disk is full.',
};
const policyBody = v.strictObject({ ...policyEntries, version });
const nullable = Object.fromEntries(
  Object.entries(policyEntries).map(([name, { wrapped }]) => [name, v.exactOptional(v.nullable(wrapped))]),
) as unknown as Record<keyof typeof policyEntries, v.ExactOptionalSchema<v.GenericSchema, undefined>>;
const patchBody = v.pipe(
  v.strictObject({ ...nullable, version }),
  v.description('A field that is null is no longer said by API; one that is absent stays.'),
);

/** There are `resources_max` resources at most, so one page holds them. */
export function resourceRoutes(options: AddressRoutesOptions): Operation[] {
  const { leases } = options;
  return [
    operation({
      id: 'listResources',
      tag: 'resources',
      method: 'get',
      path: '/v1/resources',
      role: 'operator',
      summary: 'Lists all resources, by rising ids.',
      answers: { 200: { description: 'All of them.', schema: v.object({ resources: v.array(resourceShown) }) } },
      handle: async () =>
        json(
          await lookAt(leases, (state) => {
            const all = [...state.resources.values()].filter((it) => exists(state, it));
            const byId = all.toSorted((one, other) => one.id - other.id);
            return { resources: byId.map((resource) => resourceEntry(state, resource)) };
          }),
        ),
    }),
    operation({
      id: 'getResource',
      tag: 'resources',
      method: 'get',
      path: '/v1/resources/{resource}',
      role: 'operator',
      summary: 'Shows one resource.',
      params,
      answers,
      problems: { 404: 'No such resource.' },
      handle: ({ params: { resource } }) => shown(leases, resource),
    }),
    operation({
      id: 'setPolicy',
      tag: 'resources',
      method: 'put',
      path: '/v1/resources/{resource}',
      role: 'operator',
      summary: 'Sets the policy of a resource, which there is from then on.',
      description: 'What it doesn’t say is as the configuration has it, field by field. It outlives restarts.',
      params,
      body: policyBody,
      answers,
      problems,
      handle: ({ params: { resource }, body: { version: given, ...fields } }) =>
        setPolicy(options, resource, given, () => fields),
    }),
    operation({
      id: 'updatePolicy',
      tag: 'resources',
      method: 'patch',
      path: '/v1/resources/{resource}',
      role: 'operator',
      summary: 'Changes some of the policy of a resource that was set by API.',
      params,
      body: patchBody,
      answers,
      problems,
      handle: ({ params: { resource }, body: { version: given, ...fields } }) =>
        setPolicy(options, resource, given, (own) =>
          Object.fromEntries(Object.entries({ ...own, ...fields }).filter(([, value]) => value !== null)),
        ),
    }),
    operation({
      id: 'deletePolicy',
      tag: 'resources',
      method: 'delete',
      path: '/v1/resources/{resource}',
      role: 'operator',
      summary: 'Takes back the policy that was set by API: the configuration’s counts again.',
      params,
      query: { version },
      answers: { 204: { description: 'It is gone.' } },
      problems: { 404: 'None was set by API.', 409: problems[409] },
      async handle({ params: { resource }, query }) {
        const answer = await answerOf(leases, { type: 'DeletePolicy', resource, ...query });
        if (answer.type === 'policy_deleted') return new Response(null, { status: 204 });
        if (answer.type === 'stale') return stale(answer.version);
        return unknown('resource', `no policy of ${resource} was set by API`, 'unknown_policy');
      },
    }),
  ];
}

function stale(current: number): Response {
  const extras = { reason: 'stale_version', path: 'version', version: current };
  return problemResponse(409, `version: ${current} is the current one`, extras);
}

/** In one turn, so that nothing comes between what there is and what is made of it. */
async function setPolicy(
  { leases, resourcesMax }: AddressRoutesOptions,
  resource: number,
  given: number | undefined,
  make: (own: Readonly<Record<string, unknown>>) => object,
): Promise<Response> {
  let answered: Promise<LeaseAnswers['SetPolicy']> | undefined;
  await lookAt(leases, (state) => {
    const made = v.parse(ownPolicy, make(policyShown(state.ownPolicies.get(resource)?.policy ?? {})));
    const command = { type: 'SetPolicy', resource, policy: made, resourcesMax } as const;
    answered = answerOf(leases, given === undefined ? command : { ...command, version: given });
  });
  const answer = await answered!;
  switch (answer.type) {
    case 'stale':
      return stale(answer.version);
    case 'rejected':
      return rejection(answer);
    default:
      return shown(leases, resource);
  }
}

async function shown(leases: LeasePort, id: number): Promise<Response> {
  const entry = await lookAt(leases, (state) => {
    const resource = state.resources.get(id);
    return resource && exists(state, resource) ? resourceEntry(state, resource) : undefined;
  });
  return entry ? json(entry) : unknown('resource', `no resource ${id}`, 'unknown_resource');
}

function resourceEntry(state: LeaseState, resource: Resource): object {
  const { id, pool, leases, queue } = resource;
  const own = state.ownPolicies.get(id);
  const states = PAIR_STATES.map((it) => [it, pool.countOf(it)] as const).filter(([, count]) => count > 0);
  return {
    resource: id,
    version: own?.version ?? 0,
    policy: policyShown(policyOf(state, id)),
    ...(own ? { own_policy: policyShown(own.policy) } : {}),
    addresses: { total: pool.size, ...Object.fromEntries(states) },
    leases: leases.size,
    waiting: queue.size,
  };
}
