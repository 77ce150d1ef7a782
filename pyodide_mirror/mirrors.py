"""The table of known mirrors.

The notes come from documentation, issue threads and mailing lists of 2021 to 2026; everything may
have changed since, which is why the package probes. PyPI's address is micropip's, read before
anything of ours can have changed it.
"""

from __future__ import annotations

from typing import Final

from pyodide_mirror._micropip import PYPI_URL
from pyodide_mirror.model import Mirror

MIRRORS_AS_OF: Final = "2026-11-20"
_CN: Final = "China"
MIRRORS: Final[tuple[Mirror, ...]] = (
    Mirror(PYPI_URL, name="PyPI", region="worldwide", note="JSON, CORS; files on another host"),
    Mirror(
        "https://pypi.tuna.tsinghua.edu.cn/simple",
        name="TUNA (Tsinghua)",
        region=_CN,
        note="JSON with relative URLs; no CORS in 12/2024, later reports conflict; "
        "missing .metadata files reported 1/2026",
    ),
    Mirror(
        "https://mirrors.ustc.edu.cn/pypi/simple",
        name="USTC",
        region=_CN,
        note="JSON (2026); CORS unknown",
    ),
    Mirror(
        "https://mirrors.bfsu.edu.cn/pypi/web/simple",
        name="BFSU",
        region=_CN,
        note="HTML only, no CORS seen, relative URLs (2023)",
    ),
    Mirror("https://mirror.nju.edu.cn/pypi/web/simple", name="NJU", region=_CN, note="unknown"),
    Mirror(
        "https://mirror.sjtu.edu.cn/pypi/web/simple",
        name="SJTU",
        region=_CN,
        note="probably HTML only; CORS unknown",
    ),
    Mirror(
        "https://mirrors.sustech.edu.cn/pypi/web/simple",
        name="SUSTech",
        region=_CN,
        note="no CORS seen (2021)",
    ),
    Mirror(
        "https://mirrors.aliyun.com/pypi/simple",
        name="Aliyun",
        region=_CN,
        note="HTML only (12/2024); CORS unknown",
    ),
    Mirror(
        "https://mirrors.cloud.tencent.com/pypi/simple",
        name="Tencent Cloud",
        region=_CN,
        note="HTML only (12/2024); CORS unknown",
    ),
    Mirror(
        "https://repo.huaweicloud.com/repository/pypi/simple",
        name="Huawei Cloud",
        region=_CN,
        note="HTML only (12/2024); CORS unknown",
    ),
    Mirror("https://mirrors.volces.com/pypi/simple", name="Volcengine", region=_CN, note="unknown"),
)
