/** What one list of rounds has more than another, round by round: neighbours in time share the machine's mood. */
export function difference(rounds, base) {
  const differences = rounds.map((value, index) => value - base[index]);
  return {
    median: median(differences),
    low: quantile(differences, 0.25),
    high: quantile(differences, 0.75),
  };
}

export function median(values) {
  return quantile(values, 0.5);
}

/** `12.3 µs [11.9, 12.8]` */
export function inWords({ median: middle, low, high }) {
  return `${middle.toFixed(1)} µs [${low.toFixed(1)}, ${high.toFixed(1)}]`;
}

export function quantile(values, share) {
  const sorted = [...values].sort((a, b) => a - b);
  const position = (sorted.length - 1) * share;
  const below = Math.floor(position);
  const next = sorted[Math.min(below + 1, sorted.length - 1)];
  return sorted[below] + (next - sorted[below]) * (position - below);
}
