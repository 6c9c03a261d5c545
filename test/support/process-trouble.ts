import { realProcess } from './real-realm.js';

/** Collects process warnings, such as leaked listeners, until `stop()`. Rejections nobody handles fail a test by themselves. */
export function watchWarnings(): { readonly warnings: string[]; stop(): void } {
  const warnings: string[] = [];
  const note = (warning: Error) => {
    if (warning.name !== 'ExperimentalWarning') warnings.push(String(warning));
  };
  realProcess.on('warning', note);
  return { warnings, stop: () => void realProcess.off('warning', note) };
}

/** Lets everything run that is ready to run; waits for no time to pass. */
export async function turns(count = 5): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
}
