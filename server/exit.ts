/** Exit codes, after sysexits.h. */
export const EXIT = { clean: 0, usage: 64, data: 65, unavailable: 69, internal: 70, storage: 74, held: 75 } as const;

/** A start or a command that was refused, with what the operator should read and the code to exit with. */
export class Refusal extends Error {
  readonly exitCode: number;

  constructor(exitCode: number, message: string) {
    super(message);
    this.exitCode = exitCode;
  }
}
