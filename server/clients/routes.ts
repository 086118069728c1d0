/** What this folder serves over HTTP. */
import type { Operation } from '../admin/operation.ts';
import type { Access } from './access.ts';
import { newKey } from './api-key.ts';
import { clientRoutes } from './client-routes.ts';
import type { ClientsPort } from './http-answers.ts';
import { keyRoutes } from './key-routes.ts';

export interface ClientsRoutesOptions {
  readonly clients: ClientsPort;
  readonly access: Access;
  readonly randomBytes: (size: number) => Buffer;
}

export function clientsRoutes({ clients, access, randomBytes }: ClientsRoutesOptions): Operation[] {
  return [...clientRoutes({ clients, access }), ...keyRoutes({ clients, access, makeKey: () => newKey(randomBytes) })];
}
