/** The redirect balancer's configurations over HTTP. */
import * as v from 'valibot';
import { problemResponse } from '../../protocol/problems.ts';
import { type Operation, operation } from '../admin/operation.ts';
import { answerOf, idSchema, json, lookAt, rejection, unknown } from '../admin/requests.ts';
import type { DomainPort } from '../coordinator/domain-port.ts';
import { CDN_HOST_EXPECTED, isCdnHost } from './cdn-host.ts';
import {
  REDIRECTS_MAX,
  type RedirectAnswers,
  type RedirectCommand,
  type RedirectNotice,
  type RedirectView,
  VERSIONS_MAX,
} from './commands.ts';
import { type Redirect, type RedirectState, viewOf } from './state.ts';

export type RedirectPort = DomainPort<RedirectState, RedirectCommand, RedirectAnswers, RedirectNotice>;

const HOST_MESSAGE = `expected ${CDN_HOST_EXPECTED}`;
const cdnHost = v.pipe(
  v.string(HOST_MESSAGE),
  v.check(isCdnHost, HOST_MESSAGE),
  v.description('Where videos go: a host name or an IP address, with a port where it is not 80.'),
);
const distributionRate = v.pipe(idSchema, v.description('One request of so many goes to the origin itself.'));
const version = v.pipe(idSchema, v.description('Counts its changes, from 1.'));
const time = v.pipe(v.string(), v.description('UTC, ISO 8601.'));

const createBody = v.strictObject({ cdn_host: cdnHost, distribution_rate: distributionRate });
const updateBody = v.pipe(
  v.strictObject({
    id: idSchema,
    cdn_host: v.exactOptional(v.nullable(cdnHost)),
    distribution_rate: v.exactOptional(v.nullable(distributionRate)),
    version: v.exactOptional(
      v.nullable(v.pipe(idSchema, v.description('That the change is to follow; any other one is stale.'))),
    ),
  }),
  v.check(
    ({ cdn_host, distribution_rate }) => (cdn_host ?? distribution_rate ?? null) !== null,
    'expected cdn_host or distribution_rate, or both',
  ),
);
const configShown = v.object({
  id: idSchema,
  cdn_host: v.string(),
  distribution_rate: idSchema,
  created_at: time,
  updated_at: time,
  version,
});
const versionShown = v.object({
  version,
  cdn_host: v.string(),
  distribution_rate: idSchema,
  updated_at: time,
  rolled_back_to: v.exactOptional(v.pipe(idSchema, v.description('The version whose contents it took over.'))),
});
const params = { id: idSchema };
const answers = { 200: { description: 'As it is now.', schema: configShown } };
const UNKNOWN_404 = 'No such configuration.';
const NO_ROOM_507 = 'The disk is nearly full: nothing new is taken.';

export function redirectRoutes(redirects: RedirectPort): Operation[] {
  return [...configRoutes(redirects), ...versionRoutes(redirects)];
}

function configRoutes(redirects: RedirectPort): Operation[] {
  return [
    operation({
      id: 'getRedirectConfig',
      tag: 'redirects',
      method: 'get',
      path: '/config',
      role: 'operator',
      summary: 'Shows a configuration of the redirect balancer.',
      query: { id: v.exactOptional(v.pipe(idSchema, v.description('Absent: the active one.'))) },
      answers,
      problems: { 404: UNKNOWN_404 },
      async handle({ query }) {
        const found = await lookAt(redirects, (state) => {
          const redirect = state.redirects.get(query.id ?? state.activeId ?? 0);
          return redirect && viewOf(redirect);
        });
        return found ? json(described(found)) : unknownPart('id');
      },
    }),
    operation({
      id: 'updateRedirectConfig',
      tag: 'redirects',
      method: 'patch',
      path: '/config',
      role: 'operator',
      summary: 'Changes a configuration; what is absent or null stays as it is.',
      description:
        'A change makes a version; of the active one requests are counted anew from it on. What is so already is no change.',
      body: updateBody,
      answers,
      problems: {
        404: UNKNOWN_404,
        409: 'The given version is stale; `version` is the current one.',
        507: NO_ROOM_507,
      },
      async handle({ body: { id, cdn_host, distribution_rate, version: given } }) {
        const change = { cdnHost: cdn_host ?? undefined, distributionRate: distribution_rate ?? undefined };
        const command = { type: 'UpdateRedirect', id, ...change, version: given ?? undefined } as const;
        return answered(await answerOf(redirects, command));
      },
    }),
    operation({
      id: 'createRedirectConfig',
      tag: 'redirects',
      method: 'post',
      path: '/config',
      role: 'operator',
      summary: 'Makes a further configuration, which is not active yet.',
      body: createBody,
      answers: {
        201: { description: 'As it is now.', schema: configShown, headers: { Location: 'Where it is.' } },
      },
      problems: { 429: `There are ${REDIRECTS_MAX} configurations already.`, 507: NO_ROOM_507 },
      async handle({ body: { cdn_host, distribution_rate } }) {
        const rule = { cdnHost: cdn_host, distributionRate: distribution_rate };
        const answer = await answerOf(redirects, { type: 'CreateRedirect', ...rule });
        if (answer.type !== 'redirect') return answered(answer);
        const response = json(described(answer.redirect), 201);
        response.headers.set('Location', `/config?id=${answer.redirect.id}`);
        return response;
      },
    }),
    operation({
      id: 'listRedirectConfigs',
      tag: 'redirects',
      method: 'get',
      path: '/configs',
      role: 'operator',
      summary: `Lists all configurations by rising ids; there are at most ${REDIRECTS_MAX}.`,
      answers: {
        200: { description: 'All of them.', schema: v.object({ active: idSchema, configs: v.array(configShown) }) },
      },
      async handle() {
        const { active, views } = await lookAt(redirects, ({ activeId, redirects: all }) => ({
          active: activeId,
          views: Array.from(all.values(), viewOf),
        }));
        return json({ active, configs: views.map(described) });
      },
    }),
    operation({
      id: 'activateRedirectConfig',
      tag: 'redirects',
      method: 'post',
      path: '/config/{id}/activate',
      role: 'operator',
      summary: 'Makes a configuration the one that the balancer goes by.',
      params,
      answers,
      problems: { 404: UNKNOWN_404, 507: NO_ROOM_507 },
      handle: async ({ params: { id } }) => answered(await answerOf(redirects, { type: 'ActivateRedirect', id })),
    }),
  ];
}

function versionRoutes(redirects: RedirectPort): Operation[] {
  return [
    operation({
      id: 'getRedirectConfigHistory',
      tag: 'redirects',
      method: 'get',
      path: '/config/{id}/history',
      role: 'operator',
      summary: `Shows the last ${VERSIONS_MAX} versions of a configuration, the oldest first.`,
      params,
      answers: {
        200: {
          description: 'The current one is the last.',
          schema: v.object({ id: idSchema, versions: v.array(versionShown) }),
        },
      },
      problems: { 404: UNKNOWN_404 },
      async handle({ params: { id } }) {
        const versions = await lookAt(redirects, (state) => state.redirects.get(id)?.versions.map(describedVersion));
        return versions ? json({ id, versions }) : unknownPart('id');
      },
    }),
    operation({
      id: 'rollBackRedirectConfig',
      tag: 'redirects',
      method: 'post',
      path: '/config/{id}/rollback',
      role: 'operator',
      summary: 'Goes back to what an earlier version said, as a new version.',
      params,
      body: v.strictObject({ version: v.pipe(idSchema, v.description('One of its history.')) }),
      answers,
      problems: { 404: 'No such configuration, or no such version of it (any more).', 507: NO_ROOM_507 },
      handle: async ({ params: { id }, body }) =>
        answered(await answerOf(redirects, { type: 'RollBackRedirect', id, version: body.version })),
    }),
  ];
}

function answered(answer: RedirectAnswers['UpdateRedirect' | 'CreateRedirect' | 'RollBackRedirect']): Response {
  switch (answer.type) {
    case 'redirect':
      return json(described(answer.redirect));
    case 'unknown':
      return unknownPart(answer.what);
    case 'stale': {
      const extras = { reason: 'stale_version', path: 'version', version: answer.version };
      return problemResponse(409, `version: ${answer.version} is the current one`, extras);
    }
    case 'rejected':
      return rejection(answer);
  }
}

function unknownPart(what: 'id' | 'version'): Response {
  return what === 'id'
    ? unknown('id', 'there is no such configuration', 'unknown_config')
    : unknown('version', 'it is not in the history of the configuration', 'unknown_version');
}

function described({
  id,
  cdnHost: host,
  distributionRate: rate,
  createdUtcMs,
  updatedUtcMs,
  version: current,
}: RedirectView) {
  return {
    id,
    cdn_host: host,
    distribution_rate: rate,
    created_at: timeText(createdUtcMs),
    updated_at: timeText(updatedUtcMs),
    version: current,
  };
}

function describedVersion({
  version: number,
  cdnHost: host,
  distributionRate: rate,
  utcMs,
  restored,
}: Redirect['versions'][number]) {
  return {
    version: number,
    cdn_host: host,
    distribution_rate: rate,
    updated_at: timeText(utcMs),
    ...(restored === undefined ? {} : { rolled_back_to: restored }),
  };
}

function timeText(utcMs: number): string {
  return new Date(utcMs).toISOString();
}
