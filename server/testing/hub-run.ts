import { msgpackCodec } from '../../protocol/codec.ts';
import type { CollectorFrame, CoordinatorFrame } from '../../protocol/frames.ts';
import { Access, type AccessOptions, type Caller } from '../clients/access.ts';
import { newKey, type Role } from '../clients/api-key.ts';
import { clientsDomain } from '../clients/clients-domain.ts';
import type { ClientsCommand } from '../clients/commands.ts';
import type { ClientsState } from '../clients/state.ts';
import { Coordinator } from '../coordinator/coordinator.ts';
import { Replica } from '../coordinator/replica.ts';
import { counterDomain } from '../counters/counter-domain.ts';
import { leaseDomain } from '../lease/lease-domain.ts';
import { NO_METRICS } from '../metrics/metrics.ts';
import { SessionHub, type SessionHubLimits } from '../sessions/session-hub.ts';
import type { Socket, SocketHandlers } from '../sessions/socket.ts';
import { MemoryEventLog } from './memory-event-log.ts';
import { VirtualClock, VirtualScheduler } from './virtual-time.ts';

/** The peer's end of a socket, without a network between. */
export class Peer {
  readonly frames: CoordinatorFrame[] = [];
  closed: number | undefined;
  bufferedBytes = 0;
  readonly #handlers: SocketHandlers;

  constructor(
    hub: SessionHub,
    { remoteAddress = '127.0.0.1', caller }: { remoteAddress?: string; caller?: Caller } = {},
  ) {
    const socket: Socket = {
      remoteAddress,
      caller,
      subprotocol: msgpackCodec.subprotocol,
      send: (message) => {
        const decoded = msgpackCodec.decode(message);
        if (decoded.ok) this.frames.push(...([decoded.value].flat() as CoordinatorFrame[]));
        return this.bufferedBytes;
      },
      bufferedAmount: () => this.bufferedBytes,
      ping: () => {},
      close: (code) => {
        this.closed = code;
      },
      terminate: () => {
        this.closed = 1006;
      },
    };
    this.#handlers = hub.accept(socket);
  }

  get types(): string[] {
    return this.frames.map(({ type }) => type);
  }

  send(frame: CollectorFrame | readonly CollectorFrame[]): void {
    const message = msgpackCodec.encode(frame) as Uint8Array;
    this.#handlers.message(message);
    // Bytes are lent to the receiver for as long as the call takes.
    message.fill(0xc1);
  }

  close(code: number): void {
    this.#handlers.close(code);
  }
}

export interface HubOptions {
  readonly access?: Partial<AccessOptions>;
  readonly limits?: Partial<SessionHubLimits>;
}

/** Sessions over the core in virtual time, one address for resource 7 in the pool. */
export async function startHub({ access: accessOptions, limits }: HubOptions = {}) {
  const clock = new VirtualClock();
  const scheduler = new VirtualScheduler(clock);
  const log = new MemoryEventLog();
  const random = () => 0.5;
  const replica = new Replica([leaseDomain, counterDomain, clientsDomain]);
  const coordinator = new Coordinator({
    replica,
    log,
    position: 0,
    epoch: 1,
    clock,
    scheduler,
    random,
    onFailure: ({ message }) => {
      throw new Error(message);
    },
  });
  const leases = coordinator.mount(leaseDomain);
  const counters = coordinator.mount(counterDomain);
  const clients = coordinator.mount(clientsDomain);
  const clientsState = replica.state(clientsDomain.name) as ClientsState;
  const access = new Access({
    state: () => clientsState,
    needsKey: false,
    defaultLimit: undefined,
    adminKey: undefined,
    clock,
    ...accessOptions,
  });
  let given = 0;
  const randomBytes = (size: number) => Buffer.alloc(size, ++given);
  const hub = new SessionHub({
    coordinator,
    leases,
    counters,
    access,
    scheduler,
    log: { debug() {}, info() {} },
    metrics: NO_METRICS,
    random,
    randomBytes,
    limits: {
      heartbeatMs: 10_000,
      helloTimeoutMs: 1_000,
      closeTimeoutMs: 1_000,
      resumeWindowMaxMs: 60_000,
      noticeMs: undefined,
      sessionsMax: 100,
      sessionsPerClientMax: undefined,
      socketsPerIpMax: 100,
      outboxBytesMax: 65_536,
      ttlMinMs: 200,
      ttlMaxMs: 60_000,
      ...limits,
    },
  });
  clients.onNotice(({ key }) => hub.closeKey(key));
  const defaultPolicy = { ttlMinMs: 200, ttlMaxMs: 60_000 };
  leases.execute({ type: 'StartEpoch', epoch: 1, tokenFloor: 0, suspendMs: 20_000 }, () => {});
  leases.execute({ type: 'Configure', defaultPolicy, policies: new Map() }, () => {});
  const records = [{ address: '10.0.0.1:1', country: 'US', rpw: 0, resource_ids: [7] }];
  leases.execute({ type: 'ImportPool', records, replace: false }, () => {});
  clients.execute({ type: 'SetStorage', level: 'ample' }, () => {});
  await scheduler.advance(10);
  const open = async (fields: object = {}, from: { remoteAddress?: string; caller?: Caller } = {}) => {
    const peer = new Peer(hub, from);
    peer.send({ type: 'hello', id: 1, protocol: 1, ...fields });
    await scheduler.advance(10);
    return peer;
  };
  const doClients = (command: ClientsCommand) => clients.execute(command, () => {});
  const issue = (client: string, role: Role = 'collector') => {
    if (!clientsState.clients.has(client)) doClients({ type: 'CreateClient', client });
    const { text, key, secretHash } = newKey(randomBytes);
    doClients({ type: 'IssueKey', client, role, key, secretHash });
    return { text, key };
  };
  return { clock, scheduler, log, hub, leases, access, doClients, issue, open };
}
