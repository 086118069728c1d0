/** What this folder serves over HTTP. */
import type { Operation } from '../admin/operation.ts';
import { addressRoutes } from './address-routes.ts';
import { allocateRoutes } from './allocate-routes.ts';
import { explainRoutes } from './explain-routes.ts';
import type { LeasePort } from './http-answers.ts';
import { importRoutes } from './import-routes.ts';
import { leaseOperations } from './lease-routes.ts';
import { quarantineRoutes } from './quarantine-routes.ts';
import { resourceRoutes } from './resource-routes.ts';

const SECRET_BYTES = 24;

export interface LeaseRoutesOptions {
  readonly leases: LeasePort;
  /** Distinct resources at most. */
  readonly resourcesMax: number;
  readonly randomBytes: (size: number) => Buffer;
}

export function leaseRoutes({ leases, resourcesMax, randomBytes }: LeaseRoutesOptions): Operation[] {
  const newSecret = () => randomBytes(SECRET_BYTES).toString('base64url');
  return [
    ...allocateRoutes({ leases, newSecret }),
    ...leaseOperations({ leases, newSecret }),
    ...explainRoutes(leases),
    ...importRoutes({ leases, resourcesMax }),
    ...addressRoutes({ leases, resourcesMax }),
    ...resourceRoutes({ leases, resourcesMax }),
    ...quarantineRoutes(leases),
  ];
}
