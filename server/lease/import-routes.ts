/** A whole pool over HTTP: JSON, a record a line, or CSV; with a word about each record that is none. */
import * as v from 'valibot';
import { addressRecordSchema } from '../../protocol/frames.ts';
import { problemResponse } from '../../protocol/problems.ts';
import { contentTypeOf, type Operation, operation, type Recheck } from '../admin/operation.ts';
import { answerOf, json, lookAt, rejection } from '../admin/requests.ts';
import type { AddressRoutesOptions } from './address-routes.ts';
import type { ImportCounts } from './commands.ts';
import { PoolCsv } from './pool-csv.ts';
import { PoolIntake, PROBLEMS_MAX } from './pool-intake.ts';
import { PoolJson } from './pool-json.ts';
import { PoolLines } from './pool-lines.ts';
import { knownResources } from './resources-bound.ts';

const IMPORT_BYTES_MAX = 512 * 1_048_576;
/**
 * What one import may change: each address counts one, and one more for each resource that it serves. All of it becomes
 * visible in one go while everybody waits, some hundred milliseconds for so many.
 */
export const IMPORT_CHANGES_MAX = 100_000;
/** Until an import that found another one under way is asked to come again. */
const BUSY_RETRY_S = 5;

const JSON_TYPE = 'application/json';
const LINES_TYPE = 'application/x-ndjson';
const CSV_TYPE = 'text/csv';

const problemShown = v.object({
  line: v.exactOptional(v.pipe(v.number(), v.description('Where the record begins, from 1; of lines and CSV.'))),
  record: v.exactOptional(v.pipe(v.number(), v.description('Which one, from 0; of JSON.'))),
  message: v.string(),
});
const imported = v.object({
  added: v.number(),
  updated: v.number(),
  removed: v.number(),
  unchanged: v.number(),
  refused: v.pipe(v.number(), v.description('What is wrong with records that were not taken: how many problems.')),
  problems: v.pipe(v.array(problemShown), v.description(`The first ${PROBLEMS_MAX} of them.`)),
});
const partial = v.pipe(
  v.boolean(),
  v.description('True: takes what is good. Otherwise every record is good or none is taken.'),
);
const replace = v.pipe(
  v.boolean(),
  v.description('True: addresses that aren’t among the records go out of the pool. Not together with `partial`.'),
);

export function importRoutes(options: AddressRoutesOptions): Operation[] {
  const pool = new ImportedPool(options);
  return [
    operation({
      id: 'importAddresses',
      tag: 'addresses',
      method: 'post',
      path: '/v1/addresses/import',
      role: 'operator',
      summary: 'Brings the pool to what the records say, all at once.',
      description: `Known addresses keep their leases and counts. An import changes at most ${IMPORT_CHANGES_MAX} at once: each address that comes in, goes out or is changed counts one, and one more for each resource that it serves. Larger pools: by several requests, or as the file of \`--pool\` at the start.`,
      query: { partial: v.exactOptional(partial), replace: v.exactOptional(replace) },
      rawBody: {
        bytesMax: IMPORT_BYTES_MAX,
        content: { [JSON_TYPE]: v.array(addressRecordSchema), [LINES_TYPE]: undefined, [CSV_TYPE]: undefined },
      },
      answers: { 200: { description: 'What has changed.', schema: imported } },
      problems: {
        413: 'The body is too long, or the import would change too much at once.',
        409: 'Another import is under way.',
        422: 'Records that are none: `refused` counts what is wrong, `problems` lists it. No records at all, with `replace`.',
        507: 'The disk is full.',
      },
      handle: ({ query, ...asked }) => pool.take(asked, query.partial ?? false, query.replace ?? false),
    }),
  ];
}

interface ImportAsked {
  readonly request: Request;
  readonly recheck: Recheck;
}

/** One import at a time: each holds its records until they are all in. */
class ImportedPool {
  readonly #options: AddressRoutesOptions;
  #isBusy = false;

  constructor(options: AddressRoutesOptions) {
    this.#options = options;
  }

  async take(asked: ImportAsked, isPartial: boolean, isReplacing: boolean): Promise<Response> {
    if (isPartial && isReplacing) {
      return problemResponse(422, 'replace: a bad record would take its address out: not with partial', {
        path: 'replace',
      });
    }
    if (this.#isBusy) {
      return problemResponse(409, 'another import is under way', { reason: 'busy', retryAfterS: BUSY_RETRY_S });
    }
    this.#isBusy = true;
    try {
      return await this.#take(asked, isPartial, isReplacing);
    } finally {
      this.#isBusy = false;
    }
  }

  async #take({ request, recheck }: ImportAsked, isPartial: boolean, replaces: boolean): Promise<Response> {
    const { leases, resourcesMax } = this.#options;
    const unit = contentTypeOf(request) === JSON_TYPE ? 'record' : 'line';
    const known = await lookAt(leases, (state) => knownResources(state, replaces));
    const intake = new PoolIntake({ resourcesMax, knownResources: known }, unit);
    const fault = (await readPool(request, intake, () => lookAt(leases, () => undefined))) ?? recheck();
    if (fault) return fault;
    const { records, problemCount } = intake;
    const problems = intake.problems.map(({ at, message }) => ({ [unit]: at, message }));
    if (problemCount > 0 && !isPartial) {
      const message = `${unit} ${intake.problems[0]!.at}: ${intake.problems[0]!.message}; nothing was taken`;
      return problemResponse(422, message, { refused: problemCount, problems });
    }
    if (records.length === 0 && replaces) {
      return problemResponse(422, 'replace: no records: that would take every address out', { path: 'replace' });
    }
    const none: ImportCounts = { added: 0, updated: 0, removed: 0, unchanged: 0 };
    if (records.length === 0 && isPartial) return json({ ...none, refused: problemCount, problems });
    const changesMax = IMPORT_CHANGES_MAX;
    const command = { type: 'ImportPool', records, replace: replaces, resourcesMax, changesMax } as const;
    const answer = await answerOf(leases, command);
    if (answer.type === 'rejected') {
      if (answer.code !== 'too_many') return rejection(answer);
      const message = `${answer.message}; use several requests, or --pool at the start`;
      return problemResponse(413, message, { reason: answer.code });
    }
    return json({ ...answer.counts, refused: problemCount, problems });
  }
}

/**
 * Feeds the body to whatever reads its type; a problem where it can't be read at all, or where the peer went away. Chunks
 * may be there already: `turn` lets others have theirs between one and the next.
 */
async function readPool(
  request: Request,
  intake: PoolIntake,
  turn: () => Promise<void>,
): Promise<Response | undefined> {
  const type = contentTypeOf(request);
  const { signal } = request;
  const reader =
    type === JSON_TYPE ? new PoolJson(intake) : type === CSV_TYPE ? new PoolCsv(intake) : new PoolLines(intake);
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let bytes = 0;
  try {
    for await (const chunk of (request.body ?? []) as AsyncIterable<Uint8Array>) {
      bytes += chunk.length;
      if (bytes > IMPORT_BYTES_MAX) return problemResponse(413, `${type}: at most ${IMPORT_BYTES_MAX} bytes`);
      reader.push(decoder.decode(chunk, { stream: true }));
      await turn();
      if (signal.aborted) return problemResponse(400, GONE);
    }
    reader.push(decoder.decode());
  } catch (error) {
    if (signal.aborted) return problemResponse(400, GONE);
    if (error instanceof TypeError) return problemResponse(400, 'the body is not UTF-8');
    throw error;
  }
  reader.end();
  await turn();
  if (signal.aborted) return problemResponse(400, GONE);
  return reader instanceof PoolJson && reader.fault !== undefined ? problemResponse(400, reader.fault) : undefined;
}

/** Nobody reads it. */
const GONE = 'the peer went away before the import began';
