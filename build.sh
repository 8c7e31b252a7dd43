#!/usr/bin/env bash
# The menu: ./build.sh demo|test|lint|bench|zipapp|image|schema   (each does its own set-up and says what it did)
set -euo pipefail
cd "$(dirname "$0")"

VENV=.venv
export UV_NO_PROGRESS=1 PIP_DISABLE_PIP_VERSION_CHECK=1

usage() {
  cat <<'TEXT'
usage: ./build.sh VERB [ARGUMENTS]

  demo [--exit]      build, start a Cluster, apply examples/, show real requests; --exit stops afterwards
  test [PYTEST ...]  all tests, with the servers and browsers that they need
  lint               format, rules, types, layers, and that tests mirror sources
  bench NAME         dns | flood | http | identity | parts | policy | relay | sessions | start | store | tui | tunnel
                     [--json]; soak: all tests at full length
  zipapp             dist/octelium.pyz and the links octelium, octeliumctl, octops
  release            dist/release: zipapps and images for every machine, install.sh, manifests, checksums
  image              dist/octelium-VERSION-linux-ARCH.oci.tar, the container image octelium:VERSION
  schema             derive the official schema's descriptors and our own packages again
  lock               resolve the dependencies again (locks/*.txt)
TEXT
}

say() { printf '\033[1m==>\033[0m %s\n' "$*" >&2; }

# apt packages, when they are missing and this user may install them
need_packages() {
  local missing=()
  for package in "$@"; do
    dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -q '^installed$' || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return 0
  if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    say "missing, and this user cannot install them: ${missing[*]}   (apt-get install ${missing[*]})"
    return 1
  fi
  say "apt-get install ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  # Daemons that a package would start are not wanted: the tests start their own.
  local policy=/usr/sbin/policy-rc.d
  (
    if [ ! -e "$policy" ]; then
      trap 'rm -f "$policy"' EXIT
      trap 'exit 130' INT TERM HUP
      printf '#!/bin/sh\nexit 101\n' >"$policy"
      chmod +x "$policy"
    fi
    apt-get update -qq >/dev/null
    apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
  )
}

find_python() {
  local candidate
  for candidate in "${PYTHON:-}" python3 python3.11 python3.12 python3.13; do
    [ -n "$candidate" ] || continue
    if "$candidate" -c 'import sys; raise SystemExit(sys.version_info < (3, 11))' 2>/dev/null; then
      command -v "$candidate"
      return 0
    fi
  done
  say "Python 3.11 or newer is needed (apt-get install python3)"
  return 1
}

venv() {
  local stamp="$VENV/.locks" python wanted
  wanted=$(cat locks/uv.txt locks/runtime.txt locks/dev.txt | sha256sum | cut -d' ' -f1)
  if [ -x "$VENV/bin/uv" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then return 0; fi
  python=$(find_python)
  if [ ! -x "$VENV/bin/python" ]; then
    if ! "$python" -c 'import ensurepip' 2>/dev/null; then
      need_packages python3-venv
    fi
    say "virtual environment $VENV ($("$python" --version))"
    "$python" -m venv "$VENV"
  fi
  "$VENV/bin/python" -m pip install -q --require-hashes -r locks/uv.txt
  say "dependencies from locks/"
  "$VENV/bin/uv" pip install -q -p "$VENV/bin/python" --require-hashes -r locks/runtime.txt -r locks/dev.txt
  echo "$wanted" >"$stamp"
}

zipapp() {
  venv
  "$VENV/bin/python" scripts/build_zipapp.py "$@"
}

test_packages() {
  # identity providers that the tests sign in at, and a browser to do it with
  local wanted=(curl nginx-light chromium simplesamlphp micro-httpd
    iproute2 iputils-ping nftables bind9-dnsutils util-linux wireguard-go wireguard-tools tmux
    shellcheck busybox zsh fish debootstrap systemd-container runc
    php8.2-cgi php8.2-cli php8.2-xml php8.2-mbstring php8.2-curl php8.2-sqlite3)
  # Node.js may come from elsewhere, with an npm that Debian's package would contradict.
  command -v node >/dev/null || wanted+=(nodejs)
  command -v npm >/dev/null || wanted+=(npm)
  need_packages "${wanted[@]}" || true
  unpack_resolved
}

# Unpacked beside the sources: installed, it would take over this machine's resolver.
unpack_resolved() {
  local root=$PWD/build/systemd-resolved
  if [ ! -x "$root/lib/systemd/systemd-resolved" ] && command -v apt-get >/dev/null; then
    say "unpacking the package systemd-resolved into build/"
    rm -rf "$root" && mkdir -p "$root"
    if (cd "$root" && apt-get download -qq systemd-resolved >/dev/null 2>&1); then
      dpkg -x "$root"/systemd-resolved_*.deb "$root"
    else
      say "it cannot be had here; its tests are skipped"
    fi
  fi
  export SYSTEMD_RESOLVED_ROOT="${SYSTEMD_RESOLVED_ROOT:-$root}"
}

lock() {
  local python
  python=$(find_python)
  [ -x "$VENV/bin/uv" ] || { "$python" -m venv "$VENV"; "$VENV/bin/python" -m pip install -q uv; }
  local compile=("$VENV/bin/uv" pip compile -q --universal --python-version 3.11 --generate-hashes
    --no-emit-index-url --no-header --no-annotate --upgrade)
  echo 'uv' | "${compile[@]}" - -o locks/uv.txt
  "${compile[@]}" pyproject.toml -o locks/runtime.txt
  "${compile[@]}" pyproject.toml --group dev -c locks/runtime.txt -o locks/dev.txt
  "${compile[@]}" --group schema -c locks/runtime.txt -o locks/schema.txt pyproject.toml
  printf 'octelium-apis==1.0.3\nprotobuf\n' | "${compile[@]}" - -o locks/apis.txt
}

schema() {
  venv
  local derive=.cache/schema-venv
  if [ ! -x "$derive/bin/python" ]; then "$VENV/bin/python" -m venv "$derive"; fi
  say "deriving the official schema in $derive"
  "$VENV/bin/uv" pip install -q -p "$derive/bin/python" --require-hashes -r locks/apis.txt
  "$derive/bin/python" scripts/derive_schema.py .cache/official.binpb
  "$VENV/bin/uv" pip install -q -p "$VENV/bin/python" --require-hashes -r locks/schema.txt
  "$VENV/bin/python" scripts/build_schema.py .cache/official.binpb
}

lint() {
  venv
  local failed=0
  run() { say "$*"; "$@" || failed=1; }
  run "$VENV/bin/ruff" format --check .
  run "$VENV/bin/ruff" check .
  run "$VENV/bin/lint-imports" --no-logo
  run "$VENV/bin/python" scripts/check_mirror.py
  run "$VENV/bin/mypy"
  return $failed
}

case "${1:-}" in
  demo) shift; zipapp >/dev/null; need_packages curl || true; exec "$VENV/bin/python" scripts/demo.py "$@" ;;
  test)
    shift
    venv
    test_packages
    zipapp
    say "pytest"
    unset PYTHONDONTWRITEBYTECODE # hundreds of programs start: modules are compiled once
    # Whole walks wait more than they compute: one process more than there are cores.
    exec "$VENV/bin/python" -m pytest -n "${OCTELIUM_TEST_WORKERS:-$(($(nproc) + 1))}" --dist worksteal "$@"
    ;;
  lint) lint ;;
  bench)
    shift
    zipapp >/dev/null
    if [ "${1:-}" = soak ]; then
      export OCTELIUM_SOAK=1 OCTELIUM_MEMO_STEPS="${OCTELIUM_MEMO_STEPS:-100000}"
      test_packages
      unset PYTHONDONTWRITEBYTECODE
      say "property, fuzz and crash tests at full length (about forty times as long)"
      exec "$VENV/bin/python" -m pytest -n "${OCTELIUM_TEST_WORKERS:-auto}" --dist worksteal "${@:2}"
    fi
    exec "$VENV/bin/python" -m bench "$@"
    ;;
  zipapp) shift; zipapp "$@" ;;
  release) shift; venv; exec "$VENV/bin/python" scripts/build_release.py "$@" ;;
  image) shift; venv; exec "$VENV/bin/python" scripts/build_image.py "$@" ;;
  schema) schema ;;
  lock) lock ;;
  *) usage; [ "${1:-}" = "--help" ] || exit 2 ;;
esac
