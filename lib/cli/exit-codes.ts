/** What the process ends with. Scripts depend on it: a number keeps its meaning. */
export const EXIT = {
  done: 0,
  failed: 1,
  usage: 2,
  unsupported: 3,
  notFound: 4,
  interrupted: 130, // as a shell reports a process that ended by Ctrl-C
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

export const EXIT_CODES_HELP = `
Exit codes:
  0    done
  1    the application could not be loaded or started, or its store failed
  2    wrong usage
  3    the store of this application can't do that
  4    no such session
  130  interrupted (Ctrl-C, SIGTERM), or not confirmed; what was done until then stays done
`;

/** Ends the command: the message goes to the standard error, and the code to whoever started us. */
export class CommandError extends Error {
  constructor(
    readonly exitCode: ExitCode,
    message: string,
    /** For --debug, which shows its stack. */
    cause?: unknown,
  ) {
    super(message, { cause });
    this.name = 'CommandError';
  }
}
