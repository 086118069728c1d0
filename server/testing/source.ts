import { posix } from 'node:path';
import { parseAst } from 'vitest/node';

/** What the rules of the architecture ask about one file. */
export interface Source {
  /** From the project's root, with `/`. */
  readonly path: string;
  readonly lineCount: number;
  readonly imports: readonly Import[];
  /** What it reads of clock, randomness or environment, and the timers it sets; by name, in the file's order. */
  readonly impurities: readonly string[];
}

export interface Import {
  /** A file of ours from the project's root, or a package as imported. */
  readonly target: string;
  readonly isOurs: boolean;
  /** Nothing of it is left when the program runs. */
  readonly isTypeOnly: boolean;
}

/** Looks at the syntax tree, not at the text: what stands in comments and strings is neither import nor call. */
export function readSource(path: string, text: string): Source {
  const reader = new SourceReader(path);
  reader.visit(parseAst(text, { lang: 'ts' }) as unknown as Node, false);
  // A last line without a line feed counts, what follows the last line feed doesn't.
  const lineCount = text.split('\n').length - (text.endsWith('\n') ? 1 : 0);
  return { path, lineCount, imports: reader.imports, impurities: reader.impurities };
}

/** A node of the tree, ESTree with TypeScript's own, as far as we look at it. */
interface Node {
  readonly type: string;
  readonly [field: string]: unknown;
}

const TIMERS = ['setTimeout', 'setInterval', 'setImmediate'];
/** Globals that nothing pure has a use for, however they are passed on. */
const GLOBALS: ReadonlySet<string> = new Set([...TIMERS, 'performance']);
const MEMBERS: Readonly<Record<string, readonly string[]>> = {
  Date: ['now'],
  Math: ['random'],
  process: ['env', 'argv', 'hrtime', 'uptime'],
  crypto: ['getRandomValues', 'randomUUID'],
  globalThis: [...GLOBALS, 'process', 'crypto'],
};
/** Names that a module may not be imported for; an empty list: for nothing at all. */
const MODULES: Readonly<Record<string, readonly string[]>> = {
  crypto: [
    'default',
    'getRandomValues',
    'randomBytes',
    'randomFill',
    'randomFillSync',
    'randomInt',
    'randomUUID',
    'webcrypto',
  ],
  perf_hooks: [],
  process: [],
  timers: [],
  'timers/promises': [],
};
/** Subtrees of types: they hold no code, and their imports vanish. */
const TYPE_NODE = /^TS(?!AsExpression|SatisfiesExpression|NonNullExpression|InstantiationExpression)/;

class SourceReader {
  readonly imports: Import[] = [];
  readonly impurities: string[] = [];
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  visit(node: Node, inType: boolean): void {
    switch (node.type) {
      case 'ImportDeclaration':
      case 'ExportNamedDeclaration':
      case 'ExportAllDeclaration':
        if (isNode(node.source)) return this.#statement(node, node.source);
        break;
      case 'ImportExpression':
      case 'TSImportType':
        if (isNode(node.source)) this.#import(node.source.value, node.type === 'TSImportType');
        break;
      case 'CallExpression':
        if (nameOf(node.callee) === 'Date') this.impurities.push('Date()');
        break;
      case 'NewExpression':
        if (nameOf(node.callee) === 'Date' && isEmpty(node.arguments)) this.impurities.push('new Date()');
        break;
      case 'MemberExpression':
        return this.#member(node, inType);
      case 'Identifier':
        if (!inType && GLOBALS.has(String(node.name))) this.impurities.push(String(node.name));
        if (!inType && node.name === 'process') this.impurities.push('process as a value');
        break;
      default:
    }
    const isType = inType || TYPE_NODE.test(node.type);
    for (const [field, child] of Object.entries(node)) {
      // The name of a property is no reference to what is called so outside.
      if (field === 'key' && node.computed !== true) continue;
      this.#children(child, isType);
    }
  }

  #children(child: unknown, inType: boolean): void {
    if (Array.isArray(child)) for (const item of child) this.#children(item, inType);
    else if (isNode(child)) this.visit(child, inType);
  }

  #member(node: Node, inType: boolean): void {
    const { object, property } = node;
    const owner = nameOf(object);
    const member = node.computed === true ? String((property as Node).value) : nameOf(property);
    if (owner !== undefined && member !== undefined && Object.hasOwn(MEMBERS, owner)) {
      if (MEMBERS[owner]?.includes(member)) this.impurities.push(`${owner}.${member}`);
    } else if (owner === 'performance') this.impurities.push(`performance.${member}`);
    else this.#children(object, inType);
    if (node.computed === true) this.#children(property, inType);
  }

  /** `import … from` or `export … from`. */
  #statement(node: Node, source: Node): void {
    const kind = node.importKind ?? node.exportKind;
    const specifiers = (node.specifiers ?? []) as Node[];
    const values = specifiers.filter((specifier) => (specifier.importKind ?? specifier.exportKind) !== 'type');
    const isTypeOnly = kind === 'type' || (specifiers.length > 0 && values.length === 0);
    this.#import(source.value, isTypeOnly);
    const module = String(source.value).replace(/^node:/, '');
    if (isTypeOnly || !Object.hasOwn(MODULES, module)) return;
    const refused = MODULES[module] ?? [];
    for (const specifier of values) {
      const name = nameOf(specifier.imported ?? specifier.local) ?? '*';
      const taken = specifier.type === 'ImportSpecifier' || specifier.type === 'ExportSpecifier' ? name : 'default';
      if (refused.length === 0 || refused.includes(taken)) this.impurities.push(`${taken} of ${module}`);
    }
  }

  #import(specifier: unknown, isTypeOnly: boolean): void {
    // What is computed can't be followed, so it is taken for a package that nobody may import.
    const text = typeof specifier === 'string' ? specifier : '(computed)';
    const isOurs = text.startsWith('.');
    const target = isOurs ? posix.normalize(posix.join(posix.dirname(this.#path), text)) : text;
    this.imports.push({ target, isOurs, isTypeOnly });
  }
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && typeof (value as { type?: unknown }).type === 'string';
}

function nameOf(node: unknown): string | undefined {
  return isNode(node) && node.type === 'Identifier' ? String(node.name) : undefined;
}

function isEmpty(list: unknown): boolean {
  return Array.isArray(list) && list.length === 0;
}
