/**
 * What a store may lack, by the name under which it says so. Whatever is declared is printed in the title of the tests
 * and not asked for; whatever is not declared is tested.
 */
export const STORE_LACKS = {
  'parallel-changes': 'law 4 is not kept: of parallel changes to one session some may be lost',
  'parallel-ends':
    'law 5 is kept one after the other alone: what races with a delete or a rename may bring a session back',
  tombstones: 'law 6 is not kept: the old id is unknown at once after a cycle or a delete',
  successors:
    'law 5 is kept by halves: a form that is sent twice makes two sessions, and a logout with an id that was just replaced is a 409',
  users:
    'findByUser and deleteByUser are not there: no device lists, no revocation of all sessions of a user',
  count: 'count is not there',
  cleaning: 'deleteExpired and countExpired are not there: what expires has to leave by other means',
} as const;

export type StoreLack = keyof typeof STORE_LACKS;
