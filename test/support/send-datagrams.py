"""Sends UDP datagrams; argv: wait in seconds. Reads lines of destination, port and payload in hex.

Prints how many answers came back, by the address they came from, once there are as many as were sent, or
none came for the time to wait.
"""
import json
import socket
import sys

wait = float(sys.argv[1])
answers = {}
sockets = {}
awaited = {}
for line in sys.stdin:
    destination, port, payload = line.split()
    family = socket.AF_INET6 if ":" in destination else socket.AF_INET
    if family not in sockets:
        sockets[family] = socket.socket(family, socket.SOCK_DGRAM)
    awaited[family] = awaited.get(family, 0) + 1
    sockets[family].sendto(bytes.fromhex(payload), (destination, int(port)))
if wait > 0:
    for family, one in sockets.items():
        one.settimeout(wait)
        try:
            for _ in range(awaited[family]):
                _, sender = one.recvfrom(2000)
                answers[sender[0]] = answers.get(sender[0], 0) + 1
        except TimeoutError:
            pass
print(json.dumps(answers))
