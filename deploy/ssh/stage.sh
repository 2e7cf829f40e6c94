#!/bin/sh
# Runs on the device as the user who logs in.
#
#   prepare RELEASE   makes a new folder in ~/.cache/maskgate to send a release to, and prints its path
#   forget            removes ~/.cache/maskgate
#
# It deletes nothing but releases, and those only by their absolute path in a ~/.cache/maskgate that is a real folder of
# this user.
set -eu
umask 022
export LC_ALL=C

fail() {
    printf '%s\n' "$*" >&2
    exit 1
}

# Sets stage to the absolute path of the folder for releases, with the links before its last part resolved.
find_stage() {
    case ${HOME-} in
        /*) ;;
        *) fail "Your account has no home folder (HOME is '${HOME-}'); log in as a user who has one." ;;
    esac
    [ -d "$HOME" ] || fail "Your home folder $HOME does not exist; make it, or log in as a user who has one."
    cache=$(readlink -f -- "$HOME/.cache") || fail "$HOME/.cache is a link that leads nowhere; remove it, then run this again."
    stage=$cache/maskgate
}

# A folder that is somebody else's, or a link to another place, is left alone.
check_stage() {
    [ ! -L "$stage" ] || fail "$stage is a link; remove it, then run this again."
    [ -d "$stage" ] || fail "$stage is not a folder; move it away, then run this again."
    owner=$(stat -c %u -- "$stage")
    user=$(id -u)
    [ "$owner" = "$user" ] || fail "$stage belongs to another user; run 'sudo rm -r $stage', then run this again."
    [ -w "$stage" ] || fail "$stage cannot be written to; run 'chmod u+rwx $stage', then run this again."
}

make_stage() {
    [ -d "$stage" ] || why=$(mkdir -p -- "$stage" 2>&1) || fail "$stage cannot be made ($why); give your user that place."
    check_stage
}

# Releases are folders with a VERSION; what else lies here is not ours.
is_release() {
    if [ -L "$1" ] || [ ! -d "$1" ]; then return 1; fi
    [ -f "$1/VERSION" ]
}

is_a_day_old() {
    found=$(find "$1" -maxdepth 0 -mtime +0)
    [ -n "$found" ]
}

newest_release() {
    newest=
    for folder in "$stage"/*; do
        is_release "$folder" || continue
        if [ -z "$newest" ] || [ -n "$(find "$folder" -maxdepth 0 -newer "$newest")" ]; then newest=$folder; fi
    done
}

# A deployment under way may still be reading a younger one.
remove_old_releases() {
    for folder in "$stage"/*; do
        is_release "$folder" || continue
        is_a_day_old "$folder" || continue
        rm -rf -- "$folder" || printf '%s could not be removed.\n' "$folder" >&2
    done
}

# Each deployment has a folder of its own, so that two that send the same release do not disturb each other. Files of the
# release sent last are linked there: rsync sends only what differs, and replaces files, never writes into them.
prepare() {
    case $1 in
        '' | [.-]* | *[!A-Za-z0-9.+_-]*) fail "'$1' cannot be the name of a release." ;;
    esac
    make_stage
    newest_release
    new=$(mktemp -d -- "$stage/$1.XXXXXX" 2>&1) || fail "No folder can be made in $stage ($new)."
    chmod 755 -- "$new"
    printf '%s\n' "$1" >"$new/VERSION"
    # Where the file system has no hard links, everything is sent.
    [ -z "$newest" ] || cp -alf -- "$newest/." "$new/" || :
    touch -- "$new"
    remove_old_releases
    printf 'stage=%s\n' "$new"
}

forget() {
    if [ ! -e "$stage" ] && [ ! -L "$stage" ]; then return; fi
    check_stage
    for folder in "$stage"/*; do
        if is_release "$folder"; then rm -rf -- "$folder"; fi
    done
    rmdir -- "$stage" 2>/dev/null || fail "$stage holds files that maskgate did not put there; they were left."
}

find_stage
case ${1-} in
    prepare) prepare "${2-}" ;;
    forget) forget ;;
    *) fail "usage: stage.sh prepare RELEASE | forget" ;;
esac
