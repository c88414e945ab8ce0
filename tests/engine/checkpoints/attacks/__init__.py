"""Model files made to harm: each builder writes one, its docstring says what it tries, its test shows that it fails.

Nothing is stored in binary form; the files are built when the tests run. `code` tries to execute something (it would
create the canary), `sizes` to exhaust memory or the stack, `contents` holds files that are merely wrong.
"""

from __future__ import annotations

from attacks.code import CODE_ATTACKS
from attacks.contents import WRONG_FILES
from attacks.sizes import SIZE_ATTACKS

__all__ = ["CODE_ATTACKS", "SIZE_ATTACKS", "WRONG_FILES"]
