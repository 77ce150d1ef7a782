"""Who may read or upload what: users, tokens, and rules on projects."""

from typing import TYPE_CHECKING

from pyodide_mirror._lazy import hand_on

if TYPE_CHECKING:
    from .login import HAS_LOGIN, WHO, LoginMiddleware, Logins
    from .rules import CurrentRules, Rules, make_rules, read_rules
    from .tokens import read_tokens
    from .users import Users, read_users
    from .watched import Changes, WatchedFile

__getattr__, __dir__, __all__ = hand_on(__name__)
