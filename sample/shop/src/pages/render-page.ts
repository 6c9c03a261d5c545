import * as formats from './formats.js';

type Done = (error: Error | null, html: string) => void;

interface ExpressResponse {
  render(template: string, model: object, done: Done): void;
}

interface FastifyReply {
  viewAsync(template: string, model: object): Promise<string>;
}

/** Fills a template in the platform's own way, and so with its locals. (`@Render()` would add `session` and `user`.) */
export function renderPage(response: object, template: string, model: object): Promise<string> {
  const all = { ...formats, ...model };
  if ('viewAsync' in response) return (response as FastifyReply).viewAsync(template, all);
  return new Promise((resolve, reject) => {
    (response as ExpressResponse).render(template, all, (error, html) =>
      error ? reject(error) : resolve(html),
    );
  });
}
