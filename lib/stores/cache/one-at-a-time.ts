/** Lets tasks that share a key run one after the other, in the order in which they came. Within this process. */
export class OneAtATime {
  readonly #last = new Map<string, Promise<void>>();

  /** Queues for all keys at once, so that two tasks never wait for each other. */
  run<T>(keys: readonly string[], task: () => Promise<T>): Promise<T> {
    const turn = Promise.all(keys.map((key) => this.#last.get(key) ?? Promise.resolve())).then(task);
    const over: Promise<void> = turn.then(noop, noop).then(() => {
      for (const key of keys) if (this.#last.get(key) === over) this.#last.delete(key);
    });
    for (const key of keys) this.#last.set(key, over);
    return turn;
  }
}

function noop(): void {}
