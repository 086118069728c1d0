import { EXIT } from '../exit.ts';
import { dumpData } from '../replay.ts';
import { Output } from './output.ts';

/** `leasehold journal dump DIR`. */
export async function dump(
  dir: string,
  { from, to, snapshot = false }: { from?: number; to?: number; snapshot?: boolean },
): Promise<number> {
  const output = new Output();
  try {
    for await (const item of dumpData(dir, { fromPosition: from, toPosition: to, withSnapshot: snapshot })) {
      if (item.type === 'line') await output.json(item.line);
      else output.note(item.note);
    }
  } finally {
    // Damage is said behind what stands before it.
    await output.flush();
  }
  return EXIT.clean;
}
