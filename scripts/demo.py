"""The demo's frame: the photo in, GIMP at work on it, the pictures side by side. Called by scripts/demo.

Usage: python scripts/demo.py GIMP_CONSOLE
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from PIL import Image
from rich.console import Console
from skimage import data

REPOSITORY = Path(__file__).resolve().parents[1]
FOLDER = REPOSITORY / "demo"
IN_GIMP = REPOSITORY / "scripts" / "demo_in_gimp.py"
GAP = 8  # pixels between the pictures


def main(gimp: str) -> int:
    console = Console(stderr=True)
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.iterdir():
        old.unlink()
    Image.fromarray(data.chelsea()).save(FOLDER / "photo.png")  # CC0, by Stefan van der Walt
    with console.status("GIMP paints the scribble, and GAN Edit follows it (half a minute on a CPU) …"):
        problem = run_gimp(gimp)
    if problem:
        console.print(f"demo: {problem}", style="red")
        return 1
    put_side_by_side()
    print("Done. The cat, its scribble, the result:")
    for name in ("before_after.png", "photo.png", "scribble.png", "mask.png", "result.png", "edit.xcf"):
        print(f"  {FOLDER / name}")
    return 0


def run_gimp(gimp: str) -> str:
    """Run the GIMP half; what went wrong, or nothing."""
    # GIMP's batch interpreter has no arguments: the folder goes in as a line of Python.
    batch = f"demo_folder = {str(FOLDER)!r}\nexec(open({str(IN_GIMP)!r}, encoding='utf-8').read())"
    words = [gimp, "-idf", "--batch-interpreter", "python-fu-eval", "-b", batch, "--quit"]
    done = subprocess.run(words, env=dict(os.environ), capture_output=True, text=True, check=False)
    (FOLDER / "gimp.log").write_text(done.stdout + done.stderr, encoding="utf-8")
    answer = FOLDER / "answer.json"
    if not answer.exists():
        return f"GIMP ended with code {done.returncode} before the edit was done; {FOLDER / 'gimp.log'} has its words."
    return str(json.loads(answer.read_text(encoding="utf-8"))["problem"])


def put_side_by_side() -> None:
    """before_after.png: the photo, the photo with the scribble on it, the result."""
    files = (FOLDER / f"{name}.png" for name in ("photo", "scribble", "result"))
    photo, scribble, result = (Image.open(file, formats=["PNG"]).convert("RGBA") for file in files)
    pictures = (photo, Image.alpha_composite(photo, scribble), result)
    width, height = photo.size
    sheet = Image.new("RGB", (3 * width + 2 * GAP, height), "white")
    for number, picture in enumerate(pictures):
        sheet.paste(picture.convert("RGB"), (number * (width + GAP), 0))
    sheet.save(FOLDER / "before_after.png")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
