# Unpacks the newest servers of another Debian suite beside the machine's own packages, which stay
# as they are, and writes programs that run them with the libraries of that suite.
# Arguments: the suite, the folder for them, the programs' names in one word, the packages.
set -eu
suite=$1 folder=$2 programs=$3
shift 3
for tool in apt-get dpkg-deb; do
    command -v "$tool" >/dev/null || { echo "$tool is not there, as on Debian"; exit 1; }
done
mkdir -p "$folder"
work=$(mktemp -d "$folder/apt.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
mkdir -p "$work/lists/partial" "$work/archives/partial" "$work/none" "$work/root/usr"
: >"$work/status"

# From where the machine's own packages come, which it does not know before its first update.
release=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
origin() {
    apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' \
        "Codename: $release" 'Component: main' | head -n 1
}
source=$(origin)
[ -n "$source" ] || { apt-get update -qq || :; source=$(origin); }
key=/usr/share/keyrings/debian-archive-keyring.gpg
echo "deb [signed-by=$key] ${source:-http://deb.debian.org/debian} $suite main" >"$work/sources"

# An apt that knows of no installed package, so that it fetches the libraries as well.
apt() {
    apt-get -qq -o Debug::NoLocking=1 -o APT::Sandbox::User=root -o Acquire::Languages=none \
        -o Dir::Etc::SourceList="$work/sources" -o Dir::Etc::SourceParts="$work/none" \
        -o Dir::Etc::PreferencesParts="$work/none" -o Dir::State::Lists="$work/lists" \
        -o Dir::State::Status="$work/status" -o Dir::Cache::Archives="$work/archives" \
        -o Acquire::Retries=2 -o Acquire::http::Timeout=30 -o Dir::Cache::PkgCache= -o Dir::Cache::SrcPkgCache= "$@"
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

root=$folder/root
libraries=$(dirname "$(find "$root/usr/lib" -name libc.so.6 | head -n 1)")
loader=$(find "$root/usr/lib" "$root/usr/lib64" -name 'ld-linux*.so.*' | head -n 1)
libraries=$libraries:$libraries/systemd:$root/usr/lib/mysql/private

# Where MySQL finds what its package has; behind an argument that must be the first.
places() {
    echo 'first=$1; shift'
    echo "set -- \"\$first\" \"--basedir=$root/usr\" \"--plugin-dir=$root/usr/lib/mysql/plugin\" \\"
    echo "    \"--lc-messages-dir=$root/usr/share/mysql\" \\"
    echo "    \"--character-sets-dir=$root/usr/share/mysql/charsets\" \"\$@\""
}

mkdir -p "$folder/bin"
for name in $programs; do
    program=$(find "$root/usr/bin" "$root/usr/sbin" -name "$name" | head -n 1)
    {
        echo '#!/bin/sh'
        [ "$name" != mysqld ] || places
        printf 'exec "%s" --library-path "%s" --argv0 "%s" "%s" "$@"\n' \
            "$loader" "$libraries" "$program" "$program"
    } >"$folder/bin/$name"
    chmod 755 "$folder/bin/$name"
done
