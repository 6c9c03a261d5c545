import { concat, EMPTY, from, NEVER, of, Subject, throwError } from 'rxjs';
import { commitEach } from '../../../lib/http/commit-each.js';

/** Lets all promises that are due run. */
const settled = () => new Promise<void>((resolve) => setImmediate(resolve));

/** A commit that waits for the test, one promise a call. */
function slowCommits() {
  const waiting: { resolve: () => void; reject: (error: Error) => void }[] = [];
  const commit = () => new Promise<void>((resolve, reject) => waiting.push({ resolve, reject }));
  return { waiting, commit };
}

/** What an observer sees, as texts. */
function watch(source: ReturnType<typeof commitEach<unknown>>) {
  const seen: string[] = [];
  const subscription = source.subscribe({
    next: (value) => seen.push(String(value)),
    error: (error: Error) => seen.push(`error ${error.message}`),
    complete: () => seen.push('complete'),
  });
  return { seen, subscription };
}

describe('commitEach', () => {
  it('passes on at once what has nothing to commit', () => {
    expect(watch(commitEach(of(1, 2), () => undefined)).seen).toEqual(['1', '2', 'complete']);
  });

  it('passes an empty source and an error of the source on, without a commit', () => {
    const commit = () => Promise.reject(new Error('never asked'));
    const failed = throwError(() => new Error('source'));

    expect(watch(commitEach(EMPTY, commit)).seen).toEqual(['complete']);
    expect(watch(commitEach(failed, commit)).seen).toEqual(['error source']);
  });

  it('holds each value, and the completion, until its commit is done', async () => {
    const { waiting, commit } = slowCommits();
    const { seen } = watch(commitEach(of('a', 'b'), commit));
    await settled();
    expect([seen, waiting.length]).toEqual([[], 1]);

    waiting[0].resolve();
    await settled();
    expect([seen, waiting.length]).toEqual([['a'], 2]);

    waiting[1].resolve();
    await settled();
    expect(seen).toEqual(['a', 'b', 'complete']);
  });

  it('keeps the order when a later value has nothing to commit', async () => {
    const { waiting, commit } = slowCommits();
    let calls = 0;
    const { seen } = watch(commitEach(of('slow', 'fast'), () => (calls++ ? undefined : commit())));
    await settled();
    expect(seen).toEqual([]);

    waiting[0].resolve();
    await settled();
    expect(seen).toEqual(['slow', 'fast', 'complete']);
  });

  it('is synchronous again after what waited', async () => {
    const source = new Subject<string>();
    let commit: Promise<void> | undefined = Promise.resolve();
    const { seen } = watch(commitEach(source, () => commit));
    source.next('a');
    await settled();
    commit = undefined;
    source.next('b');

    expect(seen).toEqual(['a', 'b']);
  });

  it('lets an error of the source wait for the values before it', async () => {
    const { waiting, commit } = slowCommits();
    const source = concat(
      of('a'),
      throwError(() => new Error('late')),
    );
    const { seen } = watch(commitEach(source, commit));
    expect(seen).toEqual([]);

    waiting[0].resolve();
    await settled();
    expect(seen).toEqual(['a', 'error late']);
  });

  it.each<[string, () => Promise<void>]>([
    ['rejects', () => Promise.reject(new Error('commit'))],
    [
      'throws',
      () => {
        throw new Error('commit');
      },
    ],
  ])(
    'ends the stream with the error of a commit that %s, and passes nothing on after it',
    async (_, commit) => {
      const { seen } = watch(commitEach(from(['a', 'b']), commit));
      await settled();

      expect(seen).toEqual(['error commit']);
    },
  );

  it('commits nothing more once it has ended, by an error or because nobody listens', async () => {
    let commits = 0;
    const failing = () => {
      commits++;
      return Promise.reject(new Error('commit'));
    };
    watch(commitEach(from(['a', 'b', 'c']), failing));
    await settled();
    expect(commits).toBe(1);

    const { waiting, commit } = slowCommits();
    const { subscription } = watch(commitEach(from(['a', 'b']), commit));
    subscription.unsubscribe();
    waiting[0].resolve();
    await settled();
    expect(waiting).toHaveLength(1);
  });

  it('leaves the source when a commit failed', async () => {
    const source = new Subject<string>();
    watch(commitEach(source, () => Promise.reject(new Error('commit'))));
    source.next('a');
    await settled();

    expect(source.observed).toBe(false);
  });

  it('passes nothing on to who has left, and leaves the source', async () => {
    const { waiting, commit } = slowCommits();
    const source = new Subject<string>();
    const { seen, subscription } = watch(commitEach(source, commit));
    source.next('a');
    subscription.unsubscribe();
    expect(source.observed).toBe(false);

    waiting[0].resolve();
    await settled();
    expect(seen).toEqual([]);
  });

  it('waits with a source that never ends', () => {
    const { seen, subscription } = watch(commitEach(NEVER, () => undefined));
    expect(seen).toEqual([]);
    subscription.unsubscribe();
  });
});
