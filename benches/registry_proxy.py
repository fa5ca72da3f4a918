#!/usr/bin/env python3
"""A proxy before a registry on loopback that is far away: it delays, and caps each connection.

    registry_proxy.py HOST:PORT --delay 20 [--rate 22]

prints `HOST:PORT` of its own when it listens. Each direction of each connection has its bytes DELAY milliseconds later,
which is a round trip of twice that, and what the registry sends is capped at RATE megabytes a second for each
connection. Bytes are passed on as they are: neither side's headers are looked at.
"""

import argparse
import asyncio

# Bytes on the way in one direction, as a large TCP window would allow.
WINDOW = 4 * 1024 * 1024


async def pour(reader, writer, delay, rate):
    """Passes bytes on, each piece when its time has come; a second task sends, so that delays overlap."""
    loop = asyncio.get_running_loop()
    waiting = asyncio.Queue()
    room = asyncio.Semaphore(WINDOW // 65536)

    async def send():
        free_at = loop.time()
        while (piece := await waiting.get()) is not None:
            due, data = piece
            if rate:
                free_at = max(free_at, due) + len(data) / rate
                due = free_at
            if (pause := due - loop.time()) > 0:
                await asyncio.sleep(pause)
            writer.write(data)
            await writer.drain()
            room.release()
        if writer.can_write_eof():
            writer.write_eof()

    sender = asyncio.create_task(send())
    try:
        while data := await reader.read(65536):
            await room.acquire()
            waiting.put_nowait((loop.time() + delay, data))
            if sender.done():
                break
    except ConnectionError:
        pass
    waiting.put_nowait(None)
    try:
        await sender
    except ConnectionError:
        pass


async def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("registry", metavar="HOST:PORT")
    parser.add_argument("--delay", type=float, default=20, help="milliseconds in each direction (default 20)")
    parser.add_argument("--rate", type=float, default=0, help="megabytes a second and connection (default: no cap)")
    arguments = parser.parse_args()
    host, port = arguments.registry.rsplit(":", 1)
    delay, rate = arguments.delay / 1000, arguments.rate * 1e6

    async def serve(reader, writer):
        # The handshake of TCP costs a round trip too.
        await asyncio.sleep(2 * delay)
        upstream_reader, upstream_writer = await asyncio.open_connection(host, int(port))
        both = pour(reader, upstream_writer, delay, 0), pour(upstream_reader, writer, delay, rate)
        await asyncio.gather(*both, return_exceptions=True)
        for one in (writer, upstream_writer):
            one.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print("127.0.0.1:%d" % server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


asyncio.run(main())
