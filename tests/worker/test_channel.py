from __future__ import annotations

import os
from collections.abc import Iterator

import msgspec
import pytest

from autotune.core.protocol import Building, Finish, Finished, Measure, Measured
from autotune.worker.channel import Channel


class Ends:
    """A channel, and the coordinator's ends of its two pipes."""

    def __init__(self) -> None:
        commands, self.commands = os.pipe()
        self.replies, replies = os.pipe()
        self.channel = Channel(commands, replies)


@pytest.fixture
def ends() -> Iterator[Ends]:
    ends = Ends()
    yield ends
    ends.channel._commands.close()
    ends.channel._replies.close()
    os.close(ends.replies)


def test_commands_come_one_a_line(ends: Ends) -> None:
    for command in (Measure(block=0, start_ns=1, stop_ns=2), Finish()):
        os.write(ends.commands, msgspec.json.encode(command) + b"\n")
    assert ends.channel.receive() == Measure(block=0, start_ns=1, stop_ns=2)
    assert ends.channel.receive() == Finish()
    os.close(ends.commands)


def test_a_closed_pipe_is_the_end(ends: Ends) -> None:
    os.write(ends.commands, b'{"type":"finish"}\n')
    os.close(ends.commands)
    assert ends.channel.receive() == Finish()
    assert ends.channel.receive() is None


def test_a_reply_is_sent_at_once(ends: Ends) -> None:
    ends.channel.send(Finished(peak_rss_bytes=5))
    assert os.read(ends.replies, 1000) == b'{"type":"finished","peak_rss_bytes":5,"flags":[]}\n'
    ends.channel.send(Measured(items=1.5, calls=1, cpu_ns=2))
    assert os.read(ends.replies, 1000) == b'{"type":"measured","items":1.5,"calls":1,"cpu_ns":2,"growth_bytes":null}\n'
    os.close(ends.commands)


def test_an_unknown_command_is_refused(ends: Ends) -> None:
    os.write(ends.commands, b'{"type":"dance"}\n')
    with pytest.raises(msgspec.ValidationError, match="dance"):
        ends.channel.receive()
    os.close(ends.commands)


def told(ends: Ends) -> list[Building]:
    lines = os.read(ends.replies, 65536).splitlines()
    return [msgspec.json.decode(line, type=Building) for line in lines]


def test_the_begin_and_the_end_of_the_users_code_are_told_once(ends: Ends) -> None:
    with ends.channel.building(), ends.channel.building():
        assert told(ends) == [Building()]
    assert told(ends) == [Building(done=True)]


def test_where_it_fails_it_is_never_done(ends: Ends) -> None:
    with pytest.raises(ZeroDivisionError), ends.channel.building():
        raise ZeroDivisionError
    assert told(ends) == [Building()]
    with ends.channel.building():
        pass
    assert told(ends) == [Building(), Building(done=True)]
