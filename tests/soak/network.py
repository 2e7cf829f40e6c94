"""The network: a broker that flaps, browsers by the hundred, some that never read, and bytes that are no HTTP."""

from __future__ import annotations

import contextlib
import json
import resource
import select
import signal
import socket
import time
from collections.abc import Iterator

from edge.sinks.mqtt.link import HELD_UP
from tests.soak.appliance import Appliance, expect, expect_nothing_lost, running, stored_visits, wait_for
from tests.soak.faults import Trial, fault
from tests.soak.simulated import PROGRAM
from tests.stand_ins.broker import Broker, Listener, StuckBroker

CLIENTS = 500
SILENT, FILES = 1500, 1024
SLOW_READERS = 60
LEAST_PACE = 0.8
"""Share of its frames a second that the door keeps, however many look at it."""
GET_EVENTS = b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n"
GET_STATUS = b"GET /api/status HTTP/1.1\r\nHost: localhost\r\n\r\n"
REQUESTS = 200
"""That a reader who never reads sends: their answers are larger than what the kernel keeps."""
PIECES = (
    b"GET / HTTP/1.1\r\n",
    b"GET /" + b"a" * 9000,
    b"Host: localhost\r\n",
    b"Content-Length: 99999999999999999999\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00",
    b"\x00" * 500,
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"Cookie: " + b"a=b;" * 3000 + b"\r\n",
    b"FFFFFFFFFFFFFFFF\r\n",
    b"\xff\xfe\r\n",
)


def simulated(trial: Trial, rate: int = 20, **settings: object) -> Appliance:
    """A door with people, twenty times as fast as life."""
    program = (*PROGRAM, "--rate", str(rate), "--seed", str(trial.rng.randrange(2**32)))
    return Appliance(trial.folder, settings, program, ("--realtime",))


def finish(trial: Trial, appliance: Appliance) -> None:
    """Fail unless it ends cleanly and has lost nothing."""
    expect(appliance.stop() == 0, f"it ended with code {appliance.process.returncode}: {appliance.last_words()}")
    trial.note("visits", expect_nothing_lost(appliance))


@fault("network", "broker that flaps", short=1, long=3, needs=("mosquitto",))
def flapping(trial: Trial) -> None:
    broker = Broker(trial.folder).start()
    settings = {"mqtt.host": "127.0.0.1", "mqtt.port": broker.port, "mqtt.door": "front", "mqtt.events": True}
    try:
        with running(simulated(trial, **settings)) as appliance:
            wait_for(lambda: appliance.metric("maskgate_mqtt_connected") == 1, "the broker is reached")
            for _ in range(3 if trial.short else 20):
                broker.stop()
                wait_for(lambda: appliance.metric("maskgate_mqtt_connected") == 0, "it notices that the broker is gone")
                time.sleep(trial.rng.uniform(0, 0.5))
                appliance.goes_on()
                broker.start()
                time.sleep(trial.rng.uniform(0, 1.5))
            began = time.monotonic()
            wait_for(lambda: appliance.metric("maskgate_mqtt_connected") == 1, "the broker is reached again")
            trial.note("connected again after (s)", time.monotonic() - began)
            wait_for(appliance.is_well, "it is well again")
            listener = Listener(broker.port)
            finish(trial, appliance)
            stored = len(stored_visits(appliance.store))
            counts = "maskgate/front/counts"
            wait_for(
                lambda: json.loads(listener.latest.get(counts, "{}")).get("visits") == stored,
                f"the broker has heard of {stored} visits",
            )
            listener.close()
    finally:
        broker.stop()


@fault("network", "broker that acknowledges nothing, then does", short=1, long=3)
def stuck(trial: Trial) -> None:
    with StuckBroker() as broker:
        settings = {"mqtt.host": "127.0.0.1", "mqtt.port": broker.port, "mqtt.keepalive": 5}
        with running(simulated(trial, rate=1, **settings)) as appliance:
            began = time.monotonic()
            wait_for(lambda: appliance.complains("acknowledges nothing"), "it says what is wrong with the broker")
            trial.note("said after (s)", time.monotonic() - began)
            expect(appliance.health()["status"] == "degraded", f"it says {appliance.health()}")
            appliance.goes_on(20)
            broker.acknowledges = True
            began = time.monotonic()
            wait_for(appliance.is_well, "it is well")
            trial.note("connected after (s)", time.monotonic() - began)
            finish(trial, appliance)


@fault("network", "an MQTT command that is late by a stall", short=1, long=3, needs=("mosquitto",))
def late_command(trial: Trial) -> None:
    broker = Broker(trial.folder).start()
    settings = {"mqtt.host": "127.0.0.1", "mqtt.port": broker.port, "mqtt.door": "front", "mqtt.commands": True}
    try:
        with running(simulated(trial, rate=1, **settings)) as appliance:
            listener = Listener(broker.port)
            wait_for(lambda: appliance.metric("maskgate_mqtt_connected") == 1, "the broker is reached")
            wait_for(lambda: "maskgate/front/people" in listener.latest, "the door is told of")
            assert broker.process
            before = len(appliance.told("visit_started"))
            broker.process.send_signal(signal.SIGSTOP)
            wait_for(lambda: len(appliance.told("visit_started")) > before, "somebody comes, which is to be told")
            listener.send("maskgate/front/command/restart", "PRESS")
            time.sleep(1.5 * HELD_UP)
            broker.process.send_signal(signal.SIGCONT)
            answer = wait_for(lambda: listener.latest.get("maskgate/front/answer"), "the command is answered")
            expect("may be old" in answer, f"it says {answer}")
            wait_for(lambda: appliance.metric("maskgate_mqtt_connected") == 1, "the broker is reached")
            listener.close()
            finish(trial, appliance)
    finally:
        broker.stop()


@contextlib.contextmanager
def crowd(appliance: Appliance, number: int, request: bytes, room: int = 0) -> Iterator[list[socket.socket]]:
    """So many connections that have sent the same request, with ``room`` bytes for answers; gone at the end."""
    sockets: list[socket.socket] = []
    try:
        for _ in range(number):
            one = socket.socket()
            sockets.append(one)
            if room:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
            one.settimeout(0.2)
            with contextlib.suppress(OSError):
                one.connect(("127.0.0.1", appliance.port))
                one.sendall(request)
            one.setblocking(False)
        yield sockets
    finally:
        for one in sockets:
            one.close()


def read_for(sockets: list[socket.socket], seconds: float) -> dict[str, int]:
    """Read whatever comes, and count the status codes with which answers begin."""
    answers: dict[str, int] = {}
    waiting, begun = set(sockets), set[socket.socket]()
    until = time.monotonic() + seconds
    while waiting and time.monotonic() < until:
        poll = select.poll()
        by_number = {one.fileno(): one for one in waiting}
        for number in by_number:
            poll.register(number, select.POLLIN)
        for number, _ in poll.poll(200):
            one = by_number[number]
            try:
                data = one.recv(65536)
            except OSError:
                data = b""
            if not data:
                waiting.discard(one)
            elif one not in begun:
                begun.add(one)
                code = data.split(b" ", 2)[1].decode("ascii", "replace")
                answers[code] = answers.get(code, 0) + 1
    return answers


def pace(appliance: Appliance, seconds: float) -> float:
    """Frames a second."""
    before, began = frames_or_wait(appliance), time.monotonic()
    time.sleep(seconds)
    return (frames_or_wait(appliance) - before) / (time.monotonic() - began)


def frames_or_wait(appliance: Appliance) -> int:
    """Frames so far, as soon as somebody answers."""
    return wait_for(lambda: max(0, appliance.frames()), "it tells its frames")


@fault("network", f"{CLIENTS} web clients at once", short=1, long=3, alone=True)
def clients(trial: Trial) -> None:
    with running(simulated(trial, rate=2)) as appliance:
        wait_for(appliance.is_well, "the door is watched")
        handles, memory = appliance.handles(), appliance.resident()
        alone = pace(appliance, 3)
        before, began = frames_or_wait(appliance), time.monotonic()
        with crowd(appliance, CLIENTS, GET_EVENTS) as sockets:
            answers = read_for(sockets, 5 if trial.short else 20)
        watched = (frames_or_wait(appliance) - before) / (time.monotonic() - began)
        expect(answers.get("200", 0) > 0, f"nobody was served: {answers}")
        trial.note("served", answers.get("200", 0))
        trial.note("told to come later", answers.get("503", 0))
        trial.note("slower by (%)", 100 * (1 - watched / alone))
        trial.note("memory grew (MiB)", appliance.resident() - memory)
        expect(watched > LEAST_PACE * alone, f"{watched:.1f} frames a second with them, {alone:.1f} without")
        wait_for(appliance.is_well, "it answers again", 15)
        wait_for(lambda: appliance.handles() <= handles + 2, "it has let go of the connections")
        finish(trial, appliance)


@fault("network", f"{SILENT:,} connections that say nothing", short=1, long=3, alone=True)
def silent(trial: Trial) -> None:
    """Each takes an open file, of which a process may have 1,024 by default."""
    with running(simulated(trial, rate=20)) as appliance:
        wait_for(appliance.is_well, "the door is watched")
        resource.prlimit(appliance.process.pid, resource.RLIMIT_NOFILE, (FILES, FILES))
        visits = len(appliance.told("visit_ended"))
        with crowd(appliance, SILENT, b"") as sockets:
            handles = appliance.handles()
            trial.note("connections tried", len(sockets))
            trial.note("handles", handles)
            wait_for(lambda: len(appliance.told("visit_ended")) >= visits + 3, "visits go on")
        expect(handles < FILES / 2, f"{handles} files are open")
        wait_for(appliance.is_well, "it answers again", 30)
        expect("Traceback" not in appliance.said, f"it said: {appliance.said[-400:]}")
        finish(trial, appliance)


@fault("network", f"{SLOW_READERS} readers that never read", short=1, long=3)
def slow_readers(trial: Trial) -> None:
    """Pages that are asked for over and over and whose answers nobody takes; the kernel cuts such readers off."""
    with running(simulated(trial, rate=5)) as appliance:
        wait_for(appliance.is_well, "the door is watched")
        memory, handles = appliance.resident(), appliance.handles()
        with crowd(appliance, SLOW_READERS, GET_STATUS * REQUESTS, room=2048):
            for _ in range(4 if trial.short else 10):
                appliance.goes_on(20)
                expect(appliance.is_well(), f"it says {appliance.health()}")
                time.sleep(1)
            trial.note("memory grew (MiB)", appliance.resident() - memory)
            trial.note("readers at once", appliance.handles() - handles)
            expect(appliance.resident() - memory < 20, "what nobody reads is kept in memory")
            if not trial.short:
                wait_for(lambda: appliance.handles() <= handles + 2, "they are cut off")
        finish(trial, appliance)


@fault("network", "malformed HTTP", short=1, long=5)
def malformed(trial: Trial) -> None:
    with running(simulated(trial, rate=5)) as appliance:
        wait_for(appliance.is_well, "the door is watched")
        handles = appliance.handles()
        requests = 100 if trial.short else 1000
        for _ in range(requests):
            send(appliance, b"".join(trial.rng.choices(PIECES, k=trial.rng.randint(1, 6))))
        trial.note("requests", requests)
        appliance.goes_on(20)
        expect(appliance.is_well(), f"it says {appliance.health()}")
        wait_for(lambda: appliance.handles() <= handles + 2, "it has let go of the connections", 30)
        expect("Traceback" not in appliance.said, f"it said: {appliance.said[-400:]}")
        finish(trial, appliance)


def send(appliance: Appliance, request: bytes) -> None:
    """Send bytes, take a little of the answer, and hang up."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", appliance.port), timeout=0.05) as one:
        one.sendall(request)
        one.recv(1000)
