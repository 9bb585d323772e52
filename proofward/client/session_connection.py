"""One connection of a session's client to the enclave, over its worker's socket: every frame is sealed."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final

from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_exponential_jitter
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.sync.client import ClientConnection

from proofward.chain.transport import opened
from proofward.client.errors import SessionError
from proofward.client.session_store import SessionSecrets
from proofward.errors import Refused
from proofward.protocol import SYSTEM_RANDOM, ProtocolError
from proofward.protocol.keys import ReceiptKey, hpke_seal
from proofward.protocol.session_frames import (
    MAX_SESSION_FRAME,
    RANDOM_LENGTH,
    Channel,
    Message,
    SessionContext,
    State,
    parse_message,
)
from proofward.protocol.sessions import hello_message

CONNECT_SECONDS: Final = 20.0
CLOSE_SECONDS: Final = 2.0
BEHIND_SECONDS: Final = 10.0
"""For how long a worker that does not know a session is asked again: its node may be blocks behind ours."""
QUIET_SECONDS: Final = 20.0
"""Seconds without a word while one is due, after which the connection is taken for lost."""


class Connection:
    """Greets the enclave of a session's worker; `state` is what it began with.

    Raises SessionError, Refused (an endpoint that is none).
    """

    def __init__(self, secrets: SessionSecrets) -> None:
        self.socket = _connected(secrets.endpoint, secrets.session)
        try:
            self._channel, self.state = _greet(self.socket, secrets)
        except BaseException:
            self.close()
            raise

    def send(self, message: bytes) -> None:
        """Never raises: whoever hears notices what is lost, and has it sent again."""
        with suppress(OSError, WebSocketException):
            self.socket.send(self._channel.seal(message))

    def hear(self) -> Message | None:
        """The next message; None after `QUIET_SECONDS` without one. Raises SessionError (the connection, or a
        frame on it, is lost), ProtocolError (what it says does not hold).
        """
        try:
            frame = _frame(self.socket.recv(QUIET_SECONDS, decode=False))
        except TimeoutError:
            return None
        except (ConnectionClosed, OSError, WebSocketException) as error:
            raise _lost(error) from None
        try:
            opened = self._channel.open(frame)
        except ProtocolError as error:
            raise SessionError(
                f"a frame of the worker's does not open: {error.message}", code=str(error.code)
            ) from None
        return parse_message(opened)

    def close(self) -> None:
        """Hang up."""
        with suppress(OSError, WebSocketException):
            self.socket.close()


def _greet(socket: ClientConnection, told: SessionSecrets) -> tuple[Channel, State]:
    """Show the enclave the session's secret, and have it show that it could read it."""
    genesis, session = bytes.fromhex(told.genesis), bytes.fromhex(told.session)
    secret, voucher = bytes.fromhex(told.secret), ReceiptKey(bytes.fromhex(told.voucher_seed))
    context = SessionContext(
        genesis=genesis,
        session=session,
        client=bytes.fromhex(told.client),
        worker=bytes.fromhex(told.worker),
        model=bytes.fromhex(told.model),
        epoch=told.epoch,
    )
    mine = SYSTEM_RANDOM(RANDOM_LENGTH)
    wrapped = hpke_seal(bytes.fromhex(told.hpke_key), secret, context.info())
    try:
        said = voucher.sign(hello_message(genesis, session, mine, wrapped))
        socket.send(mine + said + wrapped)
        theirs = socket.recv(CONNECT_SECONDS, decode=False)
        channel = Channel(secret, session, mine, _frame(theirs), enclave=False)
        state = parse_message(channel.open(_frame(socket.recv(CONNECT_SECONDS, decode=False))))
    except TimeoutError:
        raise SessionError(f"{told.endpoint} does not answer", code="timeout") from None
    except ProtocolError:
        raise SessionError(
            f"whoever answers at {told.endpoint} does not hold the enclave's key: the endpoint is "
            "somebody else's, or the enclave was started anew",
            code="wrong-enclave",
        ) from None
    except (OSError, WebSocketException) as error:
        raise _lost(error) from None
    if not isinstance(state, State):
        raise SessionError("the enclave did not begin with the session's state", code="wrong-enclave")
    return channel, state


def first_connection(secrets: SessionSecrets) -> Connection:
    """To the worker of a session that the chain has, as soon as the worker's node has it too. Raises as
    `Connection`.
    """
    retrying = Retrying(
        retry=retry_if_exception(_is_of_no_session),
        stop=stop_after_delay(BEHIND_SECONDS),
        wait=wait_exponential_jitter(multiplier=0.1, max=1.0, jitter=0.1),
        reraise=True,
    )
    return retrying(Connection, secrets)


def _is_of_no_session(error: BaseException) -> bool:
    return isinstance(error, SessionError) and error.code == "unknown-session"


def no_address(endpoint: str) -> str | None:
    """Why nobody can connect to such an endpoint, None where one can try."""
    if endpoint.startswith(("http://", "https://", "ws://", "wss://")):
        return None
    return f"the worker's endpoint {endpoint!r} is no address of a server"


def _connected(endpoint: str, session: str) -> ClientConnection:
    if reason := no_address(endpoint):
        raise Refused(f"{reason}; choose another worker")
    base = "ws" + endpoint.removeprefix("http") if endpoint.startswith("http") else endpoint
    url = f"{base.rstrip('/')}/sessions/{session}"
    try:
        return opened(
            url,
            compression=None,
            max_size=MAX_SESSION_FRAME,
            open_timeout=CONNECT_SECONDS,
            close_timeout=CLOSE_SECONDS,
        )
    except (OSError, TimeoutError, WebSocketException) as error:
        raise SessionError(f"{url} does not answer: {error}", code="worker-unreachable") from None


def _frame(data: Any) -> bytes:
    if not isinstance(data, bytes):
        raise SessionError("the worker sent text", code="malformed-envelope")
    return data


def _lost(error: Exception) -> SessionError:
    closed = error.rcvd if isinstance(error, ConnectionClosed) else None
    if closed is not None and closed.reason:
        return SessionError(f"the worker ended the connection: {closed.reason}", code=closed.reason)
    return SessionError(
        f"the connection to the worker is lost ({error or type(error).__name__})", code="connection-lost"
    )
