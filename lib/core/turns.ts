/** Lets tasks of one key run one after the other, in the order in which they came; tasks of different keys side by side. */
export class Turns {
  readonly #lines = new Map<string, { last: Promise<unknown>; length: number }>();

  /** @param max so many tasks of one key may be under way or wait */
  constructor(private readonly max = Infinity) {}

  /**
   * @returns what the task gives; throws what it throws, and the next one runs all the same
   * @throws RangeError when too many wait already
   */
  async take<T>(key: string, task: () => Promise<T>): Promise<T> {
    const line = this.#lines.get(key) ?? { last: Promise.resolve(), length: 0 };
    if (line.length >= this.max)
      throw new RangeError(`${this.max} commands to one session are under way or wait: one more is refused.`);
    const turn = line.last.then(task, task);
    line.last = turn;
    line.length++;
    this.#lines.set(key, line);
    try {
      return await turn;
    } finally {
      line.length--;
      if (line.length === 0) this.#lines.delete(key);
    }
  }
}
