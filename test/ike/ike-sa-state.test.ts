import assert from 'node:assert/strict';
import { IKE_SA_TRANSITIONS } from '../../src/ike/ike-sa-state.ts';

describe('States of an IKE SA (RFC 7296 §1.2, §1.4, §2.8, §2.21)', () => {
  it('has these transitions and no other', () => {
    const printed = Object.entries(IKE_SA_TRANSITIONS).map(
      ([from, to]) => `${from} -> ${to.join(' | ') || '(end)'}`,
    );
    assert.deepEqual(printed, [
      'AwaitingIkeSaInitResponse -> AwaitingIkeSaInitResponse | AwaitingIkeAuthResponse | Closed',
      'AwaitingIkeAuthRequest -> Established | Closed',
      'AwaitingIkeAuthResponse -> Established | Closed',
      'Established -> AwaitingDelete | AwaitingDeleteResponse | Closed',
      'AwaitingDelete -> AwaitingDeleteResponse | Closed',
      'AwaitingDeleteResponse -> Closed',
      'Closed -> (end)',
    ]);
  });

  it('can end from every state', () => {
    for (const [from, to] of Object.entries(IKE_SA_TRANSITIONS)) {
      if (from !== 'Closed') assert.ok(to.includes('Closed'), from);
    }
  });
});
