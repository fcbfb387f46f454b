#!/bin/sh
# Runs as the first process of new mount, PID, IPC, UTS, network and cgroup namespaces: makes a machine of its own out of this one's
# files, in which nothing that is written gets out, and becomes its systemd.
#
# boot.sh STAGE CHECKOUT BUS PYTHON: an empty folder for the machine; the checkout, seen as /srv/checkout in it; the folder that
# is seen as /run/dbus; the prefix of the Python to use, seen as /srv/python: it may lie in root's home, where no service looks.
set -eu
stage=$1 checkout=$2 bus=$3 python=$4

mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs "$stage"
mkdir "$stage/upper" "$stage/work" "$stage/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$stage/upper,workdir=$stage/work" "$stage/root"
cd "$stage/root"
[ "$(stat -f -c %T .)" = overlayfs ] || { echo "$stage/root is not this machine's own" && exit 1; }

# Nothing of the outer machine can be written from here on: its files are below the overlay or bound read-only, /tmp, /run, /dev
# and /var are this machine's own, and so are its processes, its network and its cgroups.
read_only() {
    mount --bind "$1" "$2"
    mount -o remount,bind,ro "$2"
}
ip link set lo up
mount -t proc proc proc
read_only proc/sys proc/sys
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs dev
for device in null zero full random urandom tty; do
    touch "dev/$device"
    mount --bind "/dev/$device" "dev/$device"
done
ln -s /proc/self/fd dev/fd
mkdir dev/shm dev/pts
mount -t tmpfs -o mode=1777 tmpfs dev/shm
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
mkdir -p srv/checkout srv/python run/dbus run/lock run/systemd/system mnt
read_only "$checkout" srv/checkout
read_only "$python" srv/python
mount --bind "$bus" run/dbus # an empty folder of the test's: the emulated hub is served on the bus in it

# A machine on which nothing is installed yet, and that leaves the kernel alone: whatever starts is named here.
rm -rf etc/systemd/system etc/fstab etc/edge-agent var/lib/edge-agent var/cache/edge-agent var/log/journal \
    usr/lib/systemd/system/*.wants lib/systemd/system/*.wants
mkdir -p etc/systemd/system etc/systemd/journald.conf.d
ln -s /dev/null etc/systemd/system/systemd-journald-audit.socket # the kernel's audit is the outer machine's
printf '[Journal]\nStorage=volatile\nReadKMsg=no\nAudit=no\nRateLimitBurst=0\n' >etc/systemd/journald.conf.d/stage.conf
cat >etc/systemd/system/stage.target <<'END'
[Unit]
Description=A machine for tests
DefaultDependencies=no
AllowIsolate=yes
Wants=systemd-journald.service bus.service
END
cat >etc/systemd/system/bus.service <<'END'
[Unit]
DefaultDependencies=no
[Service]
Type=notify
ExecStart=/usr/bin/dbus-daemon --config-file=/etc/bus.conf --nofork --nopidfile --systemd-activation
END
# A system bus with BlueZ's policy of Debian: only root and the group bluetooth may speak to it.
cat >etc/bus.conf <<'END'
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path=/run/dbus/system_bus_socket</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <deny own="*"/>
    <deny send_type="method_call"/>
    <allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/>
    <allow receive_type="method_return"/>
    <allow receive_type="error"/>
    <allow receive_type="signal"/>
    <allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus"/>
    <allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus.Introspectable"/>
  </policy>
  <policy user="root">
    <allow own="org.bluez"/>
    <allow send_destination="org.bluez"/>
  </policy>
  <policy group="bluetooth">
    <allow send_destination="org.bluez"/>
  </policy>
</busconfig>
END
getent group bluetooth >/dev/null || echo 'bluetooth:x:911:' >>etc/group # the bus reads its policy before we install anything

mkdir -p mnt/old
pivot_root . mnt/old
umount -l mnt/old
mount --make-rshared / # as a machine's first process finds it: what is mounted for a service is seen outside of it
# systemd empties /tmp and more at its start: not one step further where these are not our own.
for own in / /etc /var /usr /root; do
    [ "$(stat -f -c %T "$own")" = overlayfs ] || { echo "$own is not this machine's own" && exit 1; }
done
for own in /tmp /run /dev; do
    [ "$(stat -f -c %T "$own")" = tmpfs ] || { echo "$own is not this machine's own" && exit 1; }
done
export container=edge-agent-test
unset NOTIFY_SOCKET WATCHDOG_USEC JOURNAL_STREAM
# What is not in a namespace it may not touch either: clock, modules, kernel log, audit, reboot, raw devices.
exec setpriv --bounding-set=-sys_time,-sys_module,-sys_boot,-sys_rawio,-syslog,-audit_control,-audit_read,-mknod,-mac_admin \
    /lib/systemd/systemd --system --unit=stage.target --show-status=no --log-target=journal
