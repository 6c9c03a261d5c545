import { TestEnvironment } from 'jest-environment-node';

/** Says with a failed test what its application logged: a store that failed tells its cause (support/failure-log.ts). */
export default class FailureLogEnvironment extends TestEnvironment {
  handleTestEvent({ name, test }) {
    if (name === 'test_start') this.global.sessionTestLog = undefined;
    if (name !== 'test_done' || test.errors.length === 0) return;
    const lines = this.global.sessionTestLog ?? [];
    if (lines.length > 0)
      this.global.console.error(
        `"${test.name}" failed, and its application had logged:\n${lines.join('\n')}`,
      );
  }
}
