"""Upload the offline runs of a study to wandb, from a machine with a network, even while the sweep is in progress.

    python scripts/wandb_sync.py runs/main
    python scripts/wandb_sync.py runs/main --watch 300

`wandb sync` uploads each file once, and adds what a resumed run wrote to its run. But it would upload the first part
of a run that is still in progress, show the run as crashed, and never upload the rest. So this script leaves such
runs for later.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

from initbench.record.lock import is_held


def finished(study: Path) -> list[Path]:
    """wandb's folders of runs that nobody is at, without those that are uploaded."""
    # In this order: a run that goes on in the meantime writes a folder of its own.
    left = [folder for folder in sorted(study.glob("*/wandb/offline-run-*")) if not any(folder.glob("*.synced"))]
    return [folder for folder in left if not is_held(folder.parent.parent)]


def sync(study: Path) -> int:
    """Upload them; the exit code of `wandb sync`."""
    folders = finished(study)
    return subprocess.call([sys.executable, "-m", "wandb", "sync", *map(str, folders)]) if folders else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path, help="the folder of a study: <runs_dir>/<study>")
    parser.add_argument(
        "--watch", type=float, metavar="SECONDS", help="look for new files again after this many seconds, until Ctrl-C"
    )
    arguments = parser.parse_args()
    if not arguments.study.is_dir():
        parser.error(f"there is no folder {arguments.study}")
    code = sync(arguments.study)
    try:
        while arguments.watch:
            time.sleep(arguments.watch)
            code = sync(arguments.study)
    except KeyboardInterrupt:
        print("stopped; what is left is uploaded the next time")
    return code


if __name__ == "__main__":
    sys.exit(main())
