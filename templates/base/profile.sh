# shellcheck shell=sh
# Login shells start from Debian's own PATH; give them the same one as every other process of the sandbox.
PATH=/home/sandbox/.local/bin:/home/sandbox/.npm-global/bin:$PATH
export PATH
