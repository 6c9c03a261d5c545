import { AsyncLocalStorage } from 'node:async_hooks';
import type { SessionStore } from 'nest-session';

const COMMANDS = [
  ...(['load', 'create', 'save', 'delete', 'touch', 'rename', 'atomic'] as const),
  ...(['findByUser', 'deleteByUser'] as const),
];
type Command = (typeof COMMANDS)[number];
const READS: readonly Command[] = ['load', 'findByUser'];
const OF_USERS: readonly Command[] = ['findByUser', 'deleteByUser'];

/** A command that waits for its turn. */
export interface Waiting {
  readonly request: number;
  readonly command: Command;
  /** The keys that it names; a user's id for what asks for all of theirs. */
  readonly names: readonly string[];
  /** Lets it go, and resolves when the store has answered. */
  go(): Promise<void>;
}

/** Which of the waiting commands comes next; undefined ends the run: nobody needs this order. */
export type Choose = (waiting: readonly Waiting[]) => number | undefined;

/** Whether it makes no difference which of two comes first. */
function isIndependent(one: Waiting, other: Waiting): boolean {
  if (READS.includes(one.command) && READS.includes(other.command)) return true;
  if ([one, other].some(({ command }) => OF_USERS.includes(command))) return false;
  return !one.names.some((name) => other.names.includes(name));
}

/**
 * A store whose commands wait for their turn as long as requests run side by side, so that a test decides in which order
 * they come. What is asked outside of {@link run} comes at once.
 */
export class HeldStore {
  readonly #waiting: Waiting[] = [];
  readonly #request = new AsyncLocalStorage<number>();
  #changes = 0;

  constructor(store: SessionStore) {
    refuseTakenHandles(store);
    for (const command of COMMANDS) {
      const original = (store[command] as (...args: unknown[]) => Promise<unknown>).bind(store);
      Object.assign(store, {
        [command]: (...args: unknown[]) => this.#hold(command, args, () => original(...args)),
      });
    }
  }

  /**
   * Runs requests side by side.
   *
   * @returns the commands in their order, and false where the run was given up
   */
  async run(
    requests: readonly (() => Promise<void>)[],
    choose: Choose,
  ): Promise<{ trace: string[]; isWhole: boolean }> {
    const trace: string[] = [];
    let running = requests.length;
    const finished = requests.map((request, index) =>
      this.#request.run(index, () =>
        request().finally(() => {
          running--;
          this.#changes++;
        }),
      ),
    );
    let isWhole = true;
    for (;;) {
      await this.#quiet();
      if (this.#waiting.length === 0) {
        if (running === 0) break;
        throw new Error(`Nobody waits, and ${running} requests run: ${trace.join(' ')}`);
      }
      this.#waiting.sort((a, b) => a.request - b.request);
      const next: number | undefined = isWhole ? choose(this.#waiting) : 0;
      isWhole &&= next !== undefined;
      const [{ request, command, go }] = this.#waiting.splice(next ?? 0, 1);
      trace.push(`${request}:${command}`);
      await go();
    }
    await Promise.all(finished);
    return { trace, isWhole };
  }

  #hold(command: Command, args: unknown[], work: () => Promise<unknown>): Promise<unknown> {
    const request = this.#request.getStore();
    if (request === undefined) return work();
    this.#changes++;
    return new Promise((resolve, reject) => {
      const go = async () => {
        const outcome = work();
        resolve(outcome);
        await outcome.catch(reject);
        this.#changes++;
      };
      const names = args.slice(0, command === 'rename' ? 2 : 1) as string[];
      this.#waiting.push({ request, command, names, go });
    });
  }

  /** Until every request waits for its turn or is over: they wait for nothing else, not even for the next tick. */
  async #quiet(): Promise<void> {
    for (let before = -1; before !== this.#changes;) {
      before = this.#changes;
      await new Promise(setImmediate);
    }
  }
}

/** A handle is the name of one session for all its life. A store may hold that (TypeORM's primary key), and need not. */
function refuseTakenHandles(store: SessionStore): void {
  const create = store.create.bind(store);
  const taken = new Set<string>();
  store.create = async (key, record) => {
    if (taken.has(record.handle)) throw new Error('A second session was to have the same handle.');
    const created = await create(key, record);
    if (created) taken.add(record.handle);
    return created;
  };
}

/**
 * Runs a story in every order that its requests' commands can have. Of two orders that differ in which of two neighbours
 * comes first, and where that makes no difference, one is enough; of requests of one kind the first begins.
 *
 * @param play runs the story once, with the choices that it is given
 * @param kinds what each request does
 * @param max so many orders are tried at most
 * @returns how many were tried, and whether those were all
 */
export async function inEveryOrder(
  play: (choose: Choose) => Promise<void>,
  kinds: readonly string[],
  max: number,
): Promise<{ orders: number; areAll: boolean }> {
  let path: { chosen: number; of: readonly number[] }[] = [];
  let orders = 0;
  while (orders < max) {
    const run = chooseAlong(path, kinds);
    await play(run.choose);
    if (run.isWhole()) orders++;
    path = path.slice(0, run.steps());
    while (path.length > 0 && path.at(-1)!.chosen === path.at(-1)!.of.length - 1) path.pop();
    const last = path.at(-1);
    if (!last) return { orders, areAll: true };
    last.chosen++;
  }
  return { orders, areAll: false };
}

/** Follows a path as far as it goes, and then takes the first way of all that are open. */
function chooseAlong(path: { chosen: number; of: readonly number[] }[], kinds: readonly string[]) {
  const begun = new Set<number>();
  let step = 0;
  let isWhole = true;
  let before: Waiting | undefined;
  let waitedBefore: readonly Waiting[] = [];
  const choose: Choose = (waiting) => {
    // What could have come before the last one as well, and changed nothing, was tried there.
    const isTried = (each: Waiting) =>
      before !== undefined &&
      each.request < before.request &&
      waitedBefore.includes(each) &&
      isIndependent(each, before);
    const isTwin = ({ request }: Waiting) =>
      !begun.has(request) &&
      kinds.some((kind, other) => other < request && kind === kinds[request] && !begun.has(other));
    const open = [...waiting.keys()].filter((index) => !isTried(waiting[index]) && !isTwin(waiting[index]));
    if (open.length === 0) {
      isWhole = false;
      return undefined;
    }
    const { chosen, of } = (path[step++] ??= { chosen: 0, of: open });
    before = waiting[of[chosen]];
    begun.add(before.request);
    waitedBefore = [...waiting];
    return of[chosen];
  };
  return { choose, steps: () => step, isWhole: () => isWhole };
}

/** Any order, another for each seed. */
export function atRandom(seed: string): Choose {
  const random = randomFrom(seed);
  return (waiting) => Math.floor(random() * waiting.length);
}

/** Numbers from 0 to 1 that are the same for each seed (mulberry32). */
export function randomFrom(seed: string): () => number {
  let state = [...seed].reduce((sum, character) => (Math.imul(sum, 31) + character.charCodeAt(0)) | 0, 7);
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
