import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { keepOutOfCaches } from '../../../lib/http/cache-headers.js';
import { HeadWriter } from '../../../lib/http/head-writer.js';

function after(said: Record<string, string | string[]>, setsCookie = false) {
  const response = new ServerResponse(new IncomingMessage(new Socket()));
  for (const [name, value] of Object.entries(said)) response.setHeader(name, value);
  keepOutOfCaches(new HeadWriter(response), setsCookie);
  return { vary: response.getHeader('Vary'), cacheControl: response.getHeader('Cache-Control') };
}

describe('keepOutOfCaches', () => {
  it.each<[string | string[] | undefined, string]>([
    [undefined, 'Cookie'],
    ['Origin', 'Origin, Cookie'],
    ['Origin,Accept', 'Origin, Accept, Cookie'],
    [['Origin', 'Accept'], 'Origin, Accept, Cookie'],
    ['cookie', 'cookie'],
    ['Accept, COOKIE', 'Accept, COOKIE'],
    ['*', '*'],
    ['X-Cookie', 'X-Cookie, Cookie'],
    ['', 'Cookie'],
    [' , Origin,', 'Origin, Cookie'],
  ])('Vary %j becomes %j', (said, expected) => {
    expect(after(said === undefined ? {} : { Vary: said }).vary).toBe(expected);
  });

  it.each<[string | string[] | undefined, string, string]>([
    [undefined, 'private', 'no-store'],
    ['', 'private', 'no-store'],
    ['no-store', 'no-store', 'no-store'],
    ['public, max-age=60', 'public, max-age=60', 'private, max-age=60'],
    ['PUBLIC', 'PUBLIC', 'private'],
    ['max-age=60, s-maxage=90', 'max-age=60, s-maxage=90', 'private, max-age=60'],
    ['private, max-age=60', 'private, max-age=60', 'private, max-age=60'],
    ['no-cache', 'no-cache', 'private, no-cache'],
    [['public', 'max-age=60'], 'public,max-age=60', 'private, max-age=60'],
  ])('Cache-Control %j: %j, and beside our cookie %j', (said, without, beside) => {
    const headers: Record<string, string | string[]> = said === undefined ? {} : { 'Cache-Control': said };
    expect(String(after(headers).cacheControl)).toBe(without);
    expect(after(headers, true).cacheControl).toBe(beside);
  });
});
