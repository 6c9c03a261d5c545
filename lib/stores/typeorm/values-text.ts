import type { ValueTexts } from '../../core/record.js';

/**
 * Values as the `data` column keeps them: JSON, all else than printable ASCII escaped, so that a table in latin1 or
 * utf8mb3 keeps 4-byte characters, and PostgreSQL and MySQL take \u0000.
 */
export function writeValues(values: ValueTexts): string {
  return JSON.stringify(values).replace(
    /[\u007f-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** @returns undefined when the text is corrupt: anything but a JSON object of texts */
export function readValues(data: string): ValueTexts | undefined {
  try {
    const values = JSON.parse(data) as unknown;
    return isValueTexts(values) ? values : undefined;
  } catch {
    return undefined;
  }
}

function isValueTexts(values: unknown): values is ValueTexts {
  if (typeof values !== 'object' || values === null || Array.isArray(values)) return false;
  return Object.values(values).every((text) => typeof text === 'string');
}
