/**
 * Words that stand for whole proposals: what peers need that cannot be configured, or are not.
 *
 * A preset is written in place of a proposal, `proposals = windows-stock, default`. It may name what no
 * proposal may (Triple DES), and says what it costs wherever it is used. Nothing is in force unasked.
 */

/** The proposals of a preset in the words of swanctl.conf, best first. */
export interface Preset {
  readonly name: string;
  readonly ike: readonly string[];
  readonly esp: readonly string[];
  /** What an operator gives up, in a sentence. */
  readonly cost: string;
}

/** The preset of a text in lower case. */
export function presetNamed(text: string): Preset | undefined {
  return PRESETS.find(({ name }) => name === text);
}

/** For hints. */
export function presetNames(): readonly string[] {
  return PRESETS.map(({ name }) => name);
}

/** What gives a Windows client AES-GCM and ECP_384 for IKE and ESP, with PFS. */
const POWERSHELL =
  'Set-VpnConnectionIPsecConfiguration -ConnectionName NAME -CipherTransformConstants GCMAES256 ' +
  '-AuthenticationTransformConstants GCMAES256 -EncryptionMethod GCMAES256 ' +
  '-IntegrityCheckMethod SHA384 -DHGroup ECP384 -PfsGroup ECP384';

const PRESETS: readonly Preset[] = [
  {
    name: 'windows-stock',
    // A stock client offers each cipher with each of three hashes, all with group 2; Windows 11 has
    // AES-GCM besides.
    ike: [
      'aes256gcm16-aes128gcm16-prfsha384-prfsha256-prfsha1-modp1024',
      'aes256-aes192-aes128-sha384-sha256-sha1-modp1024',
      '3des-sha384-sha256-sha1-modp1024',
    ],
    esp: ['aes256-aes128-sha1'],
    cost:
      'key exchange in a group of 1024 bits, which a well-funded attacker can break, with Triple DES ' +
      `and SHA-1 where the client wants them; better, on the client: ${POWERSHELL}`,
  },
  {
    name: 'windows-modp2048',
    // What the registry value NegotiateDH2048_AES256 makes of a stock client.
    ike: ['aes256-sha384-sha256-sha1-modp2048'],
    esp: ['aes256-sha1'],
    cost: 'SHA-1 as a MAC',
  },
  {
    name: 'apple-stock',
    ike: ['aes256-sha256-ecp256-modp2048'],
    esp: ['aes256-sha256'],
    cost: 'with certificates, SHA-1 signatures towards devices that announce no hash algorithms',
  },
  {
    name: 'openiked',
    // Its build for Linux has neither AES-GCM nor HMAC-SHA2-256 for ESP, and no ESN.
    ike: [
      'aes256gcm16-prfsha384-prfsha256-x25519-ecp256',
      'aes256-sha512-sha384-sha256-x25519-ecp256',
    ],
    esp: ['aes256-sha512-sha384-sha1'],
    cost: 'nothing, unless the peer insists on SHA-1 as a MAC',
  },
];
