#!/bin/sh
# Removes what install.sh installed. `sh uninstall.sh --help` tells how.
set -eu

readonly CODE=/opt/octelium SETTINGS=/etc/octelium BIN=/usr/local/bin SHARE=/usr/local/share
readonly UNIT=/etc/systemd/system/octelium.service OWNER=octelium PROGRAMS='octelium octeliumctl octops'

usage() {
  cat <<'TEXT'
Usage: sh uninstall.sh [OPTIONS]

Ends the Cluster on this machine and removes the program, its service, user, commands and settings.
The data directory and its backups stay, for root alone, with the settings beside the data, so that
install.sh finds all again. Packages that install.sh had apt install (python3) stay too.

Options:
  --purge     Remove the data and its backups as well [OCTELIUM_PURGE=1]. There is no way back.
  -h, --help  Show this and exit.

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

remove_or_keep_data() {
  if [ -n "$purge" ]; then
    rm -rf "$data_dir" "$data_dir-backups"
    echo "removed  $data_dir"
  elif [ -d "$data_dir" ]; then
    rm -rf "$data_dir/run" "$data_dir/lock"
    if [ -e "$SETTINGS/octelium.yaml" ]; then mv "$SETTINGS/octelium.yaml" "$data_dir/octelium.yaml"; fi
    # The number of the user that goes may be somebody else's some day.
    chown -R root:root "$data_dir"
    chmod 0700 "$data_dir"
    echo "kept     $data_dir (remove it and $data_dir-backups yourself, or use --purge)"
  fi
}

main() {
  purge=${OCTELIUM_PURGE:-}
  for option in "$@"; do
    case $option in
      --purge) purge=1 ;;
      -h | --help)
        usage
        exit 0
        ;;
      *) die "unknown option $option; help: sh uninstall.sh --help" 2 ;;
    esac
  done
  [ "$(id -u)" = 0 ] || die 'run it with sudo, or as root'
  data_dir=$(sed -n 's/^data_dir:[[:space:]]*"\{0,1\}\([^"#]*\)"\{0,1\}[[:space:]]*$/\1/p' "$SETTINGS/octelium.yaml" 2>/dev/null || true)
  data_dir=${data_dir:-/var/lib/octelium}
  data_dir=${data_dir%/}
  [ -e "$CODE" ] || [ -e "$UNIT" ] || [ -n "$purge" ] || die 'no Octelium is installed here'
  remove_program
  remove_or_keep_data
  rm -rf "$SETTINGS" "$CODE" /run/octelium /run/octelium-install.lock
  if getent passwd "$OWNER" >/dev/null; then userdel "$OWNER"; fi
  if getent group "$OWNER" >/dev/null; then groupdel "$OWNER"; fi
  echo 'removed  the program, its service, user, commands and settings'
}

{ main "$@"; }
