import { applyDecorators, SetMetadata, UseInterceptors } from '@nestjs/common';
import { PageInterceptor } from './page.interceptor.js';
import { PAGE, type PageMetadata } from './page-metadata.js';

/** Browsers get what the handler returns as a page, programs get it as JSON. */
export const Page = (template: string) => answer({ template });

/**
 * Browsers are sent on to a page (so that a reload repeats nothing), programs get what the handler returns.
 *
 * @param next a path · `next`: what the handler returns under this name · the page that the form stood on
 */
export const ThenShow = (next: `/${string}` | 'next' | 'the page before') => answer({ next });

// Not a global interceptor: inside of the session's, so that a template that fails undoes what the handler did.
const answer = (page: PageMetadata) =>
  applyDecorators(SetMetadata(PAGE, page), UseInterceptors(PageInterceptor));
