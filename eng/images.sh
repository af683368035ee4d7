#!/usr/bin/env bash
# Brings the container images that are missing: of the backing services and of the sandbox templates.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

backing=(postgres redis)
templates=(base python node python-node)

usage() {
  cat << 'USAGE'
usage: eng/images.sh [NAME...] [--rebuild] [--from auto|pull|packages] [--list | --check]

Brings the images that CrowNest runs where they are missing, or only those named:

  postgres, redis                    the backing services
  base, python, node, python-node    the sandbox templates

  --rebuild    make these again, with the packages of today. A template that stood there before stays under its own
               tag, so that running sandboxes and pinned versions keep it
  --from HOW   "pull" takes Postgres, Redis and the Debian that the templates start from out of a container registry,
               "packages" builds all three from Debian packages (mmdebstrap, apt), "auto" (default) pulls when the
               registry answers. Also by the variable CROWNEST_IMAGES_FROM
  --list       show what is there
  --check      bring nothing; end with code 1 when an image is missing
USAGE
}

names=() rebuild=false list=false check=false
from=${CROWNEST_IMAGES_FROM:-auto}
while (($# > 0)); do
  case $1 in
    --rebuild) rebuild=true ;;
    --from) from=${2:-}; (($# < 2)) || shift ;;
    --list) list=true ;;
    --check) check=true ;;
    -h | --help) usage; exit 0 ;;
    *)
      [[ " ${backing[*]} ${templates[*]} " == *" $1 "* ]] || usage_error eng/images.sh "there is no image '$1'"
      names+=("$1")
      ;;
  esac
  shift
done
[[ $from =~ ^(auto|pull|packages)$ ]] || usage_error eng/images.sh "--from is auto, pull or packages, not '$from'"
((${#names[@]} > 0)) || names=("${backing[@]}" "${templates[@]}")

engine_answers || fail "no container engine answers" "start one with eng/engine.sh"

if $list; then
  for name in "${names[@]}"; do
    engine image ls "crownest/$name" --format '{{.Repository}}:{{.Tag}}	{{.ID}}	{{.Size}}'
  done
  exit 0
fi

debian=trixie
root_image=crownest/debian:$debian
# The majors that Debian trixie has, so that a pulled server and a built one read the same data.
declare -A tags=([postgres]=17 [redis]=8) packages=([postgres]=postgresql-17 [redis]=redis-server)
is_backing() { [[ -n ${tags[$1]:-} ]]; }
image_of() { printf 'crownest/%s:%s\n' "$1" "${tags[$1]:-latest}"; }
has_image() { engine image inspect "$1" > /dev/null 2>&1; }

# An image that was built here is built again when what it is built from has changed; a pulled one has no such label.
sources_of() { find "$root/eng/backing/$1" "$root/templates/base/install-packages" -type f -print0 | LC_ALL=C sort -z | xargs -0 cat | sha256sum | cut -c1-16; }
is_outdated() {
  local built
  is_backing "$1" || return 1
  built=$(engine image inspect --format '{{index .Config.Labels "crownest.image.sources"}}' "$(image_of "$1")")
  [[ -n $built && $built != "$(sources_of "$1")" ]]
}

missing=()
find_missing() {
  local name
  missing=()
  for name in "${names[@]}"; do
    if $rebuild || ! has_image "$(image_of "$name")" || is_outdated "$name"; then missing+=("$name"); fi
  done
}
all_there() { step_done "images" "all ${#names[@]} there"; exit 0; }

find_missing
((${#missing[@]} > 0)) || all_there
if $check; then
  printf 'missing: %s\n' "${missing[*]}"
  exit 1
fi

# One at a time per engine, whichever checkout asks; who waited finds the work done.
exec 9> "$(lock_path images)"
if ! flock --nonblock 9; then
  note "another build of the images is running; waiting for it"
  flock 9
  find_missing
  ((${#missing[@]} > 0)) || all_there
fi

# A registry that does not answer must not cost a minute: "auto" pulls only when a plain request is answered.
registry_answers() {
  local index
  index=$(engine info --format '{{.IndexServerAddress}}' | cut -d/ -f3)
  [[ -n $index ]] && curl --silent --output /dev/null --max-time 5 "https://$index/v2/"
}
if [[ $from == auto ]]; then
  if registry_answers; then from=pull; else from=packages; fi
fi
pull() { retry 2 engine_within 240 pull --quiet "$1" && engine tag "$1" "$2"; }

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

mirror=$(mirror_of Debian)
security=$(mirror_of Debian-Security)
today=$(date -u +%F)
# Part of every layer's cache key: a missing image is made from the packages of its day, a rebuilt one from now on.
packages_of=$today
! $rebuild || packages_of=$(date -u +%FT%TZ)

# The root image is what base and the built backing services start from.
root_needed() {
  local name
  for name in "${missing[@]}"; do
    case $name in
      postgres | redis) [[ $from == packages ]] || continue ;;
      base) ! $rebuild || return 0 ;;
      *) continue ;;
    esac
    has_image "$root_image" || return 0
  done
  return 1
}
if root_needed; then
  if [[ $from == pull ]]; then
    step_hint="no registry here? eng/images.sh --from packages builds the image from Debian packages"
    step "image debian (pulled)" pull "debian:$debian-slim" "$root_image"
  else
    step_hint="is a Debian mirror reachable? see the log for the address that was asked"
    step "image debian ($debian packages)" bootstrap_root "$mirror" "$security"
  fi
fi
# The images name the public archive by themselves; a machine that reads from it needs no other name.
if has_image "$root_image" && engine run --rm --network none "$root_image" \
  grep -rqsF "URIs: $mirror" /etc/apt/sources.list.d; then
  mirror='' security=''
fi

# build IMAGE ARGUMENT...: the arguments end with the context.
build() {
  engine build --network=host --force-rm --tag "$1" --build-arg "PACKAGES_OF=$packages_of" \
    --build-arg "APT_MIRROR=$mirror" --build-arg "APT_SECURITY_MIRROR=$security" "${@:2}"
}

# The context is a pipe: the step that installs packages is the one of the templates.
build_backing() {
  tar -C "$root" -c "eng/backing/$1" templates/base/install-packages \
    | build "$(image_of "$1")" --file "eng/backing/$1/Dockerfile" --build-arg "PACKAGE=${packages[$1]}" \
      --label "crownest.image.sources=$(sources_of "$1")" -
}

build_template() {
  local slug=$1 id
  build "crownest/$slug:latest" --label "crownest.template.version=$today" "$root/templates/$slug"
  # A tag of its own keeps this version in the list of images, and out of a prune, when "latest" moves on.
  id=$(engine image inspect --format '{{.Id}}' "crownest/$slug:latest")
  engine tag "crownest/$slug:latest" "crownest/$slug:$today-${id:7:8}"
}

step_hint="is a Debian mirror reachable? run eng/images.sh again: what is built stays"
for name in "${missing[@]}"; do
  if ! is_backing "$name"; then
    step "image $name" build_template "$name"
  elif [[ $from == pull ]]; then
    step "image $name (pulled)" pull "$name:${tags[$name]}" "$(image_of "$name")"
  else
    step "image $name (Debian packages)" build_backing "$name"
  fi
done
