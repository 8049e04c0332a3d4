"""TLS for a Bazel that has none: with it, Debian's says "JDK provider does not support ALPN protocol".

Opens ports of this container's own loopback. What is sent to one goes through TLS to the server behind it: its
certificate is checked, and ours shown where there is one. Lines that begin with "remote_tunnel: " say what is wrong,
each once.
"""

import asyncio
import ssl
import threading
from typing import Any

CHUNK = 1 << 16
SECONDS = 10.0


class Tunnel:
    """One port, and the server behind it (``pipeline/remote/tunnels.py`` says what is known of it)."""

    def __init__(self, tunnel: dict[str, Any], shown: dict[str, str]) -> None:
        self.tunnel = tunnel
        self.context = ssl.create_default_context(cafile=shown["ca"])
        # Newer Pythons refuse authorities of many companies for extensions that are missing; no other client does.
        self.context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        self.context.set_alpn_protocols([tunnel["protocol"]])
        if "certificate" in shown:
            self.context.load_cert_chain(shown["certificate"], shown["key"], password="")
        self.said: set[str] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await self.connect()
        except (OSError, asyncio.TimeoutError) as error:
            self.say(error)
            writer.close()
            return
        await asyncio.gather(self.pass_on(reader, far_writer), self.pass_on(far_reader, writer, near=reader))

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """To the first address that answers; its certificate has to be that of the host by name."""
        *others, last = self.tunnel["addresses"]
        for address in others:
            try:
                return await self.connect_to(address)
            except (OSError, asyncio.TimeoutError):
                continue
        return await self.connect_to(last)

    async def connect_to(self, address: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        host, port = self.tunnel["host"], self.tunnel["port"]
        connecting = asyncio.open_connection(address, port, ssl=self.context, server_hostname=host)
        return await asyncio.wait_for(connecting, SECONDS)

    async def pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, near: asyncio.StreamReader | None = None
    ) -> None:
        try:
            while data := await reader.read(CHUNK):
                writer.write(data)
                await writer.drain()
        except OSError as error:  # of TLS too: a certificate of ours is refused after the handshake
            if near is not None and not near.at_eof():
                self.say(error)
        finally:
            writer.close()

    def say(self, error: Exception) -> None:
        words = (getattr(error, name, None) for name in ("verify_message", "reason", "strerror"))
        why = next((word for word in words if word), type(error).__name__)
        if why not in self.said:
            self.said.add(why)
            print(f"remote_tunnel: {self.tunnel['host']}:{self.tunnel['port']}: {why}", flush=True)


def opened(tunnels: list[dict[str, Any]], shown: dict[str, str]) -> bool:
    """Open the ports, in a thread that ends with the process; whether that went well."""
    ready = threading.Event()

    async def listen() -> None:
        for tunnel in tunnels:
            await asyncio.start_server(Tunnel(tunnel, shown).serve, tunnel["listen"], tunnel["listen_port"])
        ready.set()
        await asyncio.Event().wait()

    threading.Thread(target=lambda: asyncio.run(listen()), daemon=True).start()
    return ready.wait(SECONDS)
