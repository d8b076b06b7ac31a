/**
 * What swanctl.conf may say and what becomes of it: every key of strongSwan 6.0 has a rule.
 *
 * Nothing is ignored in silence. A key is used, or it is accepted where it says what happens
 * anyway and otherwise refused (`only`) or warned about (`noEffect`), or it is refused by name.
 */
import { CLUSTER } from './cluster-schema.ts';
import { GATEWAY_KEYS } from './gateway-settings.ts';
import type { KeyRule, SectionRule, ValueKind } from './section-rule.ts';

const NOT_YET = 'not implemented yet';
const IKEV1 = 'it concerns IKEv1 only';
const CERTIFICATES = 'authentication by certificate is not implemented yet: write auth = psk';
const EAP = 'EAP is not implemented yet';

const used: KeyRule = { kind: 'used' };

function only(as: ValueKind, accepts: readonly string[], why = NOT_YET): KeyRule {
  return { kind: 'only', as, accepts, why };
}

function noEffect(as: ValueKind, accepts: readonly string[], why: string): KeyRule {
  return { kind: 'no-effect', as, accepts, why };
}

function refused(why = NOT_YET): KeyRule {
  return { kind: 'refused', why };
}

const certificate: SectionRule = {
  keys: { file: used, handle: used, slot: used, module: used },
  sections: {},
  whole: { kind: 'refused', why: CERTIFICATES },
};

const local: SectionRule = {
  keys: {
    round: used,
    certs: refused(CERTIFICATES),
    pubkeys: refused(CERTIFICATES),
    auth: used,
    id: used,
    eap_id: noEffect('word', [], EAP),
    aaa_id: noEffect('word', [], EAP),
    xauth_id: noEffect('word', [], IKEV1),
  },
  sections: {},
  sectionPrefixes: { cert: certificate },
};

const remote: SectionRule = {
  keys: {
    round: used,
    id: used,
    eap_id: refused(EAP),
    groups: refused(),
    cert_policy: refused(CERTIFICATES),
    certs: refused(CERTIFICATES),
    cacerts: refused(CERTIFICATES),
    ca_id: refused(CERTIFICATES),
    pubkeys: refused(CERTIFICATES),
    revocation: only('word', ['relaxed'], CERTIFICATES),
    auth: used,
  },
  sections: {},
  sectionPrefixes: { cert: certificate, cacert: certificate },
};

const child: SectionRule = {
  keys: {
    ah_proposals: refused('AH is not implemented (RFC 8221 §4 advises against it): use ESP'),
    esp_proposals: used,
    sha256_96: only('boolean', ['no'], 'truncation to 96 bits contradicts RFC 4868'),
    local_ts: used,
    remote_ts: used,
    rekey_time: used,
    life_time: used,
    rand_time: used,
    rekey_bytes: used,
    life_bytes: used,
    rand_bytes: used,
    rekey_packets: used,
    life_packets: used,
    rand_packets: used,
    updown: refused(),
    hostaccess: only('boolean', ['no']),
    mode: used,
    policies: only('boolean', ['yes']),
    policies_fwd_out: noEffect('boolean', ['no'], 'there are no policies in the kernel'),
    dpd_action: used,
    ipcomp: only('boolean', ['no']),
    inactivity: used,
    reqid: used,
    priority: used,
    interface: refused(),
    mark_in: only('mark', ['0/0']),
    mark_in_sa: only('boolean', ['no']),
    mark_out: only('mark', ['0/0']),
    set_mark_in: only('mark', ['0/0']),
    set_mark_out: only('mark', ['0/0']),
    if_id_in: only('integer', ['0']),
    if_id_out: only('integer', ['0']),
    label: refused(),
    label_mode: only('word', ['system']),
    tfc_padding: used,
    replay_window: used,
    per_cpu_sas: only('word', ['no']),
    hw_offload: only('word', ['no', 'auto'], 'there is no hardware offload in userspace'),
    copy_df: used,
    copy_ecn: used,
    copy_dscp: used,
    icmp: used,
    // Ours: strongSwan has no words for these.
    dummy_packets: used,
    non_first_fragments: used,
    start_action: used,
    close_action: used,
  },
  sections: {},
};

/** `connections.NAME`. */
export const CONNECTION: SectionRule = {
  keys: {
    version: used,
    local_addrs: used,
    remote_addrs: used,
    local_port: used,
    remote_port: used,
    proposals: used,
    vips: used,
    aggressive: noEffect('boolean', ['no'], IKEV1),
    pull: noEffect('boolean', ['yes'], IKEV1),
    dscp: only('word', ['000000']),
    encap: used,
    mobike: used,
    dpd_delay: used,
    dpd_timeout: noEffect('seconds', ['0'], `${IKEV1}; IKEv2 uses the retransmission times`),
    fragmentation: used,
    childless: used,
    send_certreq: noEffect('boolean', ['no'], CERTIFICATES),
    send_cert: noEffect('word', ['never', 'ifasked'], CERTIFICATES),
    ocsp: noEffect('word', ['never', 'reply'], CERTIFICATES),
    ppk_id: refused(),
    ppk_required: only('boolean', ['no']),
    keyingtries: used,
    unique: used,
    reauth_time: used,
    rekey_time: used,
    over_time: used,
    rand_time: used,
    pools: used,
    if_id_in: only('integer', ['0']),
    if_id_out: only('integer', ['0']),
    mediation: only('boolean', ['no']),
    mediated_by: refused(),
    mediation_peer: refused(),
  },
  sections: { children: { keys: {}, sections: {}, anySection: child } },
  sectionPrefixes: { local, remote },
};

const sharedSecret: SectionRule = {
  keys: { secret: used },
  keyPrefixes: { id: used },
  sections: {},
};

const keyFile: SectionRule = {
  keys: { file: used, secret: used },
  sections: {},
  whole: { kind: 'no-effect', why: CERTIFICATES },
};

function otherSecret(why: string): SectionRule {
  return { ...sharedSecret, whole: { kind: 'no-effect', why } };
}

/** `pools.NAME`: beside the names, attributes go by number. */
export const POOL: SectionRule = {
  keys: {
    addrs: used,
    address: used,
    dns: used,
    nbns: used,
    dhcp: used,
    netmask: used,
    server: used,
    subnet: used,
    p_cscf: used,
    split_include: used,
    split_exclude: used,
  },
  keyPrefixes: Object.fromEntries([...'0123456789'].map((digit) => [digit, used])),
  sections: {},
};

/** The top level of a configuration file. */
export const CONFIGURATION: SectionRule = {
  keys: {},
  sections: {
    connections: { keys: {}, sections: {}, anySection: CONNECTION },
    secrets: {
      keys: {},
      sections: {},
      sectionPrefixes: {
        ike: sharedSecret,
        eap: otherSecret(EAP),
        xauth: otherSecret(IKEV1),
        ntlm: otherSecret(EAP),
        ppk: otherSecret('postquantum preshared keys are not implemented yet'),
        private: keyFile,
        rsa: keyFile,
        ecdsa: keyFile,
        pkcs8: keyFile,
        pkcs12: keyFile,
        token: {
          keys: { handle: used, slot: used, module: used, pin: used },
          sections: {},
          whole: { kind: 'no-effect', why: CERTIFICATES },
        },
      },
    },
    pools: { keys: {}, sections: {}, anySection: POOL },
    authorities: {
      keys: {},
      sections: {},
      anySection: {
        keys: {
          cacert: used,
          file: used,
          handle: used,
          slot: used,
          module: used,
          crl_uris: used,
          ocsp_uris: used,
          cert_uri_base: used,
        },
        sections: {},
        whole: { kind: 'no-effect', why: CERTIFICATES },
      },
    },
    cluster: CLUSTER,
    gateway: {
      keys: Object.fromEntries(GATEWAY_KEYS.map((key) => [key, used])),
      sections: {},
    },
  },
};
