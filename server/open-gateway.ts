/**
 * The gateway and the health checks, as far as the configuration asks for them: a part of main's start. What it doesn't ask
 * for isn't loaded: with it a start would take twice as much of the processor.
 */
import { networkInterfaces } from 'node:os';
import { serveOperations } from './admin/admin-server.ts';
import type { ConnectionBounds } from './admin/connections.ts';
import type { Operation } from './admin/operation.ts';
import type { Access } from './clients/access.ts';
import { clientOfIp } from './clients/client-id.ts';
import type { Config } from './config.ts';
import type { Coordinator } from './coordinator/coordinator.ts';
import type { DomainPort } from './coordinator/domain-port.ts';
import type { Clock, Scheduler } from './coordinator/scheduler.ts';
import { AddressHealth } from './health/address-health.ts';
import type { LeaseAnswers, LeaseCommand, LeaseNotice } from './lease/commands.ts';
import { maskAddress } from './lease/masking.ts';
import type { LeaseState } from './lease/state.ts';
import { flatLogger, type Logger } from './logger.ts';
import type { Family } from './metrics/family.ts';
import type { Metrics } from './metrics/metrics.ts';
import type { RedirectAnswers } from './redirects/commands.ts';
import { type RedirectPort, redirectRoutes } from './redirects/routes.ts';
import { networkList } from './route-settings.ts';

const HOSTS_FILE = '/etc/hosts';

export interface GatewayParts {
  readonly coordinator: Coordinator;
  readonly leases: DomainPort<LeaseState, LeaseCommand, LeaseAnswers, LeaseNotice>;
  readonly redirects: RedirectPort;
  /** Of `leases`, to be looked at only. */
  readonly state: LeaseState;
  readonly access: Access;
  /** Ports that the rest of this process listens on; more may come. */
  readonly ownPorts: ReadonlySet<number>;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly metrics: Metrics;
  readonly log: Logger;
}

/** A part that listens or probes. */
interface Running {
  /** Takes nothing new, and waits for what is under way as long as it is given. */
  drain(withinMs: number): Promise<void>;
  /** Cuts what is left. */
  close(): Promise<void>;
  /** An API key has come to its end: whoever came with it is cut off. */
  closeKey?(key: string): void;
}

interface GatewayPart extends Running {
  readonly operations: readonly Operation[];
  readonly families: readonly Family[];
  /** Ports listened on, for the line that says that we are ready. */
  readonly ports: Readonly<Record<string, number>>;
}
export type Gateway = Required<GatewayPart>;

/** Rejects where a port can't be had; what listened already has been closed. */
export async function openGateway(config: Config, parts: GatewayParts): Promise<Gateway> {
  const addressHealth = await openAddressHealth(config, parts);
  const running: GatewayPart[] = [addressHealth];
  const portsOf = () => Object.assign({}, ...running.map(({ ports }) => ports)) as Record<string, number>;
  const ownPorts = () => new Set([...parts.ownPorts, ...Object.values(portsOf())]);
  const close = async () => void (await Promise.all(running.map((part) => part.close())));
  try {
    if (config.reversePort !== undefined) running.push(await openReverse(config.reversePort, config, parts));
    if (config.forwardPort !== undefined) {
      const around = { health: addressHealth.health, ownPorts };
      running.push(await openForward(config.forwardPort, config, parts, around));
    }
    if (config.redirectPort !== undefined) running.push(await openRedirect(config.redirectPort, config, parts));
  } catch (error) {
    await close();
    throw error;
  }
  return {
    operations: running.flatMap(({ operations }) => operations),
    families: running.flatMap(({ families }) => families),
    ports: portsOf(),
    closeKey(key) {
      for (const part of running) part.closeKey?.(key);
    },
    drain: async (withinMs) => void (await Promise.all(running.map((part) => part.drain(withinMs)))),
    close,
  };
}

function connectionBounds(config: Config): ConnectionBounds {
  const { httpConnectionsMax: connectionsMax, httpConnectionsPerIpMax: connectionsPerIpMax } = config;
  return { connectionsMax, connectionsPerIpMax, peerOf: clientOfIp };
}

async function openReverse(
  port: number,
  config: Config,
  { clock, scheduler, random, log }: GatewayParts,
): Promise<GatewayPart> {
  const { openReverseProxy } = await import('./gateway/reverse-proxy.ts');
  const proxy = await openReverseProxy({
    host: config.gatewayHost,
    port,
    routes: config.routes,
    connections: connectionBounds(config),
    trustedProxies: networkList(config.trustedProxies),
    clock,
    scheduler,
    random,
    log: flatLogger(log),
  });
  return { operations: [], ...proxy, ports: { reversePort: proxy.port } };
}

async function openForward(
  port: number,
  config: Config,
  { coordinator, leases, access, clock, scheduler, metrics, log }: GatewayParts,
  /** `ownPorts`: of what this process listens on. */
  { health, ownPorts }: { readonly health: AddressHealth; readonly ownPorts: () => ReadonlySet<number> },
): Promise<GatewayPart> {
  const isOverloaded = () => coordinator.isOverloaded;
  const { openForwardProxy } = await import('./gateway/forward-proxy.ts');
  const { nameLookup } = await import('./gateway/name-lookup.ts');
  const { ProcessLeases } = await import('./gateway/process-leases.ts');
  const proxy = await openForwardProxy({
    host: config.gatewayHost,
    port,
    connections: connectionBounds(config),
    leases: new ProcessLeases({ leases, isOverloaded, scheduler }),
    access,
    clock,
    scheduler,
    metrics,
    log: flatLogger(log),
    reports: health,
    mask: maskAddress,
    destinations: {
      allow: config.forwardAllow,
      deniedPorts: config.forwardDeniedPorts,
      resolve: config.forwardResolve,
      lookup: nameLookup({ hostsFile: HOSTS_FILE }),
      ownPorts,
      ownAddresses: () =>
        Object.values(networkInterfaces()).flatMap((addresses) => (addresses ?? []).map(({ address }) => address)),
    },
    settings: {
      resource: config.forwardResource,
      retries: config.forwardRetries,
      connectTimeoutMs: config.forwardConnectTimeoutMs,
      responseTimeoutMs: config.forwardResponseTimeoutMs,
      tunnelIdleMs: config.forwardTunnelIdleMs,
      sessionIdleMs: config.forwardSessionIdleMs,
      sessionsMax: config.forwardSessionsMax,
      sessionsPerClientMax: config.forwardClientSessionsMax,
      perClientMax: config.forwardClientRequestsMax,
      banStatuses: config.forwardBanStatuses,
    },
  });
  return { operations: [], ...proxy, ports: { forwardPort: proxy.port } };
}

/** Its operations are served on its own port, too. */
async function openRedirect(port: number, config: Config, parts: GatewayParts): Promise<GatewayPart> {
  const { coordinator, redirects, access, clock, scheduler, metrics, log } = parts;
  const { gatewayHost: host, cdnHost, distributionRate } = config;
  const operations = redirectRoutes(redirects);
  const serveConfig = serveOperations(
    { clock, metrics, log },
    {
      operations,
      access,
      settled: () => new Promise((resolve) => coordinator.inOrder(resolve, undefined)),
      isOverloaded: () => coordinator.isOverloaded,
    },
  );
  const first = { type: 'BeginRedirects', cdnHost, distributionRate } as const;
  const { redirect: rule } = await new Promise<RedirectAnswers['BeginRedirects']>((resolve) =>
    redirects.execute(first, resolve),
  );
  const connections = connectionBounds(config);
  const { openRedirectListener } = await import('./gateway/redirect-listener.ts');
  const listener = await openRedirectListener({
    host,
    port,
    connections,
    rule,
    serveConfig,
    clock,
    scheduler,
    log: flatLogger(log),
  });
  // Nobody could ask for a change before.
  redirects.onNotice(({ redirect }) => listener.use(redirect));
  const { id, version } = rule;
  log.info(
    { id, version, cdnHost: rule.cdnHost, distributionRate: rule.distributionRate },
    'redirects begin with this',
  );
  return { operations, ...listener, ports: { redirectPort: listener.port } };
}

/** Always there, since real traffic says what is wrong, too; it probes only where that is configured. */
async function openAddressHealth(
  { addressHealth: settings }: Config,
  parts: GatewayParts,
): Promise<GatewayPart & { readonly health: AddressHealth }> {
  const { coordinator, leases, state, clock, scheduler, random, log } = parts;
  const health = new AddressHealth({
    settings,
    probe: await addressProbeOf(settings),
    leases,
    state,
    hasRoom: () => state.storage === 'ample' && !coordinator.isOverloaded,
    clock,
    scheduler,
    random,
    mask: maskAddress,
    log,
  });
  return {
    health,
    operations: [],
    families: health.families(),
    ports: {},
    drain: () => Promise.resolve(),
    close: () => health.stop(),
  };
}

async function addressProbeOf(settings: Config['addressHealth']) {
  if (settings.type === undefined) return undefined;
  const { addressProbe } = await import('./health/address-probe.ts');
  return addressProbe(settings);
}
