#!/bin/sh
# Installs maskgate on this device, goes back a release, or takes it away. `install.sh --help` says how.
#
# A new release is built and tried next to the one that runs. The trial is a unit file in /run: if the power fails
# before the new release has proved itself, the device boots the old one.
set -eu
umask 022
export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

BASE=/opt/maskgate
RELEASES=$BASE/releases
HISTORY=$BASE/history
CONFIG=/etc/maskgate/config.toml
STATE=/var/lib/maskgate
SCRATCH=/run/maskgate-self-test
SERVICE=maskgate.service
UNIT_LINK=/usr/local/lib/systemd/system/$SERVICE
BOOT_LINK=/etc/systemd/system/multi-user.target.wants/$SERVICE
KIOSK="maskgate-kiosk.service"
KIOSK_LINK=/usr/local/lib/systemd/system/$KIOSK
KIOSK_BOOT_LINK=/etc/systemd/system/multi-user.target.wants/$KIOSK
COMMAND=/usr/local/bin/maskgate
COMMAND_MARK="# Written by the installer of maskgate."
TRIAL_UNIT=/run/systemd/system/$SERVICE
# In a folder that only root writes to: elsewhere anybody could hold it.
LOCK=/run/maskgate-install.lock
# The distribution's own Python: it is the one that sees picamera2 and gpiozero.
PYTHON=/usr/bin/python3
KEEP=3
SELF_TEST_FRAMES=60
SELF_TEST_SECONDS=300
HEALTHY_WITHIN=60
HEALTHY_FOR=5
WAITING_FOR_CAMERA=15
SELF=$(readlink -f -- "$0")
HERE=$(dirname -- "$SELF")

building=
trying=
scratch=

usage() {
    cat <<'EOF'
Usage: install.sh [install] [--kiosk] install the release next to this script, or the checkout around it; with
                                      --kiosk its page is shown full screen from now on
       install.sh rollback [RELEASE]  go back to the release before the current one, or to RELEASE
       install.sh uninstall           take everything away but the counts and your settings
Run it as root on the device. Exit code 0: done; 1: not done, and the device runs what it ran before;
75: another installation is under way.
EOF
}

# Told to the operator and to the journal.
say() {
    printf '%s\n' "$*" 2>/dev/null || :
    logger -t maskgate-install -- "$*" 2>/dev/null || :
}

die() {
    code=1
    case $1 in --code) code=$2; shift 2 ;; esac
    printf 'maskgate-install: %s\n' "$*" >&2 2>/dev/null || :
    logger -t maskgate-install -p user.err -- "$*" 2>/dev/null || :
    exit "$code"
}

on_exit() {
    code=$?
    trap - EXIT
    [ -z "$trying" ] || end_trial
    [ -z "$building" ] || remove_release "$building"
    [ -z "$scratch" ] || remove_scratch
    exit "$code"
}

# All that is deleted as a folder is deleted here, by an absolute path below a folder of ours.
remove_release() {
    case $1 in
        '' | . | .. | */*) die "'$1' is not the name of a release." ;;
    esac
    rm -rf --one-file-system -- "${RELEASES:?}/$1"
}

remove_scratch() {
    case $scratch in
        "$SCRATCH".*) rm -rf --one-file-system -- "$scratch" ;;
        *) die "'$scratch' is not a scratch folder." ;;
    esac
    scratch=
}

# What is deleted by name must not be somebody else's, nor a way to another place.
check_own() {
    [ ! -L "$1" ] || die "$1 is a link, and releases are deleted there; make it a folder, or mount the other place there."
    [ -d "$1" ] || die "$1 is not a folder; move it away, then run this again."
    owner=$(stat -c %u -- "$1")
    writers=$(find "$1" -maxdepth 0 -perm /022)
    [ "$owner" = 0 ] || die "$1 does not belong to root; run 'sudo chown root: $1' if it is maskgate's, else move it away."
    [ -z "$writers" ] || die "Others than root may write to $1; run 'sudo chmod go-w $1'."
}

make_places() {
    for place in "$BASE" "$RELEASES"; do
        [ -e "$place" ] || [ -L "$place" ] || why=$(mkdir -- "$place" 2>&1) || die "$place cannot be made ($why); see 'findmnt --target /opt'."
        check_own "$place"
        [ -w "$place" ] || die "$place cannot be written to; a read-only system needs 'sudo raspi-config', Overlay File System, off."
    done
}

take_lock() {
    (umask 077; : >>"$LOCK")
    exec 9>>"$LOCK"
    flock -n 9 || die --code 75 "Another installation is under way on this device; wait for it, then run this again."
}

current_release() {
    if [ -L "$BASE/current" ]; then basename "$(readlink "$BASE/current")"; fi
}

is_complete() {
    [ -e "$RELEASES/$1/.complete" ] && "$RELEASES/$1/venv/bin/python" -I -c 'import edge' 2>/dev/null
}

check_device() {
    [ -d /run/systemd/system ] || die "systemd does not run this device, and maskgate is a systemd service; use Raspberry Pi OS, Debian or Ubuntu."
    machine=$(uname -m)
    case $(getconf LONG_BIT)$machine in
        64aarch64 | 64x86_64) ;;
        *) die "This is a 32-bit system ($machine) and the models need a 64-bit one; flash 'Raspberry Pi OS Lite (64-bit)'." ;;
    esac
    [ -x "$PYTHON" ] || die "There is no $PYTHON; sudo apt install python3."
    "$PYTHON" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' ||
        die "maskgate needs Python 3.10 to 3.13 and this is $("$PYTHON" -V); use Raspberry Pi OS Bookworm or Trixie, 64-bit."
}

# An unpacked wheel takes about three times its size; a copy, what is compiled and left free, the rest.
check_space() {
    needed=500000
    [ ! -d "$HERE/wheels" ] || needed=$(($(du -sk "$HERE/wheels" | cut -f 1) * 5 + 100000))
    free=$(df -Pk "$(dirname "$BASE")" | awk 'NR == 2 { print $4 }')
    [ "$free" -ge "$needed" ] ||
        die "There is no space: $(dirname "$BASE") has $((free / 1000)) MB free and the release needs $((needed / 1000)) MB; make room, then run this again."
}

release_name() {
    if [ -f "$HERE/VERSION" ]; then
        name=$(cat "$HERE/VERSION")
    elif [ -f "$HERE/../pyproject.toml" ]; then
        name=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$HERE/../pyproject.toml")
        if hash=$(git -c safe.directory='*' -C "$HERE" rev-parse --short=8 HEAD 2>/dev/null); then name=$name-$hash; fi
        # Changes that are in no commit cannot be told apart: such a release is always built again.
        [ -z "$(git -c safe.directory='*' -c core.fsmonitor=false -C "$HERE" status --porcelain 2>/dev/null)" ] || name=$name-$(date +%s)
    else
        die "There is neither a release nor a checkout around $HERE; run this from what 'make deploy' sent, or from a clone."
    fi
    case $name in
        '' | .* | *[!A-Za-z0-9.+_-]*) die "'$name' is not a valid name for a release; correct $HERE/VERSION." ;;
    esac
    printf '%s\n' "$name"
}

make_account() {
    systemd-sysusers "$1" || die "The account 'maskgate' could not be made; see the message above."
}

# picamera2 and gpiozero come from the distribution: the environment must see them where they exist.
sees_system_packages() {
    "$PYTHON" -c 'import sys; from importlib.util import find_spec as find
sys.exit(not (find("picamera2") or find("gpiozero") or find("gpiod")))'
}

# Leaves in $sent/wheels every wheel that the release needs, and in $sent/SHA256SUMS what each must be.
gather_wheels() {
    sent=$RELEASES/$1/sent
    mkdir -- "$sent"
    if [ -d "$HERE/wheels" ]; then
        say "Building the release from $HERE/wheels; this takes a few minutes on a small board ..."
        # Only root can change the copy that is checked, so what was checked is what is installed.
        cp -R -- "$HERE/." "$sent/" || die "What was sent could not be copied; see the message above."
        check_sent
    else
        say "Building the release from the checkout; this downloads what it needs ..."
        download_wheels
    fi
}

# Everything that was sent is listed, and everything that is listed was sent.
check_sent() {
    unlisted=$(find "$sent" ! -type d ! -path "$sent/SHA256SUMS" -printf '%P\n' |
        awk 'NR == FNR { listed[substr($0, 67)]; next } !($0 in listed)' "$sent/SHA256SUMS" - | tr '\n' ' ')
    [ -z "$unlisted" ] || die "What was sent holds files that its list SHA256SUMS does not name: ${unlisted}- run the deployment again."
    env -C "$sent" sha256sum --check --quiet --strict SHA256SUMS >&2 ||
        die "What was sent is not whole: the transfer was cut; run the deployment again."
}

# What comes from the network is fetched and built by the service's account, never by root.
download_wheels() {
    make_account "$HERE/../systemd/maskgate.sysusers.conf"
    work=$sent/download
    mkdir -p -- "$work/source" "$sent/wheels"
    cp -R -- "$HERE/../edge" "$HERE/../pyproject.toml" "$HERE/../README.md" "$HERE/../LICENSE" "$work/source/"
    codename=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
    constraints=$HERE/constraints/$codename.txt
    [ -f "$constraints" ] || constraints=/dev/null
    cat -- "$constraints" >"$work/constraints.txt"
    chown -hR maskgate: "$work"
    set -- runuser -u maskgate -- env -C "$work" HOME="$work" TMPDIR="$work" PIP_CONFIG_FILE=/dev/null
    "$@" "$PYTHON" -m venv "$work/venv" ||
        die "Python could not make an environment; sudo apt install python3-venv, then run this again."
    "$@" "$work/venv/bin/python" -m pip wheel --quiet --no-cache-dir --disable-pip-version-check --no-input \
        --constraint "$work/constraints.txt" --wheel-dir "$work/wheels" pip "$work/source" ||
        die "The packages could not be fetched; see pip's message above. The device runs what it ran before."
    find "$work/wheels" -type f -name '*.whl' -exec cp -t "$sent/wheels" -- {} +
    find "$sent/wheels" -type f -name '*.whl' -printf '%P\n' | sort | env -C "$sent/wheels" xargs sha256sum |
        sed 's|  |  wheels/|' >"$sent/SHA256SUMS"
}

# Each wheel of the list by name, version and hash; pip installs nothing else. pip itself is the tool, not a part.
locked_requirements() {
    sed -n 's|^\([0-9a-f]\{64\}\)  wheels/\([A-Za-z0-9_.]*\)-\([A-Za-z0-9_.+!]*\)-.*\.whl$|\2==\3 --hash=sha256:\1|p' "$sent/SHA256SUMS" |
        grep -v '^pip=='
}

build_release() {
    dir=$RELEASES/$1
    remove_release "$1"
    building=$1
    mkdir -p -- "$dir/venv"
    gather_wheels "$1"
    set -- "$PYTHON" -m venv --without-pip
    ! sees_system_packages || set -- "$@" --system-site-packages
    "$@" "$dir/venv" || die "Python could not make an environment in $dir; see the message above."
    locked_requirements >"$sent/requirements.txt"
    # pip runs from its own wheel: the device needs no package but Python itself.
    set -- "$sent"/wheels/pip-*.whl
    PIP_CONFIG_FILE=/dev/null "$dir/venv/bin/python" "$1/pip" install --no-index --find-links "$sent/wheels" \
        --require-hashes --requirement "$sent/requirements.txt" --quiet --no-cache-dir --disable-pip-version-check \
        --no-input --root-user-action=ignore ||
        die "The packages could not be installed; see pip's message above. The device runs what it ran before."
    add_installer "$dir"
    rm -rf --one-file-system -- "${dir:?}/sent"
    # Every key is a comment, so that a later release's better default takes effect where nobody chose otherwise.
    : >"$dir/config.toml"
    "$dir/venv/bin/maskgate" config --example --config "$dir/config.toml" >"$dir/config.all" ||
        die "The new release does not start: 'maskgate config --example' failed. The device runs what it ran before."
    sed 's/^\([a-z_]* = \)/# \1/' "$dir/config.all" >"$dir/config.toml"
    rm -- "$dir/config.all"
    sync
    : >"$dir/.complete"
    building=
}

# From the copy that was checked, or from the checkout.
add_installer() {
    scripts=$sent units=$sent/systemd
    [ -d "$units" ] || scripts=$HERE units=$HERE/../systemd
    install -m 755 -- "$scripts/install.sh" "$1/install.sh"
    install -m 644 -- "$scripts/kiosk.sh" "$1/kiosk.sh"
    mkdir -- "$1/systemd"
    for name in "$SERVICE" maskgate.sysusers.conf "$KIOSK" maskgate-kiosk.sysusers.conf; do
        install -m 644 -- "$units/$name" "$1/systemd/$name"
    done
}

write_file() {
    install -m "$3" -o root -g "$4" -- "$1" "$2.tmp"
    sync "$2.tmp"
    mv -T -- "$2.tmp" "$2"
}

make_config() {
    [ ! -e "$CONFIG" ] || return 0
    mkdir -p "$(dirname "$CONFIG")"
    write_file "$RELEASES/$1/config.toml" "$CONFIG" 640 maskgate
    say "Settings are in $CONFIG; every key is explained there."
}

# The operator's file is never touched; what a new release would have written is placed next to it.
offer_config() {
    new=$RELEASES/$1/config.toml
    if cmp -s "$new" "$CONFIG"; then
        rm -f "$CONFIG.new"
    elif ! cmp -s "$new" "$CONFIG.new"; then
        write_file "$new" "$CONFIG.new" 640 maskgate
        say "Your $CONFIG is as it was; $CONFIG.new explains the keys of this release."
    fi
}

# In a scratch folder and silent: neither the counts nor the people at the door notice.
self_test() {
    maskgate=$RELEASES/$1/venv/bin/maskgate
    scratch=$(mktemp -d "$SCRATCH.XXXXXX")
    chown maskgate: "$scratch"
    set -- runuser -u maskgate -- env -i -C "$scratch" PATH="$PATH" HOME="$scratch" GPIOZERO_PIN_FACTORY=lgpio \
        MASKGATE_COUNTS_PATH="$scratch/counts.db" MASKGATE_ALERTS_OUTPUT=none timeout "$SELF_TEST_SECONDS" "$maskgate"
    say "What the doctor found:"
    "$@" doctor --config "$CONFIG" || say "(The doctor has advice; the self-test decides.)"
    say "Self-test: $SELF_TEST_FRAMES frames of the demo clip ..."
    "$@" run --config "$CONFIG" --source demo --max-frames "$SELF_TEST_FRAMES" --events - >"$scratch/events" ||
        die "The self-test of the new release failed with exit code $?, see its message above; the device runs what it ran before."
    grep -q '"event": "summary", "frames": [1-9]' "$scratch/events" ||
        die "The self-test of the new release judged no frame; the device runs what it ran before."
    remove_scratch
}

property() {
    systemctl show --property="$1" --value "$SERVICE"
}

# Each judged frame feeds the watchdog. A camera that is lost, or hangs later, sets its time limit: one beat each.
beat() {
    property WatchdogTimestampMonotonic
}

# A process that the watchdog started again has another time, too, so it must be the same process.
judges_frames() {
    systemctl --quiet is-active "$SERVICE" || return 1
    same=$(property MainPID)
    for _ in 1 2; do
        last_beat=$(beat)
        sleep 2
        [ "$(beat)" != "$last_beat" ] || return 1
    done
    [ "$(property MainPID)" = "$same" ]
}

# Healthy: it said that it is ready, keeps running, and keeps judging frames. Where none were judged before, for want
# of a camera, running is enough.
wait_until_healthy() {
    must_judge=$1
    started=$(property MainPID)
    last_beat=$(beat)
    beats=0
    waited=0
    while [ "$waited" -lt "$HEALTHY_WITHIN" ]; do
        sleep 1
        waited=$((waited + 1))
        [ "$(property ActiveState)/$(property MainPID)" = "active/$started" ] || return 1
        newest_beat=$(beat)
        [ "$newest_beat" = "$last_beat" ] || beats=$((beats + 1))
        last_beat=$newest_beat
        [ "$waited" -ge "$HEALTHY_FOR" ] || continue
        [ "$beats" -lt 3 ] || return 0
        if [ -z "$must_judge" ] && [ "$waited" -ge "$WAITING_FOR_CAMERA" ]; then
            say "It runs but has judged no frame yet. It last said: $(last_words)"
            return 0
        fi
    done
    return 1
}

last_words() {
    journalctl --quiet --no-pager --output=cat --identifier=maskgate --lines=3 2>/dev/null | tr '\n' ' '
}

# Read the units again; a start limit that an earlier release reached does not count against the next.
reload() {
    systemctl daemon-reload || return 1
    systemctl reset-failed "$SERVICE" 2>/dev/null || :
}

begin_trial() {
    trying=$1
    mkdir -p -- "$(dirname "$TRIAL_UNIT")" || return 1
    sed "s|$BASE/current/|$RELEASES/$1/|g" "$RELEASES/$1/systemd/$SERVICE" >"$TRIAL_UNIT" || return 1
    reload || return 1
    systemctl restart "$SERVICE" 2>/dev/null || return 1
    wait_until_healthy "$2"
}

# Back to the unit on disk: the old release, or none.
end_trial() {
    trying=
    rm -f "$TRIAL_UNIT"
    if [ -L "$BASE/current" ]; then
        reload
        systemctl restart "$SERVICE" || say "The old release did not start either; see 'journalctl -u maskgate'."
    else
        systemctl stop "$SERVICE" 2>/dev/null || :
        reload
    fi
}

# One rename switches program and unit; 'systemctl enable' would resolve the links, so they are made by hand.
point_current_at() {
    rm -f "$BASE/current.new"
    ln -s "releases/$1" "$BASE/current.new"
    mv -T "$BASE/current.new" "$BASE/current"
    sync
}

# A link that is right already is left as it is.
link() {
    mkdir -p -- "$(dirname "$2")"
    [ "$(readlink -- "$2")" = "$1" ] || ln -sfn -- "$1" "$2"
}

# The command on the PATH, with the settings and the state of the service. Called by root it takes the service's own
# rights, so that it sees what the service sees; but not where it reads or writes files that root names.
print_command() {
    cat <<EOF
#!/bin/sh
$COMMAND_MARK
set -eu
export STATE_DIRECTORY=$STATE RUNTIME_DIRECTORY=/run/maskgate GPIOZERO_PIN_FACTORY=lgpio
[ ! -e $CONFIG ] || export MASKGATE_CONFIG="\${MASKGATE_CONFIG:-$CONFIG}"
program=$BASE/current/venv/bin/maskgate
case \$(id -u),\${1-} in
    0,token | 0,look | 0,check | 0,bench | 0,run) ;;
    0,*) exec runuser -u maskgate -- "\$program" "\$@" ;;
esac
exec "\$program" "\$@"
EOF
}

command_is_ours() {
    [ ! -L "$COMMAND" ] && [ -f "$COMMAND" ] && grep -Fqx -e "$COMMAND_MARK" "$COMMAND"
}

# What somebody else put there is left alone; without the command the door is still watched.
put_command_on_path() {
    if [ -e "$COMMAND" ] || [ -L "$COMMAND" ]; then
        if ! command_is_ours; then
            say "$COMMAND is another program and was left as it is; the command is $BASE/current/venv/bin/maskgate."
            return 0
        fi
        [ "$(print_command)" != "$(cat "$COMMAND")" ] || return 0
    fi
    if ! { mkdir -p -- "$(dirname "$COMMAND")" && print_command >"$COMMAND.tmp" && chmod 755 "$COMMAND.tmp" &&
        mv -T -- "$COMMAND.tmp" "$COMMAND"; }; then
        say "$COMMAND could not be written; the command is $BASE/current/venv/bin/maskgate."
    fi
}

link_unit() {
    link "$BASE/current/systemd/$SERVICE" "$UNIT_LINK"
    link "$UNIT_LINK" "$BOOT_LINK"
    # What 'systemctl enable' leaves here names one release for good, and hides all later ones.
    [ ! -L "/etc/systemd/system/$SERVICE" ] || rm "/etc/systemd/system/$SERVICE"
}

activate() {
    old=$(current_release)
    must_judge=
    ! judges_frames || must_judge=yes
    say "Trying $1 ..."
    if ! begin_trial "$1" "$must_judge"; then
        why=$(last_words)
        end_trial
        die "$1 does not run healthily and was taken back; ${old:-nothing} runs now. It last said: ${why:-nothing}"
    fi
    point_current_at "$1"
    link_unit
    put_command_on_path
    rm -f "$TRIAL_UNIT"
    trying=
    systemctl daemon-reload
}

check_kiosk() {
    missing=
    for program in cage seatd; do
        command -v "$program" >/dev/null || missing="$missing $program"
    done
    command -v chromium >/dev/null || command -v chromium-browser >/dev/null || missing="$missing chromium"
    [ -z "$missing" ] ||
        die "The kiosk needs packages that this device lacks: sudo apt install --no-install-recommends$missing, then run this again; or leave the kiosk out."
}

kiosk_is_on() {
    [ -L "$KIOSK_BOOT_LINK" ]
}

switch_kiosk_on() {
    make_account "$BASE/current/systemd/maskgate-kiosk.sysusers.conf"
    link "$BASE/current/systemd/$KIOSK" "$KIOSK_LINK"
    link "$KIOSK_LINK" "$KIOSK_BOOT_LINK"
    systemctl daemon-reload
}

# The screen is no part of the trial: a door without one is watched all the same.
show_page() {
    kiosk_is_on || return 0
    systemctl restart "$KIOSK" || say "The page is not shown; see 'journalctl -u maskgate-kiosk'."
}

# Oldest first. A release that was rolled back from is never what a later rollback goes to: it moves to the front.
# Where the disk is full, the history stays as it was.
remember() {
    [ -e "$HISTORY" ] || : >"$HISTORY" || return 1
    awk -v old="$1" -v new="$2" -v keep="$KEEP" '
        $0 != new { if (after) abandoned[++a] = $0; else kept[++k] = $0 }
        $0 == old { after = 1 }
        END {
            for (i = 1; i <= a; i++) line[++n] = abandoned[i]
            for (i = 1; i <= k; i++) line[++n] = kept[i]
            line[++n] = new
            for (i = n > keep ? n - keep + 1 : 1; i <= n; i++) print line[i]
        }' "$HISTORY" >"$HISTORY.tmp" || return 1
    if cmp -s "$HISTORY.tmp" "$HISTORY"; then
        rm -- "$HISTORY.tmp"
    else
        sync "$HISTORY.tmp" || return 1
        mv -T -- "$HISTORY.tmp" "$HISTORY"
    fi
}

# A folder that the installer made and that the history does not name. A history that cannot be read names all.
is_forgotten() {
    if [ -L "$RELEASES/$1" ] || [ ! -d "$RELEASES/$1/venv" ] || [ "$1" = "$(current_release)" ]; then return 1; fi
    code=0
    grep -Fqx -e "$1" "$HISTORY" || code=$?
    [ "$code" -eq 1 ]
}

prune() {
    rmdir -- "$RELEASES"/* 2>/dev/null || :
    for dir in "$RELEASES"/*; do
        name=$(basename -- "$dir")
        if is_forgotten "$name"; then remove_release "$name"; fi
    done
}

remember_and_prune() {
    if remember "$1" "$2"; then
        prune
    else
        say "The history of releases could not be written, so no old release was removed; make room in $BASE."
    fi
}

# What follows a switch; done twice where the first time was cut short.
settle() {
    link_unit
    put_command_on_path
    remember_and_prune "$1" "$2"
    offer_config "$2"
}

runs_already() {
    [ "$(current_release)" = "$1" ] && is_complete "$1" && systemctl --quiet is-active "$SERVICE" &&
        systemctl --quiet is-enabled "$SERVICE" && [ -e "$CONFIG" ] && [ ! -e "$TRIAL_UNIT" ]
}

install_release() {
    check_device
    [ -z "$1" ] || check_kiosk
    take_lock
    release=$(release_name)
    if runs_already "$release"; then
        make_places
        settle "$release" "$release"
        if [ -n "$1" ] && ! kiosk_is_on; then
            switch_kiosk_on
            show_page
            say "installed: the page of $release is shown full screen"
        else
            say "unchanged: $release runs already"
        fi
        return
    fi
    is_complete "$release" || check_space
    make_places
    if ! is_complete "$release"; then build_release "$release"; fi
    make_account "$RELEASES/$release/systemd/maskgate.sysusers.conf"
    make_config "$release"
    self_test "$release"
    before=$(current_release)
    # What was rolled back from is moved before the switch: after it nobody could tell.
    [ -z "$before" ] || remember "$before" "$before" || die "$HISTORY cannot be written; make room in $BASE."
    activate "$release"
    settle "$before" "$release"
    [ -z "$1" ] || switch_kiosk_on
    show_page
    say "installed: $release${before:+ (before: $before)}"
}

roll_back() {
    take_lock
    before=$(current_release)
    [ -n "$before" ] || die "No release is installed; there is nothing to go back from."
    release=${1:-$(awk -v now="$before" '$0 == now { print last; exit } { last = $0 }' "$HISTORY")}
    [ -n "$release" ] || die "There is no release older than $before on this device."
    [ "$release" != "$before" ] || die "$release is the release that runs."
    if ! grep -Fqx -- "$release" "$HISTORY" || ! is_complete "$release"; then
        die "There is no release '$release' on this device; it has: $(tr '\n' ' ' <"$HISTORY")"
    fi
    activate "$release"
    offer_config "$release"
    show_page
    say "rolled back: $release (before: $before)"
}

uninstall() {
    take_lock
    if [ -e "$BASE" ] || [ -L "$BASE" ]; then check_own "$BASE"; fi
    systemctl --quiet disable --now "$KIOSK" "$SERVICE" 2>/dev/null || :
    rm -f "$TRIAL_UNIT" "$UNIT_LINK" "$BOOT_LINK" "$KIOSK_LINK" "$KIOSK_BOOT_LINK" "$CONFIG.new"
    ! command_is_ours || rm -f "$COMMAND"
    rmdir "$(dirname "$UNIT_LINK")" "$(dirname "$(dirname "$UNIT_LINK")")" 2>/dev/null || :
    reload
    default=$BASE/current/config.toml
    ! cmp -s "$default" "$CONFIG" || rm -f "$CONFIG"
    rmdir "$(dirname "$CONFIG")" 2>/dev/null || :
    [ ! -e "$BASE" ] || rm -rf --one-file-system -- "$BASE"
    # The account goes, so its files must not fall to the user who gets its number next. A new installation takes them
    # back.
    if [ -d "$STATE" ] && [ ! -L "$STATE" ]; then
        chown -hR root:root "$STATE"
        chmod 700 "$STATE"
    fi
    [ ! -e "$CONFIG" ] || chown -h root:root "$CONFIG"
    for account in maskgate maskgate-kiosk; do
        ! id "$account" >/dev/null 2>&1 || userdel "$account"
    done
    left=
    for kept in "$STATE" "$CONFIG"; do
        [ ! -e "$kept" ] || left="$left $kept"
    done
    say "uninstalled: what is left is${left:- nothing}"
}

# Does the work in its own session, which writes to a file, and shows that file. When SSH is cut, the process that shows
# it stops, or stalls on a terminal that nobody reads; the work does not notice.
work_and_show() {
    log=$(mktemp /run/maskgate-install.XXXXXX)
    INSTALL_WORKER=yes setsid sh "$HERE/install.sh" "$@" >"$log" 2>&1 </dev/null &
    worker=$!
    trap 'kill "$worker"' INT TERM
    tail --lines=+1 --follow --pid="$worker" "$log" &
    viewer=$!
    code=0
    while kill -0 "$worker" 2>/dev/null; do
        wait "$worker" && code=0 || code=$?
    done
    patience=5
    while [ "$patience" -gt 0 ] && kill -0 "$viewer" 2>/dev/null; do
        sleep 1
        patience=$((patience - 1))
    done
    kill "$viewer" 2>/dev/null || :
    rm -f "$log"
    exit "$code"
}

main() {
    command=${1:-install}
    kiosk=
    case $command,${2-} in
        --kiosk, | install,--kiosk) command=install kiosk=yes ;;
        install,?* | uninstall,?*) usage >&2; exit 2 ;;
    esac
    case $command in
        -h | --help | help) usage; return ;;
        install | rollback | uninstall) ;;
        *) usage >&2; exit 2 ;;
    esac
    [ "$(id -u)" -eq 0 ] || die "Only root can do this; put sudo before it."
    [ -n "${INSTALL_WORKER-}" ] || work_and_show "$@"
    unset INSTALL_WORKER
    trap on_exit EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    trap '' HUP PIPE
    case $command in
        install) install_release "$kiosk" ;;
        rollback) roll_back "${2-}" ;;
        uninstall) uninstall ;;
    esac
}

main "$@"
