#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
"""Counts how often a server calls malloc or operator new, on any of its threads, while it answers requests after a warm-up; exits 1 if
it does so more often than --most says. The server is a program that prints the port it listens on.

The first run, with one request only, checks the counting itself: a start and a first request have to be seen."""
import argparse
import mmap
import os
import pathlib
import re
import socket
import struct
import subprocess
import sys
import tempfile
import time

DOCUMENT = b'{"a":[1,2,{"a long name of a member":"and a text of some length"}],"b":null}'


def http(line, body=b""):
    head = f"{line} HTTP/1.1\r\nHost: here\r\nUser-Agent: steady state\r\nAccept: */*\r\n"
    if body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return f"{head}\r\n".encode() + body


REQUESTS = {
    "request_server": [http("GET /search?set=countries&q=land"), http("GET /group?set=languages&by=type"), http("GET /join?limit=100"),
                       http("POST /stats", DOCUMENT), http("GET /healthz")],
    "async_server": [b"GET /orders 100\n", b"GET /search 333\n", b"POST /login 10\n"],
}


class Client:
    """A connection, with one request at a time."""
    def __init__(self, port, http):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.http, self.arrived = http, b""

    def send(self, request):
        self.socket.sendall(request)

    def more(self):
        data = self.socket.recv(1 << 20)
        if not data:
            raise SystemExit("the server closed the connection")
        self.arrived += data

    def receive(self):
        end, length = (b"\r\n\r\n", None) if self.http else (b"\n", 0)
        while end not in self.arrived:
            self.more()
        head, self.arrived = self.arrived.split(end, 1)
        if self.http:
            length = int(re.search(rb"(?i)content-length: *(\d+)", head).group(1))
            while len(self.arrived) < length:
                self.more()
            self.arrived = self.arrived[length:]
            if not re.match(rb"HTTP/1.1 200 ", head):
                raise SystemExit(f"the server answered {head}")
        elif b" rows, " not in head:
            raise SystemExit(f"the server answered {head}")


def drive(clients, requests, count):
    """Each client sends `count` requests of each kind; all clients have one under way at the same time."""
    for i in range(count * len(requests)):
        for k, client in enumerate(clients):
            client.send(requests[(i + k) % len(requests)])
        for client in clients:
            client.receive()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preload", type=pathlib.Path, required=True, help="the library that counts")
    parser.add_argument("--requests", choices=REQUESTS, required=True, help="which requests it understands")
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--warm-up", type=int, default=20, help="requests of each kind and client before the count")
    parser.add_argument("--count", type=int, default=100, help="requests of each kind and client during it")
    parser.add_argument("--most", type=int, default=0, help="calls that are allowed")
    parser.add_argument("--print", type=int, default=0, help="print the callers of so many calls")
    parser.add_argument("server", nargs="+", help="the program and its arguments")
    arguments = parser.parse_args()
    requests = REQUESTS[arguments.requests]
    with tempfile.NamedTemporaryFile() as file:
        file.truncate(16)
        words = mmap.mmap(file.fileno(), 16)
        calls = lambda: struct.unpack_from("<Q", words)[0]   # noqa: E731
        environment = {**os.environ, "LD_PRELOAD": str(arguments.preload), "COUNT_MALLOCS_FILE": file.name}
        with subprocess.Popen(arguments.server, env=environment, stdout=subprocess.PIPE, text=True) as server:
            try:
                port = int(re.search(r"127\.0\.0\.1:(\d+)", server.stdout.readline()).group(1))
                clients = [Client(port, arguments.requests == "request_server") for _ in range(arguments.clients)]
                drive(clients[:1], requests, 1)
                if calls() < 10:
                    raise SystemExit(f"{calls()} calls of malloc since the server started: they are not counted")
                drive(clients, requests, arguments.warm_up)
                time.sleep(0.1)
                before = calls()
                struct.pack_into("<Q", words, 8, getattr(arguments, "print"))
                drive(clients, requests, arguments.count)
                time.sleep(0.1)
                seen = calls() - before
                struct.pack_into("<Q", words, 8, 0)   # its end is not of interest
            finally:
                server.terminate()
    served = arguments.count * len(requests) * len(clients)
    print(f"{seen} calls of malloc or operator new in {served} requests of {len(clients)} connections, "
          f"{before} before, with {' '.join([pathlib.Path(arguments.server[0]).name, *arguments.server[1:]])}")
    return 1 if seen > arguments.most else 0


if __name__ == "__main__":
    sys.exit(main())
