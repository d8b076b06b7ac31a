import assert from 'node:assert/strict';
import { clusterLevel, clusterText } from '../../src/events/cluster-text.ts';
import { logLine, logRecord } from '../../src/events/log-line.ts';
import { logTexts } from '../../src/events/log-text.ts';
import { sampleEvents } from '../support/sample-events.ts';

describe('Events of a cluster', () => {
  it('say in words what happened', () => {
    const said = (
      [
        'nodeUp',
        'nodeDown',
        'configurationDiffers',
        'segmentsTaken',
        'segmentsReleased',
        'takeOver',
        'demoted',
        'handOverAbandoned',
        'splitBrainHealed',
        'unsynced',
        'order',
      ] as const
    ).map((name) => clusterText(sampleEvents[name]).text);
    assert.deepEqual(said, [
      'node b[2] is here',
      'node b[2] is silent',
      'node b[2] has another configuration: segments, mode; it is not let in',
      'took 65 segments, 0-63,70, and has 128 now (silent)',
      'gave up 1 segment, 7, and has 127 now (handed-over)',
      'took over 128 segments of node b[2], 312 ms after it was last heard',
      'uplink-down counts 50: demotion is 50',
      '8 segments stay here, 0-7: the other node does not answer',
      'node b[2] and this one both went on alone for 4 s; that is over',
      'no other node has the newest state of 2 IKE SAs, the numbers of 1 Child SAs',
      'ordered over fifo: give 3 node b',
    ]);
  });

  it('are of the group CLU among the sentences of the daemon', () => {
    assert.deepEqual(logTexts(sampleEvents.alone), [
      { group: 'CLU', level: 0, text: 'going on alone' },
    ]);
  });

  it('are an error where an operator must act', () => {
    const { nodeDown, demoted, segmentsTaken, segmentsReleased, alone } = sampleEvents;
    assert.equal(clusterLevel(nodeDown), 'error');
    assert.equal(clusterLevel({ ...nodeDown, reason: 'bye' }), 'notice');
    assert.equal(clusterLevel(demoted), 'error');
    assert.equal(clusterLevel({ ...demoted, reason: 'drain' }), 'notice');
    assert.equal(clusterLevel({ ...demoted, amount: 0 }), 'notice');
    assert.equal(clusterLevel(segmentsTaken), 'notice');
    assert.equal(clusterLevel({ ...segmentsReleased, reason: 'lapsed' }), 'error');
    assert.equal(clusterLevel(segmentsReleased), 'notice');
    assert.equal(clusterLevel(alone), 'error');
    assert.equal(clusterLevel({ ...alone, alone: false }), 'notice');
  });

  it('have one line and one flat object, as all events', () => {
    assert.equal(
      logLine(sampleEvents.segmentsTaken),
      'notice cluster-segments-taken segments=0-63,70 count=65 owned=128 reason=silent gaps=0',
    );
    assert.deepEqual(logRecord(sampleEvents.takeOver), {
      level: 'notice',
      event: 'cluster-take-over',
      node: 'b',
      'node-id': 2,
      count: 128,
      milliseconds: 312,
    });
  });
});
