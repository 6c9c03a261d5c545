// Writes into each element with `data-until` how long it is until then. Without it, the page shows the dates alone.
const HOUR = 3600;
const DAY = 24 * HOUR;
const counters = document.querySelectorAll('[data-until]');

function remaining(until) {
  const seconds = Math.max(0, Math.round((Date.parse(until) - Date.now()) / 1000));
  const days = Math.floor(seconds / DAY);
  const clock = [(seconds % DAY) / HOUR, (seconds % HOUR) / 60, seconds % 60].map((part) =>
    String(Math.floor(part)).padStart(2, '0'),
  );
  return `${days} ${days === 1 ? 'day' : 'days'} ${clock.join(':')}`;
}

function tick() {
  for (const counter of counters) counter.textContent = `in ${remaining(counter.dataset.until)}`;
}

tick();
setInterval(tick, 1000);
