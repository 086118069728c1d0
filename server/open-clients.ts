/** Keys, roles and limits as the configuration has them, over what was recovered: a part of main's start. */
import { Access } from './clients/access.ts';
import { clientsDomain } from './clients/clients-domain.ts';
import type { ClientsState } from './clients/state.ts';
import type { Config } from './config.ts';
import type { Coordinator } from './coordinator/coordinator.ts';
import type { Replica } from './coordinator/replica.ts';
import type { Clock, Scheduler } from './coordinator/scheduler.ts';
import { LevelKeeper } from './level-keeper.ts';

export interface ClientsParts {
  readonly coordinator: Coordinator;
  readonly replica: Replica;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
}

export function openClients({ coordinator, replica, clock, scheduler }: ClientsParts, config: Config) {
  const clients = coordinator.mount(clientsDomain);
  const state = replica.state(clientsDomain.name) as ClientsState;
  const { rateCapacity: capacity, ratePerSec } = config;
  const access = new Access({
    state: () => state,
    needsKey: config.apiKeys,
    defaultLimit: capacity === undefined || ratePerSec === undefined ? undefined : { capacity, ratePerSec },
    adminKey: config.adminKey,
    clock,
  });
  const levelKeeper = new LevelKeeper({ clients, access, scheduler, hasRoom: () => state.storage === 'ample' });
  return { clients, access, levelKeeper };
}
