# Unpacks the newest servers of another Debian suite beside the machine's own packages, which stay
# as they are, and writes programs that run them with the libraries of that suite.
# Arguments: the suite, the folder for the programs, the packages.
set -eu
suite=$1 folder=$2
shift 2
mkdir -p "$folder"
work=$(mktemp -d "$folder/apt.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
mkdir -p "$work/lists/partial" "$work/archives/partial" "$work/none" "$work/root/usr"
: >"$work/status"

# From where the machine's own packages come.
release=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
source=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' \
    "Codename: $release" 'Component: main' | head -n 1)
key=/usr/share/keyrings/debian-archive-keyring.gpg
echo "deb [signed-by=$key] ${source:-http://deb.debian.org/debian} $suite main" >"$work/sources"

# An apt that knows of no installed package, so that it fetches the libraries as well.
apt() {
    apt-get -qq -o Debug::NoLocking=1 -o APT::Sandbox::User=root -o Acquire::Languages=none \
        -o Dir::Etc::SourceList="$work/sources" -o Dir::Etc::SourceParts="$work/none" \
        -o Dir::Etc::PreferencesParts="$work/none" -o Dir::State::Lists="$work/lists" \
        -o Dir::State::Status="$work/status" -o Dir::Cache::Archives="$work/archives" \
        -o Dir::Cache::PkgCache= -o Dir::Cache::SrcPkgCache= "$@"
}
apt update
apt install -y --no-install-recommends --download-only "$@" >/dev/null

for merged in bin sbin lib lib64; do
    mkdir "$work/root/usr/$merged"
    ln -s "usr/$merged" "$work/root/$merged"
done
for package in "$work"/archives/*.deb; do
    dpkg-deb --fsys-tarfile "$package" | tar -x --keep-directory-symlink -C "$work/root"
done
rm -rf "$folder/root"
mv "$work/root" "$folder/root"

libraries=$(dirname "$(find "$folder/root/usr/lib" -name libc.so.6 | head -n 1)")
loader=$(find "$folder/root/usr/lib" "$folder/root/usr/lib64" -name 'ld-linux*.so.*' | head -n 1)
mkdir -p "$folder/bin"
for program in "$folder"/root/usr/bin/redis-* "$folder"/root/usr/bin/valkey-*; do
    name=$(basename "$program")
    printf '#!/bin/sh\nexec "%s" --library-path "%s" --argv0 %s "%s" "$@"\n' \
        "$loader" "$libraries:$libraries/systemd" "$name" "$program" >"$folder/bin/$name"
    chmod 755 "$folder/bin/$name"
done
