#!/bin/bash
# `make install` and `make uninstall`. Run from the checkout's top folder, which is only read.
#
#   PREFIX=/usr/local   where the command, the unit and its relatives go (/usr for packagers)
#   DESTDIR=            a folder to install below, for packages and images: nothing on this host is touched then
#   PYTHON=             the interpreter, 3.11 or newer; by default the system's own
#   PURGE=1             uninstall settings, state and user, too
set -euo pipefail
umask 022 # root's may be 077, and the service's user must be able to read what it runs

PREFIX=${PREFIX:-/usr/local}
DESTDIR=${DESTDIR:-}
HOME_OF_ALL=/opt/vitald # fixed: the unit names it
APP=$DESTDIR$HOME_OF_ALL
ETC=$DESTDIR/etc/vitald
STATE=$DESTDIR/var/lib/vitald
UNITS=$DESTDIR$PREFIX/lib/systemd/system
GENERATORS=$DESTDIR$PREFIX/lib/systemd/system-generators
SYSUSERS=$DESTDIR$PREFIX/lib/sysusers.d/vitald.conf
TMPFILES=$DESTDIR$PREFIX/lib/tmpfiles.d/vitald.conf
COMMAND=$DESTDIR$PREFIX/bin/vitald

say() { printf '%s\n' "$*"; }
die() {
    printf 'vitald: %s\n' "$*" >&2
    exit 2
}

on_this_host() { [[ -z $DESTDIR ]]; }
systemd_runs() { on_this_host && [[ -d /run/systemd/system ]]; }

check_call() {
    [[ -f setup.cfg && -f systemd/vitald.service ]] || die "run this from the top of the checkout: make ${1}"
    case $PREFIX in
    /usr | /usr/local) ;;
    *) die "PREFIX=$PREFIX: systemd looks for units below /usr and /usr/local only; use one of them, with DESTDIR= for another root" ;;
    esac
    [[ -z $DESTDIR || $DESTDIR == /* ]] || die "DESTDIR=$DESTDIR: must be an absolute path"
    if on_this_host && ((EUID != 0)); then die "this writes to $HOME_OF_ALL and $PREFIX: sudo make ${1}"; fi
}

fits() { # 3.11 or newer, and readable by a user who is not root
    "$1" -c 'import sys; raise SystemExit(sys.version_info < (3, 11) or sys.base_prefix.startswith(("/root/", "/home/")))' 2>/dev/null
}

choose_python() {
    local candidate
    if [[ -n ${PYTHON:-} ]]; then
        candidate=$(command -v "$PYTHON") || die "PYTHON=$PYTHON: no such program"
        fits "$candidate" || die "PYTHON=$PYTHON: must be 3.11 or newer, and not below /root or /home, where the service cannot read it"
        PYTHON=$candidate
        return
    fi
    for candidate in /usr/bin/python3 /usr/bin/python3.1{4,3,2,1} /usr/local/bin/python3; do
        if fits "$candidate"; then
            PYTHON=$candidate
            return
        fi
    done
    die "no Python 3.11 or newer below /usr: install one, or name it with PYTHON=/path/to/python3"
}

# A release is an environment of its own in a folder of its own. `current` points to the one that is used, and is switched by a
# rename: there is no moment without a vitald. The one before stays, since a running daemon still imports from it, and for a way back.
build_release() {
    local version sources
    version=$(sed -n 's/^version = //p' setup.cfg)
    RELEASE=$HOME_OF_ALL/releases/$version-$(date -u +%Y%m%dT%H%M%SZ)-$$
    "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null || die "$PYTHON cannot make environments: apt-get install python3-venv"
    say "building $DESTDIR$RELEASE with $("$PYTHON" --version)"
    trap 'rm -rf -- "$DESTDIR$RELEASE"' EXIT
    mkdir -p "$APP/releases"
    "$PYTHON" -m venv "$DESTDIR$RELEASE"
    local pip=("$DESTDIR$RELEASE/bin/python" -m pip --quiet --disable-pip-version-check --no-input)
    "${pip[@]}" install --no-compile --no-deps --require-hashes -r requirements.lock # complete: nothing to look up again
    # From a copy: building in place would leave files of root's in the checkout.
    sources=$(mktemp -d)
    trap 'rm -rf -- "$DESTDIR$RELEASE" "$sources"' EXIT
    cp -R setup.cfg pyproject.toml README.md LICENSE collectors exporters daemon "$sources"
    find "$sources" -name __pycache__ -prune -exec rm -rf {} +
    "${pip[@]}" install --no-compile --no-deps --no-index --no-build-isolation "$sources"
    rm -rf "$sources"
    trap 'rm -rf -- "$DESTDIR$RELEASE"' EXIT
    local found
    found=$("$DESTDIR$RELEASE/bin/python" -m pip check --disable-pip-version-check) || die "requirements.lock is not complete: $found"
    "${pip[@]}" uninstall --yes setuptools pip # built with, not run with
    relocate
    "$DESTDIR$RELEASE/bin/python" -m compileall -q -j 0 ${DESTDIR:+-s "$DESTDIR"} "$DESTDIR$RELEASE/lib" || true # a template that is no Python
    install -D -m 644 -t "$DESTDIR$RELEASE/share" systemd/vitald.toml systemd/drop-ins/holders.conf README.md LICENSE
}

relocate() { # scripts carry the folder they were made in
    [[ -n $DESTDIR ]] || return 0
    rm -f "$DESTDIR$RELEASE"/bin/[Aa]ctivate*
    grep -rlIF -- "$DESTDIR" "$DESTDIR$RELEASE/bin" "$DESTDIR$RELEASE/pyvenv.cfg" | while read -r file; do
        sed -i "s|$DESTDIR$HOME_OF_ALL|$HOME_OF_ALL|g" "$file"
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
        say "kept $ETC/vitald.toml (this version's example: $HOME_OF_ALL/current/share/vitald.toml)"
    else
        install -m 644 systemd/vitald.toml "$ETC/vitald.toml"
    fi
}

refuse_bad_settings() { # before anything is switched, and as the user who will have to read them
    on_this_host || return 0
    runuser -u vitald -- "$RELEASE/bin/vitald" check-config /etc/vitald/vitald.toml ||
        die "this version does not take the settings of this host (see above); what was installed before is still in place"
}

switch_release() {
    install -D -m 755 systemd/vitald-generator "$GENERATORS/vitald-generator"
    install -D -m 644 systemd/vitald.service "$UNITS/vitald.service"
    install -d "$(dirname "$COMMAND")"
    ln -sfn "$HOME_OF_ALL/current/bin/vitald" "$COMMAND"
    BEFORE=$(readlink "$APP/current" || true)
    ln -sfn "$RELEASE" "$APP/current.new"
    mv -T "$APP/current.new" "$APP/current"
    trap - EXIT
}

start_using_it() {
    systemd_runs || return 0
    systemctl daemon-reload
    systemctl try-restart vitald.service || die "the new vitald did not start: journalctl -u vitald; back: ln -sfn $BEFORE $APP/current"
    if systemctl is-active --quiet vitald.service; then
        say "vitald is running, restarted with this version"
    else
        say "start it now and at every boot: sudo systemctl enable --now vitald"
    fi
}

remove_old_releases() {
    local old
    for old in "$APP"/releases/*; do
        [[ $old == "$DESTDIR$RELEASE" || ${old#"$DESTDIR"} == "$BEFORE" ]] && continue
        if grep -qsF -- "$old/" /proc/[0-9]*/maps; then continue; fi # somebody runs it
        rm -rf -- "$old"
    done
}

do_install() {
    check_call install
    choose_python
    mkdir -p "$APP"
    exec 9>"$APP/.lock"
    flock --nonblock 9 || die "another make install is at work in $APP"
    build_release
    install_user_and_settings
    refuse_bad_settings
    switch_release
    start_using_it
    remove_old_releases
    say "installed vitald in $DESTDIR$RELEASE"
}

do_uninstall() {
    check_call uninstall
    if systemd_runs && [[ -e $UNITS/vitald.service ]]; then
        systemctl disable --quiet --now vitald.service
    fi
    rm -f "$UNITS/vitald.service" "$GENERATORS/vitald-generator" "$SYSUSERS" "$TMPFILES"
    [[ $(readlink "$COMMAND" || true) == "$HOME_OF_ALL/"* ]] && rm -f "$COMMAND"
    rm -rf "$APP/releases" "$APP/current" "$APP/current.new" "$APP/.lock"
    rmdir --ignore-fail-on-non-empty "$APP" 2>/dev/null || true
    if systemd_runs; then
        systemctl daemon-reload
        systemctl reset-failed vitald.service 2>/dev/null || true
    fi
    if [[ ${PURGE:-} == 1 ]]; then
        purge
    else
        say "removed the program; kept $ETC, $STATE and the user vitald (sudo make uninstall PURGE=1 removes them, too)"
    fi
}

purge() {
    rm -rf "$ETC" "$STATE" "$DESTDIR/etc/systemd/system/vitald.service.d"
    if on_this_host && getent passwd vitald >/dev/null; then userdel vitald; fi
    systemd_runs && systemctl daemon-reload
    say "removed the program, $ETC, $STATE and the user vitald"
}

case ${1:-} in
install) do_install ;;
uninstall) do_uninstall ;;
*) die "usage: make install, make uninstall" ;;
esac
