import assert from 'node:assert/strict';
import {
  askForFeatures,
  featureNotifies,
  grantedFeatures,
  grantFeatures,
} from '../../src/ike/child-features.ts';
import { reportFeatures } from '../../src/ike/latent-mismatch.ts';
import { NotifyType } from '../../src/ike/message/notify-types.ts';
import { statusNotify } from '../../src/ike/payload-access.ts';
import { established, onlyIkeSa } from '../support/child-sas.ts';
import { child } from '../support/connections.ts';
import { eventsOf, turnAt } from '../support/turns.ts';

const ALSO = statusNotify(NotifyType.NON_FIRST_FRAGMENTS_ALSO);
const NO_TFC = statusNotify(NotifyType.ESP_TFC_PADDING_NOT_SUPPORTED);

describe('Features of a Child SA (RFC 7296 §1.3.1)', () => {
  it('are asked for, and granted, by who is configured to', () => {
    const table = (['yes', 'accept', 'no'] as const).map((nonFirstFragments) => {
      const policy = child({ nonFirstFragments });
      return [
        askForFeatures(policy).length,
        grantedFeatures(policy, [ALSO]).nonFirstFragments,
        grantFeatures(policy, [ALSO]).nonFirstFragments,
        grantFeatures(policy, []).nonFirstFragments,
      ];
    });
    assert.deepEqual(table, [
      [1, true, true, false],
      [0, false, true, false],
      [0, false, false, false],
    ]);
    assert.deepEqual(featureNotifies({ nonFirstFragments: true, tfcPadding: true }), [ALSO]);
    assert.deepEqual(featureNotifies({ nonFirstFragments: false, tfcPadding: true }), []);
  });

  it('are without TFC padding where the peer says it takes none, as either role', () => {
    for (const features of [grantedFeatures, grantFeatures]) {
      assert.equal(features(child(), [NO_TFC]).tfcPadding, false);
      assert.equal(features(child(), []).tfcPadding, true);
    }
  });

  it('are an alert where they are configured and declined', () => {
    const sa = onlyIkeSa(established().a);
    const alerts = (tfcPadding: number, granted: boolean) => {
      const turn = turnAt(0);
      const features = { nonFirstFragments: false, tfcPadding: granted };
      reportFeatures(turn, sa, child({ tfcPadding }), features);
      return eventsOf(turn, 'alert').map(({ what }) => what);
    };
    assert.deepEqual(alerts(512, true), []);
    assert.deepEqual(alerts(0, false), []);
    assert.match(alerts(512, false).join(), /packets show how long they are \(tfc_padding = 512\)/);
  });
});
