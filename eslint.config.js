import js from '@eslint/js';
import { defineConfig, globalIgnores } from 'eslint/config';
import tseslint from 'typescript-eslint';

/**
 * Imports point one way: session.module → http, auth → backends → stores → core.
 * A folder is listed with those it must not know; a store never sees a request, and core runs without an application.
 */
const FORBIDDEN_FOLDERS = {
  core: ['stores', 'sweep', 'backends', 'http', 'auth', 'events', 'health', 'cli', 'testing'],
  stores: ['sweep', 'backends', 'http', 'auth', 'health', 'cli', 'testing'],
  sweep: ['backends', 'http', 'auth', 'health', 'cli', 'testing'],
  backends: ['sweep', 'http', 'auth', 'health', 'cli', 'testing'],
  http: ['sweep', 'health', 'cli', 'testing'],
  auth: ['sweep', 'health', 'cli', 'testing'],
  detached: ['sweep', 'health', 'cli', 'testing'],
};

/** Each optional peer is known to one folder alone: its import path is the one that needs it. */
const OPTIONAL_PEERS = {
  'lib/stores/typeorm': ['typeorm', '@nestjs/typeorm'],
  'lib/stores/redis': ['redis', 'ioredis'],
  'lib/stores/cache': ['cache-manager', '@nestjs/cache-manager', 'keyv'],
};

const foldersNotKnownTo = (folder) => ({
  regex: `(^|/)(${FORBIDDEN_FOLDERS[folder].join('|')}|session\\.module)(/|\\.js$)`,
  message: 'Imports point one way: session.module → http, auth → backends → stores → core.',
});

const peersNotFor = (folder) =>
  Object.entries(OPTIONAL_PEERS)
    .filter(([owner]) => owner !== folder)
    .map(([owner, peers]) => ({
      regex: `^(${peers.join('|')})(/|$)`,
      message: `An optional peer: only ${owner} may import it, for the main entry must load without it.`,
    }));

const ITSELF = { regex: '^nest-session(/|$)', message: 'Inside the library, import the file itself.' };

const restrictImports = (...patterns) => ({
  'no-restricted-imports': ['error', { patterns: [ITSELF, ...patterns] }],
});

export default defineConfig(
  globalIgnores(['**/dist/', '.tmp/', 'coverage/', 'test/package/consumers/', 'sample/**/public/']),
  js.configs.recommended,
  {
    files: ['**/*.{js,mjs}'],
    languageOptions: {
      globals: Object.fromEntries(
        [
          'AbortController',
          'AbortSignal',
          'Buffer',
          'URL',
          'clearTimeout',
          'console',
          'fetch',
          'performance',
          'process',
          'setImmediate',
          'setTimeout',
        ].map((name) => [name, 'readonly']),
      ),
    },
  },
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.recommendedTypeChecked],
    languageOptions: {
      parserOptions: {
        project: ['./tsconfig.json', './sample/shop/test/tsconfig.json'],
        tsconfigRootDir: import.meta.dirname,
      },
    },
    rules: {
      eqeqeq: ['error', 'always', { null: 'ignore' }],
      'no-console': 'error',
      'no-control-regex': 'off', // cookies and headers are about control characters
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      '@typescript-eslint/no-empty-object-type': ['error', { allowInterfaces: 'always' }], // SessionData: users merge into it
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/require-await': 'off', // an async method without await: a store whose answer is at hand
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
      '@typescript-eslint/return-await': ['error', 'error-handling-correctness-only'],
      '@typescript-eslint/no-redundant-type-constituents': 'off', // `'browser' | string` tells a reader more than `string`
      '@typescript-eslint/unbound-method': 'off', // types.isDate in a table of checks is no method that lost its object
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
    },
  },

  { files: ['lib/**/*.ts'], rules: restrictImports(...peersNotFor('lib')) },
  ...Object.keys(FORBIDDEN_FOLDERS).map((folder) => ({
    files: [`lib/${folder}/**/*.ts`],
    rules: restrictImports(foldersNotKnownTo(folder), ...peersNotFor('lib')),
  })),
  ...Object.keys(OPTIONAL_PEERS).map((owner) => ({
    files: [`${owner}/**/*.ts`],
    rules: restrictImports(foldersNotKnownTo('stores'), ...peersNotFor(owner)),
  })),

  {
    // Tests look at what came over the wire, and at wrong uses, on purpose.
    files: ['test/**/*.ts', 'sample/**/test/**/*.ts', 'bench/**/*.ts'],
    rules: {
      'no-console': 'off',
      '@typescript-eslint/no-base-to-string': 'off', // what a session shows of itself is tested
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
    },
  },
);
