#!/usr/bin/env bash
# Runs inside a sandbox-like container of one template: does what its users do, as its user. Prints "ok NAME" or
# "not ok NAME" with the output, one per check.
slug=$1
work=$(mktemp -d /workspace/check.XXXX)

check() {
  local name=$1 output
  shift
  cd "$work" || exit 1
  if output=$("$@" 2>&1 < /dev/null); then
    printf 'ok %s: %s\n' "$slug" "$name"
  else
    printf 'not ok %s: %s\n%s\n' "$slug" "$name" "$output" | sed '2,$s/^/    /'
  fi
}

user_has_name() { [[ $(whoami) == sandbox && $(id -un) == sandbox && $(id -gn) == sandbox && ~ == /home/sandbox ]]; }
root_is_read_only() { ! touch /usr/probe 2> /dev/null && touch /workspace/probe /tmp/probe ~/probe; }
login_shell_path() { [[ $(bash -lc 'echo "$PATH"') == *"/home/sandbox/.local/bin"*"/usr/bin"* ]]; }
no_set_user_id() { [[ -z $(find / -xdev -type f -perm /6000 2> /dev/null) ]]; }
tools() { local t; for t in bash bzip2 curl file git jq less patch ps rg top unzip xz zip; do command -v "$t" || return 1; done; }
git_works() { git init -q repo && cd repo && echo hi > a && git add a && git commit -qm first && [[ $(git log --oneline | wc -l) == 1 ]]; }
job_control() { bash -mc 'sleep 30 & kill %1; wait %1; (($? == 143))'; }
certificates() { [[ -s /etc/ssl/certs/ca-certificates.crt ]]; }
public_sources() { grep -rqs '^URIs: http.*/debian' /etc/apt/sources.list.d && [[ ! -s /etc/apt/sources.list ]]; }

compiler() {
  printf '#include <stdio.h>\nint main(void) { puts("hello"); }\n' > hello.c
  gcc -O2 -o hello hello.c && [[ $(./hello) == hello ]] \
    && printf '#include <iostream>\nint main() { std::cout << "hello"; }\n' > hello.cc && g++ -o hellocc hello.cc && ./hellocc && make --version
}

python_runs() { python -c 'import sys, ssl, sqlite3, threading, multiprocessing as m; m.Pool(2).map(abs, [1, -2]); assert sys.version_info >= (3, 13)'; }
make_wheel() {
  python3 - << 'PY'
import zipfile
with zipfile.ZipFile("nestegg-1.0-py3-none-any.whl", "w") as w:
    w.writestr("nestegg.py", "def main():\n    print('egg')\n")
    w.writestr("nestegg-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: nestegg\nVersion: 1.0\n")
    w.writestr("nestegg-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: check\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    w.writestr("nestegg-1.0.dist-info/entry_points.txt", "[console_scripts]\nnestegg = nestegg:main\n")
    w.writestr("nestegg-1.0.dist-info/RECORD", "")
PY
}
pip_installs() { make_wheel && pip install --no-index ./nestegg-1.0-py3-none-any.whl && [[ $(nestegg) == egg ]] && python -c 'import nestegg'; }
pip_user() { make_wheel && pip install --user --force-reinstall --no-index ./nestegg-1.0-py3-none-any.whl && [[ $(nestegg) == egg ]]; }
venv_works() { make_wheel && python -m venv v && v/bin/pip install --no-index ./nestegg-1.0-py3-none-any.whl && [[ $(v/bin/nestegg) == egg ]]; }
python_extension() {
  cat > nat.c << 'C'
#define PY_SSIZE_T_CLEAN
#include <Python.h>
static struct PyModuleDef def = { PyModuleDef_HEAD_INIT, "nat", NULL, -1, NULL };
PyMODINIT_FUNC PyInit_nat(void) { return PyModule_Create(&def); }
C
  # shellcheck disable=SC2046 # several words are meant
  gcc -shared -fPIC $(python3-config --includes) -o nat.so nat.c && python -c 'import nat'
}

node_runs() { [[ $(node -p '[1,2].map(x => x * 2).join()') == 2,4 ]] && node -e 'new (require("worker_threads").Worker)("", { eval: true })'; }
make_package() { mkdir -p egg && (cd egg && printf '{"name":"egg","version":"1.0.0","bin":{"egg":"e.js"}}' > package.json && printf '#!/usr/bin/env node\nconsole.log("egg")\n' > e.js && npm pack --pack-destination ..); }
npm_installs() { make_package && mkdir -p app && cd app && npm init -y && npm install --offline ../egg-1.0.0.tgz && [[ $(npx --offline egg) == egg ]]; }
npm_global() { make_package && npm install -g --offline ./egg-1.0.0.tgz && [[ $(command -v egg) == /home/sandbox/.npm-global/bin/egg && $(egg) == egg ]]; }
node_addon() {
  mkdir -p addon && cd addon && printf '{"targets":[{"target_name":"a","sources":["a.c"]}]}' > binding.gyp && cat > a.c << 'C'
#include <node_api.h>
static napi_value init(napi_env env, napi_value exports) { return exports; }
NAPI_MODULE(NODE_GYP_MODULE_NAME, init)
C
  printf '{"name":"addon","version":"1.0.0","gypfile":true}' > package.json
  npm install --offline && node -e 'require("./build/Release/a.node")'
}

check "the user has a name and a home" user_has_name
check "only workspace, tmp and home are writable" root_is_read_only
check "a login shell finds the user's programs" login_shell_path
check "no set-user-ID program" no_set_user_id
check "the tools are there" tools
check "git commits" git_works
check "job control" job_control
check "certificates" certificates
check "package sources are the public ones" public_sources
if [[ $slug == python || $slug == node || $slug == python-node ]]; then check "C and C++ compile" compiler; fi
if [[ $slug == python || $slug == python-node ]]; then
  check "python with pools" python_runs
  check "pip install" pip_installs
  check "pip install --user" pip_user
  check "venv with pip" venv_works
  check "a native python module" python_extension
fi
if [[ $slug == node || $slug == python-node ]]; then
  check "node with workers" node_runs
  check "npm init and install" npm_installs
  check "npm install -g" npm_global
  check "a native node module" node_addon
fi
