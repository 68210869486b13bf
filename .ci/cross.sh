# Sourced: what a build for another machine needs, and Debian keeps. Nothing is installed twice.

cross_fail() { echo "$0: $*" >&2; exit 1; }

# Packages of bookworm or, with -t bookworm-backports, of there.
cross_install() {
  apt-get update -qq && apt-get install -y -qq --no-install-recommends "$@" >/dev/null \
    || cross_fail "cannot install: $*"
}

# Debian's compiler, and the source of its standard library. (rustup's cargo drives it.)
cross_rust() {
  if [ ! -x /usr/bin/rustc ] || [ ! -d "$(/usr/bin/rustc --print sysroot)/lib/rustlib/src" ]; then
    cross_install rustc-web rust-web-src
  fi
}

# QEMU, all of it of one version: bookworm's would take other parts of it away.
cross_qemu() {
  local program=$1 package=$2
  command -v "$program" >/dev/null && return
  local list=/etc/apt/sources.list.d/bookworm-backports.list
  [ -e "$list" ] || echo "deb http://deb.debian.org/debian bookworm-backports main" >"$list"
  cross_install -t bookworm-backports "$package"
  command -v "$program" >/dev/null || cross_fail "$program is needed and cannot be had"
}
