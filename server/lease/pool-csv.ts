/**
 * A pool as CSV (RFC 4180): the first line names the columns, each further one is a record.
 *
 *   address, country, rpw, weight   as in a record; an empty cell counts as absent
 *   resource_ids                    numbers with semicolons or spaces between them
 *   labels.NAME                     the label of that name, where the cell isn't empty
 *
 * Any other column is kept as text under its name, where the cell isn't empty. Cells stand in double quotes where they hold
 * a comma, a quote (written twice) or a line break. Empty lines are passed over. Places are the lines on which records begin,
 * from 1.
 */
import type { PoolIntake } from './pool-intake.ts';
import type { PoolReader } from './pool-lines.ts';
import { RECORD_BYTES_MAX } from './pool-record.ts';

export const CSV_COLUMNS_MAX = 1_000;
/** Of one record, as written: what is longer would be no good record either. */
export const CSV_RECORD_CHARACTERS_MAX = RECORD_BYTES_MAX;

const REQUIRED = ['address', 'country', 'resource_ids'];
const LABEL_PREFIX = 'labels.';

/** Where the reader stands in the text. */
type Where = 'start of cell' | 'bare cell' | 'quoted cell' | 'behind quote';

const BARE_END = /[",\n]/g;

export class PoolCsv implements PoolReader {
  readonly #intake: PoolIntake;
  #columns: readonly string[] | undefined;
  #where: Where = 'start of cell';
  #line = 1;
  #isFirst = true;
  /** Without columns, or within a quote that never ends, nothing further can be told apart. */
  #isLost = false;

  // Of the record that is being read.
  #startLine = 1;
  #cells: string[] = [];
  #cell = '';
  #characters = 0;
  #fault: string | undefined;

  constructor(intake: PoolIntake) {
    this.#intake = intake;
  }

  push(text: string): void {
    let at = this.#isFirst && text.startsWith('\uFEFF') ? 1 : 0;
    if (text !== '') this.#isFirst = false;
    while (at < text.length && !this.#isLost) at = this.#step(text, at);
  }

  end(): void {
    if (this.#isLost) return;
    if (this.#where === 'quoted cell') this.#fault ??= 'a quote is not closed';
    if (this.#cells.length > 0 || this.#cell !== '' || this.#where !== 'start of cell') this.#finishRecord();
    if (!this.#columns && !this.#isLost) this.#lose(this.#line, 'names no columns: the first line has to');
  }

  /** Reads on from `at`, and says how far it got. */
  #step(text: string, at: number): number {
    switch (this.#where) {
      case 'start of cell':
        this.#where = text[at] === '"' ? 'quoted cell' : 'bare cell';
        return text[at] === '"' ? at + 1 : at;
      case 'bare cell': {
        BARE_END.lastIndex = at;
        const end = BARE_END.exec(text)?.index ?? text.length;
        this.#take(text.slice(at, end));
        if (text[end] !== '"') return this.#separator(text, end);
        this.#fault ??= `column ${this.#cells.length + 1}: a quote inside a cell that doesn't begin with one`;
        return end + 1;
      }
      case 'quoted cell': {
        const quote = text.indexOf('"', at);
        const end = quote === -1 ? text.length : quote;
        const part = text.slice(at, end);
        this.#take(part);
        for (let next = part.indexOf('\n'); next !== -1; next = part.indexOf('\n', next + 1)) this.#line += 1;
        if (this.#characters > CSV_RECORD_CHARACTERS_MAX) {
          this.#lose(this.#startLine, `${tooLong()}; is a quote not closed? Nothing behind it was read`);
        }
        if (quote !== -1) this.#where = 'behind quote';
        return end + 1;
      }
      case 'behind quote':
        if (text[at] === '"') {
          this.#take('"');
          this.#where = 'quoted cell';
          return at + 1;
        }
        if (text[at] === ',' || text[at] === '\n') return this.#separator(text, at);
        if (text[at] !== '\r') {
          this.#fault ??= `column ${this.#cells.length + 1}: something follows the closing quote`;
          this.#where = 'bare cell';
        }
        return at + 1;
    }
  }

  /** A comma, a line's end, or the end of what has come. */
  #separator(text: string, at: number): number {
    if (text[at] === ',') this.#finishCell();
    else if (text[at] === '\n') {
      if (this.#where === 'bare cell' && this.#cell.endsWith('\r')) this.#cell = this.#cell.slice(0, -1);
      this.#finishRecord();
      this.#line += 1;
      this.#startLine = this.#line;
    }
    return at + 1;
  }

  #take(part: string): void {
    this.#characters += part.length;
    if (this.#characters > CSV_RECORD_CHARACTERS_MAX) this.#fault ??= tooLong();
    else this.#cell += part;
  }

  #finishCell(): void {
    // One more than there may be tells that there are too many.
    if (this.#cells.length <= CSV_COLUMNS_MAX) this.#cells.push(this.#cell);
    this.#cell = '';
    this.#where = 'start of cell';
  }

  #finishRecord(): void {
    const isEmpty = this.#cells.length === 0 && this.#cell.trim() === '' && this.#where !== 'behind quote';
    this.#finishCell();
    if (this.#fault !== undefined) this.#refuse(this.#fault);
    else if (!isEmpty && this.#columns) this.#record(this.#columns);
    else if (!isEmpty) this.#header();
    this.#cells = [];
    this.#characters = 0;
    this.#fault = undefined;
  }

  #header(): void {
    const columns = this.#cells.map((name) => name.trim());
    const missing = REQUIRED.find((name) => !columns.includes(name));
    const faulty = columns.findIndex((name, index) => columnFault(name) || columns.indexOf(name) !== index);
    if (columns.length > CSV_COLUMNS_MAX) this.#refuse(`names more than ${CSV_COLUMNS_MAX} columns`);
    else if (missing !== undefined) this.#refuse(`names no column ${missing}: the first line has to name the columns`);
    else if (faulty !== -1) this.#refuse(`column ${faulty + 1}: has no name of its own that could be taken`);
    else this.#columns = columns;
  }

  /** Words and numbers are told apart by the column; what is no number stays text, and is refused as such. */
  #record(columns: readonly string[]): void {
    if (this.#cells.length !== columns.length) {
      const count = this.#cells.length > columns.length ? 'more' : `${this.#cells.length}, fewer`;
      return this.#refuse(`has ${count} columns than the ${columns.length} that the first line names`);
    }
    const record: Record<string, unknown> = {};
    const labels: Record<string, string> = {};
    for (const [index, name] of columns.entries()) {
      const cell = this.#cells[index]!;
      const trimmed = cell.trim();
      if (name === 'resource_ids') record[name] = trimmed.split(/[;\s]+/).flatMap(numberIn);
      else if (name === 'address' || name === 'country') record[name] = trimmed;
      else if (trimmed === '') continue;
      else if (name === 'rpw' || name === 'weight') record[name] = numberIn(trimmed)[0];
      else if (name.startsWith(LABEL_PREFIX)) labels[name.slice(LABEL_PREFIX.length)] = cell;
      else record[name] = cell;
    }
    if (Object.keys(labels).length > 0) record['labels'] = labels;
    // A part of a text keeps all of it in memory: a copy lets go of what was read.
    this.#intake.take(this.#startLine, JSON.parse(JSON.stringify(record)));
  }

  #refuse(message: string): void {
    if (this.#columns) this.#intake.refuse(this.#startLine, message);
    else this.#lose(this.#startLine, message);
  }

  #lose(line: number, message: string): void {
    this.#isLost = true;
    this.#intake.refuse(line, message);
  }
}

function tooLong(): string {
  return `has more than ${CSV_RECORD_CHARACTERS_MAX} characters`;
}

/** Nothing for nothing. */
function numberIn(text: string): (number | string)[] {
  if (text === '') return [];
  return [/^-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?$/.test(text) ? Number(text) : text];
}

/** Names that no record can have: none at all, `labels` without the name of one, and what isn't a name to JavaScript. */
function columnFault(name: string): boolean {
  return ['', 'labels', LABEL_PREFIX, '__proto__', `${LABEL_PREFIX}__proto__`].includes(name);
}
