#!/bin/sh
# Fetch one folder of one commit, and check that it is what was pinned.
#
#     clone.sh URL COMMIT TREE FOLDER TARGET WORK KEYS
#
# TARGET gets FOLDER as it is at COMMIT, whose hash must be TREE. WORK is a path to work in. KEYS may hold ssh-privatekey
# and known_hosts. Says one line if it fails, and ends with 65 where no retry mends it, else with 75.
set -u
url=$1 commit=$2 tree=$3 folder=$4 target=$5 work=$6 keys=$7

# Not that a URL here may hold a password, but a server may redirect to one. Without sed: an image need not have it.
hide() {
  left=$* shown=
  while [ "${left#*://}" != "$left" ]; do
    before=${left%%://*}
    shown=$shown$before://
    left=${left#*://}
    host=${left%%[/ ]*}
    case "$before $host" in
      *http\ *@* | *https\ *@* | *\ *:*@*) left="***@${host##*@}${left#"$host"}" ;;
    esac
  done
  printf '%s\n' "$shown$left"
}

fail() {
  code=$1
  shift
  hide "code: $url: $*" >&2
  exit "$code"
}

# The reason of git's that tells the most: what the server or ssh says comes before git's own conclusion.
reason() {
  { grep -m 1 -E '^(fatal: remote error|remote: |ssh: |ERROR: |error: )' "$work/said" || cat "$work/said"; } |
    tr -s '\n\t' '  ' | cut -c 1-300
}

fetch() {
  git fetch --quiet --no-tags "$@" >"$work/said" 2>&1 && return
  case $(cat "$work/said") in
    *"Host key verification failed"* | *"HOST IDENTIFICATION HAS CHANGED"*)
      fail 65 "the host key is not the one in the Secret's known_hosts; renew it there" ;;
    *"Permission denied"* | *"Authentication failed"* | *"could not read Username"* | *"error in libcrypto"* | *"invalid format"*)
      fail 65 "no access: $(reason); check code.secret, and that its key may read the repository" ;;
    *"not exported"* | *"epository not found"* | *"does not appear to be a git repository"* | *"returned error: 40"*)
      fail 65 "no such repository, or no access: $(reason); check code.url and code.secret" ;;
  esac
  return 1
}

export LC_ALL=C GIT_TERMINAL_PROMPT=0 GIT_DIR="$work/git"
trap 'rm -rf "$work"' EXIT
umask 077 # the work folder may hold the key
rm -rf "$work"
mkdir -p "$work" || fail 75 "cannot write $work"
if [ -f "$keys/ssh-privatekey" ]; then
  # ssh takes no key that others could read, and a mounted Secret is root's.
  { cat "$keys/ssh-privatekey" && echo; } >"$work/key" || fail 65 "cannot read the key ssh-privatekey of code.secret"
  # Whoever answers, the tree is checked below; a known host is only asked for where one is named.
  hosts="-o StrictHostKeyChecking=accept-new"
  if [ -f "$keys/known_hosts" ]; then
    cp "$keys/known_hosts" "$work/known_hosts"
    hosts="-o StrictHostKeyChecking=yes"
  fi
  export GIT_SSH_COMMAND="ssh -F none -i $work/key -o IdentitiesOnly=yes -o BatchMode=yes -o ConnectTimeout=30 $hosts -o UserKnownHostsFile=$work/known_hosts"
else
  export GIT_SSH_COMMAND="ssh -o BatchMode=yes -o ConnectTimeout=30"
fi
git init --quiet --bare "$GIT_DIR" >"$work/said" 2>&1 || fail 75 "$(reason)"
# Some servers refuse a commit by its hash; then all that they have is fetched, and looked through.
if ! fetch --depth=1 -- "$url" "$commit"; then
  fetch -- "$url" '+refs/*:refs/*' || fail 75 "$(reason)"
fi
git cat-file -e "$commit^{commit}" 2>/dev/null || fail 65 "commit $commit is not there; push it"
case $folder in
  "" | .) found=$(git rev-parse --verify --quiet "$commit^{tree}") ;;
  *) found=$(git rev-parse --verify --quiet "$commit:$folder") ;;
esac
[ -n "$found" ] || fail 65 "commit $commit has no folder $folder"
[ "$found" = "$tree" ] || fail 65 "tree of ${folder:-.} at commit $commit is $found, not $tree; expand --repin pins it anew"
umask 022
rm -rf "$target"/* "$target"/.[!.]* "$target"/..?* # of an earlier start of this container
git -c core.autocrlf=false --work-tree="$target" read-tree --reset -u "$tree" >"$work/said" 2>&1 || fail 75 "$(reason)"
