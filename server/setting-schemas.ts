/** What the tables of settings are made of: schemas whose messages say what the value must be, and names in both cases. */
import * as v from 'valibot';

/** `least` and `most` included. */
export function integer(least: number, most: number) {
  const message = `must be an integer from ${least} to ${most}`;
  return v.pipe(v.number(message), v.safeInteger(message), v.minValue(least, message), v.maxValue(most, message));
}

/** `least` and `most` included; fractions too. */
export function number(least: number, most: number) {
  const message = `must be a number from ${least} to ${most}`;
  return v.pipe(v.number(message), v.finite(message), v.minValue(least, message), v.maxValue(most, message));
}

export function text(lengthMax: number) {
  const message = `must be a text of 1 to ${lengthMax} characters`;
  return v.pipe(v.string(message), v.minLength(1, message), v.maxLength(lengthMax, message));
}

export function oneOf<const Words extends readonly string[]>(words: Words) {
  return v.picklist(words, `must be one of ${words.join(', ')}`);
}

type Camel<Name extends string> = Name extends `${infer Head}_${infer Tail}`
  ? `${Head}${Capitalize<Camel<Tail>>}`
  : Name;
export type CamelKeys<Fields> = { readonly [Name in keyof Fields as Camel<Name & string>]: Fields[Name] };

/** Keys of the outermost level only. */
export function toCamelKeys<Fields extends object>(fields: Fields): CamelKeys<Fields> {
  const entries = Object.entries(fields).map(([name, value]) => [
    name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase()),
    value,
  ]);
  return Object.fromEntries(entries) as CamelKeys<Fields>;
}

/** `banMaxMs` as `ban_max_ms`. */
export function toSnakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
