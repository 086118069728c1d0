/** The gateway and the health checks, as far as the configuration asks for them: a part of main's start. */
import type { Operation } from './admin/operation.ts';
import type { Access } from './clients/access.ts';
import type { Config } from './config.ts';
import type { Coordinator, DomainPort } from './coordinator/coordinator.ts';
import type { Clock, Scheduler } from './coordinator/scheduler.ts';
import { AddressHealth } from './health/address-health.ts';
import { addressProbe } from './health/address-probe.ts';
import type { LeaseAnswers, LeaseCommand, LeaseNotice } from './lease/commands.ts';
import { maskAddress } from './lease/masking.ts';
import type { LeaseState } from './lease/state.ts';
import type { Logger } from './logger.ts';
import type { Family } from './metrics/family.ts';
import type { Metrics } from './metrics/metrics.ts';

export interface GatewayParts {
  readonly coordinator: Coordinator;
  readonly leases: DomainPort<LeaseState, LeaseCommand, LeaseAnswers, LeaseNotice>;
  /** Of `leases`, to be looked at only. */
  readonly state: LeaseState;
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
export function openGateway(config: Config, parts: GatewayParts): Promise<Gateway> {
  const addressHealth = openAddressHealth(config, parts);
  const running: Running[] = [{ drain: () => Promise.resolve(), close: () => addressHealth.stop() }];
  return Promise.resolve({
    operations: [],
    families: addressHealth.families(),
    ports: {},
    drain: async (withinMs) => void (await Promise.all(running.map((part) => part.drain(withinMs)))),
    close: async () => void (await Promise.all(running.map((part) => part.close()))),
  });
}

/** Always there, since real traffic says what is wrong, too; it probes only where that is configured. */
function openAddressHealth({ addressHealth: settings }: Config, parts: GatewayParts): AddressHealth {
  const { coordinator, leases, state, clock, scheduler, random, log } = parts;
  return new AddressHealth({
    settings,
    probe: addressProbe(settings),
    leases,
    state,
    hasRoom: () => state.storage === 'ample' && !coordinator.isOverloaded,
    clock,
    scheduler,
    random,
    mask: maskAddress,
    log,
  });
}
