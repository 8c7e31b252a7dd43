#!/bin/sh
# Installs or upgrades an Octelium Cluster on this machine. `sh install.sh --help` tells how.
#
# Everything is a function and the last line calls main, in braces, so that a download that was cut
# off, wherever, does nothing. Nothing is changed before every precondition was looked at.
set -eu
umask 022

readonly BASE=''       # where releases are, if neither --from nor a local copy says so
readonly SIGNED_BY=''  # the public key of those releases
readonly CODE=/opt/octelium CONFIG=/etc/octelium/octelium.yaml BIN=/usr/local/bin SHARE=/usr/local/share
readonly UNIT=/etc/systemd/system/octelium.service OWNER=octelium PROGRAMS='octelium octeliumctl octops'
readonly PLAIN_PATH='/[A-Za-z0-9._/-]*[A-Za-z0-9._-]'
readonly NEEDED_MEMORY=300 NEEDED_CODE=450 NEEDED_DATA=200 KEPT_BACKUPS=3 STEPS=7 # sizes in MiB

usage() {
  cat <<'TEXT'
Usage: sh install.sh [OPTIONS]

Installs an Octelium Cluster on this machine: Debian 12 or 13, Ubuntu 24.04; x86-64 or arm64; as
root, with systemd. Run again it upgrades: after a backup, and back again if the new version does not
serve requests. It asks nothing. What stands in the way is told before anything is changed.

Options, each with its environment variable:
  --from PLACE            Where the release is: a URL or a directory with SHA256SUMS
                          [OCTELIUM_DOWNLOAD]. Default: where this script lies, if it is there.
  --release VERSION       Which version [OCTELIUM_RELEASE]. Default: the newest. One older than what
                          is installed must be named.
  --public-key KEY        Demand a signature of SHA256SUMS: a minisign key, or a file with one
                          (SHA256SUMS.minisig), or a PEM file (SHA256SUMS.sig, by openssl)
                          [OCTELIUM_PUBLIC_KEY]. Default: the key of the release, if it has one and
                          minisign is there.
  --domain DOMAIN         The Cluster's domain [OCTELIUM_DOMAIN]. Default: this machine's name, if
                          DNS knows it and the names below it; else ADDRESS.sslip.io.
  --listen ADDR:PORT      Where clients connect [OCTELIUM_LISTEN]. Default :443, all addresses.
  --public-port PORT      The port that clients use, if it is another [OCTELIUM_PUBLIC_PORT].
  --public-address IP     This machine's address as clients see it [OCTELIUM_PUBLIC_ADDRESS].
  --admin-listen ADDR:PORT  Health and metrics [OCTELIUM_ADMIN_LISTEN]. Default 127.0.0.1:8480.
  --admin NAME            The administrator, a person [OCTELIUM_ADMIN]. Default admin.
  --tunnel on|off|auto    Whether clients connect by WireGuard [OCTELIUM_TUNNEL]. Default off.
  --data-dir DIR          Where the Cluster's data is [OCTELIUM_DATA_DIR]. Default /var/lib/octelium.
  --no-invite             Show no invitation of the administrator [OCTELIUM_INVITE=off].
  --no-completion         Install no completion of commands in shells [OCTELIUM_COMPLETION=off].
  --skip-check NAMES      Go on although these checks fail [OCTELIUM_SKIP_CHECK]: arch, clock, disk,
                          dns, memory, os, port, probe, tunnel.
  --timeout SECONDS       How long the Cluster may take to serve requests [OCTELIUM_TIMEOUT].
                          Default 60.
  --dry-run               Look, fetch and verify, tell what would be done, change nothing
                          [OCTELIUM_DRY_RUN=1].
  --k3s                   Install the Cluster on k3s instead, by bootstrap.sh of the release, which
                          has options of its own: --k3s --help [OCTELIUM_K3S=1].
  -h, --help              Show this and exit.

Settings of the Cluster are kept in /etc/octelium/octelium.yaml, which later runs do not change.

Examples:
  curl -fsSL https://example.org/octelium/install.sh | sudo sh -s -- --from https://example.org/octelium
  sudo sh install.sh --domain octelium.example.com
  sudo OCTELIUM_DOMAIN=octelium.example.com OCTELIUM_LISTEN=:8443 sh /mnt/release/install.sh
  sudo sh install.sh --dry-run
TEXT
}

# -- telling -----------------------------------------------------------------------------------------

bold='' plain='' # set on a terminal

say() { printf '%s\n' "$*"; }
step() { say "${bold}[$1/$STEPS] $2$plain"; }
detail() { say "      $*"; }
die() {
  printf 'install.sh: %s\n' "$*" >&2
  exit 1
}

problems=0
# NAME WHAT REMEDY: something that stands in the way, unless --skip-check NAME says otherwise
problem() {
  case ",$skip_check," in
    *",$1,"*)
      detail "($1) $2 (skipped)"
      return
      ;;
  esac
  problems=$((problems + 1))
  printf '  !   %s: %s\n      → %s\n' "$1" "$2" "$3" >&2
}

has() { command -v "$1" >/dev/null 2>&1; }

# -- choices -----------------------------------------------------------------------------------------

choices() {
  from=${OCTELIUM_DOWNLOAD:-} release=${OCTELIUM_RELEASE:-} public_key=${OCTELIUM_PUBLIC_KEY:-$SIGNED_BY}
  domain=${OCTELIUM_DOMAIN:-} listen=${OCTELIUM_LISTEN:-} public_port=${OCTELIUM_PUBLIC_PORT:-}
  public_address=${OCTELIUM_PUBLIC_ADDRESS:-} admin_listen=${OCTELIUM_ADMIN_LISTEN:-}
  admin=${OCTELIUM_ADMIN:-} tunnel=${OCTELIUM_TUNNEL:-} data_dir=${OCTELIUM_DATA_DIR:-}
  invite=${OCTELIUM_INVITE:-on} completion=${OCTELIUM_COMPLETION:-on}
  skip_check=${OCTELIUM_SKIP_CHECK:-} timeout=${OCTELIUM_TIMEOUT:-60} dry_run=${OCTELIUM_DRY_RUN:-}
  while [ $# -gt 0 ]; do
    option=$1 value='' taken=1
    case $option in
      --*=*) value=${option#*=} option=${option%%=*} ;;
      --no-* | --dry-run | -h | --help) ;;
      --*)
        [ $# -ge 2 ] || wrong "$option needs a value"
        value=$2 taken=2
        ;;
    esac
    case $option in
      --from) from=$value ;;
      --release) release=$value ;;
      --public-key) public_key=$value ;;
      --domain) domain=$value ;;
      --listen) listen=$value ;;
      --public-port) public_port=$value ;;
      --public-address) public_address=$value ;;
      --admin-listen) admin_listen=$value ;;
      --admin) admin=$value ;;
      --tunnel) tunnel=$value ;;
      --data-dir) data_dir=$value ;;
      --skip-check) skip_check=$value ;;
      --timeout) timeout=$value ;;
      --no-invite) invite=off ;;
      --no-completion) completion=off ;;
      --dry-run) dry_run=1 ;;
      -h | --help)
        usage
        exit 0
        ;;
      *) wrong "unknown option $option" ;;
    esac
    shift $taken
  done
  check_choices
}

wrong() {
  printf 'install.sh: %s\nHelp: sh install.sh --help\n' "$1" >&2
  exit 2
}

# VALUE PATTERN WHAT: the whole value must match an extended regular expression, if there is one
must_match() {
  [ -z "$(printf '%s' "$1" | tr -d '[:print:]')" ] || wrong "$3, without control characters"
  [ -z "$1" ] || [ "$(printf '%s' "$1" | grep -Exc "$2")" = 1 ] || wrong "$3, not '$1'"
}

check_choices() {
  label='[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?'
  domain=$(printf '%s' "$domain" | tr '[:upper:]' '[:lower:]')
  must_match "$domain" "$label(\.$label)+" '--domain: a DNS name such as octelium.example.com'
  place='(\[[0-9a-f:.]+\]|[0-9.]+|localhost|\*)?:[0-9]{1,5}'
  must_match "$listen" "$place" '--listen: ADDR:PORT or :PORT'
  must_match "$admin_listen" "$place" '--admin-listen: ADDR:PORT or :PORT'
  must_match "$public_port" '[0-9]{1,5}' '--public-port: a port'
  must_match "$public_address" '[0-9a-f.:]+' '--public-address: an IP address'
  must_match "$admin" "$label" '--admin: a name such as admin'
  must_match "$tunnel" 'on|off|auto' '--tunnel: on, off or auto'
  must_match "$data_dir" "$PLAIN_PATH" '--data-dir: an absolute path of plain characters'
  must_match "$release" '[0-9A-Za-z][0-9A-Za-z.+]*' '--release: a version such as 1.2.3'
  must_match "$timeout" '[1-9][0-9]{0,4}' '--timeout: seconds'
  must_match "$invite" 'on|off' 'OCTELIUM_INVITE: on or off'
  must_match "$completion" 'on|off' 'OCTELIUM_COMPLETION: on or off'
  must_match "$dry_run" '0|1' 'OCTELIUM_DRY_RUN: 0 or 1'
  must_match "$skip_check" '[a-z]+(,[a-z]+)*' '--skip-check: names with commas between them'
  for name in $(printf '%s' "$skip_check" | tr , ' '); do
    case $name in
      arch | clock | disk | dns | memory | os | port | probe | tunnel) ;;
      *) wrong "--skip-check: there is no check '$name' to skip" ;;
    esac
  done
  [ "$dry_run" != 0 ] || dry_run=''
}

# NAME: a setting of the configuration file, empty if it has none
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

# Settings of an installation that is there stand; a flag that says otherwise is a mistake.
settle() {
  settings_file=$CONFIG
  kept=${data_dir:-/var/lib/octelium}/octelium.yaml # as uninstall.sh leaves it
  if [ ! -e "$CONFIG" ] && { [ -e "$kept" ] || [ -L "$kept" ]; }; then
    if of_root_alone "$kept"; then
      settings_file=$kept
    else
      problem settings "$kept is not a file of root's, in a folder of root's" \
        "look at it, then move it to $CONFIG, or away"
    fi
  fi
  configured=''
  if [ -e "$settings_file" ]; then
    configured=1
    for name in domain listen public_port public_address admin_listen admin tunnel data_dir; do
      eval "wanted=\$$name"
      stands=$(setting "$name")
      if [ -n "$wanted" ] && [ "$wanted" != "$stands" ]; then
        problem settings "$settings_file has $name '$stands', and '$wanted' is asked for" \
          "leave that out; to change the setting, edit the file and: systemctl restart octelium"
      fi
      eval "$name=\$stands"
    done
    [ -n "$domain" ] || problem settings "$settings_file has no line 'domain: …'" 'add it'
    if [ -n "$data_dir" ] && [ "$(printf '%s' "${data_dir%/}" | grep -Exc "$PLAIN_PATH")" != 1 ]; then
      problem settings "$settings_file has data_dir '$data_dir'" \
        'write an absolute path of plain characters, between "…"'
      data_dir=''
    fi
  fi
  listen=${listen:-:443} admin_listen=${admin_listen:-127.0.0.1:8480}
  admin=${admin:-admin} tunnel=${tunnel:-off} data_dir=${data_dir:-/var/lib/octelium}
  port=${listen##*:} backups=${data_dir%/}-backups
  current='' running=''
  if [ -L "$CODE/current" ]; then current=$(readlink "$CODE/current"); fi
  if [ -n "$current" ] && systemctl is-active -q octelium 2>/dev/null; then running=1; fi
}

# -- looking at the machine --------------------------------------------------------------------------

look() {
  look_at_system
  look_at_memory
  look_at_disk
  look_at_data
  look_at_clock
  look_at_python
  look_at_address
  look_at_ports
  look_at_tunnel
  look_at_names
  look_at_cluster
}

look_at_system() {
  [ "$(id -u)" = 0 ] || problem root 'this is not root' 'run it with sudo, or as root'
  machine=$(uname -m)
  case $machine in
    x86_64) ;;
    aarch64 | arm64) machine=aarch64 ;;
    *) problem arch "the machine is $machine" 'x86-64 (x86_64) and arm64 (aarch64) are supported' ;;
  esac
  system=unknown
  if [ -r /etc/os-release ]; then
    # shellcheck disable=SC1091  # of the machine
    system=$(. /etc/os-release && printf '%s %s' "${ID:-unknown}" "${VERSION_ID:-}")
  fi
  case $system in
    'debian 12') minor=3.11 ;;
    'debian 13') minor=3.13 ;;
    'ubuntu 24.04') minor=3.12 ;;
    *)
      minor=''
      problem os "the operating system is $system" \
        'Debian 12, Debian 13 and Ubuntu 24.04 are supported; --skip-check os tries all the same'
      ;;
  esac
  [ -d /run/systemd/system ] || problem systemd 'this machine was not booted with systemd' \
    'in a container, start the program itself: octelium up --domain DOMAIN'
  for tool in awk df find getent grep mktemp sed sha256sum sort stat systemctl useradd runuser; do
    has "$tool" || problem tools "there is no $tool" "install the package that has it"
  done
  detail "$system, $machine"
}

look_at_memory() {
  available=$(awk '/^MemAvailable:/ { print int($2 / 1024) }' /proc/meminfo)
  if [ -z "$running" ] && [ "${available:-0}" -lt $NEEDED_MEMORY ]; then
    problem memory "${available:-0} MiB of memory are available, $NEEDED_MEMORY MiB are needed" \
      'end something, add swap, or take a larger machine'
  fi
  detail "${available:-?} MiB of memory available"
}

# The nearest folder above (or at) a path that exists.
existing() {
  path=$1
  while [ ! -d "$path" ]; do path=$(dirname "$path"); done
  printf '%s' "$path"
}

# PATH: the options of the file system that a path is on, by the longest mount point above it
mount_options() {
  awk -v path="$(existing "$1")/" '{
    point = $2 == "/" ? "/" : $2 "/"
    if (index(path, point) == 1 && length(point) >= longest) { longest = length(point); found = $4 }
  } END { print "," found "," }' /proc/self/mounts
}

# PATH MIB WHAT: whether so much can be written there
look_at_folder() {
  options=$(mount_options "$1")
  case $options in
    *,ro,*)
      problem disk "$1 is on a read-only file system" 'mount it read-write (see dmesg for why it is not)'
      return
      ;;
  esac
  free=$(df -Pk "$(existing "$1")" | awk 'NR == 2 { print int($4 / 1024) }')
  if [ "$free" -lt "$2" ]; then
    problem disk "$free MiB are free for $1, $2 MiB are needed ($3)" 'make room, or choose another place'
  fi
}

look_at_disk() {
  look_at_folder "$CODE" $NEEDED_CODE 'the program'
  for folder in /etc/systemd/system "$BIN" /var/tmp; do look_at_folder "$folder" 1 'a few files'; done
  case $(mount_options "$CODE") in
    *,noexec,*) problem disk "$CODE is on a file system mounted noexec" 'remount it with exec' ;;
  esac
  needed=$NEEDED_DATA
  if [ -d "$data_dir" ]; then
    needed=$((needed + $(du -sk "$data_dir" | awk '{ print int($1 / 1024) }')))
  fi
  look_at_folder "$data_dir" $needed 'data and its backup'
}

# What root gives to the service's user must be in the data directory and nowhere else.
look_at_data() {
  [ -d "$data_dir" ] && [ "$(stat -L -c %U "$data_dir")" != "$OWNER" ] || return 0
  shared=$(find "$data_dir/" -xdev ! -type d -links +1 2>/dev/null | head -n 1)
  [ -z "$shared" ] || problem data "$shared has another name too (a hard link)" \
    'remove it, or copy it and put the copy in its place'
}

look_at_clock() {
  now=$(date +%s)
  if [ "$now" -lt 1750000000 ]; then
    problem clock "the clock says $(date)" 'set it (timedatectl set-time), certificates and logins need it'
  elif [ "$(timedatectl show -p NTPSynchronized --value 2>/dev/null)" = no ]; then
    detail 'the clock is not synchronised: logins need it right (timedatectl set-ntp true)'
  fi
}

# Which Python runs it: python3, if it is new enough, else a newer one beside it.
look_at_python() {
  install_python='' found=''
  for candidate in python3 python3.13 python3.12 python3.11; do
    has "$candidate" || continue
    version=$("$candidate" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || continue
    [ -n "$found" ] || found=$version
    case $version in
      3.11 | 3.12 | 3.13)
        if "$candidate" -c 'import ctypes, sqlite3, ssl, zlib' 2>/dev/null; then
          minor=$version python=$(command -v "python$version" || command -v "$candidate")
          detail "Python $version ($python)"
          return
        fi
        ;;
    esac
  done
  case $found in
    '' | 3.1[123])
      # Absent, or without its standard library.
      if [ -n "$minor" ] && has apt-get; then
        install_python=1 python=python$minor
        detail "no Python yet: apt will install $python"
      else
        problem python 'there is no Python' 'install Python 3.11, 3.12 or 3.13 as python3'
      fi
      ;;
    *) problem python "python3 is Python $found" 'Python 3.11, 3.12 or 3.13 is needed, as python3 or python3.11, …' ;;
  esac
}

# The address of this machine that its default route uses, and whether others can reach it.
look_at_address() {
  address=$public_address
  if [ -z "$address" ] && has ip; then
    address=$(ip -o route get 192.0.2.1 2>/dev/null | sed -n 's/.* src \([0-9.]*\).*/\1/p' | head -n 1)
    [ -n "$address" ] ||
      address=$(ip -6 -o route get 2001:db8::1 2>/dev/null | sed -n 's/.* src \([0-9a-f:]*\).*/\1/p' | head -n 1)
  fi
  if [ -z "$address" ] && has hostname; then
    address=$(hostname -I 2>/dev/null | tr ' ' '\n' | grep -v -e : -e '^$' | head -n 1) || address=''
  fi
  case ${address:-none} in
    none) detail 'this machine has no address but the loopback interface' ;;
    10.* | 192.168.* | 172.1[6-9].* | 172.2[0-9].* | 172.3[01].* | 100.6[4-9].* | 100.[7-9][0-9].* | 100.1[01][0-9].* | 100.12[0-7].* | f[cd]*:* | fe[89ab]?:*)
      detail "its address $address is private: clients elsewhere reach it only if a router forwards"
      detail "TCP port $port to it (and UDP 53820 for tunnels); --public-address names that router's"
      ;;
    *) detail "its address is $address" ;;
  esac
}

# Hexadecimal address:port as in /proc/net/tcp (proc(5)), on machines of little endian.
hex_of() {
  printf '%s' "$1" | awk -F. '{ printf "%02X%02X%02X%02X", $4, $3, $2, $1 }'
}

# SETTING ADDR:PORT PROTOCOL STATE: whether something else has that address
look_at_port() {
  host=${2%:*} number=${2##*:}
  if [ "$number" -lt 1 ] || [ "$number" -gt 65535 ]; then
    problem port "$1: there is no port $number" 'choose one from 1 to 65535'
    return
  fi
  case $host in '' | '*' | 0.0.0.0 | '[::]') host='' ;; localhost) host=127.0.0.1 ;; esac
  own=''
  case $host in *.*) own=$(hex_of "$host") ;; esac
  holder=$(cat "/proc/net/$3" "/proc/net/${3}6" 2>/dev/null | awk -v port="$(printf '%04X' "$number")" \
    -v state="$4" -v own="$own" '$4 == state {
      split($2, at, ":")
      if (at[2] == port && (own == "" || at[1] == own || at[1] ~ /^0+$/)) { print $10; exit }
    }')
  [ -n "$holder" ] || return 0
  who=$(find /proc/[0-9]*/fd -lname "socket:\[$holder\]" 2>/dev/null | sed -n 's|/proc/\([0-9]*\)/.*|\1|p' | head -n 1)
  if [ -n "$who" ]; then
    who="$(cat "/proc/$who/comm" 2>/dev/null) (process $who)"
  else
    who='another program'
  fi
  problem port "$1: $3 port $number is taken by $who" "stop it, or choose another address with $1"
}

look_at_ports() {
  [ -z "$running" ] || return 0
  look_at_port --listen "$listen" tcp 0A
  look_at_port --admin-listen "$admin_listen" tcp 0A
  [ "$tunnel" = off ] || look_at_port --wireguard-listen :53820 udp 07
}

look_at_tunnel() {
  [ "$tunnel" = on ] || return 0
  if [ ! -c /dev/net/tun ]; then
    problem tunnel 'there is no /dev/net/tun' 'modprobe tun; or leave out --tunnel on'
  elif [ -z "$(find /dev/net/tun -perm -006)" ]; then
    problem tunnel '/dev/net/tun may not be opened by users' 'chmod 0666 /dev/net/tun, as udev does'
  fi
  for name in user/max_user_namespaces kernel/unprivileged_userns_clone; do
    if [ -r "/proc/sys/$name" ] && [ "$(cat "/proc/sys/$name")" = 0 ]; then
      problem tunnel "/proc/sys/$name is 0" "allow user namespaces, or leave out --tunnel on"
    fi
  done
  name=kernel.apparmor_restrict_unprivileged_userns
  if [ "$(sysctl -n "$name" 2>/dev/null)" = 1 ]; then
    problem tunnel "$name is 1" "echo $name=0 >/etc/sysctl.d/60-octelium.conf && sysctl --system; or leave out --tunnel on"
  fi
}

resolve() { getent ahosts "$1" 2>/dev/null | awk '{ print $1 }' | sort -u | tr '\n' ' '; }

look_at_names() {
  if [ -z "$domain" ] && [ -z "$configured" ]; then
    default_domain
    [ -n "$domain" ] || return 0
  fi
  case $domain in
    localhost | *.localhost) # RFC 6761, section 6.3
      detail "domain $domain: for clients on this machine alone"
      return
      ;;
  esac
  found=$(resolve "$domain") below=$(resolve "octelium-check.$domain")
  if [ -z "$found" ] || [ -z "$below" ]; then
    missing=$domain
    [ -z "$found" ] || missing="*.$domain"
    case $domain in
      *.sslip.io)
        problem dns "this machine's DNS knows no address of $missing" \
          "use name servers that reach sslip.io and keep its answers, or give --domain; --skip-check dns goes on without for now"
        ;;
      *)
        problem dns "DNS knows no address of $missing" \
          "add A records for $domain and *.$domain${address:+ with $address}; --skip-check dns goes on without for now"
        ;;
    esac
    return
  fi
  detail "domain $domain: $found"
  if [ -n "$address" ] && ! printf '%s' " $found" | grep -qF " $address "; then
    detail "that is not $address: right only if what has that address forwards TCP port $port here"
  fi
}

default_domain() {
  name=$(hostname -f 2>/dev/null || true)
  case $name in
    *.local | *.localdomain | *.internal | *.lan | *.home.arpa | localhost*) ;;
    *.*)
      if resolve "$name" | grep -qv '^127\.' && [ -n "$(resolve "octelium-check.$name")" ]; then
        domain=$name
        detail "no --domain: $name, this machine's name"
        return
      fi
      ;;
  esac
  case $address in
    '') problem dns 'no --domain, and no address to make one from' 'give --domain, or --public-address' ;;
    *:*) domain=$(printf '%s' "$address" | tr : -).sslip.io ;;
    *) domain=$(printf '%s' "$address" | tr . -).sslip.io ;;
  esac
  [ -z "$domain" ] || detail "no --domain: $domain, a name that the public DNS service sslip.io has for $address"
}

# Before an upgrade the Cluster must work: only then does the probe say something of the new version.
look_at_cluster() {
  [ -n "$running" ] || return 0
  if said=$(octops probe 2>&1); then
    detail "the Cluster serves: $said"
  else
    problem probe "the Cluster that is there does not serve requests: $said" \
      'see journalctl -u octelium; --skip-check probe goes on all the same'
  fi
  if [ -e "$data_dir" ] && [ "$(stat -L -c %U "$data_dir")" != "$OWNER" ]; then
    problem data "$data_dir belongs to $(stat -L -c %U "$data_dir")" "chown -Rh $OWNER: $data_dir/."
  fi
}

# What reads files that the service may change has no more rights than it.
as_owner() { runuser -u "$OWNER" -- "$@"; }

octops() {
  verb=$1
  shift
  as_owner env OCTELIUM_DATA_DIR="$data_dir" HOME=/nonexistent "$CODE/current/bin/octops" "$verb" "$@"
}

# -- the release -------------------------------------------------------------------------------------

# NAME [optional]: copy a file of the release into the temporary folder
fetch() {
  case $from in
    http://* | https://*)
      if has curl; then
        curl -fsSL --retry 2 --connect-timeout 20 -D "$temporary/headers" -o "$temporary/$1" "$from/$1"
      else
        wget -q -O "$temporary/$1" "$from/$1"
      fi
      ;;
    *) cp "$from/$1" "$temporary/$1" ;;
  esac 2>"$temporary/errors" && return
  rm -f "$temporary/$1"
  [ "${2:-}" = optional ] && return 1
  refuse "$from/$1 cannot be fetched: $(tail -n 1 "$temporary/errors")" \
    'see whether the place is right and the network works; --from names another, also a directory'
}

refuse() {
  printf '  !   %s\n      → %s\nNothing was changed.\n' "$1" "$2" >&2
  exit 1
}

# Where the release is, and what it says of its files.
find_place() {
  if [ -z "$from" ]; then
    here=$(dirname -- "$0")
    from=$BASE
    if [ -f "$0" ] && [ -f "$here/SHA256SUMS" ]; then from=$(cd -- "$here" && pwd); fi
    [ -n "$from" ] || refuse 'no release is named' 'give --from URL or --from DIRECTORY'
  fi
  from=${from%/}
  case $from in
    http://* | https://*) has curl || has wget || refuse 'there is neither curl nor wget' 'apt-get install curl, or --from DIRECTORY' ;;
    *) [ -d "$from" ] || refuse "--from: there is no directory $from" 'give a URL, or a directory with SHA256SUMS' ;;
  esac
  fetch SHA256SUMS
  check_server_clock
  check_signature SHA256SUMS
}

find_release() {
  find_place
  tag=py$(printf '%s' "$minor" | tr -d .)
  asked=$release
  pattern="octelium-${release:-[0-9A-Za-z.+]+}-$tag-linux-$machine\.pyz"
  archive=$(awk '{ sub(/^\*/, "", $2); print $2 }' "$temporary/SHA256SUMS" | grep -Ex "$pattern" | in_order | tail -n 1) || archive=''
  [ -n "$archive" ] || refuse "$from has no file octelium-${release:-VERSION}-$tag-linux-$machine.pyz" \
    "its files are: $(awk '{ print $2 }' "$temporary/SHA256SUMS" | tr '\n' ' ')"
  release=$(printf '%s' "$archive" | sed "s/^octelium-\(.*\)-$tag-linux-.*/\1/")
  sum=$(awk -v name="$archive" '{ sub(/^\*/, "", $2) } $2 == name { print $1; exit }' "$temporary/SHA256SUMS")
  [ "$(printf '%s' "$sum" | grep -Exc '[0-9a-f]{64}')" = 1 ] || refuse "SHA256SUMS has no checksum of $archive" 'fetch it again'
  target=$release-$(printf '%.8s' "$sum")
  if [ "$current" = "$target" ]; then
    detail "version $release is installed already ($target)"
    return
  fi
  refuse_older
  fetch "$archive"
  fetch uninstall.sh
  check_sum "$archive"
  check_sum uninstall.sh
  detail "$archive, $(du -k "$temporary/$archive" | awk '{ print int($1 / 1024) }') MiB, checksum verified"
}

# Lines with versions, the oldest first. Before a release come its pre-releases, before those what
# leads to them (PEP 440); sort -V has nothing before ~.
in_order() {
  sed -E -e 's/([0-9])(a|b|rc)([0-9])/\1~\2\3/' -e 's/\.dev/~~.dev/' | sort -V | sed 's/~//g'
}

# An old release stays signed for ever: whoever answers for the download place could bring back what
# newer ones have mended.
refuse_older() {
  older=''
  installed=${current%-*}
  [ -n "$installed" ] && [ "$installed" != "$release" ] || return 0
  [ "$(printf '%s\n' "$installed" "$release" | in_order | head -n 1)" = "$release" ] || return 0
  older=1
  if [ -z "$asked" ]; then
    refuse "$from has nothing newer than $release, and $installed is installed" \
      "see whether the place is right; to go back all the same: --release $release"
  fi
  detail "$release is older than $installed: it is asked for by name"
}

# RFC 9110, section 6.6.1: what time the server has
check_server_clock() {
  [ -s "$temporary/headers" ] || return 0
  told=$(sed -n 's/^[Dd]ate: *//p' "$temporary/headers" | tail -n 1 | tr -d '\r')
  told=$(date -d "$told" +%s 2>/dev/null) || return 0
  away=$((told - $(date +%s)))
  if [ "${away#-}" -gt 300 ]; then
    problem clock "the clock is ${away#-} seconds away from that of $from" 'set it: timedatectl set-ntp true'
    [ $problems -eq 0 ] || exit 1
  fi
}

# FILE: the signature of a file of checksums
check_signature() {
  sums_file=$1 tool=minisign
  case $(head -c 10 "$public_key" 2>/dev/null) in -----BEGIN) tool=openssl ;; esac
  # The key that this script brings along shields from no more than the script itself: without the
  # tool it is passed over. One that is asked for is not.
  if [ -n "$public_key" ] && [ "$public_key" = "$SIGNED_BY" ] && ! has "$tool"; then
    detail "no $tool (apt-get install $tool): the signature is not verified"
    return
  fi
  if [ -z "$public_key" ]; then
    detail "no --public-key: what $from says of checksums is believed"
    return
  fi
  case $tool in
    openssl)
      has openssl || refuse 'the signature cannot be verified: there is no openssl' 'apt-get install openssl'
      fetch_signature sig
      openssl pkeyutl -verify -pubin -inkey "$public_key" -rawin -in "$temporary/$sums_file" \
        -sigfile "$temporary/$sums_file.sig" >/dev/null 2>&1 ||
        refuse "the signature of $sums_file is wrong" 'fetch the release again, from its own place'
      ;;
    *)
      has minisign || refuse 'the signature cannot be verified: there is no minisign' 'apt-get install minisign'
      fetch_signature minisig
      if [ -f "$public_key" ]; then option=-p; else option=-P; fi
      minisign -Vqm "$temporary/$sums_file" "$option" "$public_key" >/dev/null 2>&1 ||
        refuse "the signature of $sums_file is wrong" 'fetch the release again, from its own place'
      ;;
  esac
  detail "signature verified: $sums_file"
}

# ENDING: a key is in force, so there must be a signature
fetch_signature() {
  fetch "$sums_file.$1" optional || refuse \
    "$from/$sums_file.$1 cannot be fetched, and a signature is demanded: $(tail -n 1 "$temporary/errors")" \
    "have whoever has the key sign $sums_file; see whether the place is right and the network works"
}

check_sum() {
  wanted=$(awk -v name="$1" '{ sub(/^\*/, "", $2) } $2 == name { print $1; exit }' "$temporary/SHA256SUMS")
  got=$(sha256sum <"$temporary/$1" | awk '{ print $1 }')
  [ "${wanted:-missing}" = "$got" ] || refuse \
    "$1 is not what SHA256SUMS says: sha256 ${wanted:-missing} expected, $got found" \
    'the download was cut off or changed: fetch the release again'
}

# -- changing the machine ----------------------------------------------------------------------------

get_python() {
  [ -n "$install_python" ] || return 0
  detail "apt-get install $python"
  for attempt in cached fresh; do
    [ $attempt = cached ] || DEBIAN_FRONTEND=noninteractive apt-get update -qq >"$temporary/apt" 2>&1 || true
    if DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3 >"$temporary/apt" 2>&1; then
      break
    elif [ $attempt = fresh ]; then
      tail -n 5 "$temporary/apt" >&2
      die 'apt could not install python3; see above'
    fi
  done
  has "$python" || die "python3 was installed, and there is no $python"
  python=$(command -v "$python")
}

make_owner() {
  if ! getent passwd "$OWNER" >/dev/null; then
    useradd --system --user-group --home-dir "$data_dir" --no-create-home --shell /usr/sbin/nologin "$OWNER"
    detail "system user $OWNER"
  fi
  mkdir -p "$data_dir" "$(dirname "$CONFIG")" "$CODE" "$BIN"
  chmod 0700 "$data_dir"
  if [ "$settings_file" != "$CONFIG" ] && [ -e "$settings_file" ]; then mv -T "$settings_file" "$CONFIG"; fi
  # With -h, and never through links: what has been in there was the service's.
  if [ -z "$running" ] && [ "$(stat -L -c %U "$data_dir")" != "$OWNER" ]; then chown -Rh "$OWNER:" "$data_dir/."; fi
  chown root:root "$CODE"
  if [ ! -e "$CONFIG" ]; then
    write_settings >"$CONFIG.new"
    mv "$CONFIG.new" "$CONFIG"
    detail "settings $CONFIG"
    : >"$CODE/first"
  fi
  chown "root:$OWNER" "$CONFIG"
  chmod 0640 "$CONFIG"
}

write_settings() {
  say "# Settings of this Cluster; after a change: systemctl restart octelium"
  for name in domain listen public_port public_address admin_listen admin tunnel data_dir; do
    eval "value=\$$name"
    [ -z "$value" ] || say "$name: \"$value\""
  done
}

# The program, unpacked by root into root's folder, where the service cannot write.
unpack() {
  [ "$current" != "$target" ] || return 0
  draft=$CODE/.$target
  rm -rf "$draft" "${CODE:?}/$target"
  mkdir -p "$draft/bin"
  cp "$temporary/$archive" "$draft/"
  cp "$temporary/uninstall.sh" "$draft/"
  said=$(SHIV_ROOT=$draft/code "$python" "$draft/$archive" --version 2>&1) || die "$archive does not start: $said"
  "$python" -m compileall -q -j 0 -s "$draft" -p "$CODE/$target" "$draft/code" >/dev/null 2>&1 || true # it only saves time later
  for program in $PROGRAMS; do
    ln -s "$archive" "$draft/$program"
    printf '#!/bin/sh\n# Starts version %s from where it was unpacked.\nSHIV_ROOT=%s exec %s %s "$@"\n' \
      "$release" "$CODE/$target/code" "$python" "$CODE/$target/$program" >"$draft/bin/$program"
    chmod 0755 "$draft/bin/$program"
  done
  chown -R root:root "$draft"
  chmod -R a+rX,go-w "$draft"
  mv "$draft" "$CODE/$target"
  detail "$said in $CODE/$target"
}

write_unit() {
  capability=''
  [ "$port" -ge 1024 ] || capability=CAP_NET_BIND_SERVICE
  calls=capset # by which processes give up what they need not
  namespaces=yes devices='PrivateDevices=yes' tunables='ProtectKernelTunables=yes
ProcSubset=pid'
  if [ "$tunnel" != off ]; then
    # The private network is a network namespace within a user namespace, with a TUN device in it.
    namespaces='user net' calls='capset setns unshare'
    tunables=''
    devices='DevicePolicy=closed
DeviceAllow=/dev/net/tun rw'
  fi
  cat <<TEXT
[Unit]
Description=Octelium Cluster
Wants=network-online.target
After=network-online.target

[Service]
Type=exec
User=$OWNER
Group=$OWNER
ExecStart=$CODE/current/bin/octelium up --config $CONFIG
Environment=HOME=$data_dir OCTELIUM_AUTH_TOKEN_SAVE_PATH=/run/octelium/first-token
Restart=always
RestartSec=2
KillMode=mixed
TimeoutStopSec=20
OOMPolicy=continue
LimitNOFILE=131072
RuntimeDirectory=octelium
RuntimeDirectoryMode=0700
UMask=0077

ReadWritePaths=$data_dir
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
$devices
$tunables
ProtectProc=invisible
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
NoNewPrivileges=yes
CapabilityBoundingSet=$capability
AmbientCapabilities=$capability
RestrictNamespaces=$namespaces
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
RemoveIPC=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged
SystemCallFilter=$calls
SystemCallErrorNumber=EPERM

[Install]
WantedBy=multi-user.target
TEXT
}

# Commands for everybody, and their completion.
link_programs() {
  for program in $PROGRAMS; do ln -sfn "$CODE/current/bin/$program" "$BIN/$program"; done
  ln -sfn current/uninstall.sh "$CODE/uninstall.sh"
  [ "$completion" = on ] || return 0
  bash=$SHARE/bash-completion/completions zsh=$SHARE/zsh/site-functions fish=$SHARE/fish/vendor_completions.d
  mkdir -p "$bash" "$zsh" "$fish"
  for program in $PROGRAMS; do
    "$BIN/$program" completion bash >"$bash/$program" 2>/dev/null
    "$BIN/$program" completion zsh >"$zsh/_$program" 2>/dev/null
    "$BIN/$program" completion fish >"$fish/$program.fish" 2>/dev/null
  done
}

point_to() {
  ln -sfn "$1" "$CODE/.current"
  mv -T "$CODE/.current" "$CODE/current"
}

# Write the unit, start this version, and wait until it serves.
start() {
  systemctl daemon-reload
  systemctl enable -q octelium || return 1
  systemctl reset-failed octelium 2>/dev/null || true
  systemctl restart octelium || return 1
  await_probe
}

await_probe() {
  deadline=$(($(date +%s) + timeout))
  page=''
  [ ! -e "$CODE/first" ] || page=demo-nginx
  # shellcheck disable=SC2086  # nothing, or one word
  while ! probed=$(octops probe $page 2>&1); do
    # Started over and over, it will not come up.
    restarts=$(systemctl show -p NRestarts --value octelium)
    if [ "$(date +%s)" -ge "$deadline" ] || [ "${restarts:-0}" -ge 3 ]; then return 1; fi
    sleep 0.3
  done
  # No version that dies right after it has answered.
  systemctl is-active -q octelium
}

# -- backup and the way back -------------------------------------------------------------------------

# While the Cluster is stopped, so that nothing is missing of what it has acknowledged.
back_up() {
  backup=$backups/$(date -u +%Y%m%dT%H%M%SZ)-$current
  mkdir -p "$backup/data"
  chmod 0700 "$backups" "$backup"
  cp "$UNIT" "$backup/octelium.service"
  systemctl stop octelium
  for entry in "$data_dir"/*; do
    case ${entry##*/} in
      run | lock | '*') ;;
      *) cp -aT --reflink=auto "$entry" "$backup/data/${entry##*/}" ;;
    esac
  done
  sync
  # A run that is cut off from here on is taken back by the next one.
  printf 'former=%s\nbackup=%s\n' "$current" "$backup" >"$CODE/upgrading.new"
  mv "$CODE/upgrading.new" "$CODE/upgrading"
  detail "backup $backup ($(du -sm "$backup" | awk '{ print $1 }') MiB)"
}

# File and data as they were before the upgrade that $CODE/upgrading tells of.
take_back() {
  former=$(sed -n 's/^former=//p' "$CODE/upgrading") backup=$(sed -n 's/^backup=//p' "$CODE/upgrading")
  for folder in "$CODE/${former:-missing}" "$backup/data"; do
    [ -d "$folder" ] || die "cannot take back: $folder is gone"
  done
  systemctl stop octelium 2>/dev/null || true
  refused=$(mktemp -d "$backup/refused.XXXXXX")
  for entry in "$data_dir"/*; do
    case ${entry##*/} in
      run | lock | '*') ;;
      *) mv -T "$entry" "$refused/${entry##*/}" ;;
    esac
  done
  # Into no folder and through no link that has appeared there.
  for entry in "$backup"/data/*; do
    cp -aT --reflink=auto --remove-destination "$entry" "$data_dir/${entry##*/}"
  done
  cp "$backup/octelium.service" "$UNIT"
  point_to "$former"
  sync
  # From here on the former version may take in something new, which must not be taken back.
  rm -f "$CODE/upgrading"
  [ "$timeout" -ge 60 ] || timeout=60
  if ! start; then
    say "The former version $former is back, with its data, and does not serve either: $probed" >&2
    journal
    exit 1
  fi
}

drop_old() {
  for folder in "$CODE"/*-????????; do
    case ${folder##*/} in
      "$target" | "$current" | '*-????????') ;;
      *) rm -rf "$folder" ;;
    esac
  done
  # shellcheck disable=SC2012  # names are this script's own
  ls -1d "$backups"/*Z-* 2>/dev/null | sort -r | tail -n +$((KEPT_BACKUPS + 1)) | while read -r folder; do
    rm -rf "$folder"
  done
}

journal() {
  say "      the service's last messages (all of them: journalctl -u octelium):" >&2
  journalctl -u octelium -n 12 --no-pager -o cat 2>/dev/null |
    tr -d '\000-\010\013-\037\177' | sed 's/^/        | /' >&2 || true
}

finish() {
  status=$?
  trap - EXIT
  rm -rf "${temporary:-/nonexistent}" "$CODE"/.*-???????? 2>/dev/null || true
  if [ "$status" -ne 0 ] && [ -n "${switching:-}" ] && [ -e "$CODE/upgrading" ]; then
    say "Cut off: taking file and data back to $current" >&2
    take_back
  elif [ "$status" -ne 0 ] && [ -n "${switching:-}" ]; then
    say "The backup was not finished: $current goes on" >&2
    systemctl start octelium
  fi
  exit "$status"
}

serve() {
  unit_before=$(cat "$UNIT" 2>/dev/null || true)
  unit_after=$(write_unit)
  if [ "$current" = "$target" ]; then
    if [ -n "$running" ] && [ "$unit_before" = "$unit_after" ]; then
      await_probe || failed
      return
    fi
  elif [ -n "$current" ] && [ -e "$data_dir/store" ] && [ -e "$UNIT" ]; then
    switching=1
    back_up
  fi
  write_unit >"$UNIT.new"
  mv "$UNIT.new" "$UNIT"
  point_to "$target"
  start || failed
  switching=''
  rm -f "$CODE/upgrading"
  rm -rf /run/octelium/first-token
}

failed() {
  say "      the Cluster does not serve requests: $(printf '%s' "${probed:-it did not start}" | tail -n 2 | tr '\n' ' ')" >&2
  journal
  if [ -n "${switching:-}" ]; then
    say "      taking file and data back to $current" >&2
    switching=''
    take_back
    rm -rf "${CODE:?}/$target"
    die "version $release does not work here; $current is back and serves ($probed). What $release made of the data is in $refused"
  fi
  die "it is installed and does not work yet; mend that and run this again, or: sh $CODE/uninstall.sh"
}

# -- the end -----------------------------------------------------------------------------------------

farewell() {
  [ -z "$public_port" ] || port=$public_port
  suffix=''
  [ "$port" = 443 ] || suffix=:$port
  say
  say "${bold}Octelium $release serves https://$domain$suffix$plain"
  say "  demonstration page  https://demo-nginx.$domain$suffix"
  say "  settings            $CONFIG"
  say "  messages            journalctl -u octelium"
  say "  remove              sh $CODE/uninstall.sh"
  say "  backup              octops backup FILE --data-dir $data_dir"
  if as_owner grep -q 'BEGIN CERTIFICATE' "$data_dir/ca.pem" 2>/dev/null; then
    say "  certificate         of the Cluster's own CA. Browsers warn of it and make no passkeys, until"
    say "                      you install one for $domain and *.$domain,"
    say "                        octops cert $domain --cert FILE --key FILE --data-dir $data_dir"
    say "                      or have them trust https://$domain$suffix/ca.pem, whose SHA-256 is"
    say "                      $(fingerprint)"
  fi
  [ ! -e "$CODE/first" ] || invite_administrator
  rm -f "$CODE/first"
}

fingerprint() {
  as_owner "$python" -I - "$data_dir/ca.pem" <<'TEXT'
import hashlib, ssl, sys
print(hashlib.sha256(ssl.PEM_cert_to_DER_cert(open(sys.argv[1]).read())).hexdigest())
TEXT
}

# For the eyes of who sits there: on the terminal itself, whatever stdout is.
invite_administrator() {
  [ "$invite" = on ] || return 0
  by_hand="octops invite $admin --administrator --data-dir $data_dir"
  if ! (: >/dev/tty) 2>/dev/null; then
    say "  administrator       nobody yet; a link for $admin:  sudo $by_hand"
    return
  fi
  {
    say
    say "${bold}Open this link, once, within 15 minutes, to become the administrator $admin,$plain"
    say "in a browser that trusts the certificate:"
    octops invite "$admin" --administrator 2>&1 || say "try again: sudo $by_hand"
  } >/dev/tty
}

plan() {
  say
  if [ -n "$current" ] && [ "$current" != "$target" ]; then
    if [ -n "${older:-}" ]; then change='go back from'; else change=upgrade; fi
    say "Would $change $current to $target, after a backup of $data_dir to $backups."
  elif [ -n "$current" ]; then
    say "Would see that $target runs."
  else
    say "Would install $target into $CODE as the service octelium of the user $OWNER:"
    write_settings | sed 's/^/  /'
  fi
  say 'Nothing was changed.'
}

# The Cluster on k3s: bootstrap.sh of the release gets all options but --k3s. It looks at the machine,
# and fetches and verifies the rest.
hand_over() {
  from=${OCTELIUM_DOWNLOAD:-} public_key=${OCTELIUM_PUBLIC_KEY:-$SIGNED_BY} skip_check=''
  left=$# before=''
  while [ "$left" -gt 0 ]; do
    word=$1 left=$((left - 1))
    shift
    case $before in --public-key) public_key=$word ;; esac
    case $word in --public-key=*) public_key=${word#*=} ;; esac
    case $before:$word in
      --from:*) from=$word ;;
      *:--from=*) from=${word#*=} ;;
      *:--from | *:--k3s) ;;
      *) set -- "$@" "$word" ;;
    esac
    before=$word
  done
  temporary=$(mktemp -d /var/tmp/octelium.XXXXXX)
  trap 'rm -rf "$temporary"' EXIT
  find_place
  fetch bootstrap.sh
  check_sum bootstrap.sh
  sh "$temporary/bootstrap.sh" --from "$from" "$@"
}

main() {
  LC_ALL=C
  export LC_ALL
  if [ -t 1 ]; then bold=$(printf '\033[1m') plain=$(printf '\033[0m'); fi
  on_k3s=${OCTELIUM_K3S:-}
  for word; do
    [ "$word" != --k3s ] || on_k3s=1
  done
  if [ "$on_k3s" = 1 ]; then
    exec </dev/null
    hand_over "$@"
    return
  fi
  choices "$@"
  exec </dev/null
  temporary='' switching=''
  trap finish EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM
  if [ "$(id -u)" = 0 ]; then
    exec 9>/run/octelium-install.lock
    flock -n 9 || die 'another installation is under way'
    if [ -e "$CODE/upgrading" ] && [ -z "$dry_run" ]; then recover; fi
  fi
  step 1 'Look at this machine'
  settle
  look
  [ $problems -eq 0 ] || die "$problems of the preconditions fail, see above; nothing was changed"
  step 2 'Fetch and verify the release'
  temporary=$(mktemp -d /var/tmp/octelium.XXXXXX)
  find_release
  if [ -n "$dry_run" ]; then
    plan
    return
  fi
  step 3 'Python'
  get_python
  step 4 'User, folders, settings'
  make_owner
  step 5 'Unpack the program'
  unpack
  step 6 'Start it, and send a request through its front door'
  serve
  detail "$probed"
  step 7 'Commands and their completion'
  link_programs
  drop_old
  farewell
}

recover() {
  say 'An earlier upgrade was cut off: taking file and data back first'
  find /var/tmp -maxdepth 1 -user root -type d -name 'octelium.??????' -exec rm -rf {} +
  settle
  take_back
}

{ main "$@"; }
