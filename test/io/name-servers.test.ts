import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { NameServers } from '../../src/io/name-servers.ts';
import { address } from '../support/pools.ts';

describe('Name servers of the networks we are a client of', () => {
  let directory: string;
  let file: string;
  const OTHERS = '# caf\u00e9, by hand\nsearch lab\nnameserver 192.0.2.53\n';

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'tsgw-resolv-'));
    file = join(directory, 'resolv.conf');
    writeFileSync(file, OTHERS);
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  const text = () => readFileSync(file, 'utf8');

  it('stand before the others, each once, and go with their IKE SA', () => {
    const servers = new NameServers(file);
    servers.set(1, [address('10.2.0.53'), address('2001:db8::53')]);
    servers.set(2, [address('10.2.0.53')]);
    const ours = ['nameserver 10.2.0.53 # by tsgw', 'nameserver 2001:db8::53 # by tsgw'];
    assert.equal(text(), `${ours.join('\n')}\n${OTHERS}`);
    servers.remove(1);
    assert.equal(text(), `${ours[0]}\n${OTHERS}`);
    servers.remove(2);
    assert.equal(text(), OTHERS);
  });

  it('leave alone what others write meanwhile', () => {
    const servers = new NameServers(file);
    servers.set(1, [address('10.2.0.53')]);
    writeFileSync(file, 'nameserver 198.51.100.53\n');
    servers.set(2, [address('10.4.0.53')]);
    servers.close();
    assert.equal(text(), 'nameserver 198.51.100.53\n');
  });

  it('that a killed process left go at the next start', () => {
    new NameServers(file).set(1, [address('10.2.0.53')]);
    new NameServers(file);
    assert.equal(text(), OTHERS);
  });

  it('do not touch the file while there are none', () => {
    chmodSync(file, 0o444);
    const { mtimeMs } = statSync(file);
    const servers = new NameServers(file);
    servers.set(1, []);
    servers.remove(1);
    servers.close();
    assert.equal(statSync(file).mtimeMs, mtimeMs);
  });

  it('are written through a link, and into a file that is not there yet', () => {
    const link = join(directory, 'link.conf');
    symlinkSync(file, link);
    new NameServers(link).set(1, [address('10.2.0.53')]);
    assert.equal(text(), `nameserver 10.2.0.53 # by tsgw\n${OTHERS}`);
    const absent = join(directory, 'absent.conf');
    const servers = new NameServers(absent);
    assert.equal(existsSync(absent), false);
    servers.set(1, [address('10.2.0.53')]);
    assert.equal(readFileSync(absent, 'utf8'), 'nameserver 10.2.0.53 # by tsgw\n');
  });

  it('are refused aloud where the file cannot be written', () => {
    const servers = new NameServers(join(directory, 'nowhere', 'resolv.conf'));
    assert.throws(() => servers.set(1, [address('10.2.0.53')]), /ENOENT/);
  });
});
