import { SessionStoreTimeoutError } from '../../errors.js';

/**
 * Does something, for no longer than so many milliseconds; what comes later is not listened to.
 *
 * @throws SessionStoreTimeoutError, or what the work throws
 */
export function within<T>(milliseconds: number, work: () => Promise<T>): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const timer = setTimeout(() => reject(new SessionStoreTimeoutError(milliseconds)), milliseconds);
    timer.unref();
    work()
      .then(resolve, reject)
      .finally(() => clearTimeout(timer));
  });
}
