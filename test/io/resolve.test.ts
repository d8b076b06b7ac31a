import assert from 'node:assert/strict';
import { resolveName } from '../../src/io/resolve.ts';
import { formatAddress } from '../../src/wire/address.ts';

async function resolved(name: string): Promise<readonly string[]> {
  return (await resolveName(name)).map(formatAddress);
}

describe('A name', () => {
  it('stands for the addresses the system knows', async () => {
    const known = await resolved('localhost');
    assert.ok(known.includes('127.0.0.1') || known.includes('::1'), known.join(' '));
  });

  it('that is an address stands for itself', async () => {
    assert.deepEqual(await resolved('192.0.2.1'), ['192.0.2.1']);
    assert.deepEqual(await resolved('2001:db8:0::1'), ['2001:db8::1']);
  });

  it('with a zone stands for nothing we could send to', async () => {
    assert.deepEqual(await resolved('fe80::1%lo'), []);
  });

  it('that has no address is named by the error', async () => {
    // A label of 64 octets: refused without asking anybody.
    const name = `${'x'.repeat(64)}.invalid`;
    await assert.rejects(resolveName(name), (error: Error) => error.message.includes(name));
  });
});
