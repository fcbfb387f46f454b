# Installing on a device. `make install` installs the program in a virtual environment in $(PREFIX)/lib/edge-agent, and the files of
# systemd, udev and greenboot. Variables:
#   PREFIX=/usr          DESTDIR=           as in the GNU coding standards; DESTDIR is a package's staging folder
#   SYSCONFDIR=/etc      WHEELS=FOLDER      install the Python packages from a folder instead of the network
#   GPU=yes              also install the drop-in for a Jetson
#   JETPACK=yes          give the program access to JetPack's Python packages (TensorRT), which belong to the system's Python

PREFIX ?= /usr
SYSCONFDIR ?= /etc
DESTDIR ?=
WHEELS ?=
GPU ?= no
JETPACK ?= no

LIBDIR := $(PREFIX)/lib
HOME_OF_PROGRAM := $(LIBDIR)/edge-agent
FRESH := $(DESTDIR)$(HOME_OF_PROGRAM).new
UNIT_DIR := $(LIBDIR)/systemd/system
GREENBOOT := $(SYSCONFDIR)/greenboot/check/required.d/50_edge_agent.sh

.PHONY: install
install: install-program install-files ## install the program and the service (PREFIX, DESTDIR, GPU=yes)

.PHONY: install-program
install-program:
	@test -n "$(PYTHON)" || { echo "make: Python 3.11 or newer is needed (packages: python3 on Debian 12, python3.11 on RHEL 9)" >&2; exit 1; }
	rm -rf "$(FRESH)" && install -d "$(DESTDIR)$(LIBDIR)" "$(DESTDIR)$(PREFIX)/bin"
	$(PYTHON) -m venv $(if $(filter yes,$(JETPACK)),--system-site-packages) "$(FRESH)"
	"$(FRESH)/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile \
		$(if $(WHEELS),--no-index --find-links "$(WHEELS)") --constraint requirements.lock .
	# The scripts contain the path of the folder in which they were created; our command does not need them.
	find "$(FRESH)/bin" -type f ! -name 'python*' -delete
	sed -i '/^command = /d' "$(FRESH)/pyvenv.cfg"
	"$(FRESH)/bin/python" -m compileall -q --invalidation-mode unchecked-hash -s "$(FRESH)" -p "$(HOME_OF_PROGRAM)" "$(FRESH)/lib"
	# Replace the folder by a rename: the service's brake must work meanwhile.
	rm -rf "$(FRESH).old"
	test ! -e "$(DESTDIR)$(HOME_OF_PROGRAM)" || mv "$(DESTDIR)$(HOME_OF_PROGRAM)" "$(FRESH).old"
	mv "$(FRESH)" "$(DESTDIR)$(HOME_OF_PROGRAM)" && rm -rf "$(FRESH).old"
	printf '#!/bin/sh\nexec %s -I -m edge_agent "$$@"\n' '$(HOME_OF_PROGRAM)/bin/python' >"$(DESTDIR)$(PREFIX)/bin/edge-agent"
	chmod 755 "$(DESTDIR)$(PREFIX)/bin/edge-agent"

.PHONY: install-files
install-files:
	install -D -m 644 config/systemd/edge-agent.service "$(DESTDIR)$(UNIT_DIR)/edge-agent.service"
	sed -i 's|/usr/bin/edge-agent|$(PREFIX)/bin/edge-agent|; s|/etc/edge-agent|$(SYSCONFDIR)/edge-agent|' "$(DESTDIR)$(UNIT_DIR)/edge-agent.service"
	install -D -m 644 config/systemd/gpu.conf "$(DESTDIR)$(PREFIX)/share/edge-agent/systemd/gpu.conf"
	$(if $(filter yes,$(GPU)),install -D -m 644 config/systemd/gpu.conf "$(DESTDIR)$(UNIT_DIR)/edge-agent.service.d/gpu.conf")
	install -D -m 644 config/sysusers.d/edge-agent.conf "$(DESTDIR)$(LIBDIR)/sysusers.d/edge-agent.conf"
	install -D -m 644 config/tmpfiles.d/edge-agent.conf "$(DESTDIR)$(LIBDIR)/tmpfiles.d/edge-agent.conf"
	install -D -m 644 config/udev/70-edge-agent.rules "$(DESTDIR)$(LIBDIR)/udev/rules.d/70-edge-agent.rules"
	install -D -m 755 config/greenboot/required.d/50_edge_agent.sh "$(DESTDIR)$(GREENBOOT)"
	install -D -m 644 docs/deploy.md "$(DESTDIR)$(PREFIX)/share/doc/edge-agent/deploy.md"
	install -D -m 644 docs/operate.md "$(DESTDIR)$(PREFIX)/share/doc/edge-agent/operate.md"
	install -d "$(DESTDIR)$(SYSCONFDIR)/edge-agent/profiles"
	# Files that an operator has changed are kept; ours are put beside them.
	@set -e; fresh=$$(mktemp -d); trap 'rm -rf "$$fresh"' EXIT; \
	mkdir "$$fresh/profiles"; cd config; cp agent.yaml signs.yaml environment greenboot.conf "$$fresh"; cp profiles/*.yaml "$$fresh/profiles"; \
	sed -i 's|^  rules: null.*|  rules: signs.yaml # beside this file; `systemctl reload edge-agent` reloads it|' "$$fresh/agent.yaml"; \
	cd "$$fresh"; for file in *.* environment profiles/*; do \
		target="$(abspath $(DESTDIR)/)$(SYSCONFDIR)/edge-agent/$$file"; \
		if [ ! -e "$$target" ]; then install -m 644 "$$file" "$$target"; \
		elif ! cmp -s "$$file" "$$target"; then install -m 644 "$$file" "$$target.new"; fi; \
	done
	@test -n "$(DESTDIR)" || echo "make: next, as root: systemd-sysusers && systemd-tmpfiles --create && systemctl daemon-reload; then docs/deploy.md"

.PHONY: uninstall
uninstall: ## remove what make install installed; settings and state are kept
	@test -n "$(DESTDIR)" || systemctl disable --now edge-agent.service 2>/dev/null || true
	rm -rf "$(DESTDIR)$(HOME_OF_PROGRAM)" "$(DESTDIR)$(PREFIX)/share/edge-agent" "$(DESTDIR)$(PREFIX)/share/doc/edge-agent"
	rm -f "$(DESTDIR)$(PREFIX)/bin/edge-agent" "$(DESTDIR)$(UNIT_DIR)/edge-agent.service" \
		"$(DESTDIR)$(UNIT_DIR)/edge-agent.service.d/gpu.conf" "$(DESTDIR)$(LIBDIR)/sysusers.d/edge-agent.conf" \
		"$(DESTDIR)$(LIBDIR)/tmpfiles.d/edge-agent.conf" "$(DESTDIR)$(LIBDIR)/udev/rules.d/70-edge-agent.rules" "$(DESTDIR)$(GREENBOOT)"
	rmdir "$(DESTDIR)$(UNIT_DIR)/edge-agent.service.d" 2>/dev/null || true
	@test -n "$(DESTDIR)" || { systemctl daemon-reload; echo "make: kept: $(SYSCONFDIR)/edge-agent, /var/lib/edge-agent, /var/cache/edge-agent, the user edge-agent"; }
