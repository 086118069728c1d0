/** The gateway and the health checks, as far as the configuration asks for them: a part of main's start. */
import { lookup } from 'node:dns/promises';
import { networkInterfaces } from 'node:os';
import type { Operation } from './admin/operation.ts';
import type { Access } from './clients/access.ts';
import type { Config } from './config.ts';
import type { Coordinator, DomainPort } from './coordinator/coordinator.ts';
import type { Clock, Scheduler } from './coordinator/scheduler.ts';
import { type ForwardProxy, openForwardProxy } from './gateway/forward-proxy.ts';
import type { AddressReports } from './gateway/forward-route.ts';
import type { LeaseSource } from './gateway/lease-source.ts';
import type { LeaseAnswers, LeaseCommand, LeaseNotice } from './lease/commands.ts';
import type { LeaseState } from './lease/state.ts';
import type { Logger } from './logger.ts';
import type { Family } from './metrics/family.ts';
import type { Metrics } from './metrics/metrics.ts';

export interface GatewayParts {
  readonly coordinator: Coordinator;
  readonly leases: DomainPort<LeaseState, LeaseCommand, LeaseAnswers, LeaseNotice>;
  readonly access: Access;
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
}

export interface Gateway extends Running {
  readonly operations: readonly Operation[];
  readonly families: readonly Family[];
  /** Ports listened on, for the line that says that we are ready. */
  readonly ports: Readonly<Record<string, number>>;
  /** An API key has come to its end: whoever came with it is cut off. */
  closeKey(key: string): void;
}

/** Rejects where a port can't be had; what listened already has been closed. */
export async function openGateway(config: Config, parts: GatewayParts): Promise<Gateway> {
  const running: Running[] = [];
  const families: Family[] = [];
  const ports: Record<string, number> = {};
  const close = async () => void (await Promise.all(running.map((part) => part.close())));
  let forward: ForwardProxy | undefined;
  try {
    if (config.forwardPort !== undefined) {
      const ownPorts = () => new Set([config.port, config.adminPort, ...Object.values(ports)]);
      forward = await openForward(config, config.forwardPort, parts, ownPorts);
      running.push(forward);
      families.push(...forward.families);
      ports['forwardPort'] = forward.port;
    }
  } catch (error) {
    await close();
    throw error;
  }
  return {
    operations: [],
    families,
    ports,
    closeKey: (key) => forward?.closeKey(key),
    drain: async (withinMs) => void (await Promise.all(running.map((part) => part.drain(withinMs)))),
    close,
  };
}

/** `ownPorts`: of what this process listens on. */
function openForward(
  config: Config,
  port: number,
  { access, clock, scheduler, metrics, log }: GatewayParts,
  ownPorts: () => ReadonlySet<number>,
): Promise<ForwardProxy> {
  return openForwardProxy({
    host: config.gatewayHost,
    port,
    connections: {
      connectionsMax: config.forwardConnectionsMax,
      connectionsPerIpMax: Math.ceil(config.forwardConnectionsMax / 2),
      peerOf: (ip) => access.clientOf(ip),
    },
    leases: NO_LEASES,
    access,
    clock,
    scheduler,
    metrics,
    log,
    reports: NO_REPORTS,
    destinations: {
      allow: config.forwardAllow,
      deniedPorts: config.forwardDeniedPorts,
      resolve: config.forwardResolve,
      lookup: (name) => lookup(name, { all: true }),
      ownPorts,
      ownAddresses: () =>
        Object.values(networkInterfaces()).flatMap((all) => (all ?? []).map(({ address }) => address)),
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
}

/** TODO: `new ProcessLeases(…)`. */
const NO_LEASES: LeaseSource = {
  acquire: () =>
    Promise.resolve({ type: 'refused', reason: 'none_available', why: { states: {}, excluded: 0 } } as const),
};

/** TODO: the health part's. */
const NO_REPORTS: AddressReports = { onAddressFailure() {}, onAddressSuccess() {} };
