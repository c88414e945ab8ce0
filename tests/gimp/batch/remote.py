"""Runs inside a GIMP with windows: evaluates the Python that a test leaves in a folder, until it says stop."""

import json
import os
import time
import traceback
from pathlib import Path


def main(folder):
    names = {}
    number = 0
    while True:
        question = Path(folder) / f"{number}.py"
        if not question.exists():
            time.sleep(0.05)
            continue
        code = question.read_text(encoding="utf-8")
        if code == "stop":
            return True
        try:
            exec(code, names)
            reply = {"value": names.get("answer")}
        except Exception:
            reply = {"error": traceback.format_exc()}
        part = Path(folder) / f"{number}.part"
        part.write_text(json.dumps(reply), encoding="utf-8")
        os.replace(part, Path(folder) / f"{number}.json")
        number += 1
