import assert from 'node:assert/strict';
import { outSegments, spent, sumOf } from '../../bench/gateway-cost.ts';

const snmp = `Ip: Forwarding DefaultTTL
Ip: 2 64
Tcp: RtoAlgorithm RtoMin RtoMax MaxConn ActiveOpens PassiveOpens InSegs OutSegs RetransSegs
Tcp: 1 200 120000 -1 12 3 4711 815 2
Udp: InDatagrams NoPorts
Udp: 1 2
`;

describe('What gateways have spent', () => {
  it('counts the segments that TCP has sent', () => {
    assert.equal(outSegments(snmp), 815);
  });

  it('says so where the kernel counts none', () => {
    assert.throws(() => outSegments('Ip: Forwarding\nIp: 2\n'), /OutSegs/);
  });

  it('is the difference of two readings, gateway by gateway', () => {
    const cost = (userSeconds: number) => ({ userSeconds, systemSeconds: 0, contextSwitches: 1 });
    const { g1, g2 } = spent({ g1: cost(1), g2: cost(2) }, { g1: cost(4), g2: cost(2) });
    assert.deepEqual([g1.userSeconds, g2.userSeconds], [3, 0]);
    assert.deepEqual(sumOf(cost(3), cost(4)), {
      ...{ userSeconds: 7, systemSeconds: 0, contextSwitches: 2 },
    });
  });
});
