"""Functions of the page's script, called by Node without a page."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from typing import Any

import pytest

from proxysr.explorer import assets
from proxysr.explorer.packing import pack

SECONDS = 60


def value_of(expression: str, tree: dict[str, Any] | None = None, **given: Any) -> Any:
    """The value of a JavaScript expression; the test is skipped without Node.

    Parameters
    ----------
    expression : str
    tree : dict, optional
        A payload, in the expression the data ``d``.
    **given
        Further values, by their names in the expression.
    """
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    lines = [assets.module().replace("export default", "void")]
    lines += [f"const {name} = {json.dumps(value)}" for name, value in given.items()]
    if tree is not None:
        header, blob = pack(tree)
        text = json.dumps(base64.b64encode(blob).decode())
        lines.append(f"const buffer = Uint8Array.from(atob({text}), (c) => c.charCodeAt(0)).buffer")
        lines.append(f"const d = dataOf({json.dumps(header)}, buffer)")
    lines.append(f"process.stdout.write(JSON.stringify({expression}))")
    command = [node, "--input-type=module", "-"]
    source = "\n".join(lines).encode()
    done = subprocess.run(command, input=source, capture_output=True, timeout=SECONDS, check=False)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    return json.loads(done.stdout)
