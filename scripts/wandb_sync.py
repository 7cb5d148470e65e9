"""Upload what the offline runs of a study have left, from a machine with network, also while the sweep goes on.

`wandb sync` uploads each file once, and adds what a resumed run wrote to its run. But of a run that somebody is still
at it takes what there is, shows it as crashed, and never comes back for the rest: those have to wait.

    python scripts/wandb_sync.py runs/main
    python scripts/wandb_sync.py runs/main --watch 300
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
    parser.add_argument("--watch", type=float, metavar="SECONDS", help="look again so often, until Ctrl-C")
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
