"""Seals and opens ESP packets with scapy, for tests that want a second opinion.

Reads a JSON list of jobs, prints a JSON list of hex packets or of {"error": ...}. scapy 2.5 leaves
the high half of an extended sequence number out of a MAC and knows neither AES-XCBC nor GMAC: those
are made here, from RFC 3566 and RFC 4543 and the AES of the cryptography package.
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
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes  # noqa: E402
from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: E402
from cryptography.hazmat.primitives.cmac import CMAC  # noqa: E402

HMACS = {
    "HMAC-SHA1-96": (hashlib.sha1, 12),
    "SHA2-256-128": (hashlib.sha256, 16),
    "SHA2-384-192": (hashlib.sha384, 24),
    "SHA2-512-256": (hashlib.sha512, 32),
}


def ip(octets):
    return (IP if octets[0] >> 4 == 4 else IPv6)(octets)


def aes(key, block):
    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    return encryptor.update(block) + encryptor.finalize()


def xor(a, b):
    return bytes(x ^ y for x, y in zip(a, b))


def xcbc(key, message):
    """RFC 3566 section 4."""
    k1, k2, k3 = (aes(key, bytes([constant]) * 16) for constant in (1, 2, 3))
    blocks = [message[at:at + 16] for at in range(0, len(message), 16)] or [b""]
    state = bytes(16)
    for block in blocks[:-1]:
        state = aes(k1, xor(state, block))
    last = blocks[-1]
    if len(last) == 16:
        return aes(k1, xor(xor(state, last), k2))
    padded = last + b"\x80" + bytes(15 - len(last))
    return aes(k1, xor(xor(state, padded), k3))


def cmac(key, message):
    function = CMAC(algorithms.AES(key))
    function.update(message)
    return function.finalize()


def association(job, auth):
    family = IPv6 if ":" in job["source"] else IP
    outer = family(src=job["source"], dst=job["destination"])
    options = {"crypt_icv_size": job["icv"]} if job["auth"] is None else {}
    if auth is not None:
        # Only the length of its ICV matters where scapy is not asked to compute it.
        known = "AES-CMAC-96" if auth == "AES-XCBC-96" else auth
        options |= {"auth_algo": known, "auth_key": bytes.fromhex(job["authKey"])}
    if job["udp"]:
        options["nat_t_header"] = UDP(sport=4500, dport=4500)
    return SecurityAssociation(
        ESP,
        spi=job["spi"],
        seq_num=job["low"],
        crypt_algo=job["crypt"],
        crypt_key=bytes.fromhex(job["cryptKey"]),
        tunnel_header=None if job.get("transport") else outer,
        esn_en=job["esn"],
        esn=job["high"],
        **options,
    )


def mac(job, octets):
    key = bytes.fromhex(job["authKey"])
    covered = octets + (struct.pack("!L", job["high"]) if job["esn"] else b"")
    if job["auth"] == "AES-XCBC-96":
        return xcbc(key, covered)[:12]
    if job["auth"] == "AES-CMAC-96":
        return cmac(key, covered)[:12]
    digest, length = HMACS[job["auth"]]
    return hmac.new(key, covered, digest).digest()[:length]


def mac_length(job):
    return HMACS[job["auth"]][1] if job["auth"] in HMACS else 12


def is_by_hand(job):
    return job["auth"] is not None and (job["esn"] or job["auth"] == "AES-XCBC-96")


def gmac(job, header, iv, body):
    """RFC 4543 section 3.3: the tag over everything, IV included."""
    material = bytes.fromhex(job["cryptKey"])
    high = struct.pack("!L", job["high"]) if job["esn"] else b""
    aad = header[:4] + high + header[4:] + iv + body
    return AESGCM(material[:-4]).encrypt(material[-4:] + iv, b"", aad)


def open_gmac(job, esp):
    header, iv, body, icv = esp[:8], esp[8:16], esp[16:-16], esp[-16:]
    if gmac(job, header, iv, body) != icv:
        raise ValueError("GMAC is wrong")
    return body[:len(body) - 2 - body[-2]]


def seal_gmac(job, inner):
    padding = -(len(inner) + 2) % 4
    following = 4 if inner[0] >> 4 == 4 else 41
    body = inner + bytes(range(1, padding + 1)) + bytes([padding, following])
    header = struct.pack("!LL", job["spi"], job["low"])
    iv = struct.pack("!LL", job["high"], job["low"])
    return header + iv + body + gmac(job, header, iv, body)


def open_packet(job):
    """From the outer IP header to the inner packet."""
    packet = ip(bytes.fromhex(job["packet"]))
    if job["crypt"] == "AES-GMAC":
        return open_gmac(job, raw(packet[ESP]))
    by_hand = is_by_hand(job)
    if by_hand:
        esp = raw(packet[ESP])
        length = mac_length(job)
        if mac(job, esp[:-length]) != esp[-length:]:
            raise ValueError("MAC is wrong")
    return raw(association(job, job["auth"]).decrypt(packet, verify=not by_hand))


def seal_packet(job):
    """From the inner packet to the ESP packet, outer headers left off."""
    octets = bytes.fromhex(job["packet"])
    if job["crypt"] == "AES-GMAC":
        return seal_gmac(job, octets)
    by_hand = is_by_hand(job)
    sealed = association(job, None if by_hand else job["auth"]).encrypt(ip(octets))
    octets = raw(sealed[ESP])
    return octets + mac(job, octets) if by_hand else octets


def answer(job):
    try:
        return {"open": open_packet, "seal": seal_packet}[job["verb"]](job).hex()
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}


json.dump([answer(job) for job in json.load(sys.stdin)], sys.stdout)
