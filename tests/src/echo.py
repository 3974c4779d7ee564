"""A server for tests: echo.py NAME [tcp|udp]:ADDRESS:PORT...

It answers each message with its own name, the address and port it sees the client at, and the message.
"""
import socket
import sys
import threading


def answer(peer, message):
    return f"{sys.argv[1]} saw {peer[0]}:{peer[1]} say ".encode() + message


def udp(server):
    while True:
        message, peer = server.recvfrom(65535)
        server.sendto(answer(peer, message), peer)


def serve(connection, peer):
    with connection:
        while message := connection.recv(65535):
            connection.sendall(answer(peer, message))


def tcp(server):
    server.listen(64)
    while True:
        threading.Thread(target=serve, args=server.accept()).start()


for where in sys.argv[2:]:
    kind, address, port = where.split(":")
    types = {"tcp": (socket.SOCK_STREAM, tcp), "udp": (socket.SOCK_DGRAM, udp)}
    server = socket.socket(socket.AF_INET, types[kind][0])
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind((address, int(port)))
    threading.Thread(target=types[kind][1], args=(server,)).start()
