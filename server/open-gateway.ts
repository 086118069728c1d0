/** The gateway and the health checks, as far as the configuration asks for them: a part of main's start. */
import type { Operation } from './admin/operation.ts';
import type { Access } from './clients/access.ts';
import { clientOfIp } from './clients/client-id.ts';
import type { Config } from './config.ts';
import type { Coordinator, DomainPort } from './coordinator/coordinator.ts';
import type { Clock, Scheduler } from './coordinator/scheduler.ts';
import { openReverseProxy } from './gateway/reverse-proxy.ts';
import type { LeaseAnswers, LeaseCommand, LeaseNotice } from './lease/commands.ts';
import type { LeaseState } from './lease/state.ts';
import { flatLogger, type Logger } from './logger.ts';
import type { Family } from './metrics/family.ts';
import type { Metrics } from './metrics/metrics.ts';
import { networkList } from './route-settings.ts';

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
}

/** Rejects where a port can't be had; what listened already has been closed. */
export async function openGateway(config: Config, parts: GatewayParts): Promise<Gateway> {
  const { clock, scheduler, random } = parts;
  const log = flatLogger(parts.log);
  const running: Running[] = [];
  const families: Family[] = [];
  const ports: Record<string, number> = {};
  const close = async () => void (await Promise.all(running.map((part) => part.close())));
  const connections = {
    connectionsMax: config.httpConnectionsMax,
    connectionsPerIpMax: config.httpConnectionsPerIpMax,
    peerOf: clientOfIp,
  };
  try {
    if (config.reversePort !== undefined) {
      const reverse = await openReverseProxy({
        host: config.gatewayHost,
        port: config.reversePort,
        routes: config.routes,
        connections,
        trustedProxies: networkList(config.trustedProxies),
        clock,
        scheduler,
        random,
        log,
      });
      running.push(reverse);
      families.push(...reverse.families);
      ports['reversePort'] = reverse.port;
    }
  } catch (error) {
    await close();
    throw error;
  }
  return {
    operations: [],
    families,
    ports,
    drain: async (withinMs) => void (await Promise.all(running.map((part) => part.drain(withinMs)))),
    close,
  };
}
