#!/bin/sh
# Installs or upgrades an Octelium Cluster on k3s, on this machine. `sh bootstrap.sh --help` tells how.
#
# Everything is a function and the last line calls main, in braces, so that a download that was cut
# off, wherever, does nothing. Nothing is changed before every precondition was looked at.
set -eu
umask 022

readonly BASE=''       # where releases are, if neither --from nor a local copy says so
readonly SIGNED_BY=''  # the public key of those releases
readonly CODE=/opt/octelium-k3s CONFIG=/etc/octelium/k3s.yaml BACKUPS=/var/lib/octelium-k3s-backups
readonly BARE=/opt/octelium/current VENDOR=https://get.k3s.io RANCHER=/var/lib/rancher
readonly K3S_CONFIG=/etc/rancher/k3s/config.yaml.d/50-octelium.yaml K3S_BIN=/usr/local/bin/k3s
readonly NAMESPACE=octelium POD=octelium-0 CLAIM=data-octelium-0 IMAGE=docker.io/library/octelium
readonly NEEDED_MEMORY=300 NEEDED_K3S_MEMORY=900 NEEDED_CODE=400 NEEDED_K3S=1500 NEEDED_DATA=200 # MiB
readonly KEPT_BACKUPS=3 STEPS=6 PROC=/proc OS_RELEASE=/etc/os-release BOOTED=/run/systemd/system
readonly LOCK=/run/octelium-install.lock TEMPORARY=/var/tmp CONTROLLERS=/sys/fs/cgroup/cgroup.controllers

usage() {
  cat <<'TEXT'
Usage: sh bootstrap.sh [OPTIONS]

Installs an Octelium Cluster on k3s, on this machine: Debian 12 or 13, Ubuntu 24.04; x86-64 or arm64;
as root, with systemd. A k3s that is there is used; else one is installed, without Traefik and
ServiceLB. Run again it upgrades: after a backup, and back again if the new version does not serve
requests. It asks nothing. What stands in the way is told before anything is changed.

Options, each with its environment variable:
  --from PLACE            Where the release is: a URL or a directory with SHA256SUMS
                          [OCTELIUM_DOWNLOAD]. Default: where this script lies, if it is there.
                          If it has a folder k3s (SHA256SUMS, k3s, its airgap images, install.sh),
                          k3s is installed from there, and nothing else is asked. It runs as root:
                          if a signature is demanded, k3s/SHA256SUMS needs one as well, and from
                          http:// it is taken with a signature only.
  --release VERSION       Which version [OCTELIUM_RELEASE]. Default: the newest. One older than what
                          is installed must be named.
  --public-key KEY        Demand a signature of SHA256SUMS: a minisign key, or a file with one
                          (SHA256SUMS.minisig), or a PEM file (SHA256SUMS.sig, by openssl)
                          [OCTELIUM_PUBLIC_KEY]. Default: the key of the release, if it has one and
                          minisign is there.
  --domain DOMAIN         The Cluster's domain [OCTELIUM_DOMAIN]. Default: this machine's name, if
                          DNS knows it and the names below it; else ADDRESS.sslip.io.
  --addresses IPS         This machine's own addresses where clients arrive, with commas between
                          them [OCTELIUM_ADDRESSES]. Default: those of its default routes.
  --public-port PORT      The port that clients use [OCTELIUM_PUBLIC_PORT]. Default 443.
  --public-address IP     This machine's address as clients see it [OCTELIUM_PUBLIC_ADDRESS].
  --admin NAME            The administrator, a person [OCTELIUM_ADMIN]. Default admin.
  --tunnel on|off         Whether clients connect by WireGuard [OCTELIUM_TUNNEL]. Default off. On, the
                          Cluster's container is privileged; see docs/k3s.md.
  --no-invite             Show no invitation of the administrator [OCTELIUM_INVITE=off].
  --skip-check NAMES      Go on although these checks fail [OCTELIUM_SKIP_CHECK]: arch, clock,
                          cluster, disk, dns, k3s, memory, os, port, probe, tunnel.
  --timeout SECONDS       How long the Cluster may take to serve requests [OCTELIUM_TIMEOUT].
                          Default 180.
  --dry-run               Look, fetch and verify, tell what would be done, change nothing
                          [OCTELIUM_DRY_RUN=1].
  -h, --help              Show this and exit.

Settings of the Cluster are kept in /etc/octelium/k3s.yaml, which later runs do not change. After a
change there, run it again.

Examples:
  curl -fsSL https://example.org/octelium/install.sh | sudo sh -s -- --k3s --from https://example.org/octelium
  sudo sh bootstrap.sh --domain octelium.example.com
  sudo sh bootstrap.sh --from /mnt/release --dry-run
TEXT
}

# -- telling -----------------------------------------------------------------------------------------

bold='' plain='' # set on a terminal

say() { printf '%s\n' "$*"; }
step() { say "${bold}[$1/$STEPS] $2$plain"; }
detail() { say "      $*"; }
die() {
  printf 'bootstrap.sh: %s\n' "$*" >&2
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
  domain=${OCTELIUM_DOMAIN:-} addresses=${OCTELIUM_ADDRESSES:-} public_port=${OCTELIUM_PUBLIC_PORT:-}
  public_address=${OCTELIUM_PUBLIC_ADDRESS:-} admin=${OCTELIUM_ADMIN:-} tunnel=${OCTELIUM_TUNNEL:-}
  invite=${OCTELIUM_INVITE:-on} skip_check=${OCTELIUM_SKIP_CHECK:-} timeout=${OCTELIUM_TIMEOUT:-180}
  dry_run=${OCTELIUM_DRY_RUN:-}
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
      --addresses) addresses=$value ;;
      --public-port) public_port=$value ;;
      --public-address) public_address=$value ;;
      --admin) admin=$value ;;
      --tunnel) tunnel=$value ;;
      --skip-check) skip_check=$value ;;
      --timeout) timeout=$value ;;
      --no-invite) invite=off ;;
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
  printf 'bootstrap.sh: %s\nHelp: sh bootstrap.sh --help\n' "$1" >&2
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
  must_match "$addresses" '[0-9a-f.:]+(,[0-9a-f.:]+)*' '--addresses: IP addresses with commas between them'
  must_match "$public_port" '[0-9]{1,5}' '--public-port: a port'
  must_match "$public_address" '[0-9a-f.:]+' '--public-address: an IP address'
  must_match "$admin" "$label" '--admin: a name such as admin'
  must_match "$tunnel" 'on|off' '--tunnel: on or off'
  must_match "$release" '[0-9A-Za-z][0-9A-Za-z.+]*' '--release: a version such as 1.2.3'
  must_match "$timeout" '[1-9][0-9]{0,4}' '--timeout: seconds'
  must_match "$invite" 'on|off' 'OCTELIUM_INVITE: on or off'
  must_match "$dry_run" '0|1' 'OCTELIUM_DRY_RUN: 0 or 1'
  must_match "$skip_check" '[a-z0-9]+(,[a-z0-9]+)*' '--skip-check: names with commas between them'
  for name in $(printf '%s' "$skip_check" | tr , ' '); do
    case $name in
      arch | clock | cluster | disk | dns | k3s | memory | os | port | probe | tunnel) ;;
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

# Settings of an installation that is there stand; a flag that says otherwise is a mistake.
settle() {
  settings_file=$CONFIG
  configured=''
  if [ -e "$settings_file" ]; then
    configured=1
    for name in domain addresses public_port public_address admin tunnel; do
      eval "wanted=\$$name"
      stands=$(setting "$name")
      if [ -n "$wanted" ] && [ "$wanted" != "$stands" ]; then
        problem settings "$settings_file has $name '$stands', and '$wanted' is asked for" \
          "leave that out; to change the setting, edit the file and run this again"
      fi
      eval "$name=\$stands"
    done
    [ -n "$domain" ] || problem settings "$settings_file has no line 'domain: …'" 'add it'
  fi
  public_port=${public_port:-443} admin=${admin:-admin} tunnel=${tunnel:-off} port=$public_port
  case $tunnel in on | off) ;; *) problem settings "$settings_file has tunnel '$tunnel'" 'write on or off' ;; esac
  current=''
  if [ -L "$CODE/current" ]; then current=$(readlink "$CODE/current"); fi
}

# -- looking at the machine --------------------------------------------------------------------------

look() {
  look_at_system
  look_at_k3s
  look_at_memory
  look_at_disk
  look_at_clock
  look_at_addresses
  look_at_ports
  look_at_tunnel
  look_at_names
  look_at_cluster
}

look_at_system() {
  [ "$(id -u)" = 0 ] || problem root 'this is not root' 'run it with sudo, or as root'
  machine=$(uname -m)
  case $machine in
    x86_64) arch=amd64 ;;
    aarch64 | arm64) arch=arm64 ;;
    *)
      arch=$machine
      problem arch "the machine is $machine" 'x86-64 (x86_64) and arm64 (aarch64) are supported'
      ;;
  esac
  system=unknown
  if [ -r $OS_RELEASE ]; then
    # shellcheck disable=SC1090,SC1091  # of the machine
    system=$(. $OS_RELEASE && printf '%s %s' "${ID:-unknown}" "${VERSION_ID:-}")
  fi
  case $system in
    'debian 12' | 'debian 13' | 'ubuntu 24.04') ;;
    *)
      problem os "the operating system is $system" \
        'Debian 12, Debian 13 and Ubuntu 24.04 are supported; --skip-check os tries all the same'
      ;;
  esac
  [ -d $BOOTED ] || problem systemd 'this machine was not booted with systemd' \
    'take a machine or a virtual machine, not a container'
  for tool in awk curl df find getent grep ip mktemp sed sha256sum sort stat systemctl tar; do
    has "$tool" || problem tools "there is no $tool" "install the package that has it (apt-get install $tool)"
  done
  detail "$system, $machine"
}

k() { k3s kubectl "$@"; }

# A k3s that is there must be one that this works on; else it must be possible to install one.
look_at_k3s() {
  install_k3s='' k3s_fails=''
  if ! has k3s; then
    for other in kubelet kubeadm microk8s rke2; do
      ! has "$other" || problem k3s "another Kubernetes is on this machine: $other" \
        'take another machine, or apply the manifests yourself (docs/k3s.md)'
    done
    install_k3s=1
    detail 'no k3s yet: one will be installed'
    return
  fi
  kubernetes=$(k3s --version 2>/dev/null | sed -n 's/^k3s version v\([0-9]*\.[0-9]*\).*/\1/p')
  case $kubernetes in
    1.29 | 1.3[0-4]) ;;
    *) problem k3s "k3s has Kubernetes ${kubernetes:-of an unknown version}" \
      'Kubernetes 1.29 to 1.34 is supported: install such a k3s (INSTALL_K3S_CHANNEL=v1.34)' ;;
  esac
  if ! nodes=$(k get nodes -o 'jsonpath={range .items[*]}{.metadata.name}{" "}{.status.conditions[?(@.type=="Ready")].status}{"\n"}{end}' 2>&1); then
    problem k3s "the API of k3s does not answer: $(printf '%s' "$nodes" | tail -n 1)" \
      'it must run here as a server: systemctl status k3s, journalctl -u k3s'
    k3s_fails=1
    return
  fi
  detail "k3s with Kubernetes $kubernetes: $(printf '%s' "$nodes" | awk '{ print $1 }' | tr '\n' ' ')"
  [ "$(printf '%s\n' "$nodes" | wc -l)" = 1 ] || problem k3s \
    "there are several nodes: $(printf '%s' "$nodes" | awk '{ print $1 }' | tr '\n' ' ')" \
    'the Cluster runs on one: its data and addresses are those of this machine; take a k3s of one node'
  case $nodes in *' True'*) ;; *) problem k3s "the node is not ready: $nodes" 'see k3s kubectl describe node, journalctl -u k3s' ;; esac
  arguments=$(k get nodes -o 'jsonpath={.items[*].metadata.annotations.k3s\.io/node-args}')
  case $arguments in
    *--disable-network-policy*) problem k3s 'k3s runs with --disable-network-policy: its network policies have no effect' \
      'have it take them in: leave that out of the arguments of the service k3s, systemctl restart k3s' ;;
  esac
  [ -n "$(k get storageclass -o 'jsonpath={.items[?(@.metadata.annotations.storageclass\.kubernetes\.io/is-default-class=="true")].metadata.name}')" ] ||
    problem k3s 'there is no default storage class' "run k3s with its own (without --disable local-storage), or mark one as the default"
}

look_at_memory() {
  available=$(awk '/^MemAvailable:/ { print int($2 / 1024) }' $PROC/meminfo)
  needed=$NEEDED_MEMORY
  [ -z "$install_k3s" ] || needed=$NEEDED_K3S_MEMORY
  if [ -z "$current" ] && [ "${available:-0}" -lt "$needed" ]; then
    problem memory "${available:-0} MiB of memory are available, $needed MiB are needed" \
      'end something, add swap, or take a larger machine'
  fi
  if [ -r $CONTROLLERS ] && ! grep -qw memory $CONTROLLERS; then
    problem memory 'the kernel counts no memory of groups of processes, which k3s needs' \
      'boot with cgroup_memory=1 cgroup_enable=memory'
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
  } END { print "," found "," }' $PROC/self/mounts
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
  look_at_folder "$CODE" $NEEDED_CODE 'the release'
  needed=$NEEDED_DATA
  [ -z "$install_k3s" ] || needed=$((needed + NEEDED_K3S))
  look_at_folder "$RANCHER" $needed 'k3s, the image, data'
  for folder in "$(dirname "$K3S_BIN")" "$(dirname "$CONFIG")" $TEMPORARY; do look_at_folder "$folder" 1 'a few files'; done
  case $(mount_options "$RANCHER") in
    *,noexec,*) problem disk "$RANCHER is on a file system mounted noexec" 'remount it with exec' ;;
  esac
  volume=''
  [ -n "$current" ] && [ -z "$install_k3s" ] && [ -z "$k3s_fails" ] || return 0
  find_volume
  if [ -d "$volume/data" ]; then
    look_at_folder "$BACKUPS" $((NEEDED_DATA + $(du -sk "$volume" | awk '{ print int($1 / 1024) }'))) 'a backup'
  elif [ -n "$volume" ]; then
    problem data "the data of the Cluster is not in $volume/data" \
      'is its volume on another machine? The backup needs it here: docs/k3s.md tells how to move a Cluster'
  fi
}

# Where the data volume is on this machine; empty if there is none yet.
find_volume() {
  volume=''
  bound=$(k get persistentvolumeclaims -n $NAMESPACE $CLAIM --ignore-not-found -o 'jsonpath={.spec.volumeName}' 2>/dev/null) || return 0
  [ -n "$bound" ] || return 0
  volume=$(k get persistentvolumes "$bound" -o 'jsonpath={.spec.hostPath.path}{.spec.local.path}')
  [ -n "$volume" ] || volume=/nowhere
}

look_at_clock() {
  now=$(date +%s)
  if [ "$now" -lt 1750000000 ]; then
    problem clock "the clock says $(date)" 'set it (timedatectl set-time), certificates and logins need it'
  elif [ "$(timedatectl show -p NTPSynchronized --value 2>/dev/null)" = no ]; then
    detail 'the clock is not synchronised: logins need it right (timedatectl set-ntp true)'
  fi
}

# The addresses where clients arrive: those of the default routes, of the families that k3s has.
look_at_addresses() {
  chosen=$(printf '%s' "$addresses" | tr , ' ')
  own4=$(ip -o route get 192.0.2.1 2>/dev/null | sed -n 's/.* src \([0-9.]*\).*/\1/p' | head -n 1)
  own6=$(ip -6 -o route get 2001:db8::1 2>/dev/null | sed -n 's/.* src \([0-9a-f:]*\).*/\1/p' | head -n 1)
  own6_is_kept || own6=''
  node_addresses=${chosen:-$own4${own6:+ $own6}}
  node_addresses=${node_addresses# }
  here=$(ip -o address show 2>/dev/null | sed -n 's|.* inet6\{0,1\} \([0-9a-f.:]*\)/.*|\1|p')
  for each in $chosen; do
    printf '%s\n' "$here" | grep -qxF "$each" ||
      problem addresses "--addresses: $each is none of this machine's" "its own are: $(printf '%s' "$here" | tr '\n' ' ')"
  done
  if [ -z "$node_addresses" ]; then
    problem addresses 'this machine has no address but the loopback interface' 'bring up its network, or give --addresses'
  fi
  if [ -z "$install_k3s" ] && [ -z "$k3s_fails" ]; then drop_other_families; fi
  address=${public_address:-${node_addresses%% *}}
  case ${address:-none} in
    none) ;;
    10.* | 192.168.* | 172.1[6-9].* | 172.2[0-9].* | 172.3[01].* | 100.6[4-9].* | 100.[7-9][0-9].* | 100.1[01][0-9].* | 100.12[0-7].* | f[cd]*:* | fe[89ab]?:*)
      detail "its address $address is private: clients elsewhere reach it only if a router forwards"
      detail "TCP port $port to it (and UDP 53820 for tunnels); --public-address names that router's"
      ;;
    *) detail "clients arrive at $node_addresses" ;;
  esac
}

# k3s forwards packets, and then a kernel that takes its IPv6 route from a router's advertisements
# lets go of it, unless accept_ra is 2 (ip-sysctl.rst of the Linux documentation).
own6_is_kept() {
  [ -n "$own6" ] && [ -n "$install_k3s" ] || return 0
  device=$(ip -6 -o route get 2001:db8::1 2>/dev/null | sed -n 's/.* dev \([^ ]*\).*/\1/p' | head -n 1)
  ip -6 route show default dev "$device" 2>/dev/null | grep -q 'proto ra' || return 0
  [ "$(cat "$PROC/sys/net/ipv6/conf/$device/accept_ra" 2>/dev/null)" = 1 ] || return 0
  detail "IPv4 alone: $device has its IPv6 route from a router, and loses it when k3s forwards packets."
  detail "Before, for both: echo net.ipv6.conf.$device.accept_ra=2 >/etc/sysctl.d/60-k3s.conf && sysctl --system"
  return 1
}

# Of a k3s that is there: what families its Pods have.
drop_other_families() {
  ranges=$(k get nodes -o 'jsonpath={.items[*].spec.podCIDRs[*]}')
  [ -n "$ranges" ] || return 0
  kept=''
  for each in $node_addresses; do
    case "$each $ranges" in
      *:*' '*:* | [0-9]*.*.*' '*.*) kept="$kept${kept:+ }$each" ;;
      *) detail "k3s has no Pods with addresses such as $each (Pods are in $ranges): nothing arrives there" ;;
    esac
  done
  node_addresses=$kept
  [ -n "$kept" ] || problem addresses "k3s has Pods in $ranges, and this machine no such address" 'give --addresses'
}

# PORT PROTOCOL STATE REMEDY: whether a program of this machine has it
look_at_port() {
  if [ "$1" -lt 1 ] || [ "$1" -gt 65535 ]; then
    problem port "there is no port $1" 'choose one from 1 to 65535'
    return
  fi
  holder=$(cat "$PROC/net/$2" "$PROC/net/${2}6" 2>/dev/null | awk -v port="$(printf '%04X' "$1")" \
    -v state="$3" '$4 == state { split($2, at, ":"); if (at[2] == port) { print $10; exit } }')
  [ -n "$holder" ] || return 0
  who=$(find /proc/[0-9]*/fd -lname "socket:\[$holder\]" 2>/dev/null | sed -n 's|/proc/\([0-9]*\)/.*|\1|p' | head -n 1)
  if [ -n "$who" ]; then
    who="$(cat "/proc/$who/comm" 2>/dev/null) (process $who)"
  else
    who='another program'
  fi
  problem port "$2 port $1 is taken by $who" "$4"
}

look_at_ports() {
  look_at_port "$public_port" tcp 0A 'stop it, or choose another port with --public-port'
  [ "$tunnel" = off ] || look_at_port 53820 udp 07 'stop it, or leave out --tunnel on'
  if [ -n "$install_k3s" ]; then
    for each in 6443 10250; do look_at_port $each tcp 0A 'stop it: k3s needs that port'; done
    return
  fi
  [ -z "$k3s_fails" ] || return 0
  look_at_port_services
  look_at_port_pods
}

# Services of this k3s that have our port already: ServiceLB's, or others with external addresses.
look_at_port_services() {
  held=$(k get services -A -o 'jsonpath={range .items[*]}{.metadata.namespace}/{.metadata.name}{" "}{.status.loadBalancer.ingress[*].ip}{" "}{.spec.externalIPs[*]}{" : "}{.spec.ports[*].port}{"\n"}{end}' |
    awk -v port="$public_port" '$1 != "octelium/octelium" && $2 != ":" {
      for (i = NF; $i != ":"; i--) if ($i == port) print $1
    }' | sort -u)
  for each in $held; do
    case $each in
      kube-system/traefik)
        problem port "Traefik of k3s has port $public_port, by ServiceLB" \
          "have k3s run without both: printf 'disable: [traefik, servicelb]\\n' >$K3S_CONFIG && systemctl restart k3s; or choose another --public-port"
        ;;
      *)
        problem port "the Service $each of this k3s has port $public_port" \
          'remove it, or give it another port, or choose another --public-port'
        ;;
    esac
  done
}

look_at_port_pods() {
  held=$(k get pods -A -o 'jsonpath={range .items[*]}{.metadata.namespace}/{.metadata.name}{" "}{.spec.containers[*].ports[*].hostPort}{"\n"}{end}' |
    awk -v port="$public_port" '$1 !~ /^kube-system\/svclb-/ { for (i = 2; i <= NF; i++) if ($i == port) print $1 }' | sort -u)
  for each in $held; do
    problem port "the Pod $each of this k3s has port $public_port of the machine (hostPort)" \
      'remove it, or choose another --public-port'
  done
}

look_at_tunnel() {
  [ "$tunnel" = on ] || return 0
  if [ ! -c /dev/net/tun ]; then
    problem tunnel 'there is no /dev/net/tun' 'modprobe tun; or leave out --tunnel on'
  elif [ -z "$(find /dev/net/tun -perm -006)" ]; then
    problem tunnel '/dev/net/tun may not be opened by users' 'chmod 0666 /dev/net/tun, as udev does'
  fi
  for name in user/max_user_namespaces kernel/unprivileged_userns_clone; do
    if [ -r "$PROC/sys/$name" ] && [ "$(cat "$PROC/sys/$name")" = 0 ]; then
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
  [ ! -L "$BARE" ] || problem cluster 'a Cluster without k3s is on this machine (install.sh)' \
    'move it: octops backup, uninstall.sh, this, octops restore; docs/k3s.md has the commands'
  [ -n "$current" ] || return 0
  if [ -n "$install_k3s" ]; then
    problem cluster "$CODE has the Cluster $current, and there is no k3s" \
      "install k3s again, or begin anew: rm -r $CODE $CONFIG"
    return
  fi
  [ -z "$k3s_fails" ] || return 0
  [ "$(k get pod -n $NAMESPACE $POD --ignore-not-found -o 'jsonpath={.status.containerStatuses[?(@.name=="cluster")].ready}')" = true ] || return 0
  if said=$(octops probe 2>&1); then
    detail "the Cluster serves: $said"
  else
    problem probe "the Cluster that is there does not serve requests: $(printf '%s' "$said" | tail -n 1)" \
      "see k3s kubectl -n $NAMESPACE logs $POD -c cluster; --skip-check probe goes on all the same"
  fi
}

octops() { k exec -n $NAMESPACE $POD -c cluster -- octops "$@"; }

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

find_release() {
  if [ -z "$from" ]; then
    here=$(dirname -- "$0")
    from=$BASE
    if [ -f "$0" ] && [ -f "$here/SHA256SUMS" ]; then from=$(cd -- "$here" && pwd); fi
    [ -n "$from" ] || refuse 'no release is named' 'give --from URL or --from DIRECTORY'
  fi
  from=${from%/}
  case $from in
    http://* | https://*) ;;
    *) [ -d "$from" ] || refuse "--from: there is no directory $from" 'give a URL, or a directory with SHA256SUMS' ;;
  esac
  fetch SHA256SUMS
  check_server_clock
  check_signature SHA256SUMS
  asked=$release
  pattern="octelium-${release:-[0-9A-Za-z.+]+}-linux-$arch\.oci\.tar"
  image=$(awk '{ sub(/^\*/, "", $2); print $2 }' "$temporary/SHA256SUMS" | grep -Ex "$pattern" | in_order | tail -n 1) || image=''
  [ -n "$image" ] || refuse "$from has no file octelium-${release:-VERSION}-linux-$arch.oci.tar" \
    "its files are: $(awk '{ print $2 }' "$temporary/SHA256SUMS" | tr '\n' ' ')"
  release=$(printf '%s' "$image" | sed "s/^octelium-\(.*\)-linux-.*/\1/")
  manifests=octelium-$release-k3s.tar
  sums=$(awk -v one="$image" -v two="$manifests" '{ sub(/^\*/, "", $2) } $2 == one || $2 == two { print $1, $2 }' "$temporary/SHA256SUMS" | sort -u)
  [ "$(printf '%s\n' "$sums" | grep -Ec '^[0-9a-f]{64} ')" = 2 ] ||
    refuse "SHA256SUMS has no checksum of $manifests" 'fetch the release again, from its own place'
  target=$release-$(printf '%s\n' "$sums" | sha256sum | cut -c 1-8)
  if [ "$current" = "$target" ] && [ -d "$CODE/$target/k3s" ]; then
    detail "version $release is installed already ($target)"
  else
    refuse_older
    fetch "$image"
    fetch "$manifests"
    check_sum "$image"
    check_sum "$manifests"
    detail "$image, $(du -k "$temporary/$image" | awk '{ print int($1 / 1024) }') MiB, checksum verified"
  fi
  [ -z "$install_k3s" ] || find_k3s
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

# k3s itself: from the folder k3s of the same place, or from those who make it.
find_k3s() {
  mkdir "$temporary/k3s"
  if fetch k3s/SHA256SUMS optional; then
    # What is in there runs as root: the key of the release has to answer for it as well.
    [ -z "$public_key" ] || check_signature k3s/SHA256SUMS
    case $from in
      http://*)
        [ -f "$temporary/k3s/SHA256SUMS.sig" ] || [ -f "$temporary/k3s/SHA256SUMS.minisig" ] ||
          refuse "$from/k3s has no signature that was verified, and anybody on the way could have changed it" \
            'name a place with https:// or a directory, or demand a signature with --public-key'
        ;;
    esac
    binary=k3s
    [ "$arch" = amd64 ] || binary=k3s-$arch
    airgap=$(awk '{ sub(/^\*/, "", $2); print $2 }' "$temporary/k3s/SHA256SUMS" | grep -Ex "k3s-airgap-images-$arch\.tar(\.gz|\.zst)?" | tail -n 1) || airgap=''
    [ -n "$airgap" ] || refuse "$from/k3s/SHA256SUMS names no k3s-airgap-images-$arch.tar, .tar.gz or .tar.zst" \
      'add the images of that k3s, from where it was downloaded'
    for name in $binary "$airgap" install.sh; do
      fetch "k3s/$name"
      wanted=$(awk -v name="$name" '{ sub(/^\*/, "", $2) } $2 == name { print $1; exit }' "$temporary/k3s/SHA256SUMS")
      [ "${wanted:-missing}" = "$(sha256sum <"$temporary/k3s/$name" | awk '{ print $1 }')" ] ||
        refuse "k3s/$name is not what k3s/SHA256SUMS says" 'the download was cut off or changed: fetch it again'
    done
    detail "k3s from $from/k3s, checksums verified"
    return
  fi
  airgap=''
  curl -fsSL --proto '=https' --retry 2 --connect-timeout 20 -o "$temporary/k3s/install.sh" "$VENDOR" 2>"$temporary/errors" ||
    refuse "$VENDOR cannot be fetched: $(tail -n 1 "$temporary/errors")" \
      "see whether the network works; without one, put k3s into $from/k3s (docs/k3s.md)"
  [ "$(head -c 9 "$temporary/k3s/install.sh")" = '#!/bin/sh' ] ||
    refuse "$VENDOR does not answer with the script of k3s" "see what is between; or put k3s into $from/k3s (docs/k3s.md)"
  detail "k3s from $VENDOR"
}

# -- changing the machine ----------------------------------------------------------------------------

# Traefik and ServiceLB would have our port; the rest is what a small machine does without.
write_k3s_config() {
  say '# Written by bootstrap.sh of Octelium, before it installed k3s.'
  say 'disable: [traefik, servicelb, metrics-server]'
  say 'disable-helm-controller: true'
  say 'secrets-encryption: true'
  # As many Pods as its range of addresses has room for, and processes that no Pod takes from others.
  say 'kubelet-arg: [max-pods=250, pod-max-pids=4096]'
  say 'write-kubeconfig-mode: "0600"'
  [ -n "$own6" ] || return 0
  if [ -n "$own4" ]; then
    say "node-ip: \"$own4,$own6\""
    say 'cluster-cidr: "10.42.0.0/16,fd42::/56"'
    say 'service-cidr: "10.43.0.0/16,fd43::/112"'
  else
    say "node-ip: \"$own6\""
    say 'cluster-cidr: "fd42::/56"'
    say 'service-cidr: "fd43::/112"'
  fi
  say 'flannel-ipv6-masq: true'
}

get_k3s() {
  [ -n "$install_k3s" ] || return 0
  mkdir -p "$(dirname "$K3S_CONFIG")"
  write_k3s_config >"$K3S_CONFIG.new"
  mv "$K3S_CONFIG.new" "$K3S_CONFIG"
  detail "settings $K3S_CONFIG"
  if [ -n "$airgap" ]; then
    mkdir -p "$RANCHER/k3s/agent/images" "$(dirname "$K3S_BIN")"
    cp "$temporary/k3s/$airgap" "$RANCHER/k3s/agent/images/"
    cp "$temporary/k3s/$binary" "$K3S_BIN.new"
    chmod 0755 "$K3S_BIN.new"
    mv "$K3S_BIN.new" "$K3S_BIN"
    export INSTALL_K3S_SKIP_DOWNLOAD=true
  else
    [ -n "${INSTALL_K3S_VERSION:-}${INSTALL_K3S_CHANNEL:-}" ] || export INSTALL_K3S_CHANNEL=v1.34
  fi
  unset K3S_URL K3S_TOKEN # which would make it part of another cluster
  if ! sh "$temporary/k3s/install.sh" >"$temporary/k3s.log" 2>&1; then
    tail -n 8 "$temporary/k3s.log" | sed 's/^/        | /' >&2
    die 'k3s could not be installed; see above, and journalctl -u k3s; then run this again'
  fi
  deadline=$(($(date +%s) + timeout))
  until k get nodes -o 'jsonpath={.items[*].status.conditions[?(@.type=="Ready")].status}' 2>/dev/null | grep -q True; do
    [ "$(date +%s)" -lt "$deadline" ] || die "k3s is installed, and its node is not ready after $timeout s: see journalctl -u k3s; then run this again"
    sleep 1
  done
  detail "$(k3s --version | head -n 1): its node is ready"
}

# The manifests and what is of this machine, in root's folder; what runs now stays beside.
unpack() {
  mkdir -p "$CODE" "$(dirname "$CONFIG")"
  if [ ! -e "$CONFIG" ]; then
    write_settings >"$CONFIG.new"
    mv "$CONFIG.new" "$CONFIG"
    detail "settings $CONFIG"
    : >"$CODE/first"
  fi
  if [ "$current" != "$target" ] || [ ! -d "$CODE/$target/k3s" ]; then
    draft=$CODE/.$target
    rm -rf "$draft" "${CODE:?}/$target"
    mkdir "$draft"
    tar -x --no-same-owner --no-same-permissions -f "$temporary/$manifests" -C "$draft"
    cp "$temporary/$image" "$draft/image.oci.tar"
    mv "$draft" "$CODE/$target"
  fi
  write_site
  detail "$CODE/$target"
}

write_settings() {
  say "# Settings of this Cluster on k3s; after a change run bootstrap.sh again"
  for name in domain addresses public_port public_address admin tunnel; do
    eval "value=\$$name"
    [ -z "$value" ] || say "$name: \"$value\""
  done
}

# With commas between them: this machine's public IPv4 addresses, and the /64 networks of its public
# IPv6 addresses, in which it has temporary ones as well (RFC 8981). Containers reach no others anyway.
node_networks() {
  ip -o address show 2>/dev/null | awk '
    / scope (host|link)/ { next }
    { sub(/\/.*/, "", $4) }
    $3 == "inet" && $4 !~ /^(0|10|127|169\.254|192\.168|172\.(1[6-9]|2[0-9]|3[01])|100\.(6[4-9]|[7-9][0-9]|1[01][0-9]|12[0-7]))\./ { print $4 }
    $3 == "inet6" && $4 ~ /^[23]/ {
      split($4, half, "::")
      before = split(half[1], group, ":")
      after = split(half[2], last, ":")
      for (i = before + 1; i <= 4; i++) group[i] = i <= 8 - after ? 0 : last[i - 8 + after]
      print group[1] ":" group[2] ":" group[3] ":" group[4] "::/64"
    }' | sort -u | tr '\n' , | sed 's/,$//'
}

# A kustomization over the manifests of the release.
write_site() {
  site=$CODE/$target/site
  rm -rf "$site"
  mkdir "$site"
  # What is for the manifests; the rest is for `octelium up`.
  sed -e '/^addresses:/d' -e '/^tunnel:/d' "$CONFIG" >"$site/octelium.yaml"
  # Of itself the Cluster knows the Pod's address only.
  [ -n "$public_address" ] || say "public_address: \"$node_addresses\"" >>"$site/octelium.yaml"
  networks=$(node_networks)
  stamp=$target-$(printf '%s' "$networks" | cat "$site/octelium.yaml" - | sha256sum | cut -c 1-8)-$tunnel
  {
    say 'apiVersion: kustomize.config.k8s.io/v1beta1'
    say 'kind: Kustomization'
    say 'resources: [../k3s]'
    say "components: [$(components)]"
    say "images: [{name: octelium, newName: $IMAGE, newTag: \"$release\"}]"
    say 'patches:'
    say '  - {path: service.yaml, target: {kind: Service, name: octelium}}'
    say '  - {path: statefulset.yaml}'
    say '  - {path: quota.yaml, target: {kind: ResourceQuota, name: octelium-upstreams}}'
    say '  - {path: limits.yaml, target: {kind: LimitRange, name: octelium-upstreams}}'
    say 'generatorOptions: {disableNameSuffixHash: true}'
    say 'configMapGenerator:'
    say "  - {name: octelium, namespace: $NAMESPACE, behavior: replace, files: [octelium.yaml]}"
  } >"$site/kustomization.yaml"
  {
    say "- {op: add, path: /spec/externalTrafficPolicy, value: Local}"
    # shellcheck disable=SC2086  # a word for each
    say "- {op: add, path: /spec/externalIPs, value: [$(printf '"%s" ' $node_addresses | sed -e 's/ $//' -e 's/ /, /g')]}"
    say "- {op: replace, path: /spec/ports/0/port, value: $public_port}"
  } >"$site/service.yaml"
  {
    say 'apiVersion: apps/v1'
    say 'kind: StatefulSet'
    say "metadata: {name: octelium, namespace: $NAMESPACE}"
    say 'spec:'
    say '  template:'
    say "    metadata: {annotations: {octelium.com/release: \"$stamp\"}}"
    # Declared containers have no business with the machine itself.
    say "    spec: {containers: [{name: controller, env: [{name: NODE_NETWORKS, value: \"$networks\"}]}]}"
  } >"$site/statefulset.yaml"
  write_limits
}

# With commas between them; whether the API server has what the second needs is for it to say.
components() {
  chosen_components=''
  [ "$tunnel" = off ] || chosen_components=../k3s/tunnel
  if k get --raw /apis/admissionregistration.k8s.io/v1 2>/dev/null | grep -q '"validatingadmissionpolicies"'; then
    chosen_components=$chosen_components${chosen_components:+, }../k3s/admission
  fi
  printf '%s' "$chosen_components"
}

# What containers may have, by the machine: room stays for the system, for k3s and for the Cluster.
write_limits() {
  cores=$(nproc)
  pods=$(k get nodes -o 'jsonpath={.items[*].status.allocatable.pods}')
  pods=${pods%% *} pods=$((${pods:-110} - 20))
  memory=$(awk '/^MemTotal:/ { print int($2 / 1024) }' $PROC/meminfo)
  disk=$(df -Pk "$(existing "$RANCHER")" | awk 'NR == 2 { print int($2 / 2048) }')
  {
    limit hard/pods "$(at_least 1 $pods)"
    limit hard/requests.cpu "$(at_least 250 $((cores * 1000 - 500)))m"
    limit hard/requests.memory "$(at_least $((memory / 4)) $((memory - 1024)))Mi"
    limit hard/requests.ephemeral-storage "${disk}Mi"
  } >"$site/quota.yaml"
  # No less than what a container gets that asks for nothing.
  {
    limit limits/0/max/cpu "$cores"
    limit limits/0/max/memory "$(at_least 512 "$memory")Mi"
    limit limits/0/max/ephemeral-storage "$(at_least 5000 "$disk")Mi"
  } >"$site/limits.yaml"
}

limit() { say "- {op: replace, path: /spec/$1, value: \"$2\"}"; }
at_least() { if [ "$2" -lt "$1" ]; then say "$1"; else say "$2"; fi; }

# FOLDER VERSION: into the image store of k3s, where the kubelet does not clear it away
import_image() {
  k3s ctr -n k8s.io images import "$1/image.oci.tar" >"$temporary/import" 2>&1 ||
    die "the image could not be imported: $(tail -n 1 "$temporary/import")"
  k3s ctr -n k8s.io images label "$IMAGE:$2" io.cri-containerd.pinned=pinned >"$temporary/import" 2>&1 ||
    die "the image $IMAGE:$2 is not there after it was imported: $(tail -n 1 "$temporary/import")"
}

# FOLDER: have Kubernetes take in what is in it
apply() {
  k apply --server-side --force-conflicts --field-manager=octelium-bootstrap -k "$1" >"$temporary/apply" 2>&1
}

point_to() {
  ln -sfn "$1" "$CODE/.current"
  mv -T "$CODE/.current" "$CODE/current"
}

# STAMP: wait until what has it serves, at every address of this machine
await_probe() {
  deadline=$(($(date +%s) + timeout))
  page=''
  [ ! -e "$CODE/first" ] || page=demo-nginx
  until serves "$1"; do
    restarts=$(k get pod -n $NAMESPACE $POD --ignore-not-found -o 'jsonpath={.status.containerStatuses[?(@.name=="cluster")].restartCount}' 2>/dev/null) || restarts=0
    # Started over and over, it will not come up.
    if [ "$(date +%s)" -ge "$deadline" ] || [ "${restarts:-0}" -ge 3 ]; then return 1; fi
    sleep 0.5
  done
}

serves() {
  runs=$(k get pod -n $NAMESPACE $POD --ignore-not-found -o 'jsonpath={.metadata.annotations.octelium\.com/release}' 2>/dev/null) || runs=''
  if [ "$runs" != "$1" ]; then
    probed="the Pod $POD is not there yet"
    return 1
  fi
  # shellcheck disable=SC2086  # nothing, or one word
  probed=$(octops probe $page 2>&1) || return 1
  find_volume
  for each in $node_addresses; do
    case $each in *:*) each="[$each]" ;; esac
    if ! said=$(curl -sS --fail --insecure --max-time 20 --noproxy '*' --resolve "$domain:$public_port:$each" \
      -o "$temporary/ca.pem" "https://$domain:$public_port/ca.pem" 2>&1); then
      probed="no answer at $each port $public_port: $said"
      return 1
    fi
    # Another server may have the address.
    if [ -f "$volume/data/ca.pem" ] && ! cmp -s "$temporary/ca.pem" "$volume/data/ca.pem"; then
      probed="what answers at $each port $public_port is not this Cluster"
      return 1
    fi
  done
}

# -- backup and the way back -------------------------------------------------------------------------

halt() {
  k scale statefulset octelium -n $NAMESPACE --replicas=0 >/dev/null
  deadline=$(($(date +%s) + timeout))
  while [ -n "$(k get pod -n $NAMESPACE $POD --ignore-not-found -o name)" ]; do
    [ "$(date +%s)" -lt "$deadline" ] || die "the Pod $POD does not end: k3s kubectl describe pod -n $NAMESPACE $POD"
    sleep 0.5
  done
}

# The data folder, which the Pod's user may replace by anything: as root nothing goes through a link.
# To be asked once the Pod has ended.
data_is_a_folder() { [ -d "$volume/data" ] && [ ! -L "$volume/data" ] && [ ! -L "$volume" ]; }

# While the Cluster is stopped, so that nothing is missing of what it has acknowledged.
back_up() {
  find_volume
  backup=$BACKUPS/$(date -u +%Y%m%dT%H%M%SZ)-$current
  mkdir -p "$backup/data"
  chmod 0700 "$BACKUPS" "$backup"
  halt
  data_is_a_folder || die "$volume/data is no folder of its own but leads elsewhere: look who made it so, and put the data there"
  chown --reference="$volume/data" "$backup/data"
  chmod --reference="$volume/data" "$backup/data"
  for entry in "$volume/data"/*; do
    case ${entry##*/} in
      run | lock | '*') ;;
      *) cp -aT --no-dereference --reflink=auto "$entry" "$backup/data/${entry##*/}" ;;
    esac
  done
  sync
  # A run that is cut off from here on is taken back by the next one.
  printf 'former=%s\nbackup=%s\nvolume=%s\n' "$current" "$backup" "$volume" >"$CODE/upgrading.new"
  mv "$CODE/upgrading.new" "$CODE/upgrading"
  detail "backup $backup ($(du -sm "$backup" | awk '{ print $1 }') MiB)"
}

# Version and data as they were before the upgrade that $CODE/upgrading tells of.
take_back() {
  former=$(sed -n 's/^former=//p' "$CODE/upgrading") backup=$(sed -n 's/^backup=//p' "$CODE/upgrading")
  volume=$(sed -n 's/^volume=//p' "$CODE/upgrading")
  for folder in "$CODE/${former:-missing}/site" "$backup/data" "$volume"; do
    [ -d "$folder" ] || die "cannot take back: $folder is gone"
  done
  halt
  # Whatever is there is moved away by its name, and the data comes in a folder that root has made.
  rm -rf "$volume"/.taken-back.*
  draft=$(mktemp -d "$volume/.taken-back.XXXXXX")
  cp -aT --no-dereference --reflink=auto "$backup/data" "$draft/data"
  refused=$(mktemp -d "$backup/refused.XXXXXX")
  if [ -e "$volume/data" ] || [ -L "$volume/data" ]; then mv -T "$volume/data" "$refused/data"; fi
  mv -T "$draft/data" "$volume/data"
  rmdir "$draft"
  data_is_a_folder || die "cannot take back: $volume/data leads elsewhere; the data is in $backup/data"
  import_image "$CODE/$former" "${former%-*}"
  apply "$CODE/$former/site" || die "the manifests of $former are refused: $(tail -n 1 "$temporary/apply")"
  point_to "$former"
  sync
  # From here on the former version may take in something new, which must not be taken back.
  rm -f "$CODE/upgrading"
  [ "$timeout" -ge 180 ] || timeout=180
  if ! await_probe "$(stamp_of "$former")"; then
    say "The former version $former is back, with its data, and does not serve either: $probed" >&2
    messages
    exit 1
  fi
}

# TARGET: what its Pod is marked with
stamp_of() { sed -n 's/.*octelium.com\/release: "\([^"]*\)".*/\1/p' "$CODE/$1/site/statefulset.yaml"; }

drop_old() {
  for folder in "$CODE"/*-????????; do
    case ${folder##*/} in
      "$target" | "$current" | '*-????????') continue ;;
    esac
    version=${folder##*/} version=${version%-*}
    [ "$version" = "$release" ] || [ "$version" = "${current%-*}" ] ||
      k3s ctr -n k8s.io images rm "$IMAGE:$version" >/dev/null 2>&1 || detail "the image of $version is gone already"
    rm -rf "$folder"
  done
  # shellcheck disable=SC2012  # names are this script's own
  ls -1d "$BACKUPS"/*Z-* 2>/dev/null | sort -r | tail -n +$((KEPT_BACKUPS + 1)) | while read -r folder; do
    rm -rf "$folder"
  done
}

messages() {
  say "      the last of what Kubernetes and the Cluster say (all of it: k3s kubectl -n $NAMESPACE logs $POD -c cluster):" >&2
  {
    k get pods -n $NAMESPACE -o wide 2>&1 | tail -n 5
    k get events -n $NAMESPACE --sort-by=.lastTimestamp 2>&1 | tail -n 5
    k logs -n $NAMESPACE $POD -c cluster --tail=12 2>&1
  } | tr -d '\000-\010\013-\037\177' | sed 's/^/        | /' >&2
}

finish() {
  status=$?
  trap - EXIT
  if [ "$status" -ne 0 ] && [ -n "${switching:-}" ] && [ -e "$CODE/upgrading" ]; then
    say "Cut off: taking version and data back to $current" >&2
    take_back
  elif [ "$status" -ne 0 ] && [ -n "${switching:-}" ]; then
    say "The backup was not finished: $current goes on" >&2
    k scale statefulset octelium -n $NAMESPACE --replicas=1 >/dev/null
  fi
  rm -rf "${temporary:-/nonexistent}" "$CODE"/.*-???????? 2>/dev/null || true
  exit "$status"
}

serve() {
  if [ -n "$current" ] && [ "$current" != "$target" ]; then
    find_volume
    if [ -d "$volume/data/store" ] || [ -L "$volume/data" ]; then
      switching=1
      back_up
    fi
  fi
  apply "$site" || failed "the manifests are refused: $(tail -n 3 "$temporary/apply" | tr '\n' ' ')"
  point_to "$target"
  await_probe "$stamp" || failed "the Cluster does not serve requests: $(printf '%s' "${probed:-it did not start}" | tail -n 2 | tr '\n' ' ')"
  switching=''
  rm -f "$CODE/upgrading"
  [ -z "$volume" ] || rm -rf "$volume/first-token"
}

failed() {
  say "      $1" >&2
  messages
  if [ -n "${switching:-}" ]; then
    say "      taking version and data back to $current" >&2
    switching=''
    take_back
    rm -rf "${CODE:?}/$target"
    die "version $release does not work here; $current is back and serves ($probed). What $release made of the data is in $refused/data"
  fi
  die "it is installed and does not work yet; mend that and run this again (docs/k3s.md tells how to remove it)"
}

# -- the end -----------------------------------------------------------------------------------------

farewell() {
  suffix=''
  [ "$public_port" = 443 ] || suffix=:$public_port
  inside="k3s kubectl exec -n $NAMESPACE $POD -c cluster --"
  say
  say "${bold}Octelium $release serves https://$domain$suffix$plain"
  say "  demonstration page  https://demo-nginx.$domain$suffix"
  say "  settings            $CONFIG"
  say "  messages            k3s kubectl logs -n $NAMESPACE $POD -c cluster"
  say "  backup              (umask 077; $inside octops backup - >FILE)"
  if [ -f "$volume/data/ca.pem" ] && [ ! -L "$volume/data/ca.pem" ] && grep -q 'BEGIN CERTIFICATE' "$volume/data/ca.pem"; then
    say "  certificate         of the Cluster's own CA. Browsers warn of it and make no passkeys, until"
    say "                      you have them trust https://$domain$suffix/ca.pem, whose SHA-256 is"
    say "                      $(fingerprint)"
  fi
  [ ! -e "$CODE/first" ] || invite_administrator
  rm -f "$CODE/first"
}

fingerprint() {
  sed -n '/BEGIN CERTIFICATE/,/END CERTIFICATE/{/CERTIFICATE/d;p;}' "$volume/data/ca.pem" |
    base64 -d 2>/dev/null | sha256sum | awk '{ print $1 }'
}

# For the eyes of who sits there: on the terminal itself, whatever stdout is.
invite_administrator() {
  [ "$invite" = on ] || return 0
  by_hand="$inside octops invite $admin --administrator"
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
  if [ -n "$install_k3s" ]; then
    say "Would install k3s, with these settings in $K3S_CONFIG:"
    write_k3s_config | sed -e '/^#/d' -e 's/^/  /'
  fi
  if [ -n "$current" ] && [ "$current" != "$target" ]; then
    if [ -n "${older:-}" ]; then change='go back from'; else change=upgrade; fi
    say "Would $change $current to $target, after a backup to $BACKUPS."
  elif [ -n "$current" ]; then
    say "Would see that $target runs."
  else
    say "Would install $target into $CODE and the namespaces octelium and octelium-upstreams, at $node_addresses:"
    write_settings | sed 's/^/  /'
  fi
  say 'Nothing was changed.'
}

main() {
  LC_ALL=C
  export LC_ALL
  if [ -t 1 ]; then bold=$(printf '\033[1m') plain=$(printf '\033[0m'); fi
  choices "$@"
  exec </dev/null
  temporary='' switching='' volume=''
  trap finish EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM
  if [ "$(id -u)" = 0 ]; then
    exec 9>$LOCK
    flock -n 9 || die 'another installation is under way'
    if [ -e "$CODE/upgrading" ] && [ -z "$dry_run" ]; then recover; fi
  fi
  step 1 'Look at this machine'
  settle
  look
  [ $problems -eq 0 ] || die "$problems of the preconditions fail, see above; nothing was changed"
  step 2 'Fetch and verify the release'
  temporary=$(mktemp -d $TEMPORARY/octelium.XXXXXX)
  find_release
  if [ -n "$dry_run" ]; then
    plan
    return
  fi
  step 3 'k3s'
  get_k3s
  step 4 'Import the image'
  unpack
  import_image "$CODE/$target" "$release"
  step 5 'Apply the manifests, and send a request through the front door'
  serve
  detail "$probed"
  step 6 'Clear away what is old'
  drop_old
  farewell
}

recover() {
  say 'An earlier upgrade was cut off: taking version and data back first'
  find $TEMPORARY -maxdepth 1 -user root -type d -name 'octelium.??????' -exec rm -rf {} +
  temporary=$(mktemp -d $TEMPORARY/octelium.XXXXXX)
  settle
  node_addresses=$(sed -n 's/.*externalIPs, value: \[\(.*\)\]}$/\1/p' "$CODE/$(sed -n 's/^former=//p' "$CODE/upgrading")/site/service.yaml" | tr -d '",')
  take_back
  rm -rf "$temporary"
}

{ main "$@"; }
