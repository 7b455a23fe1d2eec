# Sourced by `start` and `check`: makes `.venv` with what pyproject.toml names, once per change of that file.
# Usage: set_up [EXTRA]

say() { printf '\033[1m%s\033[0m\n' "$*" >&2; }

# The first Python that is new enough: $PYTHON, then the newest installed one.
find_python() {
    local candidate
    for candidate in ${PYTHON:-} python3.13 python3.12 python3.11 python3 python; do
        if command -v "$candidate" >/dev/null && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    say "Nodeloom needs Python 3.11 or newer; none was found. Install one, or name it: PYTHON=/path/to/python ./start"
    return 1
}

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

# Debian and Ubuntu ship Python without the part that makes environments.
make_venv() {
    local python
    python=$(find_python) || return 1
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        local package
        package=python$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv
        say "This Python cannot make environments; installing Debian's $package"
        as_root apt-get update -qq && as_root apt-get install -y -qq "$package" >/dev/null || {
            say "That failed. Install $package yourself (or python3-venv), then try again."
            return 1
        }
    fi
    "$python" -m venv .venv
}

set_up() {
    local extra=${1:-} wanted="${1:-core} $(cksum <pyproject.toml)" stamp=.venv/nodeloom-installed
    [ -x .venv/bin/python ] || { say "Making .venv"; make_venv || return 1; }
    grep -qxF "$wanted" "$stamp" 2>/dev/null && return
    say "Installing what Nodeloom needs (the first time takes some minutes)"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check ".${extra:+[$extra]}" || {
        say "The installation failed: see above. Nothing was changed outside .venv; run the command again to retry."
        return 1
    }
    # Vocabularies that may not be given away, as files of a package whose own needs are not needed.
    [ "$extra" != test ] || .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps diffsynth==1.1.7
    rm -rf build nodeloom.egg-info  # what pip leaves in the checkout, which is what runs
    printf '%s\n' "$wanted" >>"$stamp"
}

# The pinned tools that check the JavaScript, once per change of their lock file, by the npm of the extra `test`.
set_up_javascript() {
    local wanted stamp=node_modules/nodeloom-installed
    wanted=$(cksum <package-lock.json)
    grep -qxF "$wanted" "$stamp" 2>/dev/null && return
    say "Installing what checks the JavaScript"
    PATH="$PWD/.venv/bin:$PATH" npm ci --silent --no-audit --no-fund || {
        say "The installation failed: see above. Nothing was changed outside node_modules; run the command again to retry."
        return 1
    }
    printf '%s\n' "$wanted" >"$stamp"
}
