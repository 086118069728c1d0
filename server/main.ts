/**
 * Composition root of the coordinator: reads clock, randomness and environment, builds each part, and says in which
 * order things start and stop.
 *
 * Start: configuration → folder locked → state recovered → pool file read → journal opened → the run's first commands
 * durable → HTTP → WebSocket. Nothing is written before everything that can be refused has been looked at.
 * Stop: goaway and drain → WebSocket → loop, with all that is decided durable and answered → HTTP → journal with the mark
 * of a clean stop → lock.
 */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { chmod } from 'node:fs/promises';
import type { Hono } from 'hono';
import { MESSAGE_BYTES_MAX } from '../protocol/limits.ts';
import { type AdminServer, openAdmin } from './admin/admin-server.ts';
import { type Config, loadConfig } from './config.ts';
import { Coordinator, type DomainPort, type Failure } from './coordinator/coordinator.ts';
import type { StorageLevel } from './coordinator/domain.ts';
import type { Clock, Scheduler } from './coordinator/scheduler.ts';
import { EXIT, Refusal } from './exit.ts';
import { makeDataFolder, nodeDisk } from './journal/disk.ts';
import { lockFolder } from './journal/folder-lock.ts';
import { openJournal } from './journal/journal.ts';
import { killIfHung } from './kill-if-hung.ts';
import type { LeaseAnswers, LeaseCommand, LeaseNotice } from './lease/commands.ts';
import { leaseDomain } from './lease/lease-domain.ts';
import { leaseRoutes } from './lease/routes.ts';
import type { LeaseState } from './lease/state.ts';
import { tokenFloorAt } from './lease/token-floor.ts';
import { createLogger, type Logger } from './logger.ts';
import { PoolAtStart, readPool } from './pool-at-start.ts';
import { isAboutData, recoverFolder, snapshotInWorker } from './replay.ts';
import { SessionHub } from './sessions/session-hub.ts';
import { decideUpgrade } from './sessions/upgrade.ts';
import { openTransport } from './transports/open.ts';
import type { Transport } from './transports/transport.ts';

/** A closing handshake that takes longer is cut off. */
const CLOSE_TIMEOUT_MS = 1_000;
/** As long as a write may take while the coordinator runs: then the disk hangs, or has no room for the last one. */
const JOURNAL_CLOSE_MS = 30_000;

type Leases = DomainPort<LeaseState, LeaseCommand, LeaseAnswers, LeaseNotice>;

const scheduler: Scheduler = {
  setTimer(delayMs, callback) {
    const timer = setTimeout(callback, delayMs);
    return () => clearTimeout(timer);
  },
  defer: (callback) => void setImmediate(callback),
};

/** Goes on from the last reading on disk: the time in between isn't counted. */
function clockFrom(recoveredMs: number): Clock {
  const startMs = performance.now();
  return { nowMs: () => recoveredMs + (performance.now() - startMs), utcMs: () => Date.now() };
}

/** What a signal calls; until the coordinator serves there is nothing to drain, and recovery takes care of the rest. */
interface Stopper {
  stop: () => Promise<void>;
}

async function start(config: Config, log: Logger, stopper: Stopper): Promise<void> {
  const dir = config.dataDir;
  await makeDataFolder(nodeDisk, dir);
  const lock = lockFolder(dir);
  if (lock === 'held') throw new Refusal(EXIT.held, `${dir} is in use by another coordinator`);

  // A folder that somebody else made, a mounted volume or the one in git, may not be ours to change.
  await chmod(dir, 0o700).catch((error: Error) =>
    log.warn({ dir }, `the data folder stays open to others: ${error.message}`),
  );
  const { replica, recovered } = await recoverFolder(dir);
  for (const note of recovered.notes) log.warn({ dir }, note);
  if (recovered.position > 0 && !recovered.cleanStop) {
    log.warn({ epoch: recovered.epoch, position: recovered.position }, 'the last run did not stop cleanly');
  }
  const state = replica.state(leaseDomain.name) as LeaseState;
  const pool = config.pool === undefined ? undefined : await readPool(config.pool, config, state);

  const clock = clockFrom(recovered.clockMs);
  // Nobody is there to be told before the domains are mounted; they begin with what the journal says then.
  let onStorage: (level: StorageLevel) => void = () => {};
  const epoch = recovered.epoch + 1;
  const journal = await openJournal({
    disk: nodeDisk,
    dir,
    recovered,
    epoch,
    randomBytes,
    clock,
    scheduler,
    log,
    segmentBytes: config.segmentBytes,
    snapshotBytes: config.snapshotBytes,
    snapshotAgeMs: config.snapshotAgeMs,
    snapshotsKept: config.snapshotsKept,
    takeSnapshot: (request) => snapshotInWorker(dir, request),
    liveCount: () => replica.liveCount(),
    onStorage: (level) => onStorage(level),
    onFailure: (error) => exitOnFailure({ kind: 'storage', message: error.message }, log),
  });
  const coordinator = new Coordinator({
    replica,
    log: journal,
    position: recovered.position,
    epoch,
    clock,
    scheduler,
    random: Math.random,
    onFailure: (failure) => exitOnFailure(failure, log),
  });
  const leases: Leases = coordinator.mount(leaseDomain);
  const hub = new SessionHub({
    coordinator,
    leases,
    scheduler,
    log,
    random: Math.random,
    randomBytes,
    limits: {
      heartbeatMs: config.heartbeatMs,
      helloTimeoutMs: config.helloTimeoutMs,
      closeTimeoutMs: CLOSE_TIMEOUT_MS,
      resumeWindowMaxMs: config.resumeWindowMaxMs,
      noticeMs: config.noticeMs,
      sessionsMax: config.sessionsMax,
      outboxBytesMax: config.outboxBytesMax,
      ttlMinMs: config.resourceDefaults.ttlMinMs,
      ttlMaxMs: config.resourceDefaults.ttlMaxMs,
    },
  });
  await firstCommands(leases, config, { epoch, suspendMs: hub.suspendMs });
  const poolAtStart = new PoolAtStart(pool, leases, config, log);
  onStorage = (level) => {
    leases.execute({ type: 'SetStorage', level }, () => {});
    if (level === 'ample') void poolAtStart.takeIn();
  };
  leases.execute({ type: 'SetStorage', level: journal.storage }, () => {});
  await poolAtStart.takeIn();

  const routes = [leaseRoutes({ leases, isOverloaded: () => coordinator.isOverloaded, randomBytes })];
  const stopCore = async () => {
    await coordinator.stop();
    // Nobody looks at the disk any more.
    const message = `the journal could not be closed within ${JOURNAL_CLOSE_MS} ms`;
    const cancel = scheduler.setTimer(JOURNAL_CLOSE_MS, () => exitOnFailure({ kind: 'storage', message }, log));
    await journal.close();
    cancel();
    lock.release();
  };
  const listeners = listen(config, { routes, hub, coordinator, clock, log });
  const { admin, transport } = await listeners.catch(async (error: Error) => {
    await stopCore();
    throw new Refusal(EXIT.unavailable, error.message);
  });
  stopper.stop = async () => {
    await hub.drain(config.drainMs);
    await transport.close();
    await coordinator.stop();
    await admin.close();
    await stopCore();
  };
  log.info(
    {
      epoch,
      position: recovered.position,
      snapshotPosition: recovered.snapshotPosition,
      leases: state.leases.size,
      addresses: state.addresses.size,
      transport: transport.name,
      host: config.host,
      port: transport.port,
      adminHost: config.adminHost,
      adminPort: admin.port,
      dir,
    },
    'ready',
  );
}

/** Everything that a run begins with, each durable before the next; nobody is served before. */
async function firstCommands(leases: Leases, config: Config, run: { epoch: number; suspendMs: number }): Promise<void> {
  const tokenFloor = tokenFloorAt(Date.now());
  if (tokenFloor === undefined) {
    throw new Refusal(EXIT.usage, `the clock says ${new Date().toISOString()}: tokens would run out of their 53 bits`);
  }
  await new Promise((resolve) => {
    leases.execute({ type: 'StartEpoch', epoch: run.epoch, tokenFloor, suspendMs: run.suspendMs }, resolve);
  });
  const { resourceDefaults: defaultPolicy, resources: policies } = config;
  await new Promise((resolve) => leases.execute({ type: 'Configure', defaultPolicy, policies }, resolve));
}

interface Served {
  readonly routes: readonly Hono[];
  readonly hub: SessionHub;
  readonly coordinator: Coordinator;
  readonly clock: Clock;
  readonly log: Logger;
}

async function listen(config: Config, served: Served): Promise<{ admin: AdminServer; transport: Transport }> {
  const { routes, hub, coordinator, clock, log } = served;
  const admin = await openAdmin({
    host: config.adminHost,
    port: config.adminPort,
    adminKey: config.adminKey,
    routes,
    health: () => ({ epoch: coordinator.epoch, position: coordinator.durablePosition, draining: hub.isDraining }),
    clock,
    log,
  });
  const transport = await openTransport(
    config.transport,
    {
      host: config.host,
      port: config.port,
      messageBytesMax: MESSAGE_BYTES_MAX,
      handshakeTimeoutMs: config.helloTimeoutMs,
      closeTimeoutMs: CLOSE_TIMEOUT_MS,
      setTimer: (delayMs, callback) => scheduler.setTimer(delayMs, callback),
      decideUpgrade: (request) => decideUpgrade(request, config.allowedOrigins),
      accept: (socket) => hub.accept(socket),
    },
    log,
  ).catch(async (error: unknown) => {
    await admin.close();
    throw error;
  });
  return { admin, transport };
}

/** A terminal and a process runner both pass one Ctrl-C on: so soon, a second signal is the first one again. */
const SAME_SIGNAL_MS = 1_000;

/** SIGTERM and SIGINT stop in order; a second one stops at once, as a crash would. */
function stopOnSignal(stopper: Stopper, log: Logger): void {
  let stoppingSinceMs: number | undefined;
  const onSignal = (signal: NodeJS.Signals) => {
    if (stoppingSinceMs !== undefined) {
      if (performance.now() - stoppingSinceMs < SAME_SIGNAL_MS) return;
      log.warn({ signal }, 'stopping at once');
      exit(EXIT.internal);
    }
    stoppingSinceMs = performance.now();
    log.info({ signal }, 'stopping');
    stopper.stop().then(
      () => {
        log.info('stopped');
        exit(EXIT.clean);
      },
      (error: unknown) => {
        log.fatal({ err: error }, 'stopping failed');
        exit(EXIT.storage);
      },
    );
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
}

function exitOnFailure({ kind, message }: Failure, log: Logger): never {
  log.fatal({ kind }, message);
  exit({ storage: EXIT.storage, deposed: EXIT.held, bug: EXIT.internal }[kind]);
}

/** Also where the disk hangs, and with it a thread of ours. */
function exit(code: number): never {
  killIfHung(process.pid);
  process.exit(code);
}

/** Of a start that failed. */
function exitCodeOf(error: unknown): number {
  if (error instanceof Refusal) return error.exitCode;
  if (isAboutData(error)) return EXIT.data;
  // The system's own errors here are about the data folder.
  const isSystemError = error instanceof Error && 'errno' in error;
  return isSystemError ? EXIT.storage : EXIT.internal;
}

async function main(): Promise<void> {
  const loaded = loadConfig({
    argv: process.argv.slice(2),
    env: process.env,
    readFile: (path) => readFileSync(path, 'utf8'),
  });
  if (loaded.ok === 'help') {
    process.stdout.write(loaded.text);
    return;
  }
  if (!loaded.ok) {
    process.stderr.write(`${loaded.problems.join('\n')}\n`);
    process.exit(EXIT.usage);
  }
  const { config } = loaded;
  const log = createLogger({ level: config.logLevel });
  process.on('uncaughtException', (error) => {
    log.fatal({ err: error }, 'a bug: stopping at once, nothing more is acknowledged');
    exit(EXIT.internal);
  });
  const stopper: Stopper = { stop: () => Promise.resolve() };
  stopOnSignal(stopper, log);
  try {
    await start(config, log, stopper);
  } catch (error) {
    const exitCode = exitCodeOf(error);
    log.fatal(exitCode === EXIT.internal ? { err: error } : {}, (error as Error).message);
    exit(exitCode);
  }
}

await main();
