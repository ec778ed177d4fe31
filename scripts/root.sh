# Shell: minimal systems of other releases, for test-all and test-docker. Sourced after env.sh. Needs root.
#
# They fetch packages the way this system does: from its mirror, with its apt options, trusting its certificates.

# shellcheck shell=bash disable=SC2016

# Installs those of the given Debian packages that are missing.
need() {
  local missing=() package
  for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  echo "lumina: installing Debian packages: ${missing[*]}"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# Where this system fetches packages of a label ("Debian", "Debian-Security"); nothing where it fetches none.
mirror_of() {
  local found
  found=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' "Label: $1")
  echo "${found%%$'\n'*}"
}

# A minimal Debian of a suite.
unpack_root() {
  local suite=$1 root=$2 script=/usr/share/debootstrap/scripts/$1
  need debootstrap
  echo "lumina: unpacking a minimal Debian $suite into $root"
  [ -e "$script" ] || script=/usr/share/debootstrap/scripts/sid # a release younger than this debootstrap
  rm -rf --one-file-system "$root"
  mkdir -p "$root"
  # In a namespace, for debootstrap mounts as well.
  unshare --mount debootstrap --variant=minbase "$suite" "$root" "$(mirror_of Debian)" "$script" >"$root.log" 2>&1 ||
    { tail -n 20 "$root.log" >&2; exit 1; }
  apt-config dump | { grep -E '^Acquire::(Check|Force|Retries|https?)' || true; } >"$root/etc/apt/apt.conf.d/90host"
  mkdir -p "$root/etc/ssl/certs"
  cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/" 2>/dev/null || true
}
