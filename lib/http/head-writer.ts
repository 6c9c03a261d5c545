import type { OutgoingHttpHeader, ServerResponse } from 'node:http';

type Headers = Record<string, OutgoingHttpHeader>;

/**
 * The head of a response that is about to leave: headers set on the response, and those in the arguments of a held
 * `writeHead`, in any of the forms that Node takes (object, flat array, array of pairs, with or without a reason).
 *
 * Node lets the arguments replace what was set before. For the lists that a session adds to, both are united instead,
 * so that no cookie and no Vary value of anybody is lost.
 */
export class HeadWriter {
  /** What to call `writeHead` with; undefined when it was not `writeHead` that is held. */
  readonly arguments: unknown[] | undefined;
  readonly #headers: Headers | undefined;

  constructor(
    private readonly response: ServerResponse,
    args?: unknown[],
  ) {
    this.arguments = args;
    if (!args) return;
    const [status, reason] = args;
    const raw = typeof reason === 'string' ? args[2] : (reason ?? args[2]);
    if (raw === undefined || raw === null) return;
    // A copy: the caller's object may be a constant that it uses for every answer.
    this.#headers = headersOf(raw);
    this.arguments = typeof reason === 'string' ? [status, reason, this.#headers] : [status, this.#headers];
  }

  /** The values that would leave under a name. */
  values(name: string): string[] {
    const spelling = this.#headers && spellingOf(this.#headers, name);
    const ofArguments = spelling === undefined ? undefined : this.#headers?.[spelling];
    const ofResponse = this.response.getHeader(name);
    const isList = name === 'Set-Cookie' || name === 'Vary';
    if (ofArguments === undefined) return texts(ofResponse);
    return isList ? [...new Set([...texts(ofResponse), ...texts(ofArguments)])] : texts(ofArguments);
  }

  set(name: string, value: string | string[]): void {
    // Among the arguments where there are some: Node is slower when headers come from both sides.
    if (this.#headers) this.#headers[spellingOf(this.#headers, name) ?? name] = value;
    else this.response.setHeader(name, value);
  }
}

function texts(value: OutgoingHttpHeader | undefined): string[] {
  if (value === undefined) return [];
  return Array.isArray(value) ? value.map(String) : [String(value)];
}

/** How a header is spelt among the arguments, if it is there. */
function spellingOf(headers: Headers, name: string): string | undefined {
  for (const key of Object.keys(headers))
    if (key.length === name.length && key.toLowerCase() === name.toLowerCase()) return key;
  return undefined;
}

/** One object with a list for names that come more than once; without a prototype, for a header named `__proto__`. */
function headersOf(raw: unknown): Headers {
  const headers: Headers = { __proto__: null } as never;
  // Not `{ ...raw }`: V8 takes 20 times as long to add a property to what a spread has made.
  if (!Array.isArray(raw)) return Object.assign(headers, raw);
  const spelling = new Map<string, string>();
  for (const [name, value] of Array.isArray(raw[0]) ? (raw as [string, string][]) : pairs(raw as string[])) {
    const known = spelling.get(name.toLowerCase()) ?? name;
    spelling.set(name.toLowerCase(), known);
    headers[known] = known in headers ? [...texts(headers[known]), ...texts(value)] : value;
  }
  return headers;
}

function* pairs(flat: string[]): Generator<[string, string]> {
  for (let i = 0; i + 1 < flat.length; i += 2) yield [flat[i], flat[i + 1]];
}
