/** Tests run as ES modules on the sources, compiled by swc. `npm test` passes --experimental-vm-modules. */
export default {
  testEnvironment: '<rootDir>/test/support/jest-environment.js',
  testMatch: ['<rootDir>/test/**/*.spec.ts', '<rootDir>/sample/**/*.spec.ts'],
  // test/package needs a build and installs packages: npm run test:package
  testPathIgnorePatterns: ['/node_modules/', '/dist/', '<rootDir>/test/package/'],
  modulePathIgnorePatterns: ['<rootDir>/dist/', '<rootDir>/test/package/consumers/'],
  extensionsToTreatAsEsm: ['.ts'],
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      {
        jsc: {
          target: 'es2022',
          parser: { syntax: 'typescript', decorators: true },
          transform: { legacyDecorator: true, decoratorMetadata: true, useDefineForClassFields: true },
          keepClassNames: true,
        },
        module: { type: 'es6' },
      },
    ],
  },
  moduleNameMapper: {
    '^nest-session$': '<rootDir>/lib/index.ts',
    '^nest-session/cache$': '<rootDir>/lib/stores/cache/index.ts',
    '^nest-session/cookie$': '<rootDir>/lib/backends/cookie/index.ts',
    '^nest-session/redis$': '<rootDir>/lib/stores/redis/index.ts',
    '^nest-session/testing$': '<rootDir>/lib/testing/index.ts',
    '^nest-session/typeorm$': '<rootDir>/lib/stores/typeorm/index.ts',
    '^(\\.{1,2}/.*)\\.js$': '$1',
  },
  testTimeout: 20_000,
  // Tests wait for servers and timers more than they compute: by default Jest would leave one core unused.
  maxWorkers: '100%',
  // Modules of test files that are over are never freed, and the collector takes longer and longer.
  workerIdleMemoryLimit: '1GB',
};
