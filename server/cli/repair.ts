import { EXIT, Refusal } from '../exit.ts';
import { type LostEvents, maskText, planRepairOf, type RepairResult, repairData, utcText } from '../replay.ts';
import { Output, plural } from './output.ts';

/** `leasehold journal repair DIR`; `nowMs`: the wall clock. */
export async function repair(dir: string, { apply = false }: { apply?: boolean }, nowMs: number): Promise<number> {
  const keptIn = `damaged-${new Date(nowMs).toISOString().replaceAll(/[-:.]/g, '')}`;
  const result = apply ? await repairData(dir, keptIn) : await planRepairOf(dir);
  if (result === 'held') throw new Refusal(EXIT.held, `${dir} is in use by a coordinator: nothing was changed`);
  const output = new Output();
  await print(result, apply, output);
  await output.flush();
  const isSound = result.report.faults.length === 0;
  return isSound ? EXIT.clean : EXIT.data;
}

async function print({ plan, lost, keptIn, report }: RepairResult, isApplied: boolean, output: Output): Promise<void> {
  if (plan.kind === 'healthy') return output.line('the folder is sound: nothing is to be repaired');
  if (plan.kind === 'refused') {
    for (const { file, offset, message } of report.faults)
      await output.line(`fault: ${file} at byte ${offset}: ${maskText(message)}`);
    return output.line(`not repaired, nothing was changed: ${plan.reason}`);
  }
  const would = isApplied ? '' : 'would be ';
  for (const { name, reason } of plan.setAside) await output.line(`${name} ${would}set aside: ${maskText(reason)}`);
  for (const { segment, reason } of plan.rewrites) {
    const { name, endOffset } = segment;
    await output.line(
      `${name} ${would}written anew, up to its last good batch, which ends at byte ${endOffset}: ${maskText(reason)}`,
    );
  }
  await output.line(`kept: all up to position ${plan.lastPosition}`);
  await output.line(lostText(plan.lastPosition, lost));
  await output.line('leases granted behind that are forgotten: until their TTLs are over, new ones may overlap them');
  if (!isApplied) return output.line('nothing was changed; --apply does it, and keeps the originals');
  await output.line(`the originals are in ${keptIn}`);
  const left = report.faults.length;
  await output.line(left === 0 ? 'repaired: the folder is sound now' : `${plural(left, 'fault')} are left: see verify`);
}

function lostText(lastPosition: number, lost: LostEvents | undefined): string {
  const beyond = `whatever stood behind position ${lastPosition}`;
  if (!lost) return `lost: ${beyond}, of which nothing can be read`;
  const { fromPosition, toPosition, fromUtcMs, toUtcMs, events } = lost;
  const times = `${utcText(fromUtcMs)} – ${utcText(toUtcMs)}`;
  return `lost: ${beyond}; ${plural(events, 'event')} of it can be read, positions ${fromPosition}–${toPosition}, ${times}`;
}
