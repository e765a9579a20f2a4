#!/bin/bash
# The first program of a kernel that runs as a process and has the machine's files as its own: a
# file server, and clients of it in network namespaces of their own. Then it does what it finds in
# `in`, and puts what came of it into `out`.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8
mount -t proc proc /proc
home=$(sed 's/.*nfsguest=\([^ ]*\).*/\1/' /proc/cmdline)
cd "$home" || busybox poweroff -f
exec </dev/null >>console 2>&1
mount -t sysfs sys /sys
for directory in /run /var/lib /mnt /srv; do mount -t tmpfs tmpfs $directory; done
mount --make-shared /mnt
mount -t tmpfs -o mode=755 tmpfs /dev
mknod -m 666 /dev/null c 1 3
mknod -m 666 /dev/zero c 1 5
mknod -m 666 /dev/random c 1 8
mknod -m 666 /dev/urandom c 1 9
mknod /dev/ubda b 98 0
mknod /dev/ubdb b 98 16
ln -s /proc/self/fd /dev/fd

mkdir -p /run/m/lib/modules
ln -s "/usr/lib/uml/modules/$(uname -r)" "/run/m/lib/modules/$(uname -r)"
for module in veth nfsd nfsv3 nfsv4 sch_netem quota_v2; do modprobe -d /run/m $module; done

# The server: short leases, so that a test need not wait long for one to end; and no delegations,
# as EFS grants none.
echo 0 >/proc/sys/fs/leases-enable
mkdir -p /srv/x /var/lib/nfs/{rpc_pipefs,v4recovery,nfsdcld,sm,sm.bak} /run/rpc_pipefs /run/netns
touch /var/lib/nfs/{etab,rmtab,state}
mount -t ext4 /dev/ubda /srv/x
mkdir /srv/x/small
mount -t ext4 -o usrquota /dev/ubdb /srv/x/small
mount -t nfsd nfsd /proc/fs/nfsd
mount -t rpc_pipefs pipes /run/rpc_pipefs
ip link set lo up
rpcbind
modprobe -d /run/m lockd
echo 3 >/proc/sys/fs/nfs/nlm_timeout
echo 3 >/proc/sys/fs/nfs/nlm_grace_period
exportfs -o rw,no_root_squash,insecure,fsid=0,no_subtree_check,sync '*:/srv/x'
exportfs -o rw,no_root_squash,insecure,fsid=1,no_subtree_check,sync '*:/srv/x/small'
echo 10 >/proc/fs/nfsd/nfsv4gracetime
echo 10 >/proc/fs/nfsd/nfsv4leasetime
nfsdcld
rpc.nfsd 8
rpc.mountd -p 20048

client() {
    ip netns add "c$1"
    ip link add "v$1" type veth peer name e0 netns "c$1"
    ip addr add "10.9.$1.1/24" dev "v$1"
    ip link set "v$1" up
    ip -n "c$1" addr add "10.9.$1.2/24" dev e0
    ip -n "c$1" link set e0 up
    ip -n "c$1" link set lo up
}

# As client $1, mounts the server's folder on /mnt/$2: with $3, and what Amazon recommends for EFS.
attach() {
    mkdir -p "/mnt/$2"
    nsenter --net="/run/netns/c$1" unshare -u sh -c "hostname client$1; exec mount -t nfs \
        -o hard,timeo=600,retrans=2,rsize=1048576,wsize=1048576,noresvport,$3 \
        10.9.$1.1:${4:-/} /mnt/$2"
}

export -f attach
client 1
client 2
attach 1 c1 vers=4.1 && attach 2 c2 vers=4.1 && touch ready

mkfifo /run/pause
exec 9<>/run/pause
while :; do
    for file in in/*; do
        [ -e "$file" ] || continue
        number=${file#in/}
        mv "$file" "out/$number.sh"
        (
            bash "out/$number.sh" >"out/$number.log" 2>&1
            echo $? >"out/$number.status.new"
            mv "out/$number.status.new" "out/$number.status"
        ) &
    done
    read -r -t 0.05 -u 9
done
