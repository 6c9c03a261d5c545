import { BatchSize } from '../../../lib/stores/typeorm/cleaning/batch-size.js';
import type { PostgresStatements } from '../../../lib/stores/typeorm/cleaning/postgres-statements.js';
import { PostgresWalk } from '../../../lib/stores/typeorm/cleaning/postgres-walk.js';
import type { Batch } from '../../../lib/stores/typeorm/cleaning/walk.js';

const OVER = { now: 1_000, format: 1 };
const CANCELLED = Object.assign(new Error('canceling statement'), { code: '57014' });

/** A table as its statements show it: rows by deadline and page, and what was asked for. */
class FakeTable {
  readonly calls: string[] = [];
  /** What `deleteByDeadline` throws, one after the other. */
  readonly failures: unknown[] = [];

  constructor(
    private readonly pages: number,
    private rows: readonly { deadline: number; page: number; row: number }[],
  ) {}

  async countPages(): Promise<number> {
    this.calls.push('countPages');
    return this.pages;
  }

  async deleteByDeadline({ oldest }: { oldest: number }, limit: number, maxMs?: number) {
    this.calls.push(`deadline ${limit} ${maxMs ?? 'for ever'}`);
    if (this.failures.length > 0) throw this.failures.shift();
    const found = this.rows
      .filter(({ deadline }) => deadline >= oldest)
      .sort((a, b) => a.deadline - b.deadline)
      .slice(0, limit);
    this.#remove(found);
    return { found: found.length, sessions: found.length, latest: found.at(-1)?.deadline ?? 0 };
  }

  async deleteByPlace(after: { page: number; row: number }, end: number, _over: unknown, limit: number) {
    this.calls.push(`pages ${after.page}.${after.row} to ${end}`);
    const found = this.rows
      .filter(
        ({ page, row }) => (page > after.page || (page === after.page && row > after.row)) && page < end,
      )
      .sort((a, b) => a.page - b.page || a.row - b.row)
      .slice(0, limit);
    this.#remove(found);
    return { found: found.length, sessions: found.length, last: found.at(-1) ?? { page: 0, row: 0 } };
  }

  get left(): number {
    return this.rows.length;
  }

  #remove(found: readonly object[]): void {
    this.rows = this.rows.filter((row) => !found.includes(row));
  }
}

/** Ten rows a page, whose deadlines have nothing to do with their place. */
function rows(count: number, pages: number) {
  return Array.from({ length: count }, (_, n) => ({
    deadline: n,
    page: (n * 7) % pages,
    row: 1 + Math.floor(n / pages),
  }));
}

function walk(table: FakeTable, batchSize: number): PostgresWalk {
  const size = new BatchSize(batchSize, { first: batchSize, min: 2, targetMs: 100 });
  return new PostgresWalk(table as unknown as PostgresStatements, OVER, size);
}

async function all(way: PostgresWalk): Promise<Batch[]> {
  const batches: Batch[] = [];
  do batches.push(await way.next());
  while (!batches.at(-1)!.isLast);
  return batches;
}

const sessionsOf = (batches: readonly Batch[]) => batches.reduce((sum, { sessions }) => sum + sessions, 0);

describe('PostgresWalk', () => {
  it('stays with the index where few of many rows are over', async () => {
    const table = new FakeTable(1_000, rows(50, 1_000));
    expect(sessionsOf(await all(walk(table, 20)))).toBe(50);
    expect(table.calls).toEqual(['countPages', 'deadline 20 200', 'deadline 20 200', 'deadline 20 200']);
  });

  it('passes over the pages where that costs less than what it has found by the index', async () => {
    const table = new FakeTable(120, rows(1_200, 120));
    expect(sessionsOf(await all(walk(table, 20)))).toBe(1_200);
    expect(table.calls.slice(0, 3)).toEqual(['countPages', 'deadline 20 200', 'deadline 20 200']);
    expect(table.calls.slice(3).every((call) => call.startsWith('pages'))).toBe(true);
    expect(table.left).toBe(0);
  });

  it('goes on in the middle of a page where a batch was full', async () => {
    const table = new FakeTable(1, rows(10, 1));
    const batches = await all(walk(table, 4));
    expect(batches.map(({ found }) => found)).toEqual([4, 4, 2]);
    expect(table.calls.slice(2)).toEqual(['pages 0.0 to 1', 'pages 0.8 to 1']);
  });

  it('takes few rows where the time was not enough, and then the pages', async () => {
    const table = new FakeTable(1_000, rows(30, 1_000));
    table.failures.push(CANCELLED, CANCELLED);
    expect(sessionsOf(await all(walk(table, 20)))).toBe(30);
    expect(table.calls.slice(0, 4)).toEqual([
      'countPages',
      'deadline 20 200',
      'deadline 2 200',
      'pages 0.0 to 50',
    ]);
  });

  it('grows again where few rows were fast', async () => {
    const table = new FakeTable(1_000, rows(30, 1_000));
    table.failures.push(CANCELLED);
    expect(sessionsOf(await all(walk(table, 20)))).toBe(30);
    expect(table.calls.slice(1, 4)).toEqual(['deadline 20 200', 'deadline 2 200', 'deadline 4 200']);
    expect(table.calls.some((call) => call.startsWith('pages'))).toBe(false);
  });

  it('has no time limit, and only the index, where the table has no order of its own', async () => {
    const table = new FakeTable(0, rows(50, 10));
    expect(sessionsOf(await all(walk(table, 20)))).toBe(50);
    expect(new Set(table.calls.slice(1))).toEqual(new Set(['deadline 20 for ever']));
    table.failures.push(CANCELLED);
    await expect(walk(table, 20).next()).rejects.toBe(CANCELLED);
  });

  it('passes on every other failure', async () => {
    const table = new FakeTable(1_000, rows(50, 10));
    const broken = new Error('connection lost');
    table.failures.push(broken);
    await expect(walk(table, 20).next()).rejects.toBe(broken);
  });
});
