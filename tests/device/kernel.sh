#!/bin/sh
# Builds user-mode Linux from Debian's source, inside the system of build tools: kernel.sh CONFIG. Leaves /kernel, and
# /kernel.version with the version of the package.
set -eu

cd /usr/src
tar --extract --file linux-source-6.1.tar.xz
cd linux-source-6.1
make --silent ARCH=um defconfig
scripts/kconfig/merge_config.sh -m .config "$1" >/dev/null
make --silent ARCH=um olddefconfig
# Kconfig drops without a word what depends on something that is missing.
for option in BT_HCIVHCI BT_LE VIDEO_VIVID HOSTFS BLK_DEV_UBD DEVTMPFS MEMCG SECCOMP_FILTER USER_NS EXT4_FS HIGH_RES_TIMERS; do
    grep -q "^CONFIG_$option=y" .config || { echo "kernel.sh: CONFIG_$option is not set: something that it needs is missing" >&2; exit 1; }
done
make --silent ARCH=um -j"${JOBS:-$(nproc)}" linux
strip --output-file=/kernel linux
dpkg-query --show --showformat='${Version}\n' linux-source-6.1 >/kernel.version
