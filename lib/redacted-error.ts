/** What has been through here: done again, the notes on it would look like a driver's words. */
const REDACTED = new WeakSet<object>();

/**
 * A copy of a driver's error that is fit for a log. Messages of drivers are data: they repeat parameters (MySQL's
 * "Duplicate entry '…'"), and a visitor chooses what stands in those, quotes and line breaks too. Kept are name and code,
 * the words around what is quoted, and names of tables, columns and commands where nothing else can stand in their place.
 */
export function withoutSecrets(cause: unknown): Error | undefined {
  if (cause === undefined || REDACTED.has(Object(cause) as object)) return cause as Error | undefined;
  const { name, message, stack } = Object(cause) as Record<keyof Error, unknown>;
  const text = [message, cause].find((each) => typeof each === 'string') ?? '';
  const code = codeOf(cause);
  const words = isRaised(cause, code) ? RAISED : redact(text, code);
  const safe = new Error(words + notesOf(cause, code, text));
  REDACTED.add(safe);
  safe.name = isName(name) ? name : 'Error';
  safe.stack = [`${safe.name}: ${safe.message}`, ...framesOf(stack, text)].join('\n');
  return code === undefined ? safe : Object.assign(safe, { code });
}

/** One line of a log about an error that {@link withoutSecrets} made: its name, its message, and its code if that lacks it. */
export function lineOfError(error: unknown): string {
  const { name, message } = Object(error) as { name?: unknown; message?: unknown };
  const line = withoutControls(`${String(name)}: ${String(message)}`);
  const code = String(codeOf(error) ?? '');
  return line.includes(code) ? line : `${line} (${code})`;
}

/** A text on one line, without what a terminal obeys: control characters, and what turns the direction of writing. */
export function withoutControls(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ');
}

/** In place of what triggers and functions of the database say by themselves: it may have the values of a row in it. */
const RAISED = 'a trigger or a function of the database refused it';
const CODES_OF_RAISED = /^(?:P0001|ER_SIGNAL_\w+|SQLITE_CONSTRAINT_TRIGGER)$/;

function isRaised(cause: unknown, code: unknown): boolean {
  const { driverError, routine = (Object(driverError) as { routine?: unknown }).routine } = Object(cause) as {
    driverError?: unknown;
    routine?: unknown;
  };
  // PostgreSQL's RAISE may give any code, and names itself beside it.
  return routine === 'exec_stmt_raise' || CODES_OF_RAISED.test(String(code));
}

const QUOTES = '\'"`‘’‚“”„«»';

/**
 * From the first quote or bracket to the last, as what is quoted may have quotes itself; to the end where the other one is
 * missing, because the driver has cut its message off, or because a value opens one and ends.
 */
const QUOTED = new RegExp(`[${QUOTES}([{<](?:.*[${QUOTES})\\]}>]|.*)`, 'gs');

/** MySQL cuts messages off at 512 bytes, and others elsewhere: so long a one may end within what is quoted. */
const LONG = 250;
const QUOTED_TO_THE_END = new RegExp(`[${QUOTES}([{<].*`, 's');
const ONE_QUOTED = new RegExp(`^[^${QUOTES}]*[${QUOTES}]([\\w$.-]{1,64})[${QUOTES}][^${QUOTES}]*$`);

/** What these complain of stands in the statement, and never among its parameters: their quotes hold names. */
const ABOUT_NAMES: readonly unknown[] = [
  ...['42P01', '42703', '42501', '3D000', '3F000'], // PostgreSQL: no such table, column, privilege, database, schema
  ...['ER_NO_SUCH_TABLE', 'ER_BAD_FIELD_ERROR', 'ER_BAD_DB_ERROR', 'ER_TABLEACCESS_DENIED_ERROR'],
];

/** Sentences that are known to the end, or from the beginning to where their names end; the names are words. */
const KNOWN_SENTENCES: readonly RegExp[] = [
  /^relation "[\w$.]{1,64}" does not exist$/,
  /^Table '[\w$.-]{1,130}' doesn't exist$/,
  /^CONSTRAINT `[\w$.]{1,130}` failed for `[\w$-]{1,64}`\.`[\w$]{1,64}`$/,
  /^Unknown column '[\w$.]{1,130}' in '(?:field list|where clause|SELECT|INSERT INTO|SET|WHERE|order clause)'$/i,
  /^(?:SqliteError: )?no such (?:table|column): [\w$.]{1,64}$/,
  /^(?:SqliteError: )?table [\w$.]{1,64} has no column named [\w$]{1,64}$/,
  /^(?:INSERT|SELECT|UPDATE|DELETE)(?:, \w+)* command denied to user '[\w-]{1,80}'@'[\w.%:-]{1,255}' for table [`']?[\w$.`']{1,135}$/,
  /^NOPERM (?:this user|User \w{1,40}) has no permissions to run the '[\w|-]{1,40}' command/,
  /^ERR unknown command [`'][\w.-]{1,40}[`']/,
  /^OOM command not allowed when used memory > 'maxmemory'/,
];

/** Where the column stands after the value: at the end, so that no value can pretend it. */
const COLUMN_AT_THE_END =
  /for column [`']?(?:[`']?[\w$]{1,64}[`']?\.){0,2}[`']?[\w$]{1,64}[`']? at row \d{1,9}$/;

/** The same for the key of a duplicate entry; elsewhere a value may be the last, and end like this. */
const KEY_AT_THE_END = /for key '[\w$.]{1,64}'$/;

/** Ids have 43 characters, keys 64; names of tables and columns are hardly ever as long, and have no digits then. */
const LIKE_AN_ID = /(?=[\w-]*\d)[\w-]{40,}/;

const MIGRATION = /^(?:Create|Upgrade)SessionTable\d{13}$/;

function redact(text: string, code: unknown): string {
  const known = KNOWN_SENTENCES.map((each) => each.exec(text)?.[0]).find((each) => each !== undefined);
  if (known !== undefined && !LIKE_AN_ID.test(known)) return withoutControls(known).slice(0, 300);
  const isAboutOneName = ABOUT_NAMES.includes(code) && isName(ONE_QUOTED.exec(text)?.[1]);
  return withoutControls(isAboutOneName ? text : cut(text)).slice(0, 300);
}

function cut(text: string): string {
  const place = (/^Duplicate entry /.test(text) ? KEY_AT_THE_END : COLUMN_AT_THE_END).exec(text)?.[0];
  if (place === undefined || LIKE_AN_ID.test(place)) return withoutQuoted(text);
  return `${withoutQuoted(text.slice(0, -place.length).trimEnd())} ${place}`;
}

function withoutQuoted(text: string): string {
  // An apostrophe that is alone quotes nothing: "You can't write against a read only replica."
  const isQuoting = !/^[^'"`([{<]*[a-z]'[a-z][^'"`)\]}>]*$/i.test(text);
  return (isQuoting ? text.replace(text.length > LONG ? QUOTED_TO_THE_END : QUOTED, '…') : text).replace(
    /[\w-]{20,}/g,
    (word) => (MIGRATION.test(word) ? word : '…'),
  );
}

/** PostgreSQL names what an error is about beside the message; what makes a missing table or column is ours to say. */
function notesOf(cause: unknown, code: unknown, text: string): string {
  const { driverError } = Object(cause) as { driverError?: unknown };
  const place = Object(driverError ?? cause) as Record<string, unknown>;
  const names = ['table', 'column', 'constraint'].filter((each) => isName(place[each]));
  const notes = names.map((each) => `${each} ${String(place[each])}`);
  // TypeORM alone has a `driverError`.
  if (driverError !== undefined) notes.push(...migrationFor(code, text));
  return notes.map((each) => ` · ${each}`).join('');
}

function migrationFor(code: unknown, text: string): string[] {
  if (code === '42P01' || code === 'ER_NO_SUCH_TABLE' || /^(?:SqliteError: )?no such table: /.test(text))
    return ['the migration CreateSessionTable1764000000000 of nest-session/typeorm makes the session table'];
  const isColumn = /^(?:SqliteError: )?(?:no such column: |table \S+ has no column named )/.test(text);
  if (code === '42703' || code === 'ER_BAD_FIELD_ERROR' || isColumn)
    return [
      'the migration UpgradeSessionTable1795824000000 of nest-session/typeorm upgrades the session table',
    ];
  return [];
}

/** A word as tables and columns are called, and errors and codes too. */
function isName(text: unknown): text is string {
  return typeof text === 'string' && /^[\w$.-]{1,63}$/.test(text) && !LIKE_AN_ID.test(text);
}

function codeOf(cause: unknown): string | number | undefined {
  const { driverError, code = (Object(driverError) as { code?: unknown }).code } = Object(cause) as {
    driverError?: unknown;
    code?: unknown;
  };
  if (typeof code === 'number') return code;
  return isName(code) ? code : undefined;
}

/** The stack begins with the message, whose lines may look like frames: without it there is no telling them apart. */
function framesOf(stack: unknown, text: string): string[] {
  if (typeof stack !== 'string' || !stack.includes(text)) return [];
  const lines = stack.slice(stack.indexOf(text) + text.length).split('\n');
  return lines
    .filter((line) => /^\s+at .*:\d+:\d+\)?$/.test(line))
    .map((line) => `    ${withoutControls(line).trim()}`);
}
