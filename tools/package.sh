#!/usr/bin/env bash
# Makes a package for Debian: tools/package.sh [--output DIR] [--name NAME] [--revision REVISION]
#
# One for each major version of PostgreSQL (PG_CONFIG chooses it), like Debian's own packages of extensions. It depends on
# what the binaries were linked with here, so build it on the system that it is for. Prints the path of the package.
set -euo pipefail
cd "$(dirname "$0")/.."
output=build/package name='' revision=1
while [ $# -gt 0 ]; do
  case $1 in
    --output) output=${2:?}; shift 2 ;;
    --name) name=${2:?}; shift 2 ;;
    --revision) revision=${2:?}; shift 2 ;;
    *) sed -n '2s/^# //p' "$0" >&2; exit 1 ;;
  esac
done
pg_config=${PG_CONFIG:-pg_config}
major=$("$pg_config" --version | sed 's/[^0-9]*\([0-9]*\).*/\1/')
bindir=$("$pg_config" --bindir)
name=${name:-postgresql-$major-pgautofailover}
version=$(sed -n 's/^project(pgautofailover VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt)-$revision
arch=$(dpkg --print-architecture)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
mkdir -p "$root/DEBIAN" "$work/debian" "$output"
make --no-print-directory install DESTDIR="$root" PG_CONFIG="$pg_config" >"$work/log" 2>&1 || { tail -n 40 "$work/log" >&2; exit 1; }

mapfile -t binaries < <(find "$root" -type f \( -name '*.so' -o -path "*$bindir/*" \))
for binary in "${binaries[@]}"; do
  if [[ $binary == *.so ]]; then strip --strip-unneeded "$binary"; else strip "$binary"; fi
done
docs=$root/usr/share/doc/$name
mkdir -p "$docs"
cp README.md SECURITY.md THIRD-PARTY.md docs/*.md "$docs/"
{
  printf 'Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\nUpstream-Name: pgautofailover\n\n'
  printf 'Files: *\nCopyright: 2026, the authors of this pgautofailover\nLicense: PostgreSQL\n'
  sed -n '5,$p' LICENSE | sed 's/^$/./; s/^/ /'
  # What is compiled in; everything else is linked dynamically.
  printf '\nFiles: RapidJSON\nCopyright: 2015, THL A29 Limited, a Tencent company, and Milo Yip\nLicense: Expat\n'
  printf '\nFiles: CLI11\nCopyright: 2017-2023, University of Cincinnati, developed by Henry Schreiner\nLicense: BSD-3-clause\n'
  printf '\nFiles: expected\nCopyright: Sy Brand\nLicense: CC0-1.0\n'
} >"$docs/copyright"
find "$root/usr/share/man" -type f -name '*.1' -exec gzip -9n {} +
find "$root" -type d -exec chmod 755 {} +
chmod -R u+rwX,go+rX,go-w "$root"

if grep -rlF --binary-files=text "$PWD/" "$root" >"$work/paths"; then
  echo "error: the package would contain the path of this directory:" >&2
  sed "s|^$root||" "$work/paths" >&2
  exit 1
fi

printf 'Source: %s\n\nPackage: %s\nArchitecture: any\n' "$name" "$name" >"$work/debian/control"
libraries=$(cd "$work" && dpkg-shlibdeps -O "${binaries[@]}" 2>/dev/null | sed -n 's/^shlibs:Depends=//p')
[ -n "$libraries" ] || { echo 'error: the libraries that are needed could not be found out' >&2; exit 1; }

cat >"$root/DEBIAN/control" <<CONTROL
Package: $name
Version: $version
Architecture: $arch
Maintainer: pgautofailover <pgautofailover@localhost>
Installed-Size: $(du -sk --exclude=DEBIAN "$root" | cut -f1)
Depends: postgresql-$major, openssl, $libraries
Section: database
Priority: optional
Description: automatic failover for PostgreSQL $major
 The monitor's extension, the keeper's module and pg_autoctl: two servers and a monitor, no lost
 acknowledged commit, never two writable primaries.
CONTROL
# One program of the name for all majors: the newest.
cat >"$root/DEBIAN/postinst" <<SCRIPT
#!/bin/sh
set -e
if [ "\$1" = configure ]; then
  update-alternatives --install /usr/bin/pg_autoctl pg_autoctl $bindir/pg_autoctl ${major}0
fi
SCRIPT
cat >"$root/DEBIAN/prerm" <<SCRIPT
#!/bin/sh
set -e
if [ "\$1" != upgrade ]; then update-alternatives --remove pg_autoctl $bindir/pg_autoctl; fi
SCRIPT
chmod 755 "$root/DEBIAN/postinst" "$root/DEBIAN/prerm"
(cd "$root" && find . -path ./DEBIAN -prune -o -type f -printf '%P\0' | sort -z | xargs -0 md5sum >DEBIAN/md5sums)

package=$output/${name}_${version}_$arch.deb
dpkg-deb --root-owner-group -Zgzip --build "$root" "$package" >/dev/null
echo "$package"
