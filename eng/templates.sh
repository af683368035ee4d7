#!/usr/bin/env bash
# Builds the sandbox template images that are missing.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

slugs=(base python node python-node)

usage() {
  cat << 'USAGE'
usage: eng/templates.sh [--rebuild [SLUG...]] [--root auto|pull|bootstrap] [--list | --check]

Builds the images crownest/base, python, node and python-node where they are missing.

  --rebuild [SLUG...]  build these again (all four without a name), with the packages of today. What stood there before
                       stays under its own tag, so that running sandboxes and pinned versions keep it
  --root HOW           where the Debian root image comes from: "pull" takes it from a container registry, "bootstrap"
                       builds it from Debian packages with mmdebstrap, "auto" (default) pulls when a registry answers.
                       Also by the variable CROWNEST_ROOT_IMAGE_FROM
  --list               show the versions that are there
  --check              build nothing; end with code 1 when an image is missing
USAGE
}

rebuild=()
root_from=${CROWNEST_ROOT_IMAGE_FROM:-auto}
list=false check=false
while (($# > 0)); do
  case $1 in
    --rebuild)
      shift
      while (($# > 0)) && [[ $1 != --* ]]; do
        [[ " ${slugs[*]} " == *" $1 "* ]] || usage_error eng/templates.sh "there is no template '$1' (there are: ${slugs[*]})"
        rebuild+=("$1")
        shift
      done
      ((${#rebuild[@]} > 0)) || rebuild=("${slugs[@]}")
      ;;
    --root)
      root_from=${2:-}
      shift $(($# > 1 ? 2 : 1))
      ;;
    --list) list=true; shift ;;
    --check) check=true; shift ;;
    -h | --help) usage; exit 0 ;;
    *) usage_error eng/templates.sh "unknown argument '$1'" ;;
  esac
done
[[ $root_from =~ ^(auto|pull|bootstrap)$ ]] || usage_error eng/templates.sh "--root is auto, pull or bootstrap, not '$root_from'"

engine_answers || fail "no container engine answers" "start one with eng/engine.sh"

if $list; then
  for slug in "${slugs[@]}"; do
    engine image ls "crownest/$slug" --format '{{.Repository}}:{{.Tag}}	{{.ID}}	{{.Size}}'
  done
  exit 0
fi

debian=trixie
root_image=crownest/debian:$debian
has_image() { engine image inspect "$1" > /dev/null 2>&1; }

# Where an image made here says that packages come from: the archive's public addresses, as Debian's apt itself documents
# them. Only when the machine's mirror is another one do the build steps need it by name.
public_sources=/usr/share/doc/apt/examples/debian.sources

bootstrap_root() {
  local mirror=$1 security=$2 folder
  command -v mmdebstrap > /dev/null || fail "mmdebstrap is missing" "run eng/setup.sh"
  folder=$(mktemp -d)
  # shellcheck disable=SC2064
  trap "rm -rf '$folder'" EXIT
  local sources=()
  if [[ -n $mirror ]]; then
    sources+=("deb $mirror $debian main" "deb $mirror $debian-updates main")
    [[ -z $security ]] || sources+=("deb $security $debian-security main")
  fi
  # $1 is for the hook's own shell: the folder of the new system.
  retry 4 as_root mmdebstrap --variant=minbase --include=ca-certificates \
    --aptopt='Acquire::Retries "3"' \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
    --dpkgopt='path-include=/usr/share/doc/apt/examples/debian.sources' \
    --customize-hook='rm -f "$1/etc/apt/sources.list" "$1/etc/apt/apt.conf.d/99mmdebstrap"' \
    --customize-hook="sed -n '/^#/!p' \"\$1$public_sources\" | sed 's/^\\(Components:\\).*/\\1 main/' > \"\$1/etc/apt/sources.list.d/debian.sources\"" \
    --customize-hook='find "$1" -xdev -type f -perm /6000 -exec chmod a-s {} +' \
    "$debian" "$folder/root.tar" "${sources[@]}"
  engine import --change 'CMD ["/bin/bash"]' "$folder/root.tar" "$root_image"
}

# A registry that does not answer must not cost a minute: the pull starts only when a plain request is answered.
registry_answers() {
  local index
  index=$(engine info --format '{{.IndexServerAddress}}' | cut -d/ -f3)
  [[ -n $index ]] && curl --silent --output /dev/null --max-time 5 "https://$index/v2/"
}
pull_root() {
  retry 2 engine_within 240 pull --quiet "debian:$debian-slim" && engine tag "debian:$debian-slim" "$root_image"
}

build() {
  local slug=$1 mirror=$2 security=$3
  engine build --network=host --force-rm --tag "crownest/$slug:latest" \
    --label "crownest.template.version=$today" --build-arg "PACKAGES_OF=$packages_of" \
    --build-arg "APT_MIRROR=$mirror" --build-arg "APT_SECURITY_MIRROR=$security" "$root/templates/$slug"
  # A tag of its own keeps this version in the list of images, and out of a prune, when "latest" moves on.
  local id
  id=$(engine image inspect --format '{{.Id}}' "crownest/$slug:latest")
  engine tag "crownest/$slug:latest" "crownest/$slug:$today-${id:7:8}"
}

missing=()
for slug in "${slugs[@]}"; do
  if [[ " ${rebuild[*]} " == *" $slug "* ]] || ! has_image "crownest/$slug:latest"; then missing+=("$slug"); fi
done
if ((${#missing[@]} == 0)); then
  step_done "template images" "all ${#slugs[@]} there"
  exit 0
fi

if $check; then exit 1; fi

# One at a time per engine, whichever checkout asks; who waited finds the work done.
exec 9> "$(lock_path templates)"
if ! flock --nonblock 9; then
  note "another build of the template images is running; waiting for it"
  flock 9
fi
if ((${#rebuild[@]} == 0)); then
  still=()
  for slug in "${missing[@]}"; do has_image "crownest/$slug:latest" || still+=("$slug"); done
  ((${#still[@]} > 0)) || { step_done "template images" "all ${#slugs[@]} there"; exit 0; }
  missing=("${still[@]}")
fi

today=$(date -u +%F)
# Part of every layer's cache key: a missing image is made from the packages of its day, a rebuilt one from now on.
packages_of=$today
((${#rebuild[@]} == 0)) || packages_of=$(date -u +%FT%TZ)

mirror=$(mirror_of Debian)
security=$(mirror_of Debian-Security)
root_needed=false
if [[ " ${missing[*]} " == *" base "* ]]; then
  has_image "$root_image" && [[ " ${rebuild[*]} " != *" base "* ]] || root_needed=true
fi
if $root_needed; then
  if [[ $root_from == auto ]]; then
    if registry_answers; then root_from=pull; else root_from=bootstrap; fi
  fi
  if [[ $root_from == pull ]]; then
    step_hint="no registry here? eng/templates.sh --root bootstrap builds the image from Debian packages"
    step "root image (pulled)" pull_root
  else
    step_hint="is a Debian mirror reachable? see the log for the address that was asked"
    step "root image (Debian $debian packages)" bootstrap_root "$mirror" "$security"
  fi
fi
# The images name the public archive by themselves; a machine that reads from it needs no other name.
if has_image "$root_image" && engine run --rm --network none "$root_image" \
  grep -rqsF "URIs: $mirror" /etc/apt/sources.list.d; then
  mirror='' security=''
fi

step_hint="is a Debian mirror reachable? run eng/templates.sh again: what is built stays"
for slug in "${missing[@]}"; do
  step "template image $slug" build "$slug" "$mirror" "$security"
done
