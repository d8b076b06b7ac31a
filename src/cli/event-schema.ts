/** Which keys of a `tsgw-event` are numbers and flags. */
import type { JsonSchema } from './json.ts';

export const eventSchema: JsonSchema = {
  numbers: [
    'ike-sa',
    'child-sa',
    'replaces',
    'message-id',
    'octets',
    'retransmission',
    'attempt',
    'attempts',
    'mtu',
    'suppressed',
    'node-id',
    'sid',
    'version',
    'count',
    'owned',
    'gaps',
    'milliseconds',
    'seconds',
    'amount',
    'demotion',
    'ike-sas',
    'child-sas',
  ],
  optionalFlags: ['alone', 'refused'],
};
