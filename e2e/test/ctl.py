#!/usr/bin/env python3
"""Asks a daemon's control socket: ctl.py SOCKET COMMAND [PATH.IN.REPLY]; prints the reply, or one member of it."""
import json
import socket
import sys

s = socket.socket(socket.AF_UNIX)
s.settimeout(10)
s.connect(sys.argv[1])
s.sendall((json.dumps({"cmd": sys.argv[2]}) + "\n").encode())
reply = json.loads(s.makefile().readline())
for member in sys.argv[3].split(".") if len(sys.argv) > 3 else []:
    reply = reply[member]
print(reply if isinstance(reply, (int, str)) else json.dumps(reply, indent=1))
