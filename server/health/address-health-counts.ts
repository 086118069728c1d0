import { counter, type Family, gauge } from '../metrics/family.ts';
import { Tally } from '../metrics/tally.ts';
import type { ProbeResult } from './prober.ts';
import { FAULTS } from './probes.ts';

/** What is counted of probes and changes. */
export class AddressHealthCounts {
  /** Statuses in one: which they were stands in the log. */
  readonly #probes = new Tally(['ok', 'status', ...FAULTS]);
  readonly #changes = new Tally(['unhealthy', 'healthy', 'withheld']);

  probed(result: ProbeResult): void {
    if (result.ok) this.#probes.add('ok');
    else this.#probes.add(result.reason.startsWith('status_') ? 'status' : result.reason);
  }

  changed(isHealthy: boolean): void {
    this.#changes.add(isHealthy ? 'healthy' : 'unhealthy');
  }

  /** An address stays in use since too many are out already. */
  withheld(): void {
    this.#changes.add('withheld');
  }

  families(unhealthy: () => number): Family[] {
    return [
      gauge('addresses_unhealthy', 'Addresses that are given to nobody since a probe or traffic failed.', unhealthy),
      counter('address_probes_total', 'Probes of pool addresses, by how they ended.', 'result', this.#probes),
      counter(
        'address_health_changes_total',
        'Addresses that became unhealthy or healthy, or stayed in use at the bound (withheld).',
        'to',
        this.#changes,
      ),
    ];
  }
}
