/** A number with its word: '1 session', '2 sessions'. */
export function counted(number: number, word: string): string {
  return `${number} ${number === 1 ? word : `${word}s`}`;
}

/** Lines of columns, each as wide as its widest cell. */
export function columns(rows: readonly (readonly string[])[]): string {
  const widths = rows[0].map((_, index) => Math.max(...rows.map((row) => row[index].length)));
  return rows
    .map((row) =>
      row
        .map((cell, index) => cell.padEnd(widths[index] + 2))
        .join('')
        .trimEnd(),
    )
    .join('\n');
}
