import type { EpochMs } from './clock.js';

/** Reserved names of a session's values (see session-values.ts): the login, and a login that waits for its second factor. */
export const AUTH = '_nest.auth';
export const PENDING = '_nest.pending';

/** What a session keeps of the login beside its owner, who stands in the record. */
export interface AuthValue {
  /** When the user last proved who they are. */
  readonly at: EpochMs;
  /** When this session was logged in, where somebody else (an identity provider) saw the proof earlier. */
  readonly since?: EpochMs;
  /** HMAC of the user's auth hash: another one ends the session. */
  readonly hash?: string;
  /** How strong the proof was, where it is more than 1. */
  readonly level?: number;
  /** When that strength was proved, where it was before the last proof: a password does not make an old second factor new. */
  readonly levelAt?: EpochMs;
  /** How it was given: `['pwd', 'otp']`. */
  readonly methods?: readonly string[];
  /** The user asked to be remembered, or not to be. */
  readonly remember?: boolean;
  /** The place that this login took among the sessions that a user may have. */
  readonly claim?: string;
  /** Where it came from, if the module keeps that. */
  readonly meta?: LoginMeta;
}

/** What a list of devices shows of a login. */
export interface LoginMeta {
  readonly ip?: string;
  readonly userAgent?: string;
}

/** A login whose first factor was right, and whose second is outstanding. */
export interface PendingValue {
  readonly userId: string;
  readonly at: EpochMs;
  readonly hash?: string;
  readonly methods?: readonly string[];
  readonly remember?: boolean;
}

/** @returns undefined for what is no such value: whatever can't be read counts as not logged in */
export function authValueOf(value: unknown): AuthValue | undefined {
  return typeof (value as AuthValue | undefined)?.at === 'number' ? (value as AuthValue) : undefined;
}

export function pendingValueOf(value: unknown): PendingValue | undefined {
  const { at, userId } = Object(value) as Partial<PendingValue>;
  return typeof at === 'number' && typeof userId === 'string' ? (value as PendingValue) : undefined;
}

/** How strong the proof was: 1, unless the application said more. */
export function levelOf({ level = 1 }: Pick<AuthValue, 'level'>): number {
  return level;
}

/** When a proof of this strength was given; undefined when none was. */
export function provedAt(
  auth: Pick<AuthValue, 'at' | 'level' | 'levelAt'>,
  level: number,
): EpochMs | undefined {
  if (levelOf(auth) < level) return undefined;
  return level > 1 ? (auth.levelAt ?? auth.at) : auth.at;
}

/** When a session was logged in, for the order of a user's sessions and for cut-offs. */
export function loginTimeOf({ at, since }: Pick<AuthValue, 'at' | 'since'>): EpochMs {
  return since ?? at;
}
