"""The demonstration keeps all that its page promises."""

from pathlib import Path

import pytest

from demo.check import check
from demo.stage import set_stage


@pytest.mark.engines("chromium")
def test_the_demo_is_as_promised(engine: str, tmp_path: Path) -> None:
    with set_stage() as address:
        report, broken = check(address, tmp_path / "demo.png")
    print(report)
    assert broken == []
    assert (tmp_path / "demo-phone.png").stat().st_size > 0
