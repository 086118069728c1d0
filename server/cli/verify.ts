import { EXIT } from '../exit.ts';
import { type FileReport, maskText, utcText, type VerifyReport, verifyData } from '../replay.ts';
import { counted, Output, plural } from './output.ts';

/** `leasehold journal verify DIR`. */
export async function verify(dir: string, { json = false }: { json?: boolean }): Promise<number> {
  const report = await verifyData(dir);
  const output = new Output();
  if (json) await printJson(report, output);
  else await printText(report, output);
  await output.flush();
  return report.faults.length === 0 ? EXIT.clean : EXIT.data;
}

async function printText({ files, faults, faultsBeyond, notes, lastPosition }: VerifyReport, output: Output) {
  const nameChars = Math.max(0, ...files.map(({ name }) => name.length));
  for (const file of files) await output.line(`${file.name.padEnd(nameChars)}  ${fileText(file)}`);
  for (const note of notes) await output.line(`note: ${note}`);
  for (const { file, offset, kind, message } of faults) {
    await output.line(`fault: ${file} at byte ${offset}: ${kind}: ${maskText(message)}`);
  }
  if (faultsBeyond > 0) await output.line(`fault: ${plural(faultsBeyond, 'more fault')}`);
  const deltas = files.filter(({ kind }) => kind === 'delta').length;
  const held = `${plural(deltas, 'delta')}, ${plural(files.length - deltas, 'snapshot')}, up to position ${lastPosition}`;
  const found = faults.length === 0 ? 'no faults' : plural(faults.length + faultsBeyond, 'fault');
  await output.line(files.length === 0 ? 'no data' : `${held}: ${found}`);
}

function fileText({ kind, fromPosition, toPosition, fromUtcMs, toUtcMs, batches, records, bytes, state }: FileReport) {
  const held =
    kind === 'delta'
      ? `${plural(batches, 'batch', 'batches')}, ${plural(records, 'event')}`
      : plural(records, 'record');
  const reach = kind === 'delta' ? `positions ${fromPosition}–${toPosition}` : `position ${toPosition}`;
  const times = fromUtcMs === toUtcMs ? [toUtcMs] : [fromUtcMs, toUtcMs];
  const utc = times.flatMap((utcMs) => (utcMs === undefined ? [] : [utcText(utcMs)]));
  const parts = [fromPosition === undefined ? [] : [reach], held, `${counted(bytes)} bytes`];
  return [...parts.flat(), ...(utc.length > 0 ? [utc.join(' – ')] : []), state].join('  ');
}

async function printJson(report: VerifyReport, output: Output): Promise<void> {
  const { files, faults, faultsBeyond, notes, lastPosition } = report;
  for (const file of files) {
    await output.json({
      type: 'file',
      name: file.name,
      kind: file.kind,
      state: file.state,
      bytes: file.bytes,
      from_position: file.fromPosition ?? null,
      to_position: file.toPosition ?? null,
      from_utc: file.fromUtcMs === undefined ? null : utcText(file.fromUtcMs),
      to_utc: file.toUtcMs === undefined ? null : utcText(file.toUtcMs),
      batches: file.batches,
      records: file.records,
    });
  }
  for (const note of notes) await output.json({ type: 'note', note });
  for (const { file, offset, kind, message } of faults) {
    await output.json({ type: 'fault', file, offset, fault: kind, message: maskText(message) });
  }
  const count = faults.length + faultsBeyond;
  await output.json({ type: 'summary', files: files.length, last_position: lastPosition, faults: count });
}
