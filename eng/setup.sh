#!/usr/bin/env bash
# Installs what CrowNest needs and the machine lacks. Asks nothing, touches nothing that is there.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage() {
  cat << 'USAGE'
usage: eng/setup.sh [--tests] [--check]

Installs, on Debian or Ubuntu, as root or with sudo: the container engine (when none is there), the network tools, the
C toolchain of the agent, mmdebstrap. Services that come with these packages are not started.
Looks for the .NET SDK and says how to get it.

  --tests  also what only the tests need: Postgres and Redis for those of one project, Chromium for the dashboard,
           shellcheck
  --check  install nothing; name what is missing and end with code 1 when something is
USAGE
}

tests=false check=false
while (($# > 0)); do
  case $1 in
    --tests) tests=true ;;
    --check) check=true ;;
    -h | --help) usage; exit 0 ;;
    *) usage_error eng/setup.sh "unknown argument '$1'" ;;
  esac
  shift
done

[[ $(uname -s) == Linux ]] || fail "CrowNest runs sandboxes on Linux; this is $(uname -s)"
[[ $(uname -m) =~ ^(x86_64|aarch64)$ ]] || fail "CrowNest runs on x86-64 and arm64; this is $(uname -m)"

# On a plain user's PATH the folders of root's programs are often missing.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
have() { command -v "$1" > /dev/null; }
have_one_of() { local path; for path in "$@"; do [[ ! -e $path ]] || return 0; done; return 1; }

packages=()
need() { packages+=("$1"); }

if ! engine_answers; then
  have dockerd || need docker.io
  # Newer releases ship the client apart.
  have docker || need docker-cli
fi
have iptables || need iptables
have ip || need iproute2
have nsenter || need util-linux
have setpriv || need util-linux
have ps || need procps
have gcc || need gcc
have clang || need clang
have musl-gcc || need musl-tools
have_one_of /usr/include/zlib.h || need zlib1g-dev
# gcc and clang only recommend the headers that they are of no use without.
have_one_of /usr/include/stdio.h || need libc6-dev
have mmdebstrap || need mmdebstrap
have_one_of /usr/share/keyrings/debian-archive-keyring.* || need debian-archive-keyring
have_one_of /etc/ssl/certs/ca-certificates.crt || need ca-certificates
have jq || need jq
have curl || need curl
have xz || need xz-utils
if $tests; then
  have redis-server || need redis-server
  have initdb || have_one_of /usr/lib/postgresql/*/bin/initdb || need postgresql
  have chromium || need chromium
  have shellcheck || need shellcheck
fi

dotnet_is_there() { have dotnet && dotnet --list-sdks 2> /dev/null | grep -q '^10\.'; }
no_dotnet() {
  fail "the .NET SDK 10 is missing" \
    "Ubuntu: sudo apt-get install dotnet-sdk-10.0" \
    "anywhere: curl -sSL https://dot.net/v1/dotnet-install.sh | bash -s -- --channel 10.0 --install-dir \$HOME/.dotnet" \
    "          and put \$HOME/.dotnet on PATH"
}

if ((${#packages[@]} == 0)); then
  dotnet_is_there || no_dotnet
  step_done "prerequisites" "all there"
  exit 0
fi
if $check; then
  fail "missing: ${packages[*]}" "eng/setup.sh installs them"
fi
have apt-get || fail "missing: ${packages[*]}" "this machine has no apt-get; install what these Debian packages hold by its own means"
dotnet_is_there || no_dotnet

# Packages of servers start them, on ports of their own, as soon as they are unpacked; a policy file is Debian's way to
# refuse that. One that is there already (containers have it) is left as it is.
policy=/usr/sbin/policy-rc.d
policy_is_ours=false
refuse_services() {
  [[ ! -e $policy ]] || return 0
  policy_is_ours=true
  printf '#!/bin/sh\n# CrowNest is installing packages: no service starts meanwhile.\nexit 101\n' | as_root tee "$policy" > /dev/null
  as_root chmod 755 "$policy"
}
cleanup() { ! $policy_is_ours || as_root rm -f "$policy"; }
trap cleanup EXIT

apt() {
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 \
    -o Acquire::http::Timeout=60 -o Acquire::https::Timeout=60 -o Dpkg::Use-Pty=0 "$@"
}
package_exists() { apt-cache show --no-all-versions "$1" > /dev/null 2>&1; }

install() {
  local wanted=() name
  for name in "${packages[@]}"; do
    case $name in
      docker-cli) ! package_exists docker-cli || wanted+=("$name") ;;
      # A linter must not stop a test run on a machine whose archive lacks it.
      shellcheck) ! package_exists shellcheck || wanted+=("$name") ;;
      *) wanted+=("$name") ;;
    esac
  done
  ((${#wanted[@]} == 0)) || apt install -y --no-install-recommends "${wanted[@]}"
}

# With systemd, a policy file does not keep an enabled unit from starting at the next boot.
keep_from_booting() {
  local unit
  [[ -d /run/systemd/system ]] || return 0
  for unit in "$@"; do as_root systemctl disable --now "$unit" > /dev/null 2>&1 || true; done
}

step_hint="is the package mirror reachable? try: apt-get update"
refuse_services
step "package lists" retry 4 apt update
step "packages: $(IFS=,; words="${packages[*]}"; echo "${words:0:36}")" retry 4 install
if [[ " ${packages[*]} " == *" redis-server "* ]]; then keep_from_booting redis-server; fi
if [[ " ${packages[*]} " == *" postgresql "* ]]; then keep_from_booting postgresql; fi

have dockerd || have docker || fail "the packages brought no container engine" "install Docker Engine by hand, then run this again"
step_done "prerequisites" "installed ${#packages[@]}"
