"""An asyncio server at port 7000: answers each line with its words in reverse order, `count` with
how many lines there have been, and datagrams at the same port with their upper case."""
import asyncio
import signal


class Lines:
    def __init__(self):
        self.count = 0

    async def serve(self, reader, writer):
        while line := await reader.readline():
            if line == b"count\n":
                writer.write(b"%d\n" % self.count)
            else:
                self.count += 1
                writer.write(b" ".join(reversed(line.split())) + b"\n")
            await writer.drain()
        writer.close()


class Datagrams(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, address):
        self.transport.sendto(data.upper(), address)


async def main():
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    await loop.create_datagram_endpoint(Datagrams, local_addr=("0.0.0.0", 7000))
    async with await asyncio.start_server(Lines().serve, None, 7000):
        print("listening", flush=True)
        await ended.wait()


asyncio.run(main())
