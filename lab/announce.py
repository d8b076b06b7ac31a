"""Gratuitous ARP, request and reply: announce.py DEVICE ADDRESS..., one pair of arguments after another."""

import socket
import struct
import sys

BROADCAST = b"\xff" * 6
ETH_P_ARP = 0x0806


def announce(device, address):
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ARP)) as raw:
        raw.bind((device, ETH_P_ARP))
        own = raw.getsockname()[4]
        ip = socket.inet_aton(address)
        ethernet = BROADCAST + own + struct.pack("!H", ETH_P_ARP)
        for operation, target in ((1, b"\0" * 6), (2, BROADCAST)):
            arp = struct.pack("!HHBBH", 1, 0x0800, 6, 4, operation)
            raw.send(ethernet + arp + own + ip + target + ip)


for device, address in zip(sys.argv[1::2], sys.argv[2::2]):
    announce(device, address)
