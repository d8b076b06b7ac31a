import assert from 'node:assert/strict';
import type { Event } from '../../src/events/event.ts';
import { type InitiationParts, Initiations } from '../../src/gateway/initiations.ts';
import type { Connection } from '../../src/ipsec/connection.ts';
import { Pad } from '../../src/ipsec/pad.ts';
import { formatEndpoint } from '../../src/wire/address.ts';
import { connection } from '../support/connections.ts';
import { endpoint } from '../support/pair.ts';

const NAMED: Partial<Connection> = {
  remoteAddresses: [{ kind: 'name', name: 'gw.example.org' }],
};

/** Initiations over an address book in which each name has the address given. */
function starting(changes: Partial<Connection>, names: Readonly<Record<string, string>>) {
  const pad = new Pad();
  pad.load(connection(changes));
  const asked: Parameters<InitiationParts['ask']>[0][] = [];
  const events: Event[] = [];
  const book = {
    resolve: (name: string) => {
      const text = names[name];
      return text === undefined
        ? Promise.reject(new Error(`no address of ${name}`))
        : Promise.resolve([endpoint(text).address]);
    },
    sourceFor: () => endpoint('192.0.2.1').address,
  };
  const initiations = new Initiations(book, {
    pad,
    ports: () => ({ portIke: 500, portNatT: 4500 }),
    ask: (input) => {
      asked.push(input);
      return Promise.resolve({ kind: 'done', matches: 1, terminated: 0 });
    },
    emit: (event) => events.push(event),
  });
  return { pad, initiations, asked, events };
}

describe('A connection on its way up', () => {
  it('is asked of the engine with an address at each end', async () => {
    const { initiations, asked } = starting(NAMED, { 'gw.example.org': '192.0.2.2' });
    const outcome = await initiations.start({ connection: 'peer', child: 'net' });
    assert.equal(outcome.kind, 'done');
    const [input] = asked;
    assert.equal(input?.child, 'net');
    assert.equal(input && formatEndpoint(input.remote), '192.0.2.2[500]');
    assert.equal(input && formatEndpoint(input.local), '192.0.2.1[500]');
  });

  it('goes to the gateway that it was sent to (RFC 5685 §5)', async () => {
    const { initiations, asked } = starting(NAMED, { 'other.example.org': '192.0.2.9' });
    for (const gateway of ['other.example.org', '192.0.2.9']) {
      const redirected = { gateway, from: '192.0.2.2', replaces: 1 };
      await initiations.start({ connection: 'peer', child: 'net', redirected });
      const input = asked.pop();
      assert.equal(input && formatEndpoint(input.remote), '192.0.2.9[500]');
      assert.deepEqual(input?.redirected, redirected);
    }
  });

  it('finds a peer that moved at its new address when it comes first', async () => {
    const { pad, initiations } = starting(NAMED, { 'gw.example.org': '192.0.2.2' });
    const [here, there] = [endpoint('192.0.2.1').address, endpoint('192.0.2.2').address];
    assert.equal(pad.candidates(here, there).length, 0);
    await initiations.start({ connection: 'peer', child: 'net' });
    assert.equal(pad.candidates(here, there).length, 1);
  });

  it('that has nowhere to go says so, to the operator and as an alert', async () => {
    const { initiations, asked, events } = starting(NAMED, {});
    const outcome = await initiations.start({ connection: 'peer', child: 'net' });
    assert.deepEqual(outcome, { kind: 'failed', what: 'no address of gw.example.org' });
    assert.deepEqual(asked, []);
    const [alert] = events;
    assert.equal(alert?.kind === 'alert' && alert.alert, 'peer-addr-failed');
    const missing = await initiations.start({ connection: 'nobody' });
    assert.deepEqual(missing, { kind: 'failed', what: 'no connection nobody' });
  });
});
