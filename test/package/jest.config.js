import sources from '../../jest.config.js';

/** The packed tarball, taken as a user takes it. `npm run test:package` builds it first. */
export default {
  ...sources,
  rootDir: '../..',
  testMatch: ['<rootDir>/test/package/*.spec.ts'],
  testPathIgnorePatterns: ['/node_modules/'],
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': '$1' }, // no name of ours leads to the sources here
  maxWorkers: 2,
  testTimeout: 300_000,
};
