#!/bin/bash
# `make install` and `make uninstall`. Run from the top of the checkout, which is not written to.
#
#   PREFIX=/usr/local   prefix of the command, the unit and its companion files (/usr for packages)
#   DESTDIR=            root to install below, for packages and images; nothing else on this host is changed then
#   PYTHON=             interpreter, 3.11 or newer (default: the system's)
#   PURGE=1             uninstall settings, state and user, too
set -euo pipefail
umask 022 # root's may be 077; the service's user must be able to read the program

PREFIX=${PREFIX:-/usr/local}
DESTDIR=${DESTDIR:-}
INSTALL_ROOT=/opt/vitald # fixed: the unit contains it
APP=$DESTDIR$INSTALL_ROOT
ETC=$DESTDIR/etc/vitald
STATE=$DESTDIR/var/lib/vitald
UNITS=$DESTDIR$PREFIX/lib/systemd/system
GENERATORS=$DESTDIR$PREFIX/lib/systemd/system-generators
SYSUSERS=$DESTDIR$PREFIX/lib/sysusers.d/vitald.conf
TMPFILES=$DESTDIR$PREFIX/lib/tmpfiles.d/vitald.conf
COMMAND=$DESTDIR$PREFIX/bin/vitald

print_line() { printf '%s\n' "$*"; }
die() {
    printf 'vitald: %s\n' "$*" >&2
    exit 2
}

on_this_host() { [[ -z $DESTDIR ]]; }
has_systemd() { on_this_host && [[ -d /run/systemd/system ]]; }

check_preconditions() {
    [[ -f setup.cfg && -f systemd/vitald.service ]] || die "not the top of a checkout; expected: make ${1} there"
    case $PREFIX in
    /usr | /usr/local) ;;
    *) die "PREFIX=$PREFIX: no unit path of systemd; expected /usr or /usr/local, with DESTDIR= for another root" ;;
    esac
    [[ -z $DESTDIR || $DESTDIR == /* ]] || die "DESTDIR=$DESTDIR: not absolute; expected an absolute path"
    if on_this_host && ((EUID != 0)); then die "no permission to write to $INSTALL_ROOT and $PREFIX; expected: sudo make ${1}"; fi
}

is_suitable() { # 3.11 or newer, and readable by users other than root
    "$1" -c 'import sys; raise SystemExit(sys.version_info < (3, 11) or sys.base_prefix.startswith(("/root/", "/home/")))' 2>/dev/null
}

choose_python() {
    local candidate
    if [[ -n ${PYTHON:-} ]]; then
        candidate=$(command -v "$PYTHON") || die "PYTHON=$PYTHON: no such program"
        is_suitable "$candidate" || die "PYTHON=$PYTHON: expected 3.11 or newer, and not below /root or /home, which the service cannot read"
        PYTHON=$candidate
        return
    fi
    for candidate in /usr/bin/python3 /usr/bin/python3.1{4,3,2,1} /usr/local/bin/python3; do
        if is_suitable "$candidate"; then
            PYTHON=$candidate
            return
        fi
    done
    die "no Python 3.11 or newer below /usr; expected one there, or PYTHON=/path/to/python3"
}

# A release is a virtual environment in a directory of its own. The symlink `current` selects one and is replaced by a rename, so
# that it is valid at any time. The previous release stays, for the running daemon, which still imports from it, and for a rollback.
build_release() {
    local version sources
    version=$(sed -n 's/^version = //p' setup.cfg)
    RELEASE=$INSTALL_ROOT/releases/$version-$(date -u +%Y%m%dT%H%M%SZ)-$$
    "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null || die "$PYTHON: no venv module; expected: apt-get install python3-venv"
    print_line "building $DESTDIR$RELEASE with $("$PYTHON" --version)"
    trap 'rm -rf -- "$DESTDIR$RELEASE"' EXIT
    mkdir -p "$APP/releases"
    "$PYTHON" -m venv "$DESTDIR$RELEASE"
    local pip=("$DESTDIR$RELEASE/bin/python" -m pip --quiet --disable-pip-version-check --no-input)
    "${pip[@]}" install --no-compile --no-deps --require-hashes -r requirements.lock # the lock is complete, no resolution needed
    # Built from a copy: a build in place would leave files owned by root in the checkout.
    sources=$(mktemp -d)
    trap 'rm -rf -- "$DESTDIR$RELEASE" "$sources"' EXIT
    cp -R setup.cfg pyproject.toml README.md LICENSE collectors exporters daemon "$sources"
    find "$sources" -name __pycache__ -prune -exec rm -rf {} +
    "${pip[@]}" install --no-compile --no-deps --no-index --no-build-isolation "$sources"
    rm -rf "$sources"
    trap 'rm -rf -- "$DESTDIR$RELEASE"' EXIT
    local found
    found=$("$DESTDIR$RELEASE/bin/python" -m pip check --disable-pip-version-check) || die "requirements.lock is not complete: $found"
    "${pip[@]}" uninstall --yes setuptools pip # build tools, not needed at run time
    relocate
    "$DESTDIR$RELEASE/bin/python" -m compileall -q -j 0 ${DESTDIR:+-s "$DESTDIR"} "$DESTDIR$RELEASE/lib" || true # some templates are not Python
    install -D -m 644 -t "$DESTDIR$RELEASE/share" systemd/vitald.toml systemd/drop-ins/holders.conf README.md LICENSE
}

relocate() { # scripts contain the path that they were created in
    [[ -n $DESTDIR ]] || return 0
    rm -f "$DESTDIR$RELEASE"/bin/[Aa]ctivate*
    grep -rlIF -- "$DESTDIR" "$DESTDIR$RELEASE/bin" "$DESTDIR$RELEASE/pyvenv.cfg" | while read -r file; do
        sed -i "s|$DESTDIR$INSTALL_ROOT|$INSTALL_ROOT|g" "$file"
    done
}

install_user_and_settings() {
    install -D -m 644 systemd/vitald.sysusers "$SYSUSERS"
    install -D -m 644 systemd/vitald.tmpfiles "$TMPFILES"
    install -d -m 755 "$ETC" "$ETC/targets" "$ETC/signatures.d"
    if on_this_host; then
        systemd-sysusers "$SYSUSERS"
        systemd-tmpfiles --create "$TMPFILES"
    fi
    if [[ -e $ETC/vitald.toml ]]; then
        print_line "kept $ETC/vitald.toml (example of this version: $INSTALL_ROOT/current/share/vitald.toml)"
    else
        install -m 644 systemd/vitald.toml "$ETC/vitald.toml"
    fi
}

validate_settings() { # before the release is switched, as the service's user
    on_this_host || return 0
    runuser -u vitald -- "$RELEASE/bin/vitald" check-config /etc/vitald/vitald.toml ||
        die "settings invalid for this version (see above); the previous installation is unchanged"
}

switch_release() {
    install -D -m 755 systemd/vitald-generator "$GENERATORS/vitald-generator"
    install -D -m 644 systemd/vitald.service "$UNITS/vitald.service"
    install -d "$(dirname "$COMMAND")"
    ln -sfn "$INSTALL_ROOT/current/bin/vitald" "$COMMAND"
    PREVIOUS=$(readlink "$APP/current" || true)
    ln -sfn "$RELEASE" "$APP/current.new"
    mv -T "$APP/current.new" "$APP/current"
    trap - EXIT
}

restart_service() {
    has_systemd || return 0
    systemctl daemon-reload
    systemctl try-restart vitald.service || die "vitald.service failed to start: journalctl -u vitald; to roll back: ln -sfn $PREVIOUS $APP/current"
    if systemctl is-active --quiet vitald.service; then
        print_line "restarted vitald.service with this version"
    else
        print_line "to start it now and at every boot: sudo systemctl enable --now vitald"
    fi
}

remove_old_releases() {
    local old
    for old in "$APP"/releases/*; do
        [[ $old == "$DESTDIR$RELEASE" || ${old#"$DESTDIR"} == "$PREVIOUS" ]] && continue
        if grep -qsF -- "$old/" /proc/[0-9]*/maps; then continue; fi # in use by a process
        rm -rf -- "$old"
    done
}

do_install() {
    check_preconditions install
    choose_python
    mkdir -p "$APP"
    exec 9>"$APP/.lock"
    flock --nonblock 9 || die "$APP/.lock: held by another make install; expected one at a time"
    build_release
    install_user_and_settings
    validate_settings
    switch_release
    restart_service
    remove_old_releases
    print_line "installed vitald in $DESTDIR$RELEASE"
}

do_uninstall() {
    check_preconditions uninstall
    if has_systemd && [[ -e $UNITS/vitald.service ]]; then
        systemctl disable --quiet --now vitald.service
    fi
    rm -f "$UNITS/vitald.service" "$GENERATORS/vitald-generator" "$SYSUSERS" "$TMPFILES"
    [[ $(readlink "$COMMAND" || true) == "$INSTALL_ROOT/"* ]] && rm -f "$COMMAND"
    rm -rf "$APP/releases" "$APP/current" "$APP/current.new" "$APP/.lock"
    rmdir --ignore-fail-on-non-empty "$APP" 2>/dev/null || true
    if has_systemd; then
        systemctl daemon-reload
        systemctl reset-failed vitald.service 2>/dev/null || true
    fi
    if [[ ${PURGE:-} == 1 ]]; then
        purge
    else
        print_line "removed the program; kept $ETC, $STATE and the user vitald (sudo make uninstall PURGE=1 removes them, too)"
    fi
}

purge() {
    rm -rf "$ETC" "$STATE" "$DESTDIR/etc/systemd/system/vitald.service.d"
    if on_this_host && getent passwd vitald >/dev/null; then userdel vitald; fi
    has_systemd && systemctl daemon-reload
    print_line "removed the program, $ETC, $STATE and the user vitald"
}

case ${1:-} in
install) do_install ;;
uninstall) do_uninstall ;;
*) die "usage: make install, make uninstall" ;;
esac
