export { aChange, aRecord, newKey } from './builders.js';
export { STORE_LACKS, type StoreLack } from './contract/lacks.js';
export type { OpenStore, StoreContext, StoreContractOptions, TestRunner } from './contract/subject.js';
export { FakeClock } from './fake-clock.js';
export { sessionCookie, type TestSessionOptions } from './session-cookie.js';
export { describeSessionStore, testSessionStore } from './store-contract.js';
