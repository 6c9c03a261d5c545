import { hash } from 'node:crypto';

/** A Lua script, and the name under which a server that has seen it knows it. */
export class Script {
  readonly sha: string;

  constructor(readonly lua: string) {
    this.sha = hash('sha1', lua);
  }
}
