/** Lets tasks of one key run one after the other, in the order in which they came; tasks of different keys side by side. */
export class Turns {
  readonly #last = new Map<string, Promise<unknown>>();

  /** @returns what the task gives; throws what it throws, and the next one runs all the same */
  async take<T>(key: string, task: () => Promise<T>): Promise<T> {
    const turn = (this.#last.get(key) ?? Promise.resolve()).then(task, task);
    this.#last.set(key, turn);
    try {
      return await turn;
    } finally {
      if (this.#last.get(key) === turn) this.#last.delete(key);
    }
  }
}
