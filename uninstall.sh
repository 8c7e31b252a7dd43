#!/bin/sh
# Removes what install.sh installed. `sh uninstall.sh --help` tells how.
set -eu

readonly DATA=/var/lib/octelium CODE=/opt/octelium SETTINGS=/etc/octelium BIN=/usr/local/bin SHARE=/usr/local/share
readonly UNIT=/etc/systemd/system/octelium.service OWNER=octelium PROGRAMS='octelium octeliumctl octops'

usage() {
  cat <<'TEXT'
Usage: sh uninstall.sh [OPTIONS]

Ends the Cluster on this machine and removes the program, its service, user, commands and settings.
The data directory and its backups stay, for root alone, with the settings beside the data, so that
install.sh finds all again. Packages that install.sh had apt install (python3) stay too.

Options:
  --purge         Remove the data and its backups as well [OCTELIUM_PURGE=1]. There is no way back.
  --data-dir DIR  Where the data is, if the settings are gone or do not say [OCTELIUM_DATA_DIR].
  -h, --help      Show this and exit.

Examples:
  sudo sh /opt/octelium/uninstall.sh
  sudo sh /opt/octelium/uninstall.sh --purge
TEXT
}

die() {
  printf 'uninstall.sh: %s\n' "$1" >&2
  exit "${2:-1}"
}

# Links of ours, and nothing that somebody else has put there.
remove_link() {
  case $(readlink "$1" 2>/dev/null) in "$CODE"/*) rm -f "$1" ;; esac
}

remove_program() {
  if [ -e "$UNIT" ]; then
    systemctl disable -q --now octelium 2>/dev/null || systemctl stop octelium || die 'the service cannot be stopped'
    rm -f "$UNIT"
    systemctl daemon-reload
    systemctl reset-failed octelium 2>/dev/null || true
  fi
  for program in $PROGRAMS; do
    remove_link "$BIN/$program"
    rm -f "$SHARE/bash-completion/completions/$program" "$SHARE/zsh/site-functions/_$program" \
      "$SHARE/fish/vendor_completions.d/$program.fish"
  done
  for folder in bash-completion/completions bash-completion zsh/site-functions zsh fish/vendor_completions.d fish; do
    rmdir "$SHARE/$folder" 2>/dev/null || true # unless others use it
  done
}

# NAME: a setting of the configuration file, empty if it has none; as install.sh reads it
setting() {
  [ -r "$settings_file" ] || return 0
  sed -n "s/^$1:[[:space:]]\{1,\}//p" "$settings_file" | tail -n 1 | sed \
    -e 's/^"\([^"]*\)"[[:space:]]*\(#.*\)\{0,1\}$/\1/' -e t \
    -e "s/^'\([^']*\)'[[:space:]]*\(#.*\)\{0,1\}\$/\1/" -e t \
    -e 's/^#.*//' -e 's/[[:space:]]\{1,\}#.*$//' -e 's/[[:space:]]*$//'
}

# FILE: whether nobody but root has made it or can change it, and it is no link
of_root_alone() {
  [ -f "$1" ] && [ ! -L "$1" ] && [ "$(stat -c '%u %h' "$1")" = '0 1' ] &&
    [ "$(stat -L -c %u "$(dirname "$1")")" = 0 ]
}

# Where the data is. What is removed is never guessed.
find_data() {
  settings_file=$SETTINGS/octelium.yaml
  if [ ! -e "$settings_file" ] && of_root_alone $DATA/octelium.yaml; then
    settings_file=$DATA/octelium.yaml # as an earlier run has left it
  fi
  stands=$(setting data_dir)
  if [ -n "$data_dir" ] && [ -n "$stands" ] && [ "${data_dir%/}" != "${stands%/}" ]; then
    die "$settings_file has data_dir '$stands', and '$data_dir' is asked for: leave out --data-dir"
  fi
  data_dir=${data_dir:-$stands}
  data_dir=${data_dir%/}
  [ -n "$data_dir" ] ||
    die "$SETTINGS/octelium.yaml does not say where the data is; name it: --data-dir DIR (usually $DATA). Nothing was removed"
  [ "$(printf '%s' "$data_dir" | grep -Exc '/[A-Za-z0-9._/-]*[A-Za-z0-9._-]')" = 1 ] ||
    die "the data directory '$data_dir' is no absolute path of plain characters; name it: --data-dir DIR. Nothing was removed"
}

# The folder was the service's: nothing in it is followed.
remove_or_keep_data() {
  real=$(readlink -f "$data_dir") || real=$data_dir
  if [ -n "$purge" ]; then
    rm -rf "$real" "$data_dir" "$data_dir-backups"
    echo "removed  $data_dir"
  elif [ -d "$real" ]; then
    # What the service calls the settings is not what root has set.
    of_root_alone "$real/octelium.yaml" || rm -rf "$real/octelium.yaml"
    chown root:root "$real"
    chmod 0700 "$real"
    rm -rf "$real/run" "$real/lock"
    if [ -e "$SETTINGS/octelium.yaml" ]; then
      rm -rf "$real/octelium.yaml"
      mv -T "$SETTINGS/octelium.yaml" "$real/octelium.yaml"
    fi
    # The number of the user that goes may be somebody else's some day.
    chown -Rh root:root "$real"
    echo "kept     $data_dir (remove it and $data_dir-backups yourself, or use --purge)"
  fi
}

main() {
  purge=${OCTELIUM_PURGE:-} data_dir=${OCTELIUM_DATA_DIR:-}
  while [ $# -gt 0 ]; do
    case $1 in
      --purge) purge=1 ;;
      --data-dir=*) data_dir=${1#*=} ;;
      --data-dir)
        [ $# -ge 2 ] || die '--data-dir needs a value; help: sh uninstall.sh --help' 2
        data_dir=$2
        shift
        ;;
      -h | --help)
        usage
        exit 0
        ;;
      *) die "unknown option $1; help: sh uninstall.sh --help" 2 ;;
    esac
    shift
  done
  [ "$(id -u)" = 0 ] || die 'run it with sudo, or as root'
  [ -e "$CODE" ] || [ -e "$UNIT" ] || [ -n "$purge" ] || die 'no Octelium is installed here'
  find_data
  remove_program
  remove_or_keep_data
  rm -rf "$SETTINGS" "$CODE" /run/octelium /run/octelium-install.lock
  if getent passwd "$OWNER" >/dev/null; then userdel "$OWNER"; fi
  if getent group "$OWNER" >/dev/null; then groupdel "$OWNER"; fi
  echo 'removed  the program, its service, user, commands and settings'
}

{ main "$@"; }
