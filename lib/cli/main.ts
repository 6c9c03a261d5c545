#!/usr/bin/env node
import { Interruption } from './interruption.js';
import { run, tell } from './program.js';
import { Terminal } from './terminal.js';

const args = process.argv.slice(2);
const surroundings = { terminal: new Terminal(), interruption: new Interruption() };
// What the application throws on its own: a socket without a listener for its errors.
process.on('uncaughtException', (error) => process.exit(tell(error, args.includes('--debug'), surroundings)));

const exitCode = await run(args, surroundings);
await surroundings.terminal.drain();
process.exit(exitCode); // the application may hold timers and sockets
