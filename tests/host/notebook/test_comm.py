"""A front end and a kernel that talk, each kernel in a Python of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.wheels import CANARY
from tests.zoo.zoo import Zoo

Message = dict[str, Any]
Talked = Callable[..., list[Message]]

KERNEL = """
import asyncio, json, sys, types

sent, targets = [], {}

class Comm:
    def on_msg(self, function):
        self.receive = function

    def on_close(self, function):
        self.close = function

    def send(self, message):
        sent.append(json.loads(json.dumps(message)))

class Manager:
    def register_target(self, name, function):
        targets[name] = function

manager = Manager()
sys.modules["comm"] = types.SimpleNamespace(get_comm_manager=lambda: manager)

def opened(settings):
    comm = Comm()
    targets["pyodide_mirror"](comm, {"content": {"data": {"version": 1, "settings": settings}}})
    return comm

async def ask(number, asked):
    comm.receive({"content": {"data": {"id": number, **asked}}})
    while not any(each["type"] == "answer" and each["id"] == number for each in sent):
        await asyncio.sleep(0)

async def ask_all(requests):
    for number, asked in enumerate(requests):
        await ask(number, asked)

settings, mine, requests, before = json.loads(sys.argv[1])
from pyodide_mirror import notebook
notebook.prepare(**settings)
exec(before)
known = set(sys.modules)
comm = opened(mine)
loaded = sorted(name for name in set(sys.modules) - known if name.startswith("pyodide"))
asyncio.run(ask_all(requests))
comm.close({})
"""
LIST = {"do": "list"}


@pytest.fixture
def talked(zoo: Zoo) -> Talked:
    """A function that starts a kernel, sends it requests, and returns what it has sent."""

    def talk(
        *requests: Message,
        site: list[Any] | None = None,
        mine: Message | None = None,
        locked: bool = False,
        environ: str = "",
        last: str = "print(json.dumps(sent))",
        before: str = "",
    ) -> list[Message]:
        mirrors = site or [zoo.url("closed-port"), zoo.url("healthy"), zoo.url("relative-urls")]
        settings = {"mirrors": mirrors, "canary": CANARY, "timeout": 5.0}
        if locked:
            settings["locked"] = True
        given = json.dumps([settings, mine or {}, requests, before])
        done = subprocess.run(
            [sys.executable, "-c", f"{KERNEL}\n{last}", given],
            check=False,
            capture_output=True,
            text=True,
            env={**os.environ, "PYODIDE_MIRROR_PREFERENCES": environ},
        )
        assert done.returncode == 0, done.stderr
        found: list[Message] = json.loads(done.stdout.splitlines()[-1])
        return found

    return talk


def answers(sent: list[Message]) -> list[Message]:
    return [each for each in sent if each["type"] == "answer"]


def states(sent: list[Message]) -> list[Message]:
    return [each for each in sent if each["type"] == "state"]


def listed(answer: Message) -> list[str]:
    return [mirror["index_url"] for mirror in answer["mirrors"]]


def test_a_kernel_answers_at_once_and_loads_one_module_for_it(talked: Talked) -> None:
    assert talked(last="print(json.dumps(loaded))") == ["pyodide_mirror.notebook.comm"]
    state = {"type": "state", "version": 1, "locked": False, "report": None}
    assert talked() == [state]


def test_a_list_has_the_mirrors_of_the_site_in_order(talked: Talked, zoo: Zoo) -> None:
    (answer,) = answers(talked(LIST))
    assert listed(answer) == [zoo.url(n) for n in ("closed-port", "healthy", "relative-urls")]
    assert answer["cache"]["where"] == "off"


def test_verdicts_come_one_by_one_and_then_all(talked: Talked, zoo: Zoo) -> None:
    sent = talked({"do": "probe"}, LIST)
    told = [each["outcome"] for each in sent if each["type"] == "outcome"]
    reasons = {each["mirror"]["index_url"]: each["reason"] for each in told}
    assert reasons == {
        zoo.url("closed-port"): "unreachable",
        zoo.url("healthy"): "ok",
        zoo.url("relative-urls"): "relative-urls",
    }
    report = states(sent)[-1]["report"]
    assert report["chosen"] is None  # nothing is in use yet
    assert {each["reason"] for each in report["outcomes"]} == {*reasons.values()}
    assert "unreachable" in answers(sent)[-1]["text"]


def test_what_is_configured_elsewhere_is_told(talked: Talked, zoo: Zoo) -> None:
    configure = "import pyodide_mirror; asyncio.run(pyodide_mirror.configure())"
    assert talked(before=configure)[0]["report"]["chosen"] == zoo.url("healthy")
    late = f"{configure}\nprint(json.dumps(sent))"
    comm = "comm = opened({})"
    assert states(talked(last=f"{comm}\n{late}"))[-1]["report"]["chosen"] == zoo.url("healthy")


def test_the_mirror_that_a_user_chooses_is_used_and_the_others_stay_behind_it(
    talked: Talked, zoo: Zoo
) -> None:
    wanted = [zoo.url("relative-urls"), zoo.url("closed-port"), zoo.url("healthy")]
    sent = talked({"do": "use", "settings": {"mirrors": wanted}, "mirror": wanted[0]}, LIST)
    assert all("error" not in answer for answer in answers(sent))
    assert states(sent)[-1]["report"]["chosen"] == wanted[0]
    assert listed(answers(sent)[-1]) == wanted
    pending = states(sent)[-1]["report"]["pending"]
    assert [mirror["index_url"] for mirror in pending] == wanted[1:]


def test_a_mirror_that_does_not_work_is_not_chosen_and_all_is_as_before(
    talked: Talked, zoo: Zoo
) -> None:
    dead = zoo.url("closed-port")
    sent = talked({"do": "use", "settings": {"mirrors": [dead]}, "mirror": dead}, LIST)
    refused, listing = answers(sent)
    assert "unreachable" in refused["error"]
    assert listed(listing) == [zoo.url(n) for n in ("closed-port", "healthy", "relative-urls")]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"do": "use", "settings": {"mirrors": ["nonsense"]}}, "nonsense"),
        ({"do": "use", "settings": {"timeout": -1}}, "timeout must be a positive number"),
        ({"do": "use", "settings": {}, "mirror": "https://none.example"}, "none of the mirrors"),
        ({"do": "dance"}, "do_dance"),
        ({}, "do"),
    ],
    ids=["url", "timeout", "unknown-mirror", "unknown-request", "no-request"],
)
def test_bad_requests_get_an_answer_that_says_why(
    talked: Talked, zoo: Zoo, asked: Message, said: str
) -> None:
    refused, listing = answers(talked(asked, LIST))
    assert said in refused["error"]
    assert listed(listing)[0] == zoo.url("closed-port")


def test_what_is_locked_cannot_be_changed_by_anything_a_page_sends(
    talked: Talked, zoo: Zoo
) -> None:
    mine = {"mirrors": [zoo.url("relative-urls")]}
    use = {"do": "use", "settings": mine}
    sent = talked(use, LIST, mine=mine, locked=True, environ=json.dumps(mine))
    assert states(sent)[0]["locked"]
    refused, listing = answers(sent)
    assert "locked" in refused["error"]
    assert listed(listing) == [zoo.url(n) for n in ("closed-port", "healthy", "relative-urls")]


def test_a_user_s_settings_come_with_the_kernel_or_with_the_comm_which_is_newer(
    talked: Talked, zoo: Zoo
) -> None:
    older, newer = [zoo.url("healthy")], [zoo.url("relative-urls"), zoo.url("healthy")]
    environ = json.dumps({"mirrors": older, "unknown": 1})
    without = "import pyodide_mirror\nfrom pyodide_mirror.api import SESSION, known_mirrors\n"
    known = "print(json.dumps([each.index_url for each in known_mirrors(SESSION)]))"
    assert talked(before=f"{without}{known}; sys.exit()", environ=environ) == older
    sent = talked(LIST, mine={"mirrors": newer}, environ=environ)
    assert listed(answers(sent)[-1]) == newer


@pytest.mark.parametrize(
    "kept", ["{", "[1]", '{"mirrors": []}', '{"mirrors": 3}', '{"mirrors": ["nonsense"]}']
)
def test_settings_that_cannot_be_used_leave_those_of_the_site(
    talked: Talked, zoo: Zoo, kept: str
) -> None:
    without = "from pyodide_mirror.api import SESSION, known_mirrors\n"
    known = "print(json.dumps([each.index_url for each in known_mirrors(SESSION)]))"
    found = talked(before=f"{without}{known}; sys.exit()", environ=kept)
    assert found == [zoo.url(n) for n in ("closed-port", "healthy", "relative-urls")]


def test_a_mirror_of_the_site_stays_what_it_is_wherever_a_user_puts_it(
    talked: Talked, zoo: Zoo
) -> None:
    private = {"index_url": zoo.url("healthy"), "name": "Ours", "private": True}
    mine = {"mirrors": [zoo.url("relative-urls"), zoo.url("healthy")]}
    (answer,) = answers(talked(LIST, site=[private], mine=mine))
    assert [(each["name"], each["private"]) for each in answer["mirrors"]][1] == ("Ours", True)


def test_a_comm_that_is_closed_is_told_nothing_more(talked: Talked) -> None:
    configure = "import pyodide_mirror; asyncio.run(pyodide_mirror.configure())"
    assert len(talked(last=f"{configure}\nprint(json.dumps(sent))")) == 1
