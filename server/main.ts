/**
 * Composition root of the coordinator: reads clock, randomness and environment, builds each part, and says in which
 * order things start and stop.
 *
 * Start: configuration → certificates → folder locked → HTTP port, for who asks whether we serve → state recovered → pool
 * file read → journal opened → the run's first commands durable → gateway → WebSocket → HTTP. Nothing is written before
 * everything that can be refused has been looked at.
 * Stop: goaway and drain → WebSocket and gateway → loop, with all that is decided durable and answered → HTTP → journal
 * with the mark of a clean stop → lock.
 */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { chmod, readFile } from 'node:fs/promises';
import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import { ERROR_CODES, LEASE_ENDS, REFUSED_REASONS, REVOKE_REASONS } from '../protocol/codes.ts';
import { MESSAGE_BYTES_MAX } from '../protocol/limits.ts';
import { openAdmin } from './admin/admin-server.ts';
import { docsRoutes } from './admin/docs-routes.ts';
import { EventFeed } from './admin/event-feed.ts';
import { eventRoutes } from './admin/event-routes.ts';
import { type Health, healthRoutes } from './admin/health-routes.ts';
import { historyRoutes } from './admin/history-routes.ts';
import { Certificates } from './certificates.ts';
import type { Access } from './clients/access.ts';
import { clientOfIp } from './clients/client-id.ts';
import { clientsRoutes } from './clients/routes.ts';
import { type Config, loadConfig, VERSION } from './config.ts';
import { Coordinator } from './coordinator/coordinator.ts';
import type { StorageLevel } from './coordinator/domain.ts';
import type { DomainPort } from './coordinator/domain-port.ts';
import type { Clock, Scheduler } from './coordinator/scheduler.ts';
import { counterDomain } from './counters/counter-domain.ts';
import { counterRoutes } from './counters/routes.ts';
import { EXIT, Refusal } from './exit.ts';
import { makeDataFolder, nodeDisk } from './journal/disk.ts';
import { lockFolder } from './journal/folder-lock.ts';
import { openJournal } from './journal/journal.ts';
import { unfitPolicies } from './lease/apply-policy.ts';
import type { LeaseAnswers, LeaseCommand, LeaseNotice } from './lease/commands.ts';
import { leaseDomain } from './lease/lease-domain.ts';
import { leaseRoutes } from './lease/routes.ts';
import type { LeaseState } from './lease/state.ts';
import { tokenFloorAt } from './lease/token-floor.ts';
import { createLogger, flatLogger, type Logger } from './logger.ts';
import { countedLeases, gaugesOf, timedLog } from './measured.ts';
import { Counts } from './metrics/counts.ts';
import { Exposition } from './metrics/exposition.ts';
import { gaugeFamilies } from './metrics/gauges.ts';
import type { LoopMonitor } from './metrics/loop-delay.ts';
import { metricsRoutes } from './metrics/routes.ts';
import { openClients } from './open-clients.ts';
import { openGateway } from './open-gateway.ts';
import { PoolAtStart, readPool } from './pool-at-start.ts';
import { exit, exitCodeOf, exitOnFailure, type Stopper, stopOnSignal } from './process-end.ts';
import { redirectDomain } from './redirects/redirect-domain.ts';
import { lookBackInWorker, recoverFolder, snapshotInWorker, unreadEventsOf } from './replay.ts';
import { sessionRoutes } from './sessions/routes.ts';
import { SessionHub } from './sessions/session-hub.ts';
import { decideUpgrade } from './sessions/upgrade.ts';
import type { TlsPaths } from './tls-files.ts';
import { openTransport } from './transports/open.ts';
import type { Transport } from './transports/transport.ts';

/** A closing handshake that takes longer is cut off. */
const CLOSE_TIMEOUT_MS = 1_000;
/** As long as a write may take while the coordinator runs: then the disk hangs, or has no room for the last one. */
const JOURNAL_CLOSE_MS = 30_000;
/** Between looks at how late the event loop is: at 1 ms they would take 5 % of a core, at 20 ms they take half a percent. */
const LOOP_RESOLUTION_MS = 20;

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

function monitorLoop(): LoopMonitor {
  const monitor = monitorEventLoopDelay({ resolution: LOOP_RESOLUTION_MS });
  monitor.enable();
  return Object.assign(monitor, { resolutionMs: LOOP_RESOLUTION_MS });
}

/** What was there before the start. */
interface Process {
  readonly log: Logger;
  readonly stopper: Stopper;
  readonly certificates: Certificates;
}

async function start(config: Config, { log, stopper, certificates }: Process): Promise<void> {
  const dir = config.dataDir;
  await makeDataFolder(nodeDisk, dir);
  const lock = lockFolder(dir);
  if (lock === 'held') throw new Refusal(EXIT.held, `${dir} is in use by another coordinator`);

  const metrics = new Counts({
    refusedReasons: REFUSED_REASONS,
    leaseEnds: LEASE_ENDS,
    revokeReasons: REVOKE_REASONS,
    errorCodes: ERROR_CODES,
  });
  let healthNow = (): Health => ({ status: 'starting' });
  const early = healthRoutes(() => healthNow());
  const admin = await openAdmin({
    host: config.adminHost,
    port: config.adminPort,
    tls: certificates.of('http'),
    connections: {
      connectionsMax: config.httpConnectionsMax,
      connectionsPerIpMax: config.httpConnectionsPerIpMax,
      peerOf: clientOfIp,
    },
    early,
    clock: clockFrom(0),
    metrics,
    log,
  }).catch((error: Error) => {
    throw new Refusal(EXIT.unavailable, error.message);
  });

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
    onWritten: (events, bytes, writeMs) => metrics.batchWritten({ events, bytes, seconds: writeMs / 1_000 }),
    onFailure: (error) => exitOnFailure({ kind: 'storage', message: error.message }, log),
  });
  const coordinator = new Coordinator({
    replica,
    log: timedLog(journal, clock, metrics),
    position: recovered.position,
    epoch,
    clock,
    scheduler,
    random: Math.random,
    onFailure: (failure) => exitOnFailure(failure, log),
  });
  const feed = new EventFeed({
    epoch,
    position: recovered.position,
    eventsOf: unreadEventsOf,
    readFrom: (position) => journal.readFrom(position),
    keptFrom: () => journal.keptFrom(),
    resourceOf: (lease) => (state.leases.get(lease) ?? state.ended.get(lease))?.resource,
    scheduler,
    log,
  });
  coordinator.onDurable((batch) => feed.take(batch));
  const leases: Leases = coordinator.mount(countedLeases(metrics));
  const counters = coordinator.mount(counterDomain);
  const redirects = coordinator.mount(redirectDomain);
  const { clients, access, levelKeeper } = openClients({ coordinator, replica, clock, scheduler }, config);
  const hub = new SessionHub({
    coordinator,
    leases,
    counters,
    access,
    scheduler,
    log: flatLogger(log),
    metrics,
    random: Math.random,
    randomBytes,
    limits: {
      heartbeatMs: config.heartbeatMs,
      helloTimeoutMs: config.helloTimeoutMs,
      closeTimeoutMs: CLOSE_TIMEOUT_MS,
      resumeWindowMaxMs: config.resumeWindowMaxMs,
      noticeMs: config.noticeMs,
      sessionsMax: config.sessionsMax,
      sessionsPerClientMax: config.sessionsPerClientMax,
      socketsPerIpMax: config.socketsPerIpMax,
      outboxBytesMax: config.outboxBytesMax,
      ttlMinMs: config.resourceDefaults.ttlMinMs,
      ttlMaxMs: config.resourceDefaults.ttlMaxMs,
    },
  });
  await firstCommands(leases, config, { epoch, suspendMs: hub.suspendMs });
  for (const [resource, faults] of unfitPolicies(state)) {
    log.warn({ resource, faults }, 'the policy by API no longer fits the configuration; it counts as it stands');
  }
  const poolAtStart = new PoolAtStart(pool, leases, config, log);
  const setStorage = (level: StorageLevel) => {
    leases.execute({ type: 'SetStorage', level }, () => {});
    counters.execute({ type: 'SetStorage', level }, () => {});
    clients.execute({ type: 'SetStorage', level }, () => {});
    redirects.execute({ type: 'SetStorage', level }, () => {});
  };
  onStorage = (level) => {
    setStorage(level);
    if (level === 'ample') void poolAtStart.takeIn();
  };
  setStorage(journal.storage);
  await poolAtStart.takeIn();

  const stopCore = async () => {
    await coordinator.stop();
    // Nobody looks at the disk any more.
    const message = `the journal could not be closed within ${JOURNAL_CLOSE_MS} ms`;
    const cancel = scheduler.setTimer(JOURNAL_CLOSE_MS, () => exitOnFailure({ kind: 'storage', message }, log));
    await journal.close();
    cancel();
    lock.release();
  };
  const unavailable = async (error: Error): Promise<never> => {
    await stopCore();
    throw new Refusal(EXIT.unavailable, error.message);
  };
  const ownPorts = new Set([config.port, admin.port]);
  const shared = { coordinator, leases, state, redirects, access, ownPorts };
  const parts = { ...shared, clock, scheduler, random: Math.random, metrics, log };
  const gateway = await openGateway(config, parts).catch(unavailable);
  clients.onNotice(({ key }) => {
    hub.closeKey(key);
    gateway.closeKey(key);
  });
  const transport = await listen(config, { hub, access, log, certificates }).catch(unavailable);
  ownPorts.add(transport.port);
  const build = { version: VERSION, node: process.version, transport: transport.name };
  const gauges = gaugesOf({ build, state, coordinator, journal, hub });
  const exposition = new Exposition(
    [...gaugeFamilies(gauges), ...metrics.families(), ...gateway.families],
    monitorLoop,
  );
  const history = historyRoutes({
    lookBack: (question, signal) => lookBackInWorker(dir, question, signal),
    position: () => coordinator.durablePosition,
    utcMs: () => Date.now(),
    scheduler,
  });
  const operations = [
    ...leaseRoutes({ leases, resourcesMax: config.resourcesMax, randomBytes }),
    ...counterRoutes(counters),
    ...sessionRoutes(hub),
    ...clientsRoutes({ clients, access, randomBytes }),
    ...eventRoutes(feed),
    ...history.operations,
    ...gateway.operations,
    ...metricsRoutes(exposition),
  ];
  admin.mount({
    operations: [...operations, ...docsRoutes({ operations: [...early, ...operations], version: VERSION })],
    access,
    settled: () => new Promise((resolve) => coordinator.inOrder(resolve, undefined)),
    isOverloaded: () => coordinator.isOverloaded,
  });
  const isServing = () => ({ epoch: coordinator.epoch, position: coordinator.durablePosition });
  healthNow = () => ({ status: 'ready', ...isServing() });
  stopper.stop = async () => {
    healthNow = () => ({ status: 'draining', ...isServing() });
    await Promise.all([hub.drain(config.drainMs), gateway.drain(config.drainMs)]);
    await Promise.all([transport.close(), gateway.close()]);
    levelKeeper.stop();
    await coordinator.stop();
    history.close();
    await feed.close();
    await admin.close();
    await stopCore();
  };
  certificates.serving({ websocket: transport, http: admin });
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
      ...gateway.ports,
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

interface Listened {
  readonly hub: SessionHub;
  readonly access: Access;
  readonly log: Logger;
  readonly certificates: Certificates;
}

function listen(config: Config, { hub, access, log, certificates }: Listened): Promise<Transport> {
  return openTransport(
    config.transport,
    {
      host: config.host,
      port: config.port,
      tls: certificates.of('websocket'),
      messageBytesMax: MESSAGE_BYTES_MAX,
      handshakeTimeoutMs: config.helloTimeoutMs,
      closeTimeoutMs: CLOSE_TIMEOUT_MS,
      setTimer: (delayMs, callback) => scheduler.setTimer(delayMs, callback),
      defer: (callback) => scheduler.defer(callback),
      decideUpgrade: (request) => decideUpgrade(request, { allowedOrigins: config.allowedOrigins, access }),
      accept: (socket) => hub.accept(socket),
    },
    log,
  );
}

function pathsOf(certFile: string | undefined, keyFile: string | undefined): TlsPaths | undefined {
  return certFile === undefined || keyFile === undefined ? undefined : { certFile, keyFile };
}

function refuseStart(problems: readonly string[]): never {
  process.stderr.write(`${problems.join('\n')}\n`);
  process.exit(EXIT.usage);
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
  if (!loaded.ok) refuseStart(loaded.problems);
  const { config } = loaded;
  const log = createLogger({ level: config.logLevel });
  const certificates = new Certificates({ readFile: (path) => readFile(path, 'utf8'), utcMs: () => Date.now(), log });
  process.on('SIGHUP', () => certificates.reload());
  const problems = await certificates.read({
    websocket: pathsOf(config.tlsCert, config.tlsKey),
    http: pathsOf(config.adminTlsCert, config.adminTlsKey),
  });
  if (problems.length > 0) refuseStart(problems);
  process.on('uncaughtException', (error) => {
    log.fatal({ err: error }, 'a bug: stopping at once, nothing more is acknowledged');
    exit(EXIT.internal);
  });
  const stopper: Stopper = { stop: () => Promise.resolve() };
  stopOnSignal(stopper, log, () => performance.now());
  try {
    await start(config, { log, stopper, certificates });
  } catch (error) {
    const exitCode = exitCodeOf(error);
    log.fatal(exitCode === EXIT.internal ? { err: error } : {}, (error as Error).message);
    exit(exitCode);
  }
}

await main();
