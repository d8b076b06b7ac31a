"""Sends Ethernet frames as they are; argv: device. Reads one frame in hex a line, prints how many left."""
import socket
import sys

s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind((sys.argv[1], 0))
sent = 0
for line in sys.stdin:
    s.send(bytes.fromhex(line))
    sent += 1
print(sent)
