/** Waits, and no longer than until `signal` aborts. */
export interface PauseOptions {
  readonly signal?: AbortSignal;
  /** [true] Whether the process stays alive for it. */
  readonly keepsAlive?: boolean;
}

/** Lets time go by. It ends early, and well, when `signal` aborts. */
export function pause(milliseconds: number, { signal, keepsAlive = true }: PauseOptions = {}): Promise<void> {
  if (signal?.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, milliseconds);
    if (!keepsAlive) timer.unref();
    signal?.addEventListener('abort', end);
  });
}
