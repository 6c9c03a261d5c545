import { createHash } from 'node:crypto';
import { ID_LENGTH, keyOf, newHandle, newId } from '../../../lib/core/session-id.js';

describe('newId', () => {
  it('is 32 bytes as base64url, each time others', () => {
    const ids = Array.from({ length: 1_000 }, newId);

    for (const id of ids) expect(id).toMatch(/^[A-Za-z0-9_-]{43}$/);
    expect(Buffer.from(ids[0], 'base64url')).toHaveLength(32);
    expect(new Set(ids).size).toBe(ids.length);
    expect(ID_LENGTH).toBe(43);
  });
});

describe('keyOf', () => {
  it.each(['', 'abc', newId()])('is the SHA-256 of %j in hex', (id) => {
    expect(keyOf(id)).toBe(createHash('sha256').update(id).digest('hex'));
  });
});

describe('newHandle', () => {
  it('is 32 hex characters, each time others', () => {
    const handles = Array.from({ length: 1_000 }, () => newHandle(Date.UTC(2030, 0)));

    for (const handle of handles) expect(handle).toMatch(/^[0-9a-f]{32}$/);
    expect(new Set(handles).size).toBe(handles.length);
  });

  it('sorts by the time at which it was made', () => {
    const times = [0, 1, 255, 256, Date.UTC(2001, 0), Date.UTC(2030, 0), Date.UTC(2030, 0) + 1, 2 ** 48 - 1];
    const handles = times.map(newHandle);

    expect([...handles].sort()).toEqual(handles);
  });
});
