/** So many kinds are counted: what goes beyond shares one line, so that memory and log stay bounded. */
const MAX_KINDS = 100;
const OTHERS = 'others';

/** Lines of a log that every request would write: the first at once, then one at the end of each interval, with a count. */
export class RepeatedLines {
  readonly #counts = new Map<string, number>();

  /** @param write gets what is to be added to the line: nothing the first time, then how often it happened meanwhile */
  tell(kind: string, intervalMs: number, write: (count: string) => void): void {
    const counted = this.#counts.has(kind) || this.#counts.size < MAX_KINDS ? kind : OTHERS;
    const count = this.#counts.get(counted);
    if (count !== undefined) return void this.#counts.set(counted, count + 1);
    write('');
    this.#begin(counted, intervalMs, write);
  }

  #begin(kind: string, intervalMs: number, write: (count: string) => void): void {
    this.#counts.set(kind, 0);
    const end = setTimeout(() => {
      const count = this.#counts.get(kind) ?? 0;
      this.#counts.delete(kind);
      if (count === 0) return;
      write(` (${count} more in the last ${intervalMs / 1000} s)`);
      this.#begin(kind, intervalMs, write);
    }, intervalMs);
    end.unref();
  }
}
