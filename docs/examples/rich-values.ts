import { types } from 'node:util';
import { deserialize, serialize } from 'node:v8';
import type { SessionSerializer } from 'nest-session';

/** SessionModule.forRoot({ store, secret, serializer: richValues }) */
export const richValues: SessionSerializer = {
  stringify: (value) => serialize(value).toString('base64'),
  parse: (text) => deserialize(Buffer.from(text, 'base64')) as unknown,
  accepts: (value) =>
    typeof value === 'bigint' || types.isDate(value) || types.isMap(value) || types.isSet(value),
};
