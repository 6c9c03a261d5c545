/** How a route answers a browser: by a template, or by sending it on. */
export interface PageMetadata {
  readonly template?: string;
  readonly next?: string;
}

export const PAGE = Symbol('how a route answers a browser');
