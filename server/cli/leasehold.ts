#!/usr/bin/env node
/** The command line: one group of commands per subject. What a command does stands in the file of its name. */
import { Command, CommanderError } from 'commander';
import { EXIT } from '../exit.ts';
import { addJournalCommands, withTimesAgo } from './journal-commands.ts';

const program = new Command('leasehold')
  .description('Leasehold: tools around the coordinator, which is started with npm start')
  .exitOverride()
  .showHelpAfterError('(--help says how)');
addJournalCommands(program);

try {
  await program.parseAsync(withTimesAgo(process.argv.slice(2)), { from: 'user' });
} catch (error) {
  if (!(error instanceof CommanderError)) throw error;
  // Help that was asked for ends with 0; whatever else commander ends for is how it was called.
  process.exitCode = error.exitCode === 0 ? EXIT.clean : EXIT.usage;
}
