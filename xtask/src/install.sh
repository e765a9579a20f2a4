# Installs Debian packages without letting them start services or make databases. Arguments: the
# packages. What the release does not have is taken from its backports; what those lack as well is
# left out.
set -eu
policy=/usr/sbin/policy-rc.d
cluster=/etc/postgresql-common/createcluster.d/session-tests.conf
made=$cluster
trap 'rm -f $made; rmdir -p "${cluster%/*}" 2>/dev/null || :' EXIT
trap 'exit 1' HUP INT TERM
if [ ! -e "$policy" ]; then
    made="$made $policy"
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi
mkdir -p "${cluster%/*}"
echo 'create_main_cluster = false' >"$cluster"
export DEBIAN_FRONTEND=noninteractive

update() { apt-get -o DPkg::Lock::Timeout=300 update -qq; }
offers() { apt-cache policy "$1" | grep -q '^  Candidate: [^(]'; }

# Adds the release's backports, from where its main packages come. They rank below the release, so
# that only what it lacks is taken from there.
backports() {
    release=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
    suite=$release-backports
    source=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' \
        "Codename: $release" 'Component: main' | head -n 1)
    key=/usr/share/keyrings/debian-archive-keyring.gpg
    list=/etc/apt/sources.list.d/$suite-for-session-tests.list
    [ -n "$source" ] && [ -e "$key" ] && [ ! -e "$list" ] || return 1
    echo "deb [signed-by=$key] $source $suite main" >"$list"
    update && offers "$1" || { rm -f "$list"; update; return 1; }
}

# One source that cannot be reached must not keep what the others have from being installed.
update || :
wanted=
for package in "$@"; do
    if offers "$package" || backports "$package"; then
        wanted="$wanted $package"
    fi
done
apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends $wanted >/dev/null
