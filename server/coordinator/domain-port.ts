import type { AnswersTo } from './domain.ts';

/** What the rest of the process sees of one domain. */
export interface DomainPort<
  State,
  Command extends { readonly type: string },
  Answers extends AnswersTo<Command>,
  Notice,
> {
  /**
   * Decides now, in this call. `released` gets the answer once everything that the decision saw is durable; `decided`
   * gets it at once and must let nothing of it out of the process.
   */
  execute<Given extends Command>(
    command: Given,
    released: (answer: Answers[Given['type']]) => void,
    decided?: (answer: Answers[Given['type']]) => void,
  ): void;
  /** Looks now; the value leaves like an answer. */
  read<Value>(query: (state: State, nowMs: number) => Value, released: (value: Value) => void): void;
  /** Each listener gets every notice; they leave like answers. */
  onNotice(listener: (notice: Notice) => void): void;
}
