import { type Command, InvalidArgumentError } from 'commander';
import { at } from './at.ts';
import { dump } from './dump.ts';
import { ending } from './ending.ts';
import { repair } from './repair.ts';
import { verify } from './verify.ts';

/** `-90s`, as the issue writes a time ago; to a parser of flags it looks like one. */
const AGO = /^-(\d+(?:\.\d+)?(?:ms|s|m|h|d))$/;

export function withTimesAgo(argv: readonly string[]): string[] {
  return argv.map((argument) => argument.replace(AGO, '$1 ago'));
}

/** The tools that work on a data folder without a coordinator. */
export function addJournalCommands(program: Command): void {
  const journal = program.command('journal').description('look at a data folder, look back in it, repair it');

  journal
    .command('verify')
    .description('check every byte of the folder, also while a coordinator uses it; changes nothing')
    .argument('<dir>', 'the data folder, or a copy of it')
    .option('--json', 'a JSON object a line')
    .addHelpText('after', '\nExit code: 0 sound, 65 faults found, 74 the folder cannot be read.')
    .action((dir: string, options: { json?: true }) => ending(() => verify(dir, options)));

  journal
    .command('dump')
    .description('what the journal holds: a JSON object a line for each event, credentials masked')
    .argument('<dir>', 'the data folder, or a copy of it')
    .option('--from <position>', 'begin with this event', position)
    .option('--to <position>', 'end with this event', position)
    .option('--snapshot', 'the records of the oldest snapshot kept first, then the events behind it')
    .addHelpText('after', '\nExit code: 0 all is out, 65 it ends at damage, 74 the folder cannot be read.')
    .action((dir: string, options: { from?: number; to?: number; snapshot?: true }) =>
      ending(() => dump(dir, options)),
    );

  journal
    .command('at')
    .description('who held what at a time of the past, and how it ended')
    .argument('<dir>', 'the data folder, or a copy of it')
    .argument('<time>', 'ISO 8601, UTC where no zone is named; or ago: -90s, -10m, -2h, -1d')
    .option('--resource <id>', 'leases of this resource only', position)
    .option('--address <address>', 'leases of this address only: all of it, its host:port, or its id')
    .option('--json', 'a JSON object a line')
    .addHelpText(
      'after',
      `
A time that the wall clock has shown twice, since it was set back, is taken as it was shown last.
Exit code: 0 answered, 64 nothing is kept from that time, 65 damage, 74 the folder cannot be read.`,
    )
    .action((dir: string, time: string, options: { resource?: number; address?: string; json?: true }) =>
      ending(() => at(dir, time, options, Date.now())),
    );

  journal
    .command('repair')
    .description('say what could be saved of a damaged folder; with --apply, save it')
    .argument('<dir>', 'the data folder; no coordinator may use it')
    .option('--apply', 'do it; the originals of all that changes stay in a folder damaged-…')
    .addHelpText(
      'after',
      '\nExit code: 0 sound (now), 65 damaged (still), 74 the disk failed, 75 the folder is in use.',
    )
    .action((dir: string, options: { apply?: true }) => ending(() => repair(dir, options, Date.now())));
}

function position(text: string): number {
  if (!/^[1-9]\d{0,15}$/.test(text)) throw new InvalidArgumentError('a whole number above 0 is needed');
  return Number(text);
}
