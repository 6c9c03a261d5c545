import type { LoggerService } from '@nestjs/common';

/** What an application logs while a test runs, kept for the case that it fails: jest-environment.js shows it then. */
declare global {
  var sessionTestLog: string[] | undefined;
}

const MAX_LINES = 50;

/** A logger for applications of tests: silent, as long as the test passes. */
export const failureLog: LoggerService = {
  log: () => undefined,
  warn: () => undefined,
  error: (message: unknown, ...details: unknown[]) => keep([message, ...details].map(String).join(' ')),
  fatal: (message: unknown) => keep(String(message)),
};

function keep(line: string): void {
  const lines = (globalThis.sessionTestLog ??= []);
  if (lines.length < MAX_LINES) lines.push(line);
}
