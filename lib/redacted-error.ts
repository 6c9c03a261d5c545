/**
 * A copy of a driver's error that is fit for a log. Drivers put parameters into properties (TypeORM's `parameters`)
 * and into messages (MySQL's "Duplicate entry '…'"), so that only name, code and a message without quoted texts and
 * without long tokens are kept.
 */
export function withoutSecrets(cause: unknown): Error | undefined {
  if (cause === undefined) return undefined;
  const { name, code, message, stack } = Object(cause) as Record<keyof Error | 'code', unknown>;
  const text = [message, cause].find((each) => typeof each === 'string') ?? '';
  const safe = new Error(redact(text));
  safe.name = redact(typeof name === 'string' ? name : 'Error');
  // The stack begins with the message, whose lines may look like frames.
  const lines = (typeof stack === 'string' ? stack : '').replace(text, '').split('\n');
  const frames = lines.filter((line) => /^\s+at .*:\d+:\d+\)?$/.test(line));
  safe.stack = [`${safe.name}: ${safe.message}`, ...frames].join('\n');
  return typeof code === 'string' || typeof code === 'number' ? Object.assign(safe, { code }) : safe;
}

function redact(text: string): string {
  return text
    .replace(/'[^']*'|"[^"]*"|`[^`]*`|\([^)]*\)|\{[^}]*\}|\[[^\]]*\]/gs, '…')
    .replace(/[\w-]{20,}/g, '…')
    .slice(0, 300);
}
