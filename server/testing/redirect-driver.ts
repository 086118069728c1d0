import { Packr } from 'msgpackr';
import type { EventRecord } from '../coordinator/domain.ts';
import type { RedirectAnswers, RedirectCommand, RedirectNotice, RedirectView } from '../redirects/commands.ts';
import { redirectDomain } from '../redirects/redirect-domain.ts';
import type { RedirectState } from '../redirects/state.ts';

const packr = new Packr({ useRecords: false, variableMapSize: true, int64AsType: 'number' });

/** The redirects without a disk or sockets: decides and applies in the order of the coordinator's loop. */
export class RedirectDriver {
  state: RedirectState = redirectDomain.create();
  utcMs = 1_750_000_000_000;
  /** Durable events since the beginning, in bytes. */
  readonly journal: Uint8Array[] = [];
  readonly notices: RedirectNotice[] = [];

  execute<const Given extends RedirectCommand>(command: Given): RedirectAnswers[Given['type']] {
    const context = { nowMs: 1_000.5, utcMs: this.utcMs, random: () => 0.5 };
    const { events, answer, notices = [] } = redirectDomain.decide(this.state, command, context);
    for (const event of events) {
      redirectDomain.apply(this.state, event);
      if (redirectDomain.isDurable(event)) this.journal.push(packr.pack(redirectDomain.encodeEvent(event)));
    }
    this.notices.push(...notices);
    return answer as RedirectAnswers[Given['type']];
  }

  /** The first command of a run. */
  begin(cdnHost = 'cdn.example', distributionRate = 10): RedirectView {
    return this.execute({ type: 'BeginRedirects', cdnHost, distributionRate }).redirect;
  }

  /** The durable state as a snapshot holds it: values that have been through bytes. */
  snapshot(): unknown[] {
    return Array.from(redirectDomain.encode(this.state), (record) => packr.unpack(packr.pack(record)) as unknown);
  }

  /** Goes on with what a snapshot or the journal makes of the state, as a restart does. */
  restart(from: 'snapshot' | 'journal'): void {
    const records = from === 'snapshot' ? this.snapshot() : [];
    const events = from === 'journal' ? this.journal : [];
    this.state = redirectDomain.create();
    for (const record of records) redirectDomain.restore(this.state, record);
    for (const bytes of events) {
      redirectDomain.apply(this.state, redirectDomain.decodeEvent(packr.unpack(bytes) as EventRecord));
    }
  }
}
