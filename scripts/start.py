"""Start of the zipapp: straight into the unpacked files where they are, else by shiv's bootstrap.

The bootstrap is compiled anew at each start and takes half as long as a whole `--help`.
"""

import os
import stat
import sys


def choose_root():
    """Unpack below the home directory or, for users without one, below /var/tmp."""
    if "SHIV_ROOT" in os.environ:
        return
    home = os.path.expanduser("~")
    if os.path.isdir(os.path.join(home, ".shiv")) or os.access(home, os.W_OK | os.X_OK):
        return
    folder = f"/var/tmp/octelium-{os.getuid()}"
    try:
        os.mkdir(folder, 0o700)
    except FileExistsError:
        pass
    status = os.lstat(folder)
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o077:
        sys.exit(
            f"octelium: {home} cannot be written and {folder} is not this user's alone; "
            "set SHIV_ROOT to a folder to unpack into"
        )
    os.environ["SHIV_ROOT"] = folder


def unpacked():
    """The folder that the bootstrap unpacked this very build into, or None."""
    if any(name.startswith("SHIV_") and name != "SHIV_ROOT" for name in os.environ):
        return None  # somebody wants the bootstrap to do something
    raw = __loader__.get_data(os.path.join(__loader__.archive, "environment.json"))
    build = raw.partition(b'"build_id": "')[2].partition(b'"')[0].decode()
    root = os.environ.get("SHIV_ROOT") or os.path.join("~", ".shiv")
    name = os.path.basename(os.path.realpath(__loader__.archive))
    folder = os.path.join(os.path.expanduser(root), name + "_" + build, "site-packages")
    # It is moved there when it is complete.
    return folder if build and os.path.isdir(folder) else None


def start():
    folder = unpacked()
    if folder is None:
        import _bootstrap

        _bootstrap.bootstrap()
        return
    # What the machine has installed is neither needed nor wanted.
    outside = [path for path in sys.path if not path.endswith(("site-packages", "dist-packages"))]
    sys.path[:] = [folder, *outside]
    preamble = os.path.join(folder, "bin", "preamble.py")
    with open(preamble, "rb") as file:
        exec(compile(file.read(), preamble, "exec"), {"site_packages": folder})
    from octelium.__main__ import main

    sys.exit(main())


choose_root()
start()
