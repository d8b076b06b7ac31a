"""Seals and opens ESP packets with scapy, for tests that want a second opinion.

Reads a JSON list of jobs, prints a JSON list of hex packets or of {"error": ...}. scapy 2.5 leaves
the high half of an extended sequence number out of an HMAC: there the HMAC is made with hmac.
"""
import hashlib
import hmac
import json
import struct
import sys

from scapy.config import conf

conf.verb = 0
from scapy.layers.inet import IP, UDP  # noqa: E402
from scapy.layers.inet6 import IPv6  # noqa: E402
from scapy.layers.ipsec import ESP, SecurityAssociation  # noqa: E402
from scapy.packet import raw  # noqa: E402

HMACS = {
    "HMAC-SHA1-96": (hashlib.sha1, 12),
    "SHA2-256-128": (hashlib.sha256, 16),
    "SHA2-384-192": (hashlib.sha384, 24),
    "SHA2-512-256": (hashlib.sha512, 32),
}


def ip(octets):
    return (IP if octets[0] >> 4 == 4 else IPv6)(octets)


def association(job, auth):
    family = IPv6 if ":" in job["source"] else IP
    outer = family(src=job["source"], dst=job["destination"])
    options = {"crypt_icv_size": 16} if auth is None and job["auth"] is None else {}
    if auth is not None:
        options |= {"auth_algo": auth, "auth_key": bytes.fromhex(job["authKey"])}
    if job["udp"]:
        options["nat_t_header"] = UDP(sport=4500, dport=4500)
    return SecurityAssociation(
        ESP,
        spi=job["spi"],
        seq_num=job["low"],
        crypt_algo=job["crypt"],
        crypt_key=bytes.fromhex(job["cryptKey"]),
        tunnel_header=outer,
        esn_en=job["esn"],
        esn=job["high"],
        **options,
    )


def mac(job, octets):
    digest, length = HMACS[job["auth"]]
    key = bytes.fromhex(job["authKey"])
    return hmac.new(key, octets + struct.pack("!L", job["high"]), digest).digest()[:length]


def open_packet(job):
    """From the outer IP header to the inner packet."""
    packet = ip(bytes.fromhex(job["packet"]))
    by_hand = job["auth"] is not None and job["esn"]
    if by_hand:
        esp = raw(packet[ESP])
        length = HMACS[job["auth"]][1]
        if mac(job, esp[:-length]) != esp[-length:]:
            raise ValueError("HMAC over the extended sequence number is wrong")
    return raw(association(job, job["auth"]).decrypt(packet, verify=not by_hand))


def seal_packet(job):
    """From the inner packet to the ESP packet, outer headers left off."""
    by_hand = job["auth"] is not None and job["esn"]
    inner = ip(bytes.fromhex(job["packet"]))
    sealed = association(job, None if by_hand else job["auth"]).encrypt(inner)
    octets = raw(sealed[ESP])
    return octets + mac(job, octets) if by_hand else octets


def answer(job):
    try:
        return {"open": open_packet, "seal": seal_packet}[job["verb"]](job).hex()
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}


json.dump([answer(job) for job in json.load(sys.stdin)], sys.stdout)
