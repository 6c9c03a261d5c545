/** So many commands are under way at once: a user's thousands of sessions would hold up everybody else's. */
const PAGE = 100;

export function* pagesOf<Item>(items: readonly Item[]): Generator<Item[]> {
  for (let from = 0; from < items.length; from += PAGE) yield items.slice(from, from + PAGE);
}

/** Does work for each item, a page at a time. @returns the results in the same order */
export async function inPages<Item, Result>(
  items: readonly Item[],
  work: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  for (const page of pagesOf(items)) results.push(...(await Promise.all(page.map(work))));
  return results;
}
