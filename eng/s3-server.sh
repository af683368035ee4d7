#!/usr/bin/env bash
# The server of eng/s3.sh: process 1 of a process namespace with mounts of its own, so that nothing of it outlives it.
# Arguments: the folder of the server, which names it; the folder with Ceph's programs; the first of twenty ports.
# S3_ACCESS_KEY and S3_SECRET_KEY are the user's.
set -euo pipefail
programs=$2 port=$3

mount --make-rprivate /
mount --bind "$programs" "$programs"
mount -o remount,bind,ro "$programs"
mount -t proc proc "$programs/proc"
mount --bind /dev "$programs/dev"
for folder in data run tmp; do mount -t tmpfs -o mode=755 "$folder" "$programs/$folder"; done

fsid=$(< /proc/sys/kernel/random/uuid)
osd=$(< /proc/sys/kernel/random/uuid)
# Objects live in memory and go with the server: deleted ones soon, because the tests store more than there is room for.
cat > "$programs/data/ceph.conf" << CONF
[global]
fsid = $fsid
mon_host = [v1:127.0.0.1:$port]
public_network = 127.0.0.0/8
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 1
osd_pool_default_pgp_num = 1
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
mon_allow_pool_size_one = true
mon_max_pg_per_osd = 1000
run_dir = /run
admin_socket =
log_file =
log_to_stderr = true
err_to_stderr = true
mon_cluster_log_file =
[mon]
mon_data = /data/mon
paxos_propose_interval = 0.05
mon_osd_full_ratio = 0.98
[osd]
osd_data = /data/osd
osd_objectstore = memstore
memstore_device_bytes = 6442450944
ms_bind_port_min = $((port + 1))
ms_bind_port_max = $((port + 18))
[client]
# Without tcp_nodelay every short answer waits 40 ms for the acknowledgement of its header.
rgw_frontends = beast endpoint=127.0.0.1:$((port + 19)) tcp_nodelay=1
rgw_gc_obj_min_wait = 2
rgw_gc_processor_period = 2
rgw_gc_processor_max_time = 60
CONF

in_chroot() { chroot "$programs" "$@"; }
ceph() { in_chroot "$@" -c /data/ceph.conf; }
# A client that sends its first command before it has the monitors' map is refused ("wrong fsid"), and ends.
again() {
  local attempt
  for attempt in 1 2 3 4 5; do
    ! "$@" || return 0
    echo "attempt $attempt of $* failed"
    sleep 0.2
  done
  return 1
}
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C

mkdir "$programs/data/mon" "$programs/data/osd"
in_chroot monmaptool --create --fsid "$fsid" --addv a "[v1:127.0.0.1:$port]" /data/monmap
ceph ceph-mon --mkfs -i a --monmap /data/monmap
ceph ceph-mon -f -i a &
again ceph timeout 20 ceph osd new "$osd"
ceph ceph-osd --mkfs -i 0 --osd-uuid "$osd"
again ceph ceph-osd -f -i 0 &
again ceph timeout 20 radosgw-admin user create --uid=crownest --display-name=crownest \
  --access-key="$S3_ACCESS_KEY" --secret-key="$S3_SECRET_KEY"
ceph radosgw -f -n client.rgw --no-mon-config &
# One that ends takes the others along.
wait -n
