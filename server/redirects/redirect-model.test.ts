import fc from 'fast-check';
import { expect, it } from 'vitest';
import { RedirectDriver } from '../testing/redirect-driver.ts';
import { REDIRECTS_MAX, type RedirectCommand, type RedirectRule } from './commands.ts';

/** Configurations as lists of all that they ever said; obviously right, and without a bound on history. */
class NaiveRedirects {
  readonly #histories: RedirectRule[][] = [];
  active = 0;
  #isShort = false;

  answer(command: RedirectCommand): object {
    switch (command.type) {
      case 'BeginRedirects':
        if (this.active === 0) this.active = this.#histories.push([ruleOf(command)]);
        return this.#shown(this.active);
      case 'CreateRedirect':
        if (this.#isShort) return { code: 'storage_full' };
        if (this.#histories.length === REDIRECTS_MAX) return { code: 'too_many' };
        return this.#shown(this.#histories.push([ruleOf(command)]));
      case 'SetStorage':
        this.#isShort = command.level !== 'ample';
        return { type: 'done' };
    }
    const history = this.#histories[command.id - 1];
    if (!history) return { what: 'id' };
    switch (command.type) {
      case 'UpdateRedirect': {
        if (command.version !== undefined && command.version !== history.length) return { version: history.length };
        const current = history.at(-1)!;
        const { cdnHost = current.cdnHost, distributionRate = current.distributionRate } = command;
        const isChange = cdnHost !== current.cdnHost || distributionRate !== current.distributionRate;
        if (isChange && this.#isShort) return { code: 'storage_full' };
        if (isChange) history.push({ cdnHost, distributionRate });
        break;
      }
      case 'ActivateRedirect':
        if (this.active !== command.id && this.#isShort) return { code: 'storage_full' };
        this.active = command.id;
        break;
      case 'RollBackRedirect': {
        const former = history[command.version - 1];
        if (!former) return { what: 'version' };
        if (this.#isShort) return { code: 'storage_full' };
        history.push(former);
      }
    }
    return this.#shown(command.id);
  }

  restart(): void {
    this.#isShort = false;
  }

  /** What requests go by. */
  get rule(): RedirectRule | undefined {
    return this.#histories[this.active - 1]?.at(-1);
  }

  get histories(): readonly (readonly RedirectRule[])[] {
    return this.#histories;
  }

  #shown(id: number): object {
    const history = this.#histories[id - 1]!;
    return { redirect: { id, ...history.at(-1)!, version: history.length } };
  }
}

function ruleOf({ cdnHost, distributionRate }: RedirectRule): RedirectRule {
  return { cdnHost, distributionRate };
}

const id = fc.integer({ min: 1, max: 4 });
const version = fc.integer({ min: 1, max: 8 });
const cdnHost = fc.constantFrom('a.example', 'b.example:8080', '[::1]');
const distributionRate = fc.constantFrom(1, 2, 10, Number.MAX_SAFE_INTEGER);
const commandOf = <const Type extends RedirectCommand['type'], Fields extends object>(
  type: Type,
  fields: { [Name in keyof Fields]: fc.Arbitrary<Fields[Name]> },
) => fc.record({ type: fc.constant(type), ...fields }) as unknown as fc.Arbitrary<{ type: Type } & Fields>;
const optional = <Value>(value: fc.Arbitrary<Value>) => fc.option(value, { nil: undefined });
const restart = fc.record({
  type: fc.constant('Restart' as const),
  from: fc.constantFrom('snapshot' as const, 'journal' as const),
});
const level = fc.constantFrom('ample' as const, 'ample' as const, 'low' as const);
const step = fc.oneof(
  { weight: 2, arbitrary: commandOf('CreateRedirect', { cdnHost, distributionRate }) },
  {
    weight: 10,
    arbitrary: commandOf('UpdateRedirect', {
      id,
      cdnHost: optional(cdnHost),
      distributionRate: optional(distributionRate),
      version: optional(version),
    }),
  },
  { weight: 3, arbitrary: commandOf('ActivateRedirect', { id }) },
  { weight: 3, arbitrary: commandOf('RollBackRedirect', { id, version }) },
  { weight: 1, arbitrary: commandOf('SetStorage', { level }) },
  { weight: 2, arbitrary: restart },
);

it('says what lists of all versions say, whatever restarts amid them', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80, size: 'max' }), (steps) => {
      const driver = new RedirectDriver();
      const model = new NaiveRedirects();
      const begin = { type: 'BeginRedirects', cdnHost: 'first.example', distributionRate: 10 } as const;
      let rule: RedirectRule = ruleOf(driver.execute(begin).redirect);
      model.answer(begin);
      for (const each of steps) {
        driver.utcMs += 1;
        if (each.type === 'Restart') {
          const before = driver.snapshot();
          driver.restart(each.from);
          expect(driver.snapshot()).toEqual(before);
          model.restart();
          expect(driver.execute(begin)).toMatchObject(model.answer(begin));
        } else {
          expect(driver.execute(each)).toMatchObject(model.answer(each));
        }
        for (const notice of driver.notices.splice(0)) rule = ruleOf(notice.redirect);
        expect(rule).toEqual(model.rule);
        const histories = Array.from(driver.state.redirects.values(), ({ versions }) => versions.map(ruleOf));
        expect(histories).toEqual(model.histories);
      }
    }),
  );
});
