"""Entries in the order of their last use, and what others may have made of the list."""

from pyodide_mirror.storage import LruIndex, byte_limit, max_entry_bytes
from pyodide_mirror.storage.lru_index import MAX_ENTRIES

KEY = "page:https://mirror.example/simple/textual/"


def test_there_is_a_bound_to_the_number_of_entries():
    order = LruIndex()
    changes = {f"page:https://m.example/{number}": b"x" for number in range(MAX_ENTRIES + 5)}
    order.apply(changes, 1_000_000)
    assert list(order.sizes) == list(changes)[5:]


def test_the_order_survives_as_text():
    order = LruIndex()
    order.apply({KEY: b"abc", f"file:{'a' * 64}": b"ab", f"{KEY}ü[{{": b"1"}, 1000)
    order.apply({KEY: "used"}, 1000)
    again = LruIndex.from_text(order.to_text())
    assert list(again.sizes.items()) == list(order.sizes.items())
    assert list(again.sizes.values()) == [2, 1, 3]
    assert LruIndex.from_text(LruIndex().to_text()).sizes == {}


def test_an_order_that_is_not_ours_is_an_empty_one():
    for text in (
        None,
        7,
        b"1 " + KEY.encode(),
        "\n",
        "nonsense",
        f"1 {KEY}\n",
        f"-1 {KEY}",
        f"1{KEY}",
        f"1  {KEY}",
        f"1.5 {KEY}",
        f"٣ {KEY}",
        f"{'9' * 13} {KEY}",
        f"1 {KEY}\n1 file:abc",
        f"1 file:{'A' * 64}",
        "1 page:javascript:alert(1)",
        f"1 {KEY}" + "x" * 5000,
        "1" * 10_000_001,
    ):
        assert LruIndex.from_text(text).sizes == {}, str(text)[:100]


def test_what_has_no_content_or_no_entry_is_found():
    order = LruIndex.from_text(f"1 {KEY}a\n2 {KEY}b")
    present = [f"{KEY}b", "other", 7, float("inf"), [f"{KEY}a"]]
    order.retain(present)
    assert list(order.sizes) == [f"{KEY}b"]
    assert order.unindexed(present) == ["other", 7, float("inf"), [f"{KEY}a"]]


def test_what_is_not_there_cannot_be_used_or_dropped():
    order = LruIndex()
    order.apply({KEY: "used", f"{KEY}a": "drop"}, 1000)
    assert order.sizes == {}


def test_sizes_that_others_have_invented_do_no_harm():
    order = LruIndex.from_text(f"{'9' * 12} {KEY}a\n1 {KEY}b")
    order.apply({f"{KEY}c": b"abc"}, 1000)
    assert list(order.sizes) == [f"{KEY}b", f"{KEY}c"]


def test_never_more_than_half_of_what_is_free_is_taken():
    assert byte_limit(1000, 0, None) == 1000
    assert byte_limit(1000, 0, 5000) == 1000
    assert byte_limit(1000, 0, 500) == 250
    assert byte_limit(1000, 300, 500) == 400  # what it has would be free without it
    assert byte_limit(1000, 300, 0) == 150
    assert byte_limit(1000, 300, -9000) == 0
    assert max_entry_bytes(1000) == 250
