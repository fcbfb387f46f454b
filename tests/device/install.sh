#!/bin/sh
# Runs inside the new system: installs the product as docs/deploy.md says, bumble beside it, and the service that runs a job.
set -eu

cd /srv/product
make --silent install WHEELS=/srv/wheels PYTHON=/usr/bin/python3
systemd-sysusers
/usr/lib/edge-agent/bin/python -m pip install --quiet --disable-pip-version-check --no-index --find-links /srv/wheels --no-deps \
    --target /opt/air --requirement /srv/requirements.txt
/usr/lib/edge-agent/bin/python -m compileall -q /opt/air

# The kernel's modules of user-mode Linux lie where no modprobe looks.
mkdir -p /lib/modules
for modules in /usr/lib/uml/modules/*; do ln -s "$modules" /lib/modules/; done

cat >/etc/fstab <<'END'
/dev/ubda / ext4 defaults 0 1
none /srv/bench hostfs defaults 0 0
END
mkdir -p /srv/bench
echo device >/etc/hostname
# A file of the outer machine is the job, a terminal of this one its output; then the machine is switched off.
cat >/etc/systemd/system/bench.service <<'END'
[Unit]
After=multi-user.target
[Service]
Type=exec
Environment=PYTHONPATH=/srv/bench:/opt/air PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/root
WorkingDirectory=/root
ExecStart=/bin/sh -c '/bin/sh /srv/bench/job; echo $? >/srv/bench/status; sync; exec systemctl poweroff --force'
StandardOutput=tty
StandardError=inherit
TTYPath=/dev/tty1
[Install]
WantedBy=multi-user.target
END
systemctl --quiet enable bench.service
systemctl --quiet mask getty@tty1.service systemd-networkd-wait-online.service apt-daily.timer apt-daily-upgrade.timer \
    dpkg-db-backup.timer e2scrub_all.timer fstrim.timer
printf '[Journal]\nStorage=volatile\nRateLimitBurst=0\n' >/etc/systemd/journald.conf
dpkg-query --show --showformat='${Package} ${Version}\n' systemd bluez dbus udev user-mode-linux python3 >/srv/packages
